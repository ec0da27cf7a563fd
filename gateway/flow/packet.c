/* SPDX-License-Identifier: MIT */
/* The next packet: its number, the ack that is pending, small frames, lost bytes, then new bytes and datagrams as
 * schedule.c gives turns; and whether it may leave now, which the congestion window and the pacer say, but not to
 * an ACK alone. */
#include "gateway/flow/mux_private.h"

#include <string.h>

#define FLAG_FIN 0x01u

#define NUMBER_HEAD 2u /* type, length */
#define FRAME_HEAD 3u  /* type, length in two bytes */
#define LENGTH_PREFIX 0x4000u
#define MAX_BODY 16383u
#define MIN_PIECE 64u /* a STREAM frame that does not finish its stream carries at least this */
#define MAX_PADDING (MIN_PIECE + 24u)

/* The packet that is being written. */
struct out {
    struct gw_mux *mux;
    struct gw_writer w;
    struct gw_sent_packet *packet;
    bool is_eliciting; /* has more than an ACK */
    bool is_full;      /* something did not fit */
    bool has_ack;
    uint8_t *ack_at; /* where the ACK frame begins */
};

/* --- frames ------------------------------------------------------------------------------------------------------ */

static void write_number(struct out *out)
{
    uint8_t *p = gw_write_reserve(&out->w, NUMBER_HEAD + GW_NUMBER_LEN);
    if (p == NULL)
        return;
    p[0] = GW_FRAME_NUMBER;
    p[1] = GW_NUMBER_LEN;
    gw_store32_be(p + NUMBER_HEAD, (uint32_t)out->mux->recovery.sent.next);
}

static void write_ack(struct out *out)
{
    struct gw_writer before = out->w;
    out->ack_at = before.at;
    struct gw_writer body = gw_frame_begin(&out->w, GW_FRAME_ACK, MAX_BODY);
    bool is_written = gw_acker_encode(&out->mux->acker, out->mux->now, &body);
    gw_frame_finish(&out->w, &body);
    if (!is_written || !gw_writer_ok(&out->w)) {
        out->w = before;
        return;
    }
    out->has_ack = true;
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    struct gw_writer w = gw_writer_of(p, 8);
    gw_write_varint(&w, v);
    return w.at;
}

/* Head of a STREAM frame with `len` bytes of data to follow, which the caller knows to fit. */
static uint8_t *put_stream_head(uint8_t *p, const struct gw_stream *stream, uint64_t offset, size_t len,
                                bool is_fin)
{
    uint8_t *head = p;
    p += FRAME_HEAD;
    *p++ = is_fin ? FLAG_FIN : 0;
    p = put_varint(p, stream->id);
    p = put_varint(p, offset);
    head[0] = GW_FRAME_STREAM;
    gw_store16_be(head + 1, (uint16_t)(LENGTH_PREFIX | ((size_t)(p - head) - FRAME_HEAD + len)));
    return p;
}

/* How many data bytes a STREAM frame at `offset` could carry in what is left; 0: none. */
static size_t stream_room(const struct out *out, const struct gw_stream *stream, uint64_t offset)
{
    size_t head = 1 + gw_varint_len(stream->id) + gw_varint_len(offset);
    size_t left = gw_writer_left(&out->w);
    if (left <= FRAME_HEAD + head)
        return 0;
    left -= FRAME_HEAD;
    return (left < MAX_BODY ? left : MAX_BODY) - head;
}

static struct gw_sent_item *add_item(struct out *out, struct gw_stream *stream)
{
    struct gw_sent_item *item = gw_sent_add(&out->mux->recovery.sent, out->packet);
    if (item == NULL) {
        out->is_full = true;
        return NULL;
    }
    item->stream = stream;
    return item;
}

static void note_bytes(struct out *out, struct gw_sent_item *item, uint64_t offset, size_t len, bool is_fin)
{
    struct gw_stream *stream = item->stream;
    item->kind = GW_SENT_BYTES;
    item->offset = offset;
    item->len = (uint32_t)len;
    item->is_fin = is_fin;
    stream->refs++;
    if (is_fin)
        stream->is_fin_sent = true;
    out->mux->bytes_sent += len;
    out->is_eliciting = true;
}

/* Lost bytes, or a FIN alone. false: the packet is full. */
static bool write_lost(struct out *out, struct gw_stream *stream)
{
    bool has_lost = gw_sendbuf_has_lost(&stream->out);
    uint64_t offset = has_lost ? gw_sendbuf_lost_start(&stream->out) : stream->out.end;
    size_t room = stream_room(out, stream, offset);
    struct gw_sent_item *item = room > 0 ? add_item(out, stream) : NULL;
    if (item == NULL) {
        out->is_full = true;
        return false;
    }
    /* The data goes where it will be after a head of this length; the length field has always two bytes. */
    size_t head = FRAME_HEAD + 1 + gw_varint_len(stream->id) + gw_varint_len(offset);
    struct gw_range range = {offset, offset};
    if (has_lost)
        range = gw_sendbuf_take_lost(&stream->out, out->w.at + head, room);
    size_t len = (size_t)(range.end - range.start);
    bool is_fin = stream->is_finishing && range.end == stream->out.end;
    (void)put_stream_head(out->w.at, stream, offset, len, is_fin);
    out->w.at += head + len;
    note_bytes(out, item, offset, len, is_fin);
    return true;
}

/* New bytes. Returns how many; 0: the packet is full, or the session has no credit. */
static size_t write_new(struct out *out, struct gw_stream *stream)
{
    struct gw_mux *mux = out->mux;
    uint64_t offset = stream->out.next, credit = mux->out_max - mux->out_total;
    size_t len = gw_sendbuf_unsent(&stream->out), room = stream_room(out, stream, offset);
    if (len > credit)
        len = (size_t)credit;
    if (room < len && room < MIN_PIECE)
        room = 0;
    struct gw_sent_item *item = room > 0 ? add_item(out, stream) : NULL;
    if (item == NULL) {
        out->is_full = true;
        return 0;
    }
    if (len > room)
        len = room;
    bool is_fin = stream->is_finishing && offset + len == stream->out.end;
    uint8_t *data = put_stream_head(out->w.at, stream, offset, len, is_fin);
    gw_sendbuf_take(&stream->out, data, len);
    out->w.at = data + len;
    mux->out_total += len;
    note_bytes(out, item, offset, len, is_fin);
    gw_schedule_writable(stream);
    return len;
}

/* Is there room for so many bytes? An ACK that is in the way waits for another packet. */
static bool make_room(struct out *out, size_t bytes)
{
    if (bytes <= gw_writer_left(&out->w))
        return true;
    if (!out->is_eliciting && out->has_ack) {
        out->w.at = out->ack_at;
        out->has_ack = false;
    }
    return bytes <= gw_writer_left(&out->w);
}

/* The oldest datagram. Returns its bytes; 0: the packet is full, or there was none. */
static size_t write_datagram(struct out *out, struct gw_stream *stream)
{
    struct gw_mux *mux = out->mux;
    unsigned dropped;
    struct gw_datagram *datagram = gw_datagrams_peek(stream->datagrams, mux->budget, mux->now, &dropped);
    mux->datagrams_dropped += dropped;
    if (datagram == NULL)
        return 0;
    size_t body = gw_varint_len(stream->id) + datagram->len;
    if (datagram->len > gw_mux_datagram_max(mux, stream->id)) { /* the path has become narrower */
        gw_mux_lose_long_datagram(mux, stream->id, datagram->len);
        gw_datagrams_pop(stream->datagrams, mux->budget);
        return 0;
    }
    if (!make_room(out, FRAME_HEAD + body)) {
        out->is_full = true;
        return 0;
    }
    uint8_t *p = out->w.at;
    p[0] = GW_FRAME_DATAGRAM;
    gw_store16_be(p + 1, (uint16_t)(LENGTH_PREFIX | body));
    p = put_varint(p + FRAME_HEAD, stream->id);
    memcpy(p, datagram->data, datagram->len);
    out->w.at = p + datagram->len;
    mux->bytes_sent += datagram->len;
    out->is_eliciting = true;
    gw_datagrams_pop(stream->datagrams, mux->budget);
    return FRAME_HEAD + body;
}

/* --- filling ----------------------------------------------------------------------------------------------------- */

static void fill_urgent(struct out *out)
{
    struct gw_mux *mux = out->mux;
    while (!out->is_full && !gw_list_is_empty(&mux->urgent)) {
        struct gw_stream *stream = gw_list_entry(mux->urgent.next, struct gw_stream, urgent);
        if (!gw_control_write_stream(stream, &out->w, out->packet, &out->is_eliciting)) {
            out->is_full = true;
            return;
        }
        while (gw_schedule_is_urgent(stream))
            if (!write_lost(out, stream))
                return;
        gw_list_remove(&stream->urgent);
    }
}

static void fill_new(struct out *out)
{
    struct gw_mux *mux = out->mux;
    struct gw_stream *stream;
    while (!out->is_full && (stream = gw_schedule_pick(mux)) != NULL) {
        size_t n;
        if (gw_sendbuf_unsent(&stream->out) > 0) {
            if (mux->out_total == mux->out_max) {
                gw_schedule_starve(stream);
                continue;
            }
            n = write_new(out, stream);
        } else {
            n = write_datagram(out, stream);
        }
        if (!out->is_full)
            gw_schedule_charge(stream, n);
    }
}

static void fill(struct out *out)
{
    if (!gw_control_write_session(out->mux, &out->w, out->packet, &out->is_eliciting))
        out->is_full = true;
    if (!out->is_full)
        fill_urgent(out);
    if (!out->is_full)
        fill_new(out);
    if (!out->is_full && out->mux->controls != 0) /* BLOCKED, just now */
        (void)gw_control_write_session(out->mux, &out->w, out->packet, &out->is_eliciting);
}

/* A probe must say something. */
static void fill_probe(struct out *out)
{
    if (out->is_eliciting)
        return;
    if (gw_recovery_repeat_oldest(&out->mux->recovery))
        fill(out);
    if (!out->is_eliciting) {
        out->mux->controls |= GW_CONTROL_PING;
        (void)gw_control_write_session(out->mux, &out->w, out->packet, &out->is_eliciting);
    }
}

/* Packets of a train have one length: a little that no frame wanted is padding, if more is to come. (More than a
 * little, because a datagram did not fit, would cost the path more than a shorter train costs us.) */
static void pad(struct out *out)
{
    size_t left = gw_writer_left(&out->w);
    if (out->is_full && left <= MAX_PADDING)
        gw_write_zeros(&out->w, left);
}

static void after_ack(struct out *out)
{
    struct gw_acker *acker = &out->mux->acker;
    if (!out->has_ack)
        return;
    out->packet->u.ack_largest = gw_acker_largest(acker) + 1;
    gw_acker_sent(acker);
}

static size_t write_packet(struct gw_mux *mux, uint8_t *buf, size_t cap)
{
    struct out out = {.mux = mux, .w = gw_writer_of(buf, cap), .packet = gw_sent_begin(&mux->recovery.sent)};
    if (out.packet == NULL)
        return 0;
    write_number(&out);
    if (!gw_writer_ok(&out.w))
        return 0;
    if (mux->acker.pending > 0)
        write_ack(&out);
    fill(&out);
    if (mux->probes > 0)
        fill_probe(&out);
    if (!out.is_eliciting)
        return 0;
    pad(&out);
    after_ack(&out);
    size_t len = gw_writer_len(&out.w);
    uint32_t bytes = (uint32_t)(len + mux->overhead);
    gw_recovery_on_sent(&mux->recovery, mux->now, out.packet, bytes);
    gw_pacer_sent(&mux->pacer, bytes);
    if (mux->probes > 0)
        mux->probes--;
    mux->tidy_at = GW_NEVER;
    return len;
}

static size_t write_only_ack(struct gw_mux *mux, uint8_t *buf, size_t cap)
{
    struct out out = {.mux = mux, .w = gw_writer_of(buf, cap)};
    write_ack(&out);
    if (out.has_ack)
        gw_acker_sent(&mux->acker);
    return out.has_ack ? gw_writer_len(&out.w) : 0;
}

/* --- pulling ----------------------------------------------------------------------------------------------------- */

static bool is_window_open(const struct gw_mux *mux)
{
    const struct gw_recovery *recovery = &mux->recovery;
    return recovery->inflight + mux->cc.mss <= mux->cc.cwnd &&
           recovery->sent.next - recovery->sent.first < GW_SENT_MAX;
}

static uint64_t pacer_allowance(const struct gw_mux *mux, struct gw_pacer *pacer, struct gw_mono now)
{
    return gw_pacer_allowance(pacer, now, mux->cc.pacing_rate, mux->cc.mss, mux->cc.train,
                              mux->recovery.srtt_ns);
}

/* May a packet with more than an ACK leave now? Notes what holds it. */
static bool may_send(struct gw_mux *mux)
{
    mux->pacer_at = GW_NEVER;
    if (mux->probes > 0)
        return true;
    if (!is_window_open(mux)) {
        mux->recovery.is_cwnd_limited = true;
        return false;
    }
    if (pacer_allowance(mux, &mux->pacer, mux->now) > 0)
        return true;
    mux->pacer_at = gw_pacer_next(&mux->pacer, mux->cc.pacing_rate, mux->cc.mss, mux->cc.train);
    return false;
}

size_t gw_mux_output(struct gw_mux *mux, struct gw_mono now, uint8_t *buf, size_t cap)
{
    size_t len = 0;
    gw_mux_enter(mux, now);
    bool has_work = gw_schedule_has_work(mux);
    if (has_work && may_send(mux))
        len = write_packet(mux, buf, cap);
    if (len == 0 && gw_acker_is_due(&mux->acker, now) && mux->acker.pending > 0)
        len = write_only_ack(mux, buf, cap);
    if (len > 0)
        mux->packets_sent++;
    else if (!gw_schedule_has_work(mux) && is_window_open(mux))
        gw_rate_app_limited(&mux->recovery.rate, mux->recovery.inflight);
    gw_mux_leave(mux, true);
    return len;
}

bool gw_mux_has_output(const struct gw_mux *mux, struct gw_mono now)
{
    if (mux->acker.pending > 0 && gw_acker_is_due(&mux->acker, now))
        return true;
    if (!gw_schedule_has_work(mux))
        return false;
    struct gw_pacer pacer = mux->pacer;
    return mux->probes > 0 || (is_window_open(mux) && pacer_allowance(mux, &pacer, now) > 0);
}
