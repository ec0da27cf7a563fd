/* SPDX-License-Identifier: MIT */
/* What the flow layer itself costs: two muxes in one process, one bulk stream between them, no sockets and no
 * crypto. Time is virtual (a path of 20 Gbit/s and 200 us), work is measured by the CPU clock: so the figures do
 * not depend on how the pacer sleeps. usage: bench_flow [megabytes [cubic]]. Prints one JSON line. */
#include "gateway/flow/mux.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PLAIN 1400u
#define TRAIN 46u
#define FLIGHTS 4096u
#define DELAY_NS GW_US(100)
#define TRAIN_NS GW_US(26) /* 46 x 1400 bytes at 20 Gbit/s */

struct flight {
    struct gw_mono at;
    unsigned count;
    uint16_t len[TRAIN];
    uint8_t *slab;
};

/* One direction: trains in order, each delayed by the same. */
struct pipe {
    struct flight flights[FLIGHTS];
    size_t first, next;
    struct gw_mono free_at;
};

struct end {
    struct gw_mux *mux;
    struct gw_stream *stream;
    struct pipe out;
    uint64_t received, written, total, packets;
};

static struct gw_mono now;

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t on_data(struct gw_stream *stream, struct gw_mono at, const struct iovec *iov, int count,
                      void *user)
{
    struct end *end = user;
    size_t sum = 0;
    (void)stream;
    (void)at;
    for (int i = 0; i < count; i++)
        sum += iov[i].iov_len;
    end->received += sum;
    return sum;
}

static void write_more(struct end *end)
{
    size_t len;
    while (end->written < end->total) {
        uint8_t *room = gw_stream_reserve(end->stream, 65536, &len);
        if (room == NULL)
            return;
        /* What recv() would do is not part of what is measured. */
        room[0] = 1;
        gw_stream_commit(end->stream, now, len);
        end->written += len;
    }
}

static void on_writable(struct gw_stream *stream, struct gw_mono at, void *user)
{
    (void)stream;
    (void)at;
    write_more(user);
}

static void on_closed(struct gw_stream *stream, struct gw_mono at, unsigned long long reason, void *user)
{
    (void)stream;
    (void)at;
    (void)user;
    if (reason != GW_REASON_SHUTTING_DOWN)
        exit(1);
}

static const struct gw_stream_ops ops = {
    .on_data = on_data, .on_writable = on_writable, .on_closed = on_closed};

static void on_open(struct gw_mux *mux, struct gw_stream *stream, const struct gw_open *open,
                    struct gw_mono at, void *ctx)
{
    (void)mux;
    (void)open;
    gw_stream_accept(stream, at, &ops, ctx);
}

/* Pulls a train if the path is free and the receiver's queue is not full. */
static bool pull(struct end *end)
{
    struct pipe *pipe = &end->out;
    if (pipe->next - pipe->first == FLIGHTS || gw_mono_before(now, pipe->free_at))
        return false;
    struct flight *flight = &pipe->flights[pipe->next % FLIGHTS];
    if (flight->slab == NULL && (flight->slab = malloc(TRAIN * PLAIN)) == NULL)
        abort();
    flight->count = 0;
    while (flight->count < TRAIN) {
        size_t len = gw_mux_output(end->mux, now, flight->slab + flight->count * PLAIN, PLAIN);
        if (len == 0)
            break;
        flight->len[flight->count++] = (uint16_t)len;
        if (len < PLAIN)
            break;
    }
    if (flight->count == 0)
        return false;
    end->packets += flight->count;
    pipe->free_at = gw_mono_add(now, TRAIN_NS * flight->count / TRAIN);
    flight->at = gw_mono_add(pipe->free_at, DELAY_NS);
    pipe->next++;
    return true;
}

static bool push(struct pipe *pipe, struct gw_mux *mux)
{
    if (pipe->first == pipe->next)
        return false;
    struct flight *flight = &pipe->flights[pipe->first % FLIGHTS];
    if (!gw_mono_due(flight->at, now))
        return false;
    for (unsigned i = 0; i < flight->count; i++) {
        struct gw_reader r = gw_reader_of(flight->slab + i * PLAIN, flight->len[i]);
        struct gw_frame frame;
        gw_mux_packet_begin(mux, now, flight->len[i], 0);
        while (gw_frame_next(&r, &frame))
            if (gw_mux_frame(mux, &frame) != 0)
                abort();
        gw_mux_packet_end(mux);
    }
    gw_mux_input_flush(mux, now);
    pipe->first++;
    return true;
}

static struct gw_mono next_event(const struct end *a, const struct end *b,
                                 const struct gw_deadlines *deadlines)
{
    struct gw_mono at = gw_deadlines_next(deadlines);
    const struct end *ends[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        const struct pipe *pipe = &ends[i]->out;
        if (pipe->first != pipe->next)
            at = gw_mono_min(at, pipe->flights[pipe->first % FLIGHTS].at);
        if (gw_mono_before(now, pipe->free_at))
            at = gw_mono_min(at, pipe->free_at);
    }
    return at;
}

int main(int argc, char **argv)
{
    static struct end a, b;
    struct gw_deadlines deadlines;
    struct gw_random_seeded random;
    struct gw_flow_budget budget = {.limit = 64u << 20};
    uint64_t total = (argc > 1 ? strtoull(argv[1], NULL, 10) : 2000) << 20;
    enum gw_cc_kind cc = argc > 2 && strcmp(argv[2], "cubic") == 0 ? GW_CC_CUBIC : GW_CC_BBR;

    gw_deadlines_init(&deadlines);
    gw_random_seeded_init(&random, 1);
    struct gw_mux_events events_a = {.on_open = on_open, .ctx = &a},
                         events_b = {.on_open = on_open, .ctx = &b};
    struct gw_mux_params params = {
        .deadlines = &deadlines, .random = &random.random, .budget = &budget, .cc = cc, .is_lower = true};
    params.events = &events_a;
    if (gw_mux_new(&a.mux, &params, now) != 0)
        return 1;
    params.is_lower = false;
    params.events = &events_b;
    if (gw_mux_new(&b.mux, &params, now) != 0)
        return 1;
    gw_mux_set_path(a.mux, now, PLAIN, 76, 2 * DELAY_NS, true);
    gw_mux_set_path(b.mux, now, PLAIN, 76, 2 * DELAY_NS, true);

    struct gw_open open = {.class_ = GW_CLASS_BULK, .service = "bench"};
    if (gw_stream_open(a.mux, now, &open, &ops, &a, &a.stream) != 0)
        return 1;
    a.total = total;
    double start = cpu_seconds();
    write_more(&a);
    while (b.received < total) {
        bool is_busy = push(&b.out, a.mux);
        is_busy |= push(&a.out, b.mux);
        gw_deadlines_expire(&deadlines, now);
        is_busy |= pull(&a);
        is_busy |= pull(&b);
        if (is_busy)
            continue;
        struct gw_mono at = next_event(&a, &b, &deadlines);
        if (gw_mono_is_never(at) || gw_mono_sub(at, now) > GW_S(100))
            abort();
        now = gw_mono_max(at, gw_mono_add(now, 1));
    }
    double seconds = cpu_seconds() - start;
    struct gw_mux_stats stats;
    gw_mux_stats(a.mux, &stats);
    printf(
        "{\"bench\": \"flow\", \"cc\": \"%s\", \"bytes\": %llu, \"gbit_s\": %.2f, \"ns_per_packet\": %.1f, "
        "\"packets\": %llu, \"acks\": %llu, \"lost\": %llu, \"virtual_gbit_s\": %.2f}\n",
        stats.cc_name, (unsigned long long)total, (double)total * 8 / seconds / 1e9,
        seconds * 1e9 / (double)a.packets, (unsigned long long)a.packets, (unsigned long long)b.packets,
        (unsigned long long)stats.packets_lost, (double)total * 8 / (double)now.ns);
    gw_mux_free(a.mux, now, GW_REASON_SHUTTING_DOWN);
    gw_mux_free(b.mux, now, GW_REASON_SHUTTING_DOWN);
    gw_deadlines_fini(&deadlines);
    for (size_t i = 0; i < FLIGHTS; i++) {
        free(a.out.flights[i].slab);
        free(b.out.flights[i].slab);
    }
    return 0;
}
