/* SPDX-License-Identifier: MIT */
/* A packet's flow frames come in: its number, its ack, what acks and losses mean to the streams. Bytes go to
 * deliver.c, small frames to control.c. A packet is acked only when all of its frames were taken. */
#include "gateway/flow/mux_private.h"

#include "gateway/base/err.h"

#include <string.h>

#define ECN_CE 3u

/* --- acks and losses --------------------------------------------------------------------------------------------- */

static void flush_acked_run(struct gw_mux *mux)
{
    struct gw_acked_run *run = &mux->acked_run;
    struct gw_stream *stream = run->stream;
    run->stream = NULL;
    if (stream == NULL || run->start == run->end)
        return;
    gw_sendbuf_acked(&stream->out, &mux->pool, run->start, run->end);
}

static void add_acked(struct gw_stream *stream, uint64_t start, uint64_t end)
{
    struct gw_acked_run *run = &stream->mux->acked_run;
    if (run->stream == stream && run->start == end) {
        run->start = start;
    } else if (run->stream == stream && run->end == start) {
        run->end = end;
    } else {
        flush_acked_run(stream->mux);
        *run = (struct gw_acked_run){stream, start, end};
    }
}

static void drop_ref(struct gw_stream *stream)
{
    assert(stream->refs > 0);
    stream->refs--;
    if (stream->refs == 0 && stream->is_detached) {
        if (stream->mux->acked_run.stream == stream)
            flush_acked_run(stream->mux);
        gw_streams_check_done(stream);
    }
}

static void on_acked(void *ctx, const struct gw_sent_item *item)
{
    struct gw_stream *stream = item->stream;
    (void)ctx;
    if (item->kind == GW_SENT_BYTES && !stream->is_aborted) {
        add_acked(stream, item->offset, item->offset + item->len);
        if (item->is_fin)
            stream->is_fin_acked = true;
    } else if (item->kind == GW_SENT_CONTROL && item->control == GW_CONTROL_RESET) {
        stream->is_reset_acked = true;
    }
    drop_ref(stream);
}

static void on_lost(void *ctx, const struct gw_sent_item *item)
{
    struct gw_stream *stream = item->stream;
    (void)ctx;
    if (item->kind == GW_SENT_CONTROL) {
        bool is_moot = (item->control == GW_CONTROL_RESET && stream->is_reset_acked) ||
                       (item->control == GW_CONTROL_STOP && stream->in_size != GW_SIZE_UNKNOWN) ||
                       (item->control == GW_CONTROL_MAX_STREAM_DATA &&
                        (stream->is_aborted || stream->in_size != GW_SIZE_UNKNOWN)) ||
                       (item->control == GW_CONTROL_STREAM_BLOCKED &&
                        (stream->is_aborted || stream->out_max > stream->out.end));
        if (!is_moot) {
            stream->controls |= item->control;
            gw_schedule_stream(stream);
        }
        return;
    }
    if (stream->is_aborted)
        return;
    if (stream->mux->acked_run.stream == stream)
        flush_acked_run(stream->mux);
    if (gw_sendbuf_lost(&stream->out, item->offset, item->offset + item->len) != 0) {
        gw_streams_fail(stream, GW_REASON_NO_MEMORY, GW_REASON_NO_MEMORY);
        return;
    }
    if (item->is_fin && !stream->is_fin_acked)
        stream->is_fin_sent = false;
    gw_schedule_stream(stream);
}

static void on_forgotten(void *ctx, const struct gw_sent_item *item)
{
    (void)ctx;
    drop_ref(item->stream);
}

static void on_controls_lost(void *ctx, uint8_t controls)
{
    struct gw_mux *mux = ctx;
    controls &= (uint8_t)~GW_CONTROL_PING;
    if ((controls & GW_CONTROL_BLOCKED) != 0 && mux->out_total < mux->out_max)
        controls &= (uint8_t)~GW_CONTROL_BLOCKED;
    mux->controls |= controls;
}

static void on_ack_seen(void *ctx, uint64_t largest)
{
    struct gw_mux *mux = ctx;
    gw_acker_seen(&mux->acker, largest);
}

struct gw_recovery_events gw_input_recovery_events(struct gw_mux *mux)
{
    return (struct gw_recovery_events){on_acked, on_lost, on_forgotten, on_controls_lost, on_ack_seen, mux};
}

static int take_ack(struct gw_mux *mux, struct gw_view body)
{
    struct gw_ack ack;
    if (gw_ack_decode(&ack, body) != 0)
        return GW_E_MALFORMED;
    int err = gw_recovery_on_ack(&mux->recovery, mux->now, &ack);
    flush_acked_run(mux);
    mux->is_broken |= err == GW_E_MALFORMED;
    return err;
}

/* --- packets ----------------------------------------------------------------------------------------------------- */

static int take_number(struct gw_mux *mux, struct gw_view body)
{
    uint32_t truncated = 0;
    if (mux->packet.has_number || body.len < 1 || body.len > 4)
        return GW_E_MALFORMED;
    for (size_t i = 0; i < body.len; i++)
        truncated = truncated << 8 | body.data[i];
    mux->packet.number = gw_acker_expand(&mux->acker, truncated, (unsigned)body.len);
    mux->packet.has_number = true;
    mux->packet.is_ignored = gw_acker_has(&mux->acker, mux->packet.number);
    return mux->packet.number > GW_VARINT_MAX ? GW_E_MALFORMED : 0;
}

static int dispatch(struct gw_mux *mux, const struct gw_frame *frame)
{
    if (frame->type == GW_FRAME_NUMBER)
        return take_number(mux, frame->body);
    if (frame->type == GW_FRAME_ACK)
        return take_ack(mux, frame->body);
    if (!mux->packet.has_number)
        return GW_E_MALFORMED;
    switch (frame->type) {
    case GW_FRAME_STREAM:
        return gw_deliver_frame(mux, frame->body);
    case GW_FRAME_DATAGRAM:
        return gw_deliver_datagram(mux, frame->body);
    case GW_FRAME_PING:
        return frame->body.len == 0 ? 0 : GW_E_MALFORMED;
    case GW_FRAME_MAX_DATA:
    case GW_FRAME_MAX_STREAM_DATA:
    case GW_FRAME_MAX_STREAMS:
    case GW_FRAME_BLOCKED:
    case GW_FRAME_RESET:
    case GW_FRAME_STOP:
        return gw_control_frame(mux, frame);
    default:
        return 0;
    }
}

void gw_mux_packet_begin(struct gw_mux *mux, struct gw_mono now, size_t datagram_len, uint8_t ecn)
{
    mux->now = now;
    mux->packet = (struct gw_packet_in){.is_ce = (ecn & ECN_CE) == ECN_CE};
    mux->turn_bytes += datagram_len;
}

int gw_mux_frame(struct gw_mux *mux, const struct gw_frame *frame)
{
    if (mux->packet.is_ignored || mux->is_broken)
        return 0;
    mux->depth++;
    int err = dispatch(mux, frame);
    mux->depth--;
    if (err == 0)
        return 0;
    /* Without memory for it the packet is as good as lost; the peer will send it again. */
    mux->packet.is_ignored = mux->packet.is_refused = true;
    if (err != GW_E_MALFORMED)
        return 0;
    mux->violations++;
    return GW_E_MALFORMED;
}

void gw_mux_packet_end(struct gw_mux *mux)
{
    struct gw_packet_in *packet = &mux->packet;
    if (packet->has_number && !packet->is_ignored && !packet->is_refused)
        (void)gw_acker_add(&mux->acker, mux->now, packet->number, packet->is_ce);
    *packet = (struct gw_packet_in){.is_ignored = true};
}

void gw_mux_input_flush(struct gw_mux *mux, struct gw_mono now)
{
    int64_t rtt = gw_recovery_rtt(&mux->recovery);
    gw_mux_enter(mux, now);
    gw_deliver_run(mux);
    if (mux->turn_bytes > 0) {
        gw_bdp_received(&mux->bdp, now, mux->turn_bytes, rtt);
        mux->turn_bytes = 0;
    }
    /* Who has no round-trip time of its own cannot tell how long the peer will wait. */
    gw_acker_end_turn(&mux->acker, now, mux->recovery.srtt_ns > 0 ? gw_recovery_ack_delay(rtt) : 0);
    gw_mux_leave(mux, false);
}
