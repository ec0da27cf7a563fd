/* SPDX-License-Identifier: MIT */
/* Endless streams; see stream.h. */
#include "tests/sim/stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 8u
#define PIECE 1000u /* bytes, at each beat: 1.6 Mbit/s */
#define BEAT_NS GW_MS(5)

static struct sim_stream *streams[STREAMS_MAX];
static unsigned count;

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 131 + (offset >> 11));
}

/* ---- the sender */

static void write_some(struct sim_stream *stream)
{
    size_t room;
    uint8_t *into = stream->from ? gw_stream_reserve(stream->from, PIECE, &room) : NULL;
    if (!into || room < PIECE)
        return;
    for (size_t i = 0; i < PIECE; i++)
        into[i] = byte_at(stream->sent + i);
    gw_stream_commit(stream->from, sim_now(stream->sender), PIECE);
    stream->sent += PIECE;
    sim_node_pump(stream->sender);
}

static void on_beat(struct sim_clock *clock, struct sim_event *event)
{
    struct sim_stream *stream = gw_container_of(event, struct sim_stream, beat);
    if (!stream->sender->is_asleep && !stream->sender->is_held)
        write_some(stream);
    sim_clock_at(clock, event, gw_mono_add(clock->now, BEAT_NS));
}

static void on_accepted(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream, (void)now, (void)user;
}

static size_t on_no_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int n,
                         void *user)
{
    (void)stream, (void)now, (void)iov, (void)n, (void)user;
    return 0;
}

static void on_fin(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct sim_stream *it = user;
    if (stream == it->from)
        return;
    it->to = NULL;
    gw_stream_finish(stream, now);
    gw_stream_release(stream, now);
}

static void on_over(struct gw_stream *stream, struct gw_mono now, unsigned long long reason, void *user)
{
    struct sim_stream *it = user;
    (void)now, (void)reason;
    if (stream == it->from)
        it->from = NULL;
    else
        it->to = NULL;
    it->is_lost |= !it->is_ended;
}

static const struct gw_stream_ops sender_ops = {
    .on_accepted = on_accepted,
    .on_data = on_no_data,
    .on_fin = on_fin,
    .on_writable = on_accepted,
    .on_closed = on_over,
};

/* ---- the receiver */

static void arrived(struct sim_stream *stream)
{
    struct gw_mono now = stream->receiver->net->clock.now;
    int64_t gap = gw_mono_sub(now, stream->last);
    if (gap > stream->longest_gap_ns)
        stream->longest_gap_ns = gap;
    stream->last = now;
}

static size_t on_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int n,
                      void *user)
{
    struct sim_stream *it = user;
    size_t taken = 0;
    (void)stream, (void)now;
    for (int i = 0; i < n; i++) {
        const uint8_t *bytes = iov[i].iov_base;
        for (size_t k = 0; k < iov[i].iov_len; k++)
            it->is_wrong |= bytes[k] != byte_at(it->received + k);
        it->received += iov[i].iov_len;
        taken += iov[i].iov_len;
    }
    arrived(it);
    return taken;
}

static const struct gw_stream_ops receiver_ops = {
    .on_data = on_data,
    .on_fin = on_fin,
    .on_writable = on_accepted,
    .on_closed = on_over,
};

/* The service's name is the stream's number. */
static void on_open(struct gateway *gateway, struct gw_peer *peer, struct gw_stream *stream,
                    const struct gw_open *open, struct gw_mono now, void *ctx)
{
    unsigned number = (unsigned)atoi(open->service);
    (void)gateway, (void)peer, (void)ctx;
    assert(number < count);
    streams[number]->to = stream;
    gw_stream_accept(stream, now, &receiver_ops, streams[number]);
}

/* ---- to use */

void sim_stream_start(struct sim_stream *stream, struct sim_node *node, struct gw_peer *peer,
                      struct sim_node *other)
{
    struct gw_open open = {.class_ = GW_CLASS_NORMAL};
    assert(count < STREAMS_MAX);
    *stream = (struct sim_stream){
        .sender = node, .receiver = other, .last = node->net->clock.now, .beat.fire = on_beat};
    snprintf(open.service, sizeof open.service, "%u", count);
    streams[count++] = stream;
    other->events.on_open = on_open;
    if (gw_peer_open(peer, sim_now(node), &open, &sender_ops, stream, &stream->from) != 0)
        abort();
    sim_clock_at(&node->net->clock, &stream->beat, node->net->clock.now);
}

void sim_stream_end(struct sim_stream *stream)
{
    struct gw_mono now = sim_now(stream->sender);
    struct gw_stream *from = stream->from;
    stream->is_ended = true;
    stream->from = NULL;
    sim_clock_cancel(&stream->sender->net->clock, &stream->beat);
    gw_stream_finish(from, now);
    gw_stream_release(from, now);
    sim_node_pump(stream->sender);
}

void sim_stream_forget(void)
{
    count = 0;
}

void sim_stream_watch(struct sim_stream *stream)
{
    stream->last = stream->receiver->net->clock.now;
    stream->longest_gap_ns = 0;
}

int64_t sim_stream_gap(const struct sim_stream *stream)
{
    int64_t gap = gw_mono_sub(stream->receiver->net->clock.now, stream->last);
    return gap > stream->longest_gap_ns ? gap : stream->longest_gap_ns;
}
