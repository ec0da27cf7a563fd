/* SPDX-License-Identifier: MIT */
/* The small frames: credit, BLOCKED, RESET, STOP. What is to be sent is a bit, and the frame is written with the
 * value of the moment it leaves; so a lost one is repaired by setting its bit again. */
#include "gateway/flow/mux_private.h"

#include "gateway/base/err.h"

/* Three varints are the most that one has. */
#define MAX_BODY 24u

/* --- out --------------------------------------------------------------------------------------------------------- */

/* One frame with up to three numbers; false and w unchanged when it does not fit. */
static bool write_frame(struct gw_writer *w, enum gw_frame_type type, unsigned count,
                        const uint64_t numbers[])
{
    struct gw_writer before = *w;
    struct gw_writer body = gw_frame_begin(w, type, MAX_BODY);
    for (unsigned i = 0; i < count; i++)
        gw_write_varint(&body, numbers[i]);
    gw_frame_finish(w, &body);
    if (gw_writer_ok(w))
        return true;
    *w = before;
    return false;
}

static bool write_session_frame(struct gw_mux *mux, struct gw_writer *w, uint8_t control)
{
    switch (control) {
    case GW_CONTROL_MAX_DATA:
        return write_frame(w, GW_FRAME_MAX_DATA, 1, (const uint64_t[]){mux->credit.granted});
    case GW_CONTROL_MAX_STREAMS:
        return write_frame(w, GW_FRAME_MAX_STREAMS, 1, (const uint64_t[]){mux->peer_max});
    case GW_CONTROL_BLOCKED:
        return write_frame(w, GW_FRAME_BLOCKED, 2, (const uint64_t[]){0, mux->out_max});
    default:
        return write_frame(w, GW_FRAME_PING, 0, NULL);
    }
}

bool gw_control_write_session(struct gw_mux *mux, struct gw_writer *w, struct gw_sent_packet *packet,
                              bool *written)
{
    while (mux->controls != 0) {
        uint8_t control = (uint8_t)(mux->controls & -mux->controls);
        if (!write_session_frame(mux, w, control))
            return false;
        mux->controls &= (uint8_t)~control;
        packet->controls |= control;
        *written = true;
    }
    return true;
}

static bool write_stream_frame(const struct gw_stream *stream, struct gw_writer *w, uint8_t control)
{
    switch (control) {
    case GW_CONTROL_MAX_STREAM_DATA:
        return write_frame(w, GW_FRAME_MAX_STREAM_DATA, 2,
                           (const uint64_t[]){stream->id, stream->credit.granted});
    case GW_CONTROL_STREAM_BLOCKED:
        return write_frame(w, GW_FRAME_BLOCKED, 2, (const uint64_t[]){stream->id + 1, stream->out_max});
    case GW_CONTROL_RESET:
        return write_frame(w, GW_FRAME_RESET, 3,
                           (const uint64_t[]){stream->id, stream->reason, stream->out.next});
    default:
        return write_frame(w, GW_FRAME_STOP, 2, (const uint64_t[]){stream->id, stream->reason});
    }
}

bool gw_control_write_stream(struct gw_stream *stream, struct gw_writer *w, struct gw_sent_packet *packet,
                             bool *written)
{
    while (stream->controls != 0) {
        uint8_t control = (uint8_t)(stream->controls & -stream->controls);
        struct gw_writer before = *w;
        if (!write_stream_frame(stream, w, control))
            return false;
        struct gw_sent_item *item = gw_sent_add(&stream->mux->recovery.sent, packet);
        if (item == NULL) {
            *w = before;
            return false;
        }
        item->kind = GW_SENT_CONTROL;
        item->control = control;
        item->stream = stream;
        stream->refs++;
        stream->controls &= (uint8_t)~control;
        *written = true;
    }
    return true;
}

/* --- in ---------------------------------------------------------------------------------------------------------- */

static int read_max_data(struct gw_mux *mux, struct gw_reader *r)
{
    uint64_t max = gw_read_varint(r);
    if (!gw_reader_ok(r))
        return GW_E_MALFORMED;
    if (max > mux->out_max) {
        mux->out_max = max;
        mux->controls &= (uint8_t)~GW_CONTROL_BLOCKED;
        gw_schedule_feed(mux);
    }
    return 0;
}

static int read_max_stream_data(struct gw_mux *mux, struct gw_reader *r)
{
    int err;
    uint64_t id = gw_read_varint(r), max = gw_read_varint(r);
    if (!gw_reader_ok(r))
        return GW_E_MALFORMED;
    struct gw_stream *stream = gw_streams_find(mux, id, false, &err);
    if (stream == NULL || stream->is_aborted || max <= stream->out_max)
        return err;
    stream->out_max = max;
    stream->is_blocked_told = false;
    stream->controls &= (uint8_t)~GW_CONTROL_STREAM_BLOCKED;
    gw_schedule_writable(stream);
    return 0;
}

static int read_max_streams(struct gw_mux *mux, struct gw_reader *r)
{
    uint64_t max = gw_read_varint(r);
    if (!gw_reader_ok(r) || max > GW_VARINT_MAX / 2)
        return GW_E_MALFORMED;
    if (max > mux->our_max)
        mux->our_max = max;
    return 0;
}

static int read_blocked(struct gw_mux *mux, struct gw_reader *r)
{
    int err;
    uint64_t id = gw_read_varint(r), offset = gw_read_varint(r);
    if (!gw_reader_ok(r))
        return GW_E_MALFORMED;
    if (id == 0) {
        gw_grant_session_blocked(mux, offset);
        return 0;
    }
    struct gw_stream *stream = gw_streams_find(mux, id - 1, false, &err);
    if (stream == NULL)
        return err;
    gw_grant_stream_blocked(stream, offset);
    return 0;
}

static int read_reset(struct gw_mux *mux, struct gw_reader *r)
{
    int err;
    uint64_t id = gw_read_varint(r), reason = gw_read_varint(r), size = gw_read_varint(r);
    if (!gw_reader_ok(r))
        return GW_E_MALFORMED;
    struct gw_stream *stream = gw_streams_find(mux, id, true, &err);
    if (stream == NULL)
        return err;
    gw_acker_urge(&mux->acker);
    if (gw_deliver_set_size(stream, size) != 0) {
        mux->violations++;
        reason = GW_REASON_PROTOCOL;
    }
    if (stream->is_aborted) {
        gw_grant_count_all(stream);
        gw_streams_check_done(stream);
        return 0;
    }
    gw_streams_fail(stream, reason, reason == GW_REASON_PROTOCOL ? GW_REASON_PROTOCOL : GW_REASON_CANCELLED);
    return 0;
}

static int read_stop(struct gw_mux *mux, struct gw_reader *r)
{
    int err;
    uint64_t id = gw_read_varint(r), reason = gw_read_varint(r);
    if (!gw_reader_ok(r))
        return GW_E_MALFORMED;
    struct gw_stream *stream = gw_streams_find(mux, id, false, &err);
    if (stream == NULL)
        return err;
    if (!stream->is_aborted && !gw_stream_send_done(stream))
        gw_streams_fail(stream, reason, GW_REASON_CANCELLED);
    return 0;
}

int gw_control_frame(struct gw_mux *mux, const struct gw_frame *frame)
{
    struct gw_reader r = gw_reader_of_view(frame->body);
    switch (frame->type) {
    case GW_FRAME_MAX_DATA:
        return read_max_data(mux, &r);
    case GW_FRAME_MAX_STREAM_DATA:
        return read_max_stream_data(mux, &r);
    case GW_FRAME_MAX_STREAMS:
        return read_max_streams(mux, &r);
    case GW_FRAME_BLOCKED:
        return read_blocked(mux, &r);
    case GW_FRAME_RESET:
        return read_reset(mux, &r);
    default:
        return read_stop(mux, &r);
    }
}
