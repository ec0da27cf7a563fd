/* SPDX-License-Identifier: MIT */
/* A long way with a short queue: 100 Mbit/s, 100 ms there and back, a queue of half of that, and losses on top, by seeds. A sender may go down to half its rate
 * for one, but it must not stand still. */
#include "gateway/base/random.h"
#include "gateway/packet/ip.h"
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RATE 12500000u
#define STEP_NS GW_MS(20)
#define START_NS GW_S(3) /* in which it looks for the rate */
#define SEEDS 16u

struct way {
    struct gw_random_seeded random;
    unsigned keep_each; /* acknowledgements come merged: one of so many */
    unsigned lose_permille;
    bool is_bursty, is_lame;
    uint8_t no_option; /* of the SYNs: this one is taken out */
    struct gw_mono burst_from, burst_to;
    unsigned burst_permille;
    uint64_t acks, merged, lost;
};

struct outcome {
    int64_t longest_stall_ns;
    double mbit_s;
};

static struct way way;

static unsigned one_of(unsigned count)
{
    return gw_random_u32(&way.random.random) % count;
}

/* Every second or so: for 1 to 300 ms nothing, half, or a tenth of the packets. */
static void plan_burst(struct gw_mono now)
{
    static const unsigned permille[] = {1000, 500, 900, 100};
    way.burst_from = gw_mono_add(now, GW_MS(500 + one_of(2000)));
    way.burst_to = gw_mono_add(way.burst_from, GW_MS(1 + (one_of(2) ? one_of(300) : one_of(20))));
    way.burst_permille = permille[one_of(4)];
}

static bool is_burst(struct gw_mono now)
{
    if (!way.is_bursty)
        return false;
    if (gw_mono_due(way.burst_to, now))
        plan_burst(now);
    return gw_mono_due(way.burst_from, now) && one_of(1000) < way.burst_permille;
}

/* Those of one burst come as one, but never is the last one missing. */
static bool is_merged(const struct wire *wire)
{
    int64_t last_arrival = wire->free_at[0] + wire->delay_ns;
    return last_arrival > wire->now.ns + GW_MS(5) && ++way.acks % way.keep_each != 0;
}

static void take_option_out(uint8_t *packet, const struct gw_ip *ip)
{
    for (size_t at = ip->l4 + GW_TCP_HEADER; at < ip->header_len && packet[at] != 0;) {
        size_t len = packet[at] == 1 ? 1 : packet[at + 1];
        if (packet[at] == way.no_option)
            memset(packet + at, 1, len);
        at += len;
    }
    gw_checksum_complete(packet, ip);
}

static bool filter(struct wire *wire, int from, uint8_t *packet, size_t len)
{
    struct gw_ip ip;
    assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
    if (packet[ip.l4 + 13] & GW_TCP_SYN) {
        if (way.no_option)
            take_option_out(packet, &ip);
        return true;
    }
    if (from == 1 && is_merged(wire)) {
        way.merged++;
        return false;
    }
    if (from == 1 || (!is_burst(wire->now) && one_of(1000) >= way.lose_permille))
        return true;
    way.lost++;
    return false;
}

/* What is measured begins after START_NS. */
static struct outcome run(int64_t seconds, int64_t queue_ns)
{
    struct wire *wire = wire_new(NULL);
    struct end client = {.is_kept_open = true};
    struct outcome outcome = {0};
    wire->delay_ns = GW_MS(50);
    wire->rate = RATE;
    wire->queue_ns = queue_ns;
    wire->filter = filter;
    assert_int_equal(wire_connect(wire, &client, 4, 80, UINT64_MAX / 2), 0);
    wire_run(wire, START_NS, NULL, NULL);
    uint64_t before = wire->ends[0].received, last = before;
    int64_t stall = 0;
    for (int64_t at = 0; at < seconds; at += STEP_NS) {
        wire_run(wire, STEP_NS, NULL, NULL);
        if (way.is_lame && at % GW_S(2) == 0)
            wire->free_at[0] = wire->free_at[1] = wire->now.ns + GW_MS(300);
        stall = wire->ends[0].received == last ? stall + STEP_NS : 0;
        last = wire->ends[0].received;
        if (stall > outcome.longest_stall_ns)
            outcome.longest_stall_ns = stall;
    }
    assert_false(client.is_closed);
    outcome.mbit_s = (double)(last - before) * 8e3 / (double)seconds;
    print_message("%.1f Mbit/s, %lld ms without a byte, %llu lost by the queue, %llu besides\n",
                  outcome.mbit_s, (long long)(outcome.longest_stall_ns / 1000000),
                  (unsigned long long)(wire->lost - way.lost - way.merged), (unsigned long long)way.lost);
    wire_free(wire);
    return outcome;
}

static void begin(unsigned seed)
{
    static const unsigned keep[] = {1, 2, 4, 8};
    way = (struct way){0};
    gw_random_seeded_init(&way.random, seed);
    way.keep_each = keep[seed % 4];
}

/* Only the queue loses. */
static void test_a_short_queue(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        begin(seed);
        struct outcome outcome = run(GW_S(6), GW_MS(30 + one_of(30)));
        assert_true(outcome.longest_stall_ns < GW_MS(500));
        assert_true(outcome.mbit_s >= 85);
    }
}

/* Whatever is lost, what comes next is on its way within a second after. */
static void test_bursts_of_losses(void **state)
{
    (void)state;
    for (unsigned seed = 100; seed < 100 + SEEDS + SEEDS / 2; seed++) {
        begin(seed);
        way.is_bursty = true;
        struct outcome outcome = run(GW_S(8), GW_MS(30 + one_of(30)));
        assert_true(outcome.longest_stall_ns < GW_S(1));
        assert_true(outcome.mbit_s >= 20);
    }
}

/* Nothing is lost, but every two seconds all stands still for 300 ms: longer than a probe waits, and no reason to go slower. */
static void test_a_way_that_halts(void **state)
{
    (void)state;
    for (unsigned seed = 200; seed < 204; seed++) {
        begin(seed);
        way.is_lame = true;
        struct outcome outcome = run(GW_S(8), GW_S(1));
        assert_true(outcome.mbit_s >= 80);
    }
}

/* Peers that can less: no SACK (4), no timestamps (8). What lwIP's timer has to do then takes longer, but it comes back. */
static void test_peers_without(void **state)
{
    static const uint8_t options[] = {4, 8};
    (void)state;
    for (unsigned seed = 300; seed < 308; seed++) {
        begin(seed);
        way.is_bursty = true;
        way.no_option = options[seed % 2];
        struct outcome outcome = run(GW_S(12), GW_MS(30 + one_of(30)));
        assert_true(outcome.longest_stall_ns < GW_S(4));
        assert_true(outcome.mbit_s >= 0.5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_short_queue),
        cmocka_unit_test(test_bursts_of_losses),
        cmocka_unit_test(test_a_way_that_halts),
        cmocka_unit_test(test_peers_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
