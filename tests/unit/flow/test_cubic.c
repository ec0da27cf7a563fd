/* SPDX-License-Identifier: MIT */
/* CUBIC: its rules one by one against RFC 9438 and RFC 9406, then on a simulated path. */
#include "tests/sim/contest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MSS 1000u
#define RTT GW_MS(50)

static const uint64_t seeds[] = {1, 2, 3};

/* A path that acks one window in each round trip, all of it. */
struct flow {
    struct gw_cc cc;
    struct gw_mono now;
    uint64_t delivered;
};

static void begin(struct flow *f)
{
    memset(f, 0, sizeof *f);
    f->now = (struct gw_mono){GW_S(100)};
    gw_cc_init(&f->cc, GW_CC_CUBIC, MSS, f->now, NULL);
}

/* One ACK for `bytes` that were sent one round trip ago. */
static void ack(struct flow *f, uint64_t bytes, int64_t rtt_ns, uint64_t round_mark, bool is_limited)
{
    f->delivered += bytes;
    struct gw_cc_ack out = {
        .now = f->now,
        .acked = bytes,
        .delivered = f->delivered,
        .largest_acked_delivered = round_mark,
        .rtt_ns = rtt_ns,
        .min_rtt_ns = RTT,
        .srtt_ns = rtt_ns,
        .is_cwnd_limited = is_limited,
        .largest_sent_at = gw_mono_add(f->now, -rtt_ns),
    };
    f->cc.ops->on_ack(&f->cc, &out);
}

/* One round trip, in ten acks. */
static void round_trip(struct flow *f, int64_t rtt_ns)
{
    uint64_t window = f->cc.cwnd, mark = f->delivered;
    for (int i = 0; i < 10; i++) {
        f->now = gw_mono_add(f->now, rtt_ns / 10);
        ack(f, window / 10, rtt_ns, mark, true);
    }
}

static void lose(struct flow *f, int64_t sent_ago_ns)
{
    f->cc.ops->on_lost(&f->cc, f->now, MSS, gw_mono_add(f->now, -sent_ago_ns), 0, 0, 0);
}

/* Into congestion avoidance at about `segments`. */
static void reach(struct flow *f, uint64_t segments)
{
    while (f->cc.cwnd < segments * MSS)
        round_trip(f, RTT);
    f->cc.cwnd = segments * MSS;
    lose(f, 0);
    f->now = gw_mono_add(f->now, RTT + 1);
}

static void test_slow_start(void **state)
{
    (void)state;
    struct flow f;
    begin(&f);
    assert_int_equal(f.cc.cwnd, 10 * MSS);
    for (unsigned i = 1; i <= 5; i++) {
        round_trip(&f, RTT);
        assert_in_range(f.cc.cwnd, (10 * MSS << i) - 10 * i, 10 * MSS << i);
    }
    /* twice the window in each round trip */
    assert_in_range(f.cc.pacing_rate, f.cc.cwnd * 2 * 20 - 100, f.cc.cwnd * 2 * 20 + 100);
}

static void test_one_cut_for_one_flight(void **state)
{
    (void)state;
    struct flow f;
    begin(&f);
    f.cc.cwnd = 100 * MSS;
    lose(&f, RTT);
    assert_int_equal(f.cc.cwnd, 70 * MSS);
    f.now = gw_mono_add(f.now, RTT / 2);
    lose(&f, RTT);
    assert_int_equal(f.cc.cwnd, 70 * MSS);
    ack(&f, 10 * MSS, RTT, 0, true); /* of the same flight: no growth yet */
    assert_int_equal(f.cc.cwnd, 70 * MSS);
    f.now = gw_mono_add(f.now, RTT);
    lose(&f, RTT / 2);
    assert_int_equal(f.cc.cwnd, 49 * MSS);
    for (int i = 0; i < 20; i++) {
        f.now = gw_mono_add(f.now, RTT);
        lose(&f, RTT / 2);
    }
    assert_int_equal(f.cc.cwnd, 2 * MSS);
}

/* W_cubic: back at W_max after K = cbrt(W_max * 0.3 / 0.4), flat there, steep behind. */
static void test_curve(void **state)
{
    (void)state;
    struct flow f;
    begin(&f);
    reach(&f, 10000);
    struct gw_mono epoch = f.now;
    double k = f.cc.state.cubic.k_s;
    round_trip(&f, RTT);
    k = f.cc.state.cubic.k_s;
    assert_true(k > 19.57 && k < 19.58); /* cbrt(7500) */
    uint64_t before = f.cc.cwnd;
    while (gw_mono_sub(f.now, epoch) < (int64_t)(k * 1e9) / 2)
        round_trip(&f, RTT);
    assert_in_range(f.cc.cwnd, 9600 * MSS, 9640 * MSS); /* 10000 - 0.4 * (k/2)^3 = 9625 */
    assert_true(f.cc.cwnd > before);
    while (gw_mono_sub(f.now, epoch) < (int64_t)(k * 1e9))
        round_trip(&f, RTT);
    assert_in_range(f.cc.cwnd, 9999 * MSS, 10001 * MSS);
    while (gw_mono_sub(f.now, epoch) < (int64_t)((k + 5) * 1e9))
        round_trip(&f, RTT);
    assert_in_range(f.cc.cwnd, 10045 * MSS, 10055 * MSS); /* + 0.4 * 5^3 */
}

/* On short, thin paths it is Reno's window of the same loss rate. */
static void test_reno_friendly(void **state)
{
    (void)state;
    struct flow f;
    begin(&f);
    reach(&f, 20);
    uint64_t start = f.cc.cwnd;
    for (int i = 0; i < 10; i++)
        round_trip(&f, GW_MS(5));
    /* 0.53 segments in a round trip up to the old window */
    assert_in_range(f.cc.cwnd, start + 5000, start + 5400);
    for (int i = 0; i < 20; i++)
        round_trip(&f, GW_MS(5));
    /* and one beyond it */
    assert_true(f.cc.cwnd > 20 * MSS + 15 * MSS);
}

static void test_fast_convergence(void **state)
{
    (void)state;
    struct flow f;
    begin(&f);
    reach(&f, 1000);
    f.now = gw_mono_add(f.now, RTT);
    lose(&f, 0); /* at 700 already, below the last maximum: somebody else came */
    assert_true(f.cc.state.cubic.w_max > 594.9 && f.cc.state.cubic.w_max < 595.1);
}

static void test_idle_epoch(void **state)
{
    (void)state;
    struct flow f;
    begin(&f);
    reach(&f, 1000);
    round_trip(&f, RTT);
    uint64_t window = f.cc.cwnd;
    ack(&f, MSS, RTT, 0, false);
    f.now = gw_mono_add(f.now, GW_S(60));
    ack(&f, MSS, RTT, 0, false);
    assert_int_equal(f.cc.cwnd, window);
    round_trip(&f, RTT); /* as if the minute had not been */
    assert_true(f.cc.cwnd < window + 50 * MSS);
}

static void test_spurious_loss(void **state)
{
    (void)state;
    struct flow f, before;
    begin(&f);
    reach(&f, 1000);
    for (int i = 0; i < 20; i++)
        round_trip(&f, RTT);
    before = f;
    lose(&f, RTT / 2);
    lose(&f, RTT / 2);
    assert_true(f.cc.cwnd < before.cc.cwnd);
    f.cc.ops->on_spurious_loss(&f.cc, f.now);
    assert_true(f.cc.cwnd < before.cc.cwnd); /* the other one may have been lost */
    f.cc.ops->on_spurious_loss(&f.cc, f.now);
    assert_int_equal(f.cc.cwnd, before.cc.cwnd);
    assert_int_equal(f.cc.state.cubic.ssthresh, before.cc.state.cubic.ssthresh);
    assert_int_equal(f.cc.state.cubic.epoch_start.ns, before.cc.state.cubic.epoch_start.ns);
    f.cc.ops->on_spurious_loss(&f.cc, f.now); /* no more to undo */
    assert_int_equal(f.cc.cwnd, before.cc.cwnd);
}

static void test_persistent_congestion(void **state)
{
    (void)state;
    struct flow f;
    begin(&f);
    f.cc.cwnd = 100 * MSS;
    lose(&f, RTT);
    f.cc.ops->on_persistent_congestion(&f.cc, f.now);
    assert_int_equal(f.cc.cwnd, 2 * MSS);
    f.now = gw_mono_add(f.now, 2 * RTT);
    for (int i = 0; i < 5; i++)
        round_trip(&f, RTT);
    assert_in_range(f.cc.cwnd, 60 * MSS, 70 * MSS); /* slow start up to where it was cut */
}

static void test_ecn(void **state)
{
    (void)state;
    struct flow f;
    begin(&f);
    f.cc.cwnd = 100 * MSS;
    f.now = gw_mono_add(f.now, RTT);
    struct gw_cc_ack out = {.now = f.now,
                            .acked = MSS,
                            .ce_acked = MSS,
                            .srtt_ns = RTT,
                            .largest_sent_at = gw_mono_add(f.now, -RTT / 2),
                            .is_cwnd_limited = true};
    f.cc.ops->on_ack(&f.cc, &out);
    assert_int_equal(f.cc.cwnd, 70 * MSS);
    f.cc.ops->on_ack(&f.cc, &out);
    assert_int_equal(f.cc.cwnd, 70 * MSS);
    f.cc.ops->on_spurious_loss(&f.cc, f.now);
    assert_int_equal(f.cc.cwnd, 70 * MSS);
}

static void test_hystart(void **state)
{
    (void)state;
    struct flow f;
    begin(&f);
    for (int i = 0; i < 4; i++)
        round_trip(&f, RTT);
    uint64_t window = f.cc.cwnd;
    round_trip(&f, RTT + GW_MS(8)); /* an eighth and more */
    assert_true(f.cc.state.cubic.is_css);
    assert_true(f.cc.cwnd < 2 * window); /* slower from where it was noticed */
    window = f.cc.cwnd;
    round_trip(&f, RTT + GW_MS(8));
    assert_in_range(f.cc.cwnd, window + window / 5, window + window / 3);
    round_trip(&f, RTT); /* it was a passing thing */
    assert_false(f.cc.state.cubic.is_css);
    assert_true(f.cc.state.cubic.ssthresh == UINT64_MAX);
    for (int i = 0; i < 8; i++)
        round_trip(&f, RTT + GW_MS(8));
    assert_true(f.cc.state.cubic.ssthresh <= f.cc.cwnd);
}

/* ---- On a path. */

static void test_fills_a_clean_path(void **state)
{
    (void)state;
    static const struct {
        double mbit, rtt_ms, buffer, seconds, least;
        unsigned ack_every;
    } cases[] = {
        {100, 50, 1.0, 15, 0.95, 2},
        {100, 50, 0.3, 15, 0.93, 9},
        {1000, 20, 1.0, 5, 0.95, 44},
        {2, 80, 2.0, 30, 0.95, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_contest contest;
        struct sim_link_params path = sim_contest_path(cases[i].mbit, cases[i].rtt_ms, cases[i].buffer);
        sim_contest_begin(&contest, &path, 1);
        sim_contest_add(&contest,
                        &(struct sim_bulk_params){.cc = GW_CC_CUBIC, .ack_every = cases[i].ack_every}, 0);
        sim_contest_run(&contest, cases[i].seconds / 5);
        sim_contest_mark(&contest);
        sim_contest_run(&contest, cases[i].seconds);
        double used = sim_contest_utilisation(&contest);
        if (used < cases[i].least)
            fail_msg("case %zu: %.3f of the path", i, used);
        sim_contest_end(&contest);
    }
}

/* As little as theory has it: about 1.2 / sqrt(p) segments in flight. */
static void test_random_loss_holds_it_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        struct sim_contest contest;
        struct sim_link_params path = sim_contest_path(100, 50, 1);
        path.loss = 0.01;
        sim_contest_begin(&contest, &path, seeds[i]);
        sim_contest_add(&contest, &(struct sim_bulk_params){.cc = GW_CC_CUBIC}, 0);
        sim_contest_run(&contest, 20);
        double mbit = sim_contest_mbit(&contest, 0);
        assert_true(mbit > 1.5 && mbit < 6);
        sim_contest_end(&contest);
    }
}

static void test_two_share(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        struct sim_contest contest;
        struct sim_link_params path = sim_contest_path(50, 30, 1);
        sim_contest_begin(&contest, &path, seeds[i]);
        struct sim_bulk_params params = {.cc = GW_CC_CUBIC, .ack_every = 5};
        sim_contest_add(&contest, &params, 0);
        sim_contest_add(&contest, &params, 3);
        sim_contest_run(&contest, 12);
        sim_contest_mark(&contest);
        sim_contest_run(&contest, 30);
        assert_true(sim_contest_jain(&contest) > 0.9);
        assert_true(sim_contest_utilisation(&contest) > 0.95);
        sim_contest_end(&contest);
    }
}

static void test_reordering_costs_little(void **state)
{
    (void)state;
    struct sim_contest contest;
    struct sim_link_params path = sim_contest_path(100, 50, 1);
    path.reorder = 0.01;
    path.reorder_ns = GW_MS(20); /* later than the reordering window: declared lost, then acked */
    sim_contest_begin(&contest, &path, 7);
    struct sim_bulk *bulk =
        sim_contest_add(&contest, &(struct sim_bulk_params){.cc = GW_CC_CUBIC, .ack_every = 9}, 0);
    sim_contest_run(&contest, 15);
    assert_true(sim_bulk_stats(bulk)->spurious > 100);
    assert_true(sim_contest_utilisation(&contest) > 0.9);
    sim_contest_end(&contest);
}

static void test_outage(void **state)
{
    (void)state;
    struct sim_contest contest;
    struct sim_link_params path = sim_contest_path(100, 50, 1);
    sim_contest_begin(&contest, &path, 1);
    sim_contest_add(&contest, &(struct sim_bulk_params){.cc = GW_CC_CUBIC, .ack_every = 9}, 0);
    sim_contest_run(&contest, 5);
    sim_link_partition(contest.data, contest.clock.now, gw_mono_add(contest.clock.now, GW_S(1)));
    sim_contest_run(&contest, 8);
    sim_contest_mark(&contest);
    sim_contest_run(&contest, 12);
    assert_true(sim_contest_utilisation(&contest) > 0.9);
    sim_contest_end(&contest);
}

static void test_marks_instead_of_losses(void **state)
{
    (void)state;
    struct sim_contest contest;
    struct sim_link_params path = sim_contest_path(100, 50, 2);
    path.mark_bytes = 300000;
    sim_contest_begin(&contest, &path, 1);
    struct sim_bulk *bulk =
        sim_contest_add(&contest, &(struct sim_bulk_params){.cc = GW_CC_CUBIC, .ack_every = 9, .ecn = 2}, 0);
    sim_contest_run(&contest, 15);
    assert_int_equal(sim_bulk_stats(bulk)->lost, 0);
    assert_true(sim_link_stats(contest.data)->marked > 0);
    assert_true(sim_contest_utilisation(&contest) > 0.9);
    sim_contest_end(&contest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_start),
        cmocka_unit_test(test_one_cut_for_one_flight),
        cmocka_unit_test(test_curve),
        cmocka_unit_test(test_reno_friendly),
        cmocka_unit_test(test_fast_convergence),
        cmocka_unit_test(test_idle_epoch),
        cmocka_unit_test(test_spurious_loss),
        cmocka_unit_test(test_persistent_congestion),
        cmocka_unit_test(test_ecn),
        cmocka_unit_test(test_hystart),
        cmocka_unit_test(test_fills_a_clean_path),
        cmocka_unit_test(test_random_loss_holds_it_down),
        cmocka_unit_test(test_two_share),
        cmocka_unit_test(test_reordering_costs_little),
        cmocka_unit_test(test_outage),
        cmocka_unit_test(test_marks_instead_of_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
