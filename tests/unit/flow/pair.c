/* SPDX-License-Identifier: MIT */
#include "pair.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OVERHEAD 76u
#define TRAIN_MAX 64u
#define FNV_PRIME UINT64_C(0x100000001b3)

uint64_t pair_random(struct pair *pair)
{
    /* splitmix64 */
    uint64_t z = pair->rng += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t pair_below(struct pair *pair, uint64_t bound)
{
    return bound > 0 ? pair_random(pair) % bound : 0;
}

bool pair_chance(struct pair *pair, double probability)
{
    return (double)(pair_random(pair) >> 11) * 0x1p-53 < probability;
}

void pair_init(struct pair *pair, uint64_t seed, const struct pair_link *link,
               const struct gw_mux_events events[2], enum gw_cc_kind cc, uint64_t limit)
{
    memset(pair, 0, sizeof *pair);
    pair->rng = seed;
    pair->now = (struct gw_mono){GW_S(1000)};
    pair->link = *link;
    pair->max_train = 46;
    gw_deadlines_init(&pair->deadlines);
    gw_random_seeded_init(&pair->random, seed);
    for (int i = 0; i < 2; i++) {
        pair->budget[i].limit = limit;
        struct gw_mux_params params = {.deadlines = &pair->deadlines,
                                       .random = &pair->random.random,
                                       .budget = &pair->budget[i],
                                       .events = &events[i],
                                       .cc = cc,
                                       .is_lower = i == 0};
        int err = gw_mux_new(&pair->mux[i], &params, pair->now);
        assert(err == 0);
        (void)err;
        gw_mux_set_path(pair->mux[i], pair->now, link->plain, OVERHEAD, 2 * link->delay_ns, true);
    }
}

void pair_fini(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        gw_mux_free(pair->mux[i], pair->now, GW_REASON_SHUTTING_DOWN);
        assert(pair->budget[i].used == 0);
        assert(pair->budget[i].first == NULL);
    }
    for (size_t i = 0; i < pair->heap_len; i++)
        free(pair->heap[i]);
    free(pair->heap);
    gw_deadlines_fini(&pair->deadlines);
}

/* --- packets on their way ---------------------------------------------------------------------------------------- */

static bool is_earlier(const struct pair_packet *a, const struct pair_packet *b)
{
    return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->seq < b->seq;
}

static void heap_push(struct pair *pair, struct pair_packet *packet)
{
    if (pair->heap_len == pair->heap_cap) {
        pair->heap_cap = pair->heap_cap == 0 ? 64 : 2 * pair->heap_cap;
        pair->heap = realloc(pair->heap, pair->heap_cap * sizeof *pair->heap);
        assert(pair->heap != NULL);
    }
    size_t i = pair->heap_len++;
    for (; i > 0 && is_earlier(packet, pair->heap[(i - 1) / 2]); i = (i - 1) / 2)
        pair->heap[i] = pair->heap[(i - 1) / 2];
    pair->heap[i] = packet;
}

static struct pair_packet *heap_pop(struct pair *pair)
{
    struct pair_packet *top = pair->heap[0], *last = pair->heap[--pair->heap_len];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= pair->heap_len)
            break;
        if (child + 1 < pair->heap_len && is_earlier(pair->heap[child + 1], pair->heap[child]))
            child++;
        if (!is_earlier(pair->heap[child], last))
            break;
        pair->heap[i] = pair->heap[child];
        i = child;
    }
    if (pair->heap_len > 0)
        pair->heap[i] = last;
    return top;
}

static void fly(struct pair *pair, int to, const uint8_t *data, size_t len, struct gw_mono at, uint8_t ecn)
{
    struct pair_packet *packet = malloc(sizeof *packet);
    assert(packet != NULL);
    packet->at = gw_mono_add(at, (int64_t)pair_below(pair, (uint64_t)pair->link.jitter_ns + 1));
    packet->seq = pair->next_seq++;
    packet->to = to;
    packet->len = len;
    packet->ecn = ecn;
    memcpy(packet->data, data, len);
    heap_push(pair, packet);
}

static void send_packet(struct pair *pair, int from, const uint8_t *data, size_t len)
{
    const struct pair_link *link = &pair->link;
    struct gw_mono left = pair->now;
    pair->packets++;
    pair->hash = (pair->hash ^ (uint64_t)pair->now.ns) * FNV_PRIME;
    for (size_t i = 0; i < len; i++)
        pair->hash = (pair->hash ^ data[i]) * FNV_PRIME;
    if (link->rate > 0) {
        struct gw_mono free_at = gw_mono_max(pair->free_at[from], pair->now);
        uint64_t waiting = (uint64_t)gw_mono_sub(free_at, pair->now) * link->rate / 1000000000;
        if (waiting > link->queue) {
            pair->packets_lost++;
            return;
        }
        left = gw_mono_add(free_at, (int64_t)((len + OVERHEAD) * 1000000000 / link->rate));
        pair->free_at[from] = left;
    }
    if (link->is_down || pair_chance(pair, link->loss)) {
        pair->packets_lost++;
        return;
    }
    uint8_t ecn = pair_chance(pair, link->mark) ? 3 : 2;
    left = gw_mono_add(left, link->delay_ns);
    fly(pair, 1 - from, data, len, left, ecn);
    if (pair_chance(pair, link->duplicate))
        fly(pair, 1 - from, data, len, left, ecn);
}

void pair_pump(struct pair *pair)
{
    uint8_t buf[PAIR_PACKET_MAX];
    for (int i = 0; i < 2; i++) {
        for (unsigned n = 0; n < 4 * pair->max_train; n++) {
            bool is_promised = gw_mux_has_output(pair->mux[i], pair->now);
            size_t len = gw_mux_output(pair->mux[i], pair->now, buf, pair->link.plain);
            assert(is_promised || len == 0);
            if (len == 0)
                break;
            assert(len <= pair->link.plain);
            send_packet(pair, i, buf, len);
        }
    }
}

/* A copy of exactly its size, so that the sanitizer sees who reads on, or keeps what was lent. */
static uint8_t *copy_of(const struct pair_packet *packet)
{
    uint8_t *data = malloc(packet->len);
    assert(data != NULL);
    memcpy(data, packet->data, packet->len);
    return data;
}

static void deliver(struct pair *pair, const struct pair_packet *packet, const uint8_t *data)
{
    struct gw_mux *mux = pair->mux[packet->to];
    struct gw_reader r = gw_reader_of(data, packet->len);
    struct gw_frame frame;
    gw_mux_packet_begin(mux, pair->now, packet->len + OVERHEAD, packet->ecn);
    while (gw_frame_next(&r, &frame)) {
        int err = gw_mux_frame(mux, &frame);
        if (err != 0) {
            fprintf(stderr, "frame %u of %zu bytes: error %d\n", (unsigned)frame.type, frame.body.len, err);
            abort();
        }
    }
    assert(gw_reader_ok(&r));
    gw_mux_packet_end(mux);
}

/* What is due for one side comes as a train: lent until it is flushed. */
static void deliver_train(struct pair *pair)
{
    uint8_t *lent[TRAIN_MAX];
    unsigned count = 0;
    int to = pair->heap[0]->to;
    while (pair->heap_len > 0 && count < TRAIN_MAX && pair->heap[0]->to == to &&
           gw_mono_due(pair->heap[0]->at, pair->now)) {
        struct pair_packet *packet = heap_pop(pair);
        lent[count] = copy_of(packet);
        deliver(pair, packet, lent[count++]);
        free(packet);
    }
    gw_mux_input_flush(pair->mux[to], pair->now);
    while (count > 0)
        free(lent[--count]);
}

bool pair_step(struct pair *pair)
{
    pair_pump(pair);
    struct gw_mono at = gw_deadlines_next(&pair->deadlines);
    if (pair->heap_len > 0)
        at = gw_mono_min(at, gw_mono_add(pair->heap[0]->at, pair->late_ns));
    if (gw_mono_is_never(at))
        return false;
    pair->now = gw_mono_max(pair->now, at);
    while (pair->heap_len > 0 && gw_mono_due(pair->heap[0]->at, pair->now))
        deliver_train(pair);
    gw_deadlines_expire(&pair->deadlines, pair->now);
    pair_pump(pair);
    return true;
}

void pair_run(struct pair *pair, int64_t dur_ns)
{
    struct gw_mono end = gw_mono_add(pair->now, dur_ns);
    for (;;) {
        pair_pump(pair);
        struct gw_mono at = gw_deadlines_next(&pair->deadlines);
        if (pair->heap_len > 0)
            at = gw_mono_min(at, gw_mono_add(pair->heap[0]->at, pair->late_ns));
        if (gw_mono_is_never(at) || !gw_mono_due(at, end))
            break;
        (void)pair_step(pair);
    }
    pair->now = end;
}
