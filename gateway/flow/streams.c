/* SPDX-License-Identifier: MIT */
/* Which streams exist: ids, births, and death in two phases. A stream is dead when its user is gone, both
 * directions have ended, and no packet in flight points to it; it is freed when the outermost call of the mux
 * ends, so that nobody up the stack holds it. */
#include "gateway/flow/mux_private.h"

#include "gateway/base/err.h"

#include <stdlib.h>

static uint64_t side_of(const struct gw_mux *mux, bool is_ours)
{
    return mux->is_lower == is_ours ? 0 : 1;
}

static struct gw_stream *new_stream(struct gw_mux *mux, uint64_t id, bool is_ours)
{
    struct gw_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->id = id;
    stream->mux = mux;
    stream->is_ours = is_ours;
    if (gw_map_insert(&mux->streams, &stream->node, &stream->id) != 0) {
        free(stream);
        return NULL;
    }
    gw_list_init(&stream->ready);
    gw_list_init(&stream->urgent);
    gw_list_init(&stream->notify);
    gw_list_init(&stream->blocked);
    gw_sendbuf_init(&stream->out);
    gw_recvbuf_init(&stream->in);
    gw_credit_init(&stream->credit, mux->now, GW_CREDIT_STREAM_INITIAL);
    stream->out_max = GW_CREDIT_STREAM_INITIAL;
    stream->in_size = GW_SIZE_UNKNOWN;
    stream->class_ = GW_CLASS_NORMAL;
    stream->head = is_ours ? GW_HEAD_ANSWER : GW_HEAD_PREFACE;
    mux->total++;
    mux->opened_at = mux->now;
    return stream;
}

struct gw_stream *gw_streams_new_ours(struct gw_mux *mux)
{
    struct gw_stream *stream = new_stream(mux, 2 * mux->our_next + side_of(mux, true), true);
    if (stream != NULL)
        mux->our_next++;
    return stream;
}

/* Tells the peer of more streams when it has used up half of what it may have open at once. */
static void grant_streams(struct gw_mux *mux)
{
    uint64_t max = mux->peer_closed + mux->max_streams + 1; /* sequence 0 is nobody's */
    uint64_t used = mux->peer_closed + mux->peer_open + 1;
    if (max > mux->peer_max && mux->peer_max - used <= mux->max_streams / 2) {
        mux->peer_max = max;
        mux->controls |= GW_CONTROL_MAX_STREAMS;
    }
}

static struct gw_stream *new_of_peer(struct gw_mux *mux, uint64_t id, int *err)
{
    uint64_t sequence = id / 2;
    *err = GW_E_NOMEM;
    struct gw_stream *stream = new_stream(mux, id, false);
    if (stream == NULL)
        return NULL;
    if (gw_ranges_add(&mux->seen, sequence, sequence + 1, UINT32_MAX) != 0) {
        gw_map_remove(&mux->streams, &stream->node);
        free(stream);
        return NULL;
    }
    *err = 0;
    mux->peer_open++;
    if (mux->peer_open > mux->max_streams) {
        stream->is_detached = true;
        gw_streams_abort(stream, GW_REASON_LIMIT);
    }
    grant_streams(mux);
    return stream;
}

struct gw_stream *gw_streams_find(struct gw_mux *mux, uint64_t id, bool create, int *err)
{
    *err = 0;
    if (mux->found == NULL || mux->found->id != id) {
        struct gw_map_node *node = gw_map_find(&mux->streams, &id);
        mux->found = node != NULL ? gw_map_entry(node, struct gw_stream, node) : NULL;
    }
    if (mux->found != NULL)
        return mux->found->is_dead ? NULL : mux->found;
    if (id / 2 == 0) /* reserved */
        return NULL;
    if ((id & 1) == side_of(mux, true)) {
        *err = id / 2 < mux->our_next ? 0 : GW_E_MALFORMED;
        return NULL;
    }
    if (id / 2 >= mux->peer_max) {
        *err = GW_E_MALFORMED;
        return NULL;
    }
    if (!create || gw_ranges_contains(&mux->seen, id / 2))
        return NULL;
    return new_of_peer(mux, id, err);
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

static void drop_buffers(struct gw_stream *stream)
{
    struct gw_mux *mux = stream->mux;
    gw_sendbuf_drop(&stream->out, &mux->pool);
    gw_recvbuf_drop(&stream->in, &mux->pool);
    if (stream->datagrams != NULL) {
        gw_datagrams_clear(stream->datagrams, mux->budget);
        free(stream->datagrams);
        stream->datagrams = NULL;
    }
    if (mux->run.stream == stream)
        mux->run.stream = NULL;
    if (mux->acked_run.stream == stream)
        mux->acked_run.stream = NULL;
}

void gw_streams_abort(struct gw_stream *stream, enum gw_reason reason)
{
    if (stream->is_aborted)
        return;
    bool is_sending = !gw_stream_send_done(stream);
    stream->is_aborted = true;
    stream->reason = (uint8_t)reason;
    gw_grant_unblock(stream);
    gw_schedule_remove(stream);
    drop_buffers(stream);
    gw_grant_count_all(stream);
    stream->controls = 0;
    if (is_sending) {
        stream->is_reset = true;
        stream->controls = GW_CONTROL_RESET;
    } else if (stream->in_size == GW_SIZE_UNKNOWN) {
        stream->controls = GW_CONTROL_STOP;
    }
    gw_schedule_stream(stream);
    gw_streams_check_done(stream);
}

void gw_streams_fail(struct gw_stream *stream, unsigned long long reason, enum gw_reason to_peer)
{
    const struct gw_stream_ops *ops = stream->ops;
    bool is_told = !stream->is_aborted && !stream->is_detached && ops != NULL && ops->on_closed != NULL;
    /* A user that was offered the stream and has not answered yet still holds the pointer: gw_stream_accept will
     * tell. */
    bool is_offered = stream->head == GW_HEAD_OFFERED && ops == NULL && !stream->is_detached;
    if (!is_offered)
        stream->is_detached = true;
    gw_streams_abort(stream, to_peer);
    if (is_offered)
        stream->reason = reason < GW_REASON_COUNT ? (uint8_t)reason : GW_REASON_CANCELLED;
    if (is_told)
        ops->on_closed(stream, stream->mux->now, reason, stream->user);
}

void gw_streams_check_done(struct gw_stream *stream)
{
    if (stream->is_dead || !stream->is_detached || stream->refs > 0 || stream->is_delivering)
        return;
    if (!gw_stream_send_done(stream) || !gw_stream_receive_done(stream))
        return;
    gw_schedule_remove(stream);
    gw_grant_unblock(stream);
    stream->is_dead = true;
    gw_list_push_back(&stream->mux->dead, &stream->ready);
}

void gw_streams_free(struct gw_stream *stream)
{
    struct gw_mux *mux = stream->mux;
    drop_buffers(stream);
    gw_list_remove(&stream->ready);
    gw_list_remove(&stream->urgent);
    gw_list_remove(&stream->notify);
    gw_list_remove(&stream->blocked);
    gw_map_remove(&mux->streams, &stream->node);
    if (mux->found == stream)
        mux->found = NULL;
    if (!stream->is_ours) {
        mux->peer_open--;
        mux->peer_closed++;
    }
    free(stream);
}

void gw_streams_reap(struct gw_mux *mux)
{
    if (gw_list_is_empty(&mux->dead))
        return;
    gw_list_for_each (node, &mux->dead)
        gw_streams_free(gw_list_entry(node, struct gw_stream, ready));
    grant_streams(mux);
}
