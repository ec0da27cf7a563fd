/* SPDX-License-Identifier: MIT */
/* What may the peer send? Credit follows what readers take, for each stream and for the session. A reader that is
 * blocked stops its own stream; after a second what it keeps waiting no longer counts in the session's credit, so
 * that it stops no other. */
#include "gateway/flow/mux_private.h"

/* --- credit ------------------------------------------------------------------------------------------------------ */

static uint64_t max_stream_window(const struct gw_mux *mux)
{
    return gw_credit_max_window(mux->bdp.bytes, mux->budget->limit);
}

/* Several streams' worth, since some of their readers may be slow. */
static uint64_t max_session_window(const struct gw_mux *mux)
{
    uint64_t max = 4 * max_stream_window(mux);
    return max < mux->budget->limit / 2 ? max : mux->budget->limit / 2;
}

static void count_session(struct gw_mux *mux, uint64_t bytes)
{
    int64_t rtt = gw_recovery_rtt(&mux->recovery);
    mux->in_consumed += bytes;
    if (gw_credit_on_consumed(&mux->credit, mux->now, mux->in_consumed, rtt, max_session_window(mux)))
        mux->controls |= GW_CONTROL_MAX_DATA;
}

static void count_up_to(struct gw_stream *stream, uint64_t offset)
{
    if (offset <= stream->in_counted)
        return;
    uint64_t bytes = offset - stream->in_counted;
    stream->in_counted = offset;
    count_session(stream->mux, bytes);
}

void gw_grant_after_consume(struct gw_stream *stream)
{
    struct gw_mux *mux = stream->mux;
    count_up_to(stream, stream->in.read);
    if (stream->in_size != GW_SIZE_UNKNOWN)
        return;
    int64_t rtt = gw_recovery_rtt(&mux->recovery);
    if (gw_credit_on_consumed(&stream->credit, mux->now, stream->in.read, rtt, max_stream_window(mux))) {
        stream->controls |= GW_CONTROL_MAX_STREAM_DATA;
        gw_schedule_stream(stream);
    }
}

void gw_grant_session_blocked(struct gw_mux *mux, uint64_t offset)
{
    bool is_raised = mux->credit.granted > offset; /* it missed that, or it is on its way */
    if (!is_raised && mux->budget->used < mux->budget->limit / 2)
        is_raised = gw_credit_on_blocked(&mux->credit, mux->in_consumed, max_session_window(mux));
    if (is_raised)
        mux->controls |= GW_CONTROL_MAX_DATA;
}

void gw_grant_stream_blocked(struct gw_stream *stream, uint64_t offset)
{
    struct gw_mux *mux = stream->mux;
    if (stream->is_aborted || stream->in_size != GW_SIZE_UNKNOWN)
        return;
    bool is_raised = stream->credit.granted > offset;
    if (!is_raised && stream->head == GW_HEAD_DONE && !stream->is_held)
        is_raised = gw_credit_on_blocked(&stream->credit, stream->in.read, max_stream_window(mux));
    if (!is_raised)
        return;
    stream->controls |= GW_CONTROL_MAX_STREAM_DATA;
    gw_schedule_stream(stream);
}

void gw_grant_count_all(struct gw_stream *stream)
{
    count_up_to(stream, stream->in_highest);
}

/* --- blocked readers --------------------------------------------------------------------------------------------- */

void gw_grant_block(struct gw_stream *stream)
{
    stream->is_held = true;
    if (gw_list_is_linked(&stream->blocked))
        return;
    stream->blocked_since = stream->mux->now;
    gw_list_push_back(&stream->mux->blocked, &stream->blocked);
}

void gw_grant_unblock(struct gw_stream *stream)
{
    stream->is_held = stream->is_stalled = false;
    gw_list_remove(&stream->blocked);
}

void gw_grant_stall(struct gw_mux *mux)
{
    gw_list_for_each (node, &mux->blocked) {
        struct gw_stream *stream = gw_list_entry(node, struct gw_stream, blocked);
        if (!gw_mono_due(gw_mono_add(stream->blocked_since, GW_STALL_NS), mux->now))
            break;
        gw_list_remove(node);
        gw_list_push_back(&mux->stalled, node);
        stream->is_stalled = true;
        gw_grant_count_all(stream);
    }
}
