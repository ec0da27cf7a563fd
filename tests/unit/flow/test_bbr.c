/* SPDX-License-Identifier: MIT */
/* The BBR-type controller on simulated paths: what share of them it gets, what queue it leaves, how it shares, and that nothing
 * that happens to a path makes it collapse. Every case runs with several seeds; a failure names the one. */
#include "tests/sim/contest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 3u

#define assert_above(value, least, seed)                                                               \
    do {                                                                                               \
        double value_ = (value), least_ = (least);                                                     \
        if (!(value_ > least_))                                                                        \
            fail_msg("%s = %.3f, not above %.3f (seed %u)", #value, value_, least_, (unsigned)(seed)); \
    } while (0)
#define assert_below(value, most, seed)                                                               \
    do {                                                                                              \
        double value_ = (value), most_ = (most);                                                      \
        if (!(value_ < most_))                                                                        \
            fail_msg("%s = %.3f, not below %.3f (seed %u)", #value, value_, most_, (unsigned)(seed)); \
    } while (0)

static const struct gw_bbr *bbr_of(const struct sim_contest *contest, unsigned flow)
{
    return &sim_bulk_cc(contest->flows[flow])->state.bbr;
}

/* One flow alone. Figures are of the whole time, Startup included. */
struct alone {
    const char *name;
    double mbit, rtt_ms, buffer_bdp, loss, burst;
    unsigned ack_every;
    int64_t turn_ns;
    double seconds;
    double least;       /* share of the path */
    double most_rtt_ms; /* mean round trip after Startup */
};

static const struct alone alone_cases[] = {
    {"clean", 100, 50, 1, 0, 0, 9, 0, 12, 0.92, 58},
    {"clean, every second packet acked", 100, 50, 1, 0, 0, 2, 0, 12, 0.92, 58},
    {"1 % loss", 100, 50, 1, 0.01, 0, 9, 0, 20, 0.90, 58},
    {"1 % loss, shallow", 100, 50, 0.2, 0.01, 0, 9, 0, 20, 0.88, 55},
    {"5 % loss", 100, 50, 1, 0.05, 0, 9, 0, 20, 0.75, 58},
    {"bursts", 100, 50, 1, 0, 0.001, 9, 0, 20, 0.60, 58},
    {"gigabit, 0.1 % loss", 1000, 20, 1, 0.001, 0, 44, 0, 4, 0.88, 26},
    {"gigabit, 1 % loss", 1000, 20, 1, 0.01, 0, 44, 0, 4, 0.88, 26},
    {"gigabit, 5 % loss", 1000, 20, 1, 0.05, 0, 44, 0, 5, 0.70, 26},
    {"gigabit, very shallow", 1000, 20, 0.1, 0, 0, 44, 0, 4, 0.80, 23},
    {"10 Mbit, 1 % loss", 10, 20, 2, 0.01, 0, 2, 0, 20, 0.93, 40},
    {"2 Mbit, 1 % loss", 2, 100, 2, 0.01, 0, 2, 0, 30, 0.90, 170},
    {"thin", 0.5, 80, 4, 0, 0, 2, 0, 30, 0.95, 260},
    {"near, fast, slow loops", 10000, 0.1, 20, 0, 0, 44, GW_US(300), 0.4, 0.90, 1.5},
    {"nearer, faster", 20000, 0.05, 20, 0, 0, 44, GW_US(300), 0.3, 0.90, 1.5},
};

static void run_alone(const struct alone *c, uint64_t seed)
{
    struct sim_contest contest;
    struct sim_link_params path = sim_contest_path(c->mbit, c->rtt_ms, c->buffer_bdp);
    path.loss = c->loss;
    path.burst_enter = c->burst;
    path.burst_leave = 0.1;
    path.burst_loss = 0.7;
    sim_contest_begin(&contest, &path, seed);
    sim_contest_add(&contest, &(struct sim_bulk_params){.ack_every = c->ack_every, .turn_ns = c->turn_ns}, 0);
    sim_contest_run(&contest, c->seconds);
    double used = sim_contest_utilisation(&contest);
    sim_contest_mark(&contest);
    sim_contest_run(&contest, c->seconds * 1.5);
    double rtt_ms = sim_contest_rtt_ms(&contest, 0);
    print_message("%-36s seed %u: %.3f of the path, round trip %.2f ms\n", c->name, (unsigned)seed, used,
                  rtt_ms);
    assert_above(used, c->least, seed);
    assert_below(rtt_ms, c->most_rtt_ms, seed);
    sim_contest_end(&contest);
}

static void test_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof alone_cases / sizeof *alone_cases; i++)
        for (unsigned seed = 1; seed <= SEEDS; seed++)
            run_alone(&alone_cases[i], seed);
}

/* ---- Sharing. */

static void test_two_share(void **state)
{
    (void)state;
    static const double buffers[] = {0.3, 1, 3}, losses[] = {0, 0.01};
    for (size_t b = 0; b < 3; b++)
        for (size_t l = 0; l < 2; l++)
            for (unsigned seed = 1; seed <= SEEDS; seed++) {
                struct sim_contest contest;
                struct sim_link_params path = sim_contest_path(50, 40, buffers[b]);
                path.loss = losses[l];
                sim_contest_begin(&contest, &path, seed);
                sim_contest_add(&contest, &(struct sim_bulk_params){.ack_every = 5}, 0);
                sim_contest_add(&contest, &(struct sim_bulk_params){.ack_every = 5}, 3);
                sim_contest_run(&contest, 12);
                sim_contest_mark(&contest);
                sim_contest_run(&contest, 35);
                print_message("buffer %.1f, loss %.2f: Jain %.3f\n", buffers[b], losses[l],
                              sim_contest_jain(&contest));
                assert_above(sim_contest_jain(&contest), 0.8, seed);
                assert_above(sim_contest_utilisation(&contest), 0.9, seed);
                sim_contest_end(&contest);
            }
}

/* Beside CUBIC neither starves, whoever came first. */
static void test_beside_cubic(void **state)
{
    (void)state;
    static const double buffers[] = {0.5, 1, 3};
    for (size_t b = 0; b < 3; b++)
        for (unsigned seed = 1; seed <= SEEDS; seed++) {
            struct sim_contest contest;
            struct sim_link_params path = sim_contest_path(20, 30, buffers[b]);
            sim_contest_begin(&contest, &path, seed);
            sim_contest_add(&contest, &(struct sim_bulk_params){.ack_every = 2}, seed % 2 ? 3 : 0);
            sim_contest_add(&contest, &(struct sim_bulk_params){.cc = GW_CC_CUBIC}, seed % 2 ? 0 : 3);
            sim_contest_run(&contest, 15);
            sim_contest_mark(&contest);
            sim_contest_run(&contest, 60);
            print_message("buffer %.1f: BBR %.1f, CUBIC %.1f of 20 Mbit/s\n", buffers[b],
                          sim_contest_mbit(&contest, 0), sim_contest_mbit(&contest, 1));
            assert_above(sim_contest_mbit(&contest, 0), 4, seed);
            assert_above(sim_contest_mbit(&contest, 1), 4, seed);
            sim_contest_end(&contest);
        }
}

/* ---- Paths that change. */

static void test_rate_changes(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        struct sim_contest contest;
        struct sim_link_params fast = sim_contest_path(100, 50, 1), slow = sim_contest_path(25, 50, 4);
        sim_contest_begin(&contest, &fast, seed);
        sim_contest_add(&contest, &(struct sim_bulk_params){.ack_every = 9}, 0);
        sim_contest_run(&contest, 8);
        sim_contest_change(&contest, &slow);
        sim_contest_run(&contest, 15); /* two probe cycles and a little */
        sim_contest_mark(&contest);
        sim_contest_run(&contest, 20);
        assert_above(sim_contest_utilisation(&contest), 0.9, seed);
        assert_below(sim_contest_rtt_ms(&contest, 0), 65, seed); /* and the queue is gone */
        sim_contest_change(&contest, &fast);
        sim_contest_run(&contest, 25);
        sim_contest_mark(&contest);
        sim_contest_run(&contest, 29);
        assert_above(sim_contest_utilisation(&contest), 0.9, seed);
        sim_contest_end(&contest);
    }
}

static void test_longer_path(void **state)
{
    (void)state;
    struct sim_contest contest;
    struct sim_link_params near = sim_contest_path(50, 30, 1), far = sim_contest_path(50, 90, 1);
    sim_contest_begin(&contest, &near, 1);
    sim_contest_add(&contest, &(struct sim_bulk_params){.ack_every = 5}, 0);
    sim_contest_run(&contest, 8);
    sim_contest_change(&contest, &far);
    sim_contest_run(&contest, 23); /* the old minimum is believed for 10 s */
    sim_contest_mark(&contest);
    sim_contest_run(&contest, 30);
    assert_above((double)bbr_of(&contest, 0)->min_rtt_ns, 89e6, 1);
    assert_above(sim_contest_utilisation(&contest), 0.9, 1);
    sim_contest_end(&contest);
}

static void test_outage(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        struct sim_contest contest;
        struct sim_link_params path = sim_contest_path(100, 50, 1);
        sim_contest_begin(&contest, &path, seed);
        sim_contest_add(&contest, &(struct sim_bulk_params){.ack_every = 9}, 0);
        sim_contest_run(&contest, 5 + 0.3 * seed);
        struct gw_mono now = contest.clock.now;
        sim_link_partition(contest.data, now, gw_mono_add(now, GW_S(1)));
        sim_contest_run(&contest, 7.5 + 0.3 * seed); /* half a second after the next probe timeout */
        sim_contest_mark(&contest);
        sim_contest_run(&contest, 10 + 0.3 * seed);
        assert_above(sim_contest_utilisation(&contest), 0.9, seed);
        sim_contest_end(&contest);
    }
}

static void test_restart_from_idle(void **state)
{
    (void)state;
    struct sim_contest contest;
    struct sim_link_params path = sim_contest_path(100, 50, 1);
    sim_contest_begin(&contest, &path, 1);
    struct sim_bulk *bulk = sim_contest_add(&contest, &(struct sim_bulk_params){.ack_every = 9}, 0);
    sim_contest_run(&contest, 4);
    uint64_t bw = bbr_of(&contest, 0)->max_bw;
    uint64_t lost = sim_bulk_stats(bulk)->lost;
    sim_bulk_pause(bulk, true);
    sim_contest_run(&contest, 19);
    assert_true(bbr_of(&contest, 0)->max_bw >= bw * 95 / 100); /* silence says nothing of the path */
    sim_bulk_pause(bulk, false);
    sim_contest_run(&contest, 19.1); /* the first round trip */
    sim_contest_mark(&contest);
    sim_contest_run(&contest, 19.6);
    assert_above(sim_contest_utilisation(&contest), 0.9, 1);
    assert_true(sim_bulk_stats(bulk)->lost - lost < 20);
    sim_contest_end(&contest);
}

/* An application that sends little teaches nothing wrong: when it has more to send it gets the path. */
static void test_app_limited(void **state)
{
    (void)state;
    struct sim_contest contest;
    struct sim_link_params path = sim_contest_path(100, 50, 1);
    sim_contest_begin(&contest, &path, 1);
    sim_contest_add(&contest, &(struct sim_bulk_params){.ack_every = 9, .app_rate = 250000}, 0);
    sim_contest_run(&contest, 10);
    assert_below(sim_contest_rtt_ms(&contest, 0), 54, 1);
    assert_int_equal(bbr_of(&contest, 0)->state, GW_BBR_STARTUP); /* the pipe never was full */
    sim_contest_end(&contest);
}

/* ---- Unruly paths. */

static double run_with(const struct sim_link_params *path, const struct sim_bulk_params *params,
                       double acks_lost, uint64_t seed, struct sim_bulk_stats *stats)
{
    struct sim_contest contest;
    sim_contest_begin(&contest, path, seed);
    struct sim_bulk *bulk = sim_contest_add(&contest, params, 0);
    struct sim_link_params back = *sim_link_params(contest.acks);
    back.loss = acks_lost;
    sim_link_set(contest.acks, &back);
    sim_contest_run(&contest, 12);
    double used = sim_contest_utilisation(&contest);
    *stats = *sim_bulk_stats(bulk);
    sim_contest_end(&contest);
    return used;
}

static void test_unruly_paths(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        struct sim_bulk_stats stats;
        struct sim_bulk_params params = {.ack_every = 9};
        struct sim_link_params jitter = sim_contest_path(100, 50, 1), reorder = jitter, twice = jitter,
                               plain = jitter;
        jitter.jitter_ns = GW_MS(10);
        assert_above(run_with(&jitter, &params, 0, seed, &stats), 0.9, seed);
        reorder.reorder = 0.01;
        reorder.reorder_ns = GW_MS(20);
        assert_above(run_with(&reorder, &params, 0, seed, &stats), 0.9, seed);
        assert_above((double)stats.spurious, 100, seed);
        twice.duplicate = 0.05;
        assert_above(run_with(&twice, &params, 0, seed, &stats), 0.9, seed);
        assert_above(run_with(&plain, &params, 0.2, seed, &stats), 0.9, seed);
    }
}

/* Acks only every 20 ms, as much as the round trip: extra_acked lets it go on in between. */
static void test_aggregated_acks(void **state)
{
    (void)state;
    struct sim_bulk_stats stats;
    struct sim_link_params path = sim_contest_path(100, 20, 2);
    struct sim_bulk_params params = {.ack_every = 100000, .ack_delay_ns = GW_MS(20)};
    assert_above(run_with(&path, &params, 0, 1, &stats), 0.9, 1);
}

static void test_marks_instead_of_losses(void **state)
{
    (void)state;
    struct sim_bulk_stats stats;
    struct sim_link_params path = sim_contest_path(100, 50, 2);
    path.mark_bytes = 100000;
    assert_above(run_with(&path, &(struct sim_bulk_params){.ack_every = 9, .ecn = 2}, 0, 1, &stats), 0.88, 1);
    assert_int_equal(stats.lost, 0);
}

/* ---- By hand. */

static void fill_zeros(struct gw_random *random, void *out, size_t len)
{
    (void)random;
    memset(out, 0, len);
}

static void test_start(void **state)
{
    (void)state;
    struct gw_random random = {fill_zeros};
    struct gw_cc cc;
    gw_cc_init(&cc, GW_CC_BBR, 1400, (struct gw_mono){0}, &random);
    assert_string_equal(cc.ops->name, "bbr");
    assert_int_equal(cc.cwnd, 14000);
    assert_int_equal(cc.train, 46 * 1400);
    assert_int_equal(cc.pacing_rate, 0); /* nothing is known */
    struct gw_cc_ack ack = {.now = {GW_MS(100)},
                            .acked = 1400,
                            .delivered = 1400,
                            .rtt_ns = GW_MS(100),
                            .srtt_ns = GW_MS(100),
                            .min_rtt_ns = GW_MS(100),
                            .is_app_limited = true,
                            .tx_inflight = 14000,
                            .inflight = 12600};
    cc.ops->on_ack(&cc, &ack);
    assert_in_range(cc.pacing_rate, 140000 * 2,
                    140000 * 3 + 100000); /* the initial window and a gain, in a round trip */
    gw_cc_init(&cc, GW_CC_BBR, 65000, (struct gw_mono){0}, &random);
    assert_int_equal(cc.train, 130000); /* two packets at least */
    assert_int_equal(cc.cwnd, 130000);
}

/* The allowance of three quanta, where the BDP is less than a train. */
static void test_allowance(void **state)
{
    (void)state;
    struct gw_random random = {fill_zeros};
    struct gw_cc cc;
    struct gw_mono now = {GW_S(1)};
    gw_cc_init(&cc, GW_CC_BBR, 1400, now, &random);
    uint64_t delivered = 0;
    for (int i = 0; i < 2000; i++) { /* 2 Gbit/s, 50 us */
        now = gw_mono_add(now, GW_US(50));
        struct gw_cc_ack ack = {.now = now,
                                .acked = 12500,
                                .delivered = delivered + 12500,
                                .largest_acked_delivered = delivered,
                                .rtt_ns = GW_US(50),
                                .srtt_ns = GW_US(50),
                                .min_rtt_ns = GW_US(50),
                                .delivery_rate = 250000000,
                                .tx_inflight = 12500,
                                .largest_sent_at = gw_mono_add(now, -GW_US(50))};
        delivered += 12500;
        cc.ops->on_ack(&cc, &ack);
    }
    assert_true(cc.cwnd >= 3 * cc.train);
    assert_true(cc.state.bbr.is_full_reached);
}

/* Nothing that it is told makes it fall below what keeps a connection moving. */
static void test_never_stuck(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 200; seed++) {
        struct sim_dice dice = {seed};
        struct gw_random random = {fill_zeros};
        struct gw_cc cc;
        struct gw_mono now = {GW_S(1)};
        uint64_t delivered = 0;
        gw_cc_init(&cc, seed % 2 ? GW_CC_BBR : GW_CC_CUBIC, 1400, now, &random);
        for (int i = 0; i < 3000; i++) {
            now = gw_mono_add(now, (int64_t)(sim_dice_u64(&dice) % (uint64_t)GW_MS(40)));
            uint64_t what = sim_dice_u64(&dice) % 16, bytes = 1400 * (1 + sim_dice_u64(&dice) % 40);
            struct gw_mono sent_at = gw_mono_add(now, -(int64_t)(sim_dice_u64(&dice) % (uint64_t)GW_S(1)));
            if (what < 4) {
                cc.ops->on_lost(&cc, now, 1400, sent_at, bytes, bytes, 1400 * (1 + sim_dice_u64(&dice) % 3));
            } else if (what == 4 && sim_dice_u64(&dice) % 8 == 0) {
                cc.ops->on_persistent_congestion(&cc, now);
            } else if (what == 5) {
                cc.ops->on_spurious_loss(&cc, now);
            } else if (what < 8) {
                cc.ops->on_sent(&cc, now, 1400, sim_dice_u64(&dice) % 2 ? 1400 : bytes,
                                sim_dice_u64(&dice) % 2);
            } else {
                struct gw_cc_ack ack = {.now = now,
                                        .acked = bytes,
                                        .delivered = delivered + bytes,
                                        .largest_acked_delivered =
                                            delivered - sim_dice_u64(&dice) % (delivered + 1),
                                        .rtt_ns = (int64_t)(sim_dice_u64(&dice) % (uint64_t)GW_S(2)),
                                        .srtt_ns = GW_MS(30),
                                        .min_rtt_ns = GW_MS(10),
                                        .delivery_rate = sim_dice_u64(&dice) >> (sim_dice_u64(&dice) % 64),
                                        .tx_inflight = bytes,
                                        .inflight = bytes,
                                        .ce_acked = what == 8 ? 1400 : 0,
                                        .is_cwnd_limited = what % 2,
                                        .is_app_limited = what % 3 == 0,
                                        .largest_sent_at = sent_at};
                delivered += bytes;
                cc.ops->on_ack(&cc, &ack);
            }
            assert_true(cc.cwnd >= 2 * 1400);
            assert_true(i < 100 || cc.pacing_rate > 0);
        }
    }
}

static void test_is_reproducible(void **state)
{
    (void)state;
    uint64_t delivered[2];
    for (int i = 0; i < 2; i++) {
        struct sim_contest contest;
        struct sim_link_params path = sim_contest_path(50, 40, 1);
        path.loss = 0.01;
        path.jitter_ns = GW_MS(2);
        sim_contest_begin(&contest, &path, 99);
        sim_contest_add(&contest, &(struct sim_bulk_params){.ack_every = 5}, 0);
        struct sim_bulk *bulk = sim_contest_add(&contest, &(struct sim_bulk_params){.ack_every = 5}, 1);
        sim_contest_run(&contest, 6);
        delivered[i] = sim_bulk_stats(bulk)->delivered;
        sim_contest_end(&contest);
    }
    assert_int_equal(delivered[0], delivered[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_allowance),
        cmocka_unit_test(test_never_stuck),
        cmocka_unit_test(test_is_reproducible),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_two_share),
        cmocka_unit_test(test_beside_cubic),
        cmocka_unit_test(test_rate_changes),
        cmocka_unit_test(test_longer_path),
        cmocka_unit_test(test_outage),
        cmocka_unit_test(test_restart_from_idle),
        cmocka_unit_test(test_app_limited),
        cmocka_unit_test(test_unruly_paths),
        cmocka_unit_test(test_aggregated_acks),
        cmocka_unit_test(test_marks_instead_of_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
