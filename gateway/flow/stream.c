/* SPDX-License-Identifier: MIT */
/* The calls of a stream's user (stream.h). Each is a call of its mux from outside, so it enters and leaves it. */
#include "gateway/flow/mux_private.h"

#include "gateway/base/err.h"
#include "gateway/flow/preface.h"

#include <stdlib.h>

/* A few bytes: they may take what is left for the peers' credit, or the place of a reader that stands still. */
static int write_preface(struct gw_stream *stream, const uint8_t *preface, size_t len)
{
    struct gw_mux *mux = stream->mux;
    int err;
    do
        err = gw_sendbuf_write(&stream->out, &mux->pool, gw_mux_receive_limit(mux), preface, len);
    while (err == GW_E_NOMEM && gw_mux_make_room(mux));
    return err;
}

int gw_stream_open(struct gw_mux *mux, struct gw_mono now, const struct gw_open *open,
                   const struct gw_stream_ops *ops, void *user, struct gw_stream **out)
{
    uint8_t preface[GW_PREFACE_MAX];
    int len = gw_preface_encode(preface, open);
    if (len < 0)
        return len;
    if (mux->is_dying || mux->our_next >= mux->our_max)
        return GW_E_LIMIT;
    gw_mux_enter(mux, now);
    struct gw_stream *stream = gw_streams_new_ours(mux);
    int err = stream == NULL ? GW_E_NOMEM : 0;
    if (err == 0 && open->is_datagrams) {
        stream->datagrams = calloc(1, sizeof *stream->datagrams);
        err = stream->datagrams == NULL ? GW_E_NOMEM : 0;
    }
    if (err == 0)
        err = write_preface(stream, preface, (size_t)len);
    if (err == 0) {
        stream->ops = ops;
        stream->user = user;
        stream->class_ = open->class_;
        stream->preface_len = (uint8_t)len;
        stream->deficit = GW_FIRST_TURN; /* its first turn comes before those of old streams */
        gw_schedule_stream(stream);
        *out = stream;
    } else if (stream != NULL) {
        gw_streams_free(stream);
        mux->our_next--;
    }
    gw_mux_leave(mux, false);
    return err;
}

/* The peer gave up while the user made up its mind. */
static bool is_too_late(struct gw_stream *stream, const struct gw_stream_ops *ops, void *user)
{
    if (!stream->is_aborted)
        return false;
    unsigned long long reason = stream->reason;
    stream->is_detached = true;
    gw_streams_check_done(stream);
    if (ops->on_closed != NULL)
        ops->on_closed(stream, stream->mux->now, reason, user);
    return true;
}

void gw_stream_attach(struct gw_stream *stream, const struct gw_stream_ops *ops, void *user)
{
    struct gw_mux *mux = stream->mux;
    assert(stream->head == GW_HEAD_OFFERED);
    gw_mux_enter(mux, mux->now);
    if (!is_too_late(stream, ops, user)) {
        stream->ops = ops;
        stream->user = user;
    }
    gw_mux_leave(mux, false);
}

void gw_stream_accept(struct gw_stream *stream, struct gw_mono now, const struct gw_stream_ops *ops,
                      void *user)
{
    static const uint8_t accepted = GW_PREFACE_ACCEPTED;
    struct gw_mux *mux = stream->mux;
    assert(stream->head == GW_HEAD_OFFERED);
    gw_mux_enter(mux, now);
    if (is_too_late(stream, ops, user))
        goto leave;
    stream->ops = ops;
    stream->user = user;
    stream->head = GW_HEAD_DONE;
    /* One byte: the budget does not refuse it. */
    if (gw_sendbuf_write(&stream->out, &mux->pool, UINT64_MAX, &accepted, sizeof accepted) != 0) {
        gw_streams_fail(stream, GW_REASON_NO_MEMORY, GW_REASON_NO_MEMORY);
        goto leave;
    }
    stream->preface_len = sizeof accepted;
    stream->deficit = GW_FIRST_TURN;
    gw_schedule_stream(stream);
    gw_grant_unblock(stream);
    gw_deliver_kept(stream);
leave:
    gw_mux_leave(mux, false);
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static bool may_write(const struct gw_stream *stream)
{
    return !stream->is_aborted && !stream->is_finishing && !stream->is_detached &&
           stream->head != GW_HEAD_OFFERED;
}

/* on_writable will follow: from an event of the stream, or when there is memory. */
static void want_writable(struct gw_stream *stream, bool is_for_memory)
{
    stream->wants_writable = true;
    if (is_for_memory && !gw_list_is_linked(&stream->notify))
        gw_list_push_back(&stream->mux->hungry, &stream->notify);
}

uint8_t *gw_stream_reserve(struct gw_stream *stream, size_t wish, size_t *len)
{
    struct gw_mux *mux = stream->mux;
    uint64_t unsent = gw_sendbuf_unsent(&stream->out), credit = stream->out_max - stream->out.end;
    uint8_t *room = NULL;
    *len = 0;
    if (!may_write(stream))
        return NULL;
    gw_mux_enter(mux, mux->now);
    if (wish > credit)
        wish = (size_t)credit;
    if (unsent < GW_STREAM_UNSENT_MAX && wish > GW_STREAM_UNSENT_MAX - unsent)
        wish = (size_t)(GW_STREAM_UNSENT_MAX - unsent);
    if (unsent >= GW_STREAM_UNSENT_MAX || wish == 0) {
        if (credit == 0 && !stream->is_blocked_told) {
            stream->is_blocked_told = true;
            stream->controls |= GW_CONTROL_STREAM_BLOCKED;
            gw_schedule_stream(stream);
        }
        want_writable(stream, false);
    } else {
        room = gw_sendbuf_reserve(&stream->out, &mux->pool, gw_mux_send_limit(mux), wish, len);
        if (room == NULL)
            want_writable(stream, true);
    }
    gw_mux_leave(mux, false);
    return room;
}

void gw_stream_commit(struct gw_stream *stream, struct gw_mono now, size_t len)
{
    struct gw_mux *mux = stream->mux;
    if (stream->is_aborted)
        return;
    gw_mux_enter(mux, now);
    gw_sendbuf_commit(&stream->out, &mux->pool, len);
    if (len > 0)
        gw_schedule_stream(stream);
    gw_mux_leave(mux, false);
}

void gw_stream_finish(struct gw_stream *stream, struct gw_mono now)
{
    struct gw_mux *mux = stream->mux;
    if (!may_write(stream))
        return;
    gw_mux_enter(mux, now);
    stream->is_finishing = true;
    stream->wants_writable = false;
    gw_list_remove(&stream->notify);
    gw_schedule_stream(stream);
    gw_mux_leave(mux, false);
}

int gw_stream_send_datagram(struct gw_stream *stream, struct gw_mono now, const void *data, size_t len)
{
    struct gw_mux *mux = stream->mux;
    unsigned dropped = 0;
    if (!may_write(stream) || stream->datagrams == NULL)
        return GW_E_STATE;
    if (len > gw_mux_datagram_max(mux, stream->id)) {
        gw_mux_lose_long_datagram(mux, stream->id, len);
        return GW_E_TOO_BIG;
    }
    gw_mux_enter(mux, now);
    int err =
        gw_datagrams_push(stream->datagrams, mux->budget, gw_mux_send_limit(mux), now, data, len, &dropped);
    mux->datagrams_dropped += dropped + (err != 0 ? 1 : 0);
    if (err == 0)
        gw_schedule_stream(stream);
    gw_mux_leave(mux, false);
    return err == 0 ? 0 : GW_E_LIMIT;
}

/* --- reading, and the end ---------------------------------------------------------------------------------------- */

void gw_stream_resume(struct gw_stream *stream, struct gw_mono now)
{
    struct gw_mux *mux = stream->mux;
    gw_mux_enter(mux, now);
    if (stream->is_delivering) {
        stream->is_resumed = true;
    } else if (stream->head == GW_HEAD_DONE && !stream->is_aborted) {
        gw_grant_unblock(stream);
        gw_deliver_kept(stream);
    }
    gw_mux_leave(mux, false);
}

void gw_stream_reset(struct gw_stream *stream, struct gw_mono now, enum gw_reason reason)
{
    struct gw_mux *mux = stream->mux;
    gw_mux_enter(mux, now);
    assert(!stream->is_detached);
    stream->is_detached = true;
    gw_streams_abort(stream, reason);
    gw_streams_check_done(stream); /* it may have been aborted before */
    gw_mux_leave(mux, false);
}

void gw_stream_release(struct gw_stream *stream, struct gw_mono now)
{
    struct gw_mux *mux = stream->mux;
    if (!stream->is_fin_told || !stream->is_finishing) {
        gw_stream_reset(stream, now, GW_REASON_CANCELLED);
        return;
    }
    gw_mux_enter(mux, now);
    assert(!stream->is_detached);
    stream->is_detached = true;
    gw_streams_check_done(stream);
    gw_mux_leave(mux, false);
}

/* --- looking at it ----------------------------------------------------------------------------------------------- */

void gw_stream_set_class(struct gw_stream *stream, enum gw_class class_)
{
    if (stream->class_ == class_)
        return;
    bool is_ready = gw_list_is_linked(&stream->ready) && !stream->is_dead;
    stream->class_ = (uint8_t)class_;
    if (!is_ready)
        return;
    gw_list_remove(&stream->ready);
    gw_schedule_stream(stream);
}

struct gw_mux *gw_stream_mux(const struct gw_stream *stream)
{
    return stream->mux;
}

uint64_t gw_stream_id(const struct gw_stream *stream)
{
    return stream->id;
}

static uint64_t without(uint64_t offset, uint64_t head)
{
    return offset > head ? offset - head : 0;
}

void gw_stream_stats(const struct gw_stream *stream, struct gw_stream_stats *out)
{
    *out = (struct gw_stream_stats){
        .sent = without(stream->out.next, stream->preface_len),
        .acked = without(stream->out.base, stream->preface_len),
        .received = without(stream->in_highest, stream->in_head_len),
        .delivered = without(stream->in.read, stream->in_head_len),
        .is_accepted = stream->head == GW_HEAD_DONE,
        .is_blocked_by_reader = stream->is_held,
        .class_ = (enum gw_class)stream->class_,
        .is_blocked_by_credit = stream->out_max == stream->out.end,
    };
}

/* ---- what a user may do with what he does not want */

size_t gw_stream_drop_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                           void *user)
{
    size_t len = 0;
    (void)stream, (void)now, (void)user;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    return len;
}

void gw_stream_ignore(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream, (void)now, (void)user;
}
