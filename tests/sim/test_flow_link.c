/* SPDX-License-Identifier: MIT */
/* Whole muxes over simulated links, with either congestion controller: what share of a path one stream gets, what happens beside
 * others, and that nothing that happens to a path is the end of it. Every byte is checked. A failure names its seed. */
#include "tests/sim/muxes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 2u

static struct sim_link_params path_of(double mbit, double rtt_ms, double buffer_bdp, double loss)
{
    double buffer = mbit * 1e6 / 8 * rtt_ms / 1e3 * buffer_bdp;
    return (struct sim_link_params){
        .rate_bps = (uint64_t)(mbit * 1e6),
        .delay_ns = (int64_t)(rtt_ms * 1e6 / 2),
        .buffer_bytes = (uint64_t)(buffer > 20000 ? buffer : 20000),
        .loss = loss,
    };
}

/* The same both ways: acks are lost too. */
static struct sim_muxes_params both_ways(enum gw_cc_kind cc, struct sim_link_params path, uint64_t seed)
{
    return (struct sim_muxes_params){
        .to_right = path, .to_left = path, .cc = cc, .seed = seed, .turn_ns = GW_US(50)};
}

/* Wire bytes, as if all packets were full, in the link's share. */
static double share(uint64_t bytes, double seconds, double mbit)
{
    double wire = (double)bytes * (SIM_MUXES_PLAIN + SIM_MUXES_OVERHEAD) / SIM_MUXES_PLAIN;
    return wire * 8 / seconds / (mbit * 1e6);
}

#define assert_above(value, least, what, seed)                                                \
    do {                                                                                      \
        double value_ = (value), least_ = (least);                                            \
        if (!(value_ > least_))                                                               \
            fail_msg("%s: %s = %.3f, not above %.3f (seed %u)", what, #value, value_, least_, \
                     (unsigned)(seed));                                                       \
    } while (0)

struct alone {
    const char *name;
    enum gw_cc_kind cc;
    double mbit, rtt_ms, buffer_bdp, loss;
    int64_t turn_ns;
    double seconds, least;
};

static const struct alone cases[] = {
    {"bbr clean", GW_CC_BBR, 100, 50, 1, 0, GW_US(50), 8, 0.88},
    {"bbr 1 % loss", GW_CC_BBR, 100, 50, 1, 0.01, GW_US(50), 12, 0.80},
    {"bbr 5 % loss", GW_CC_BBR, 100, 50, 1, 0.05, GW_US(50), 12, 0.65},
    {"bbr gigabit", GW_CC_BBR, 1000, 20, 1, 0, GW_US(100), 3, 0.86},
    {"bbr gigabit 0.1 % loss", GW_CC_BBR, 1000, 20, 1, 0.001, GW_US(100), 3, 0.80},
    {"bbr gigabit 1 % loss", GW_CC_BBR, 1000, 20, 1, 0.01, GW_US(100), 3, 0.70},
    {"bbr near and fast", GW_CC_BBR, 10000, 0.1, 20, 0, GW_US(100), 0.25, 0.90},
    {"bbr slow loops", GW_CC_BBR, 20000, 0.05, 20, 0, GW_US(300), 0.2, 0.80},
    {"bbr 10 Mbit", GW_CC_BBR, 10, 30, 2, 0.01, 0, 15, 0.90},
    {"bbr 1 Mbit", GW_CC_BBR, 1, 80, 3, 0, 0, 20, 0.90},
    {"cubic clean", GW_CC_CUBIC, 100, 50, 1, 0, GW_US(50), 8, 0.90},
    {"cubic gigabit", GW_CC_CUBIC, 1000, 20, 1, 0, GW_US(100), 3, 0.86},
    {"cubic near and fast", GW_CC_CUBIC, 10000, 0.1, 20, 0, GW_US(100), 0.25, 0.90},
    {"cubic 10 Mbit", GW_CC_CUBIC, 10, 30, 2, 0, 0, 15, 0.92},
};

static void test_one_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned seed = 1; seed <= SEEDS; seed++) {
            const struct alone *c = &cases[i];
            struct sim_muxes_params params =
                both_ways(c->cc, path_of(c->mbit, c->rtt_ms, c->buffer_bdp, c->loss), seed);
            struct sim_muxes muxes;
            struct sim_source source;
            params.turn_ns = c->turn_ns;
            sim_muxes_begin(&muxes, &params);
            sim_source_start(&source, &muxes, 0, UINT64_MAX, GW_CLASS_NORMAL);
            sim_muxes_run(&muxes, c->seconds);
            double used = share(source.received, c->seconds, c->mbit);
            print_message("%-26s seed %u: %.3f of the path\n", c->name, seed, used);
            assert_above(used, c->least, c->name, seed);
            sim_muxes_end(&muxes);
        }
}

/* Both directions full at once: acks share the way with data. */
static void test_both_directions(void **state)
{
    (void)state;
    for (int cc = 0; cc < 2; cc++)
        for (unsigned seed = 1; seed <= SEEDS; seed++) {
            struct sim_muxes_params params = both_ways((enum gw_cc_kind)cc, path_of(100, 30, 1, 0), seed);
            struct sim_muxes muxes;
            struct sim_source sources[2];
            sim_muxes_begin(&muxes, &params);
            for (int side = 0; side < 2; side++)
                sim_source_start(&sources[side], &muxes, side, UINT64_MAX, GW_CLASS_NORMAL);
            sim_muxes_run(&muxes, 6);
            for (int side = 0; side < 2; side++)
                assert_above(share(sources[side].received, 6, 100), 0.75, cc ? "cubic" : "bbr", seed);
            sim_muxes_end(&muxes);
        }
}

/* A small exchange beside a full download takes little more than a round trip. */
static void test_small_beside_large(void **state)
{
    (void)state;
    struct sim_muxes_params params = both_ways(GW_CC_BBR, path_of(100, 50, 1, 0.01), 5);
    struct sim_muxes muxes;
    struct sim_source large, small[20];
    sim_muxes_begin(&muxes, &params);
    sim_source_start(&large, &muxes, 0, UINT64_MAX, GW_CLASS_BULK);
    sim_muxes_run(&muxes, 3);
    unsigned quick = 0;
    for (unsigned i = 0; i < 20; i++) {
        sim_source_start(&small[i], &muxes, 0, 2000, GW_CLASS_INTERACTIVE);
        struct gw_mono started = muxes.clock.now;
        sim_muxes_run(&muxes, 3.5 + 0.5 * i);
        assert_false(gw_mono_is_never(small[i].ended));
        /* one way, and a queue of our own making */
        quick += gw_mono_sub(small[i].ended, started) < GW_MS(50);
    }
    assert_true(quick >= 15); /* the others lost a packet, or met a bandwidth probe */
    sim_muxes_end(&muxes);
}

static void test_outage(void **state)
{
    (void)state;
    for (int cc = 0; cc < 2; cc++)
        for (unsigned seed = 1; seed <= SEEDS; seed++) {
            struct sim_muxes_params params = both_ways((enum gw_cc_kind)cc, path_of(100, 50, 1, 0), seed);
            struct sim_muxes muxes;
            struct sim_source source;
            sim_muxes_begin(&muxes, &params);
            sim_source_start(&source, &muxes, 0, UINT64_MAX, GW_CLASS_NORMAL);
            sim_muxes_run(&muxes, 4);
            struct gw_mono now = muxes.clock.now, until = gw_mono_add(now, GW_S(1));
            sim_link_partition(muxes.sides[0].out, now, until);
            sim_link_partition(muxes.sides[1].out, now, until);
            sim_muxes_run(&muxes, 7);
            uint64_t before = source.received;
            sim_muxes_run(&muxes, 10);
            assert_above(share(source.received - before, 3, 100), 0.8, cc ? "cubic" : "bbr", seed);
            sim_muxes_end(&muxes);
        }
}

/* The session moves to another, slower path in the middle of it. */
static void test_another_path(void **state)
{
    (void)state;
    for (int cc = 0; cc < 2; cc++) {
        struct sim_muxes_params params = both_ways((enum gw_cc_kind)cc, path_of(200, 20, 1, 0), 3);
        struct sim_muxes muxes;
        struct sim_source source;
        sim_muxes_begin(&muxes, &params);
        sim_source_start(&source, &muxes, 0, UINT64_MAX, GW_CLASS_NORMAL);
        sim_muxes_run(&muxes, 3);
        sim_muxes_move(&muxes, path_of(20, 80, 1, 0), GW_MS(80));
        sim_muxes_run(&muxes, 6);
        uint64_t before = source.received;
        sim_muxes_run(&muxes, 10);
        assert_above(share(source.received - before, 4, 20), 0.8, cc ? "cubic" : "bbr", 3);
        sim_muxes_end(&muxes);
    }
}

/* Ends exactly, whatever the path does: reordered, twice, in bursts, marked. */
static void test_unruly_path(void **state)
{
    (void)state;
    for (int cc = 0; cc < 2; cc++)
        for (unsigned seed = 1; seed <= 2 * SEEDS; seed++) {
            struct sim_link_params path = path_of(50, 40, 1, 0.002);
            path.reorder = 0.01;
            path.reorder_ns = GW_MS(15);
            path.duplicate = 0.02;
            path.jitter_ns = GW_MS(4);
            path.burst_enter = 0.0005;
            path.burst_leave = 0.1;
            path.burst_loss = 0.8;
            path.mark_bytes = 200000;
            struct sim_muxes_params params = both_ways((enum gw_cc_kind)cc, path, seed);
            struct sim_muxes muxes;
            struct sim_source sources[4];
            params.ecn = 2;
            sim_muxes_begin(&muxes, &params);
            for (int i = 0; i < 4; i++)
                sim_source_start(&sources[i], &muxes, i % 2, 1000000, GW_CLASS_NORMAL);
            sim_muxes_run(&muxes, 60);
            for (int i = 0; i < 4; i++) {
                if (gw_mono_is_never(sources[i].ended))
                    fail_msg("stream %d has %llu bytes (seed %u)", i, (unsigned long long)sources[i].received,
                             seed);
                assert_int_equal(sources[i].received, 1000000);
            }
            sim_muxes_end(&muxes);
        }
}

static void test_is_reproducible(void **state)
{
    (void)state;
    uint64_t received[2], sent[2];
    for (int i = 0; i < 2; i++) {
        struct sim_muxes_params params = both_ways(GW_CC_BBR, path_of(100, 30, 1, 0.01), 42);
        struct sim_muxes muxes;
        struct sim_source source;
        sim_muxes_begin(&muxes, &params);
        sim_source_start(&source, &muxes, 0, UINT64_MAX, GW_CLASS_NORMAL);
        sim_muxes_run(&muxes, 2);
        received[i] = source.received;
        sent[i] = sim_link_stats(muxes.sides[0].out)->sent;
        sim_muxes_end(&muxes);
    }
    assert_int_equal(received[0], received[1]);
    assert_int_equal(sent[0], sent[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_stream),         cmocka_unit_test(test_both_directions),
        cmocka_unit_test(test_small_beside_large), cmocka_unit_test(test_outage),
        cmocka_unit_test(test_another_path),       cmocka_unit_test(test_unruly_path),
        cmocka_unit_test(test_is_reproducible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
