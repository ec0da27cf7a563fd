/* SPDX-License-Identifier: MIT */
/* The pacer: over a long time exactly the rate, over a short one no more than it may catch up, and few wake-ups. */
#include "gateway/flow/pacer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MSS 1400u
#define TRAIN (46u * MSS)
#define FAR GW_MS(50)

static const struct gw_mono start = {GW_S(5000)};

struct outcome {
    uint64_t bytes, wakes, largest;
};

/* Sends all that it may, sleeps until it may again; each wake-up is up to late_ns too late. */
static struct outcome run(uint64_t rate, int64_t srtt_ns, int64_t duration_ns, int64_t late_ns)
{
    struct gw_pacer pacer;
    struct outcome outcome = {0};
    struct gw_mono now = start, end = gw_mono_add(start, duration_ns);
    gw_pacer_init(&pacer, start);
    while (gw_mono_before(now, end)) {
        uint64_t burst = 0;
        while (gw_pacer_allowance(&pacer, now, rate, MSS, TRAIN, srtt_ns) > 0) {
            gw_pacer_sent(&pacer, MSS);
            burst += MSS;
        }
        assert_true(burst > 0); /* woken for nothing otherwise */
        outcome.bytes += burst;
        outcome.wakes++;
        outcome.largest = burst > outcome.largest ? burst : outcome.largest;
        struct gw_mono next = gw_pacer_next(&pacer, rate, MSS, TRAIN);
        assert_true(gw_mono_before(now, next));
        now = gw_mono_add(next, late_ns);
    }
    return outcome;
}

static void test_quantum(void **state)
{
    (void)state;
    assert_int_equal(gw_pacer_quantum(100000, MSS, TRAIN), 2 * MSS);
    assert_int_equal(gw_pacer_quantum(12500000, MSS, TRAIN), 12500);
    assert_int_equal(gw_pacer_quantum(1250000000, MSS, TRAIN), TRAIN);
}

static void test_rates(void **state)
{
    (void)state;
    static const uint64_t rates[] = {12500, 125000, 12500000, 125000000, 1250000000, 5000000000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        uint64_t rate = rates[i], quantum = gw_pacer_quantum(rate, MSS, TRAIN);
        struct outcome outcome = run(rate, FAR, GW_S(20), 0);
        uint64_t expected = rate * 20;
        assert_in_range(outcome.bytes, expected - quantum - MSS,
                        expected + expected / 10000 + 2 * quantum + rate / 1000 + MSS);
        /* one for each quantum */
        assert_in_range(outcome.wakes, expected / (quantum + 2 * MSS) / 2, expected / quantum + 2);
    }
}

/* A loop that wakes late catches up what it missed, up to 1 ms. */
static void test_late_wake_ups(void **state)
{
    (void)state;
    static const uint64_t rates[] = {1250000, 12500000, 125000000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        uint64_t rate = rates[i], quantum = gw_pacer_quantum(rate, MSS, TRAIN);
        struct outcome late = run(rate, FAR, GW_S(2), GW_US(900));
        assert_in_range(late.bytes, rate * 2 * 99 / 100, rate * 2 * 101 / 100);
        struct outcome stalled = run(rate, FAR, GW_S(2), GW_MS(50));
        assert_in_range(stalled.largest, quantum + rate / 1000 - MSS, quantum + rate / 1000 + MSS);
        assert_true(stalled.bytes < rate / 4);
    }
}

/* Close by, where one turn of a loop takes as long as the path: the rate is reached all the same. */
static void test_near(void **state)
{
    (void)state;
    uint64_t rate = 1500000000; /* 12 Gbit/s */
    struct outcome outcome = run(rate, GW_US(300), GW_MS(500), GW_US(200));
    assert_in_range(outcome.bytes, rate / 2 * 98 / 100, rate / 2 * 101 / 100);
    assert_true(outcome.largest <= rate * 3 / 10000 + TRAIN + MSS);
    /* and slow senders may still send a train at once */
    assert_in_range(run(1000000, GW_US(100), GW_S(1), GW_MS(200)).largest, TRAIN, TRAIN + 3 * MSS);
}

/* Asked all the time, it loses no fractions of bytes. */
static void test_frequent_calls(void **state)
{
    (void)state;
    static const uint64_t rates[] = {1250000, 33333, 999999937};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct gw_pacer pacer;
        uint64_t bytes = 0;
        gw_pacer_init(&pacer, start);
        for (int64_t t = 0; t < GW_S(1); t += 777) {
            struct gw_mono now = gw_mono_add(start, t);
            if (gw_pacer_allowance(&pacer, now, rates[i], MSS, TRAIN, FAR) == 0)
                continue;
            gw_pacer_sent(&pacer, MSS);
            bytes += MSS;
        }
        assert_in_range(bytes, rates[i] * 999 / 1000 - MSS,
                        rates[i] * 1001 / 1000 + rates[i] / 1000 + 3 * MSS);
    }
}

/* Once empty, nothing until a quantum is there; before that, single packets as they come. */
static void test_waits_for_a_quantum(void **state)
{
    (void)state;
    struct gw_pacer pacer;
    uint64_t rate = 12500000;
    struct gw_mono now = start;
    gw_pacer_init(&pacer, now);
    gw_pacer_allowance(&pacer, now, rate, MSS, TRAIN, FAR);
    gw_pacer_sent(&pacer, MSS);
    assert_true(gw_pacer_allowance(&pacer, now, rate, MSS, TRAIN, FAR) > 0);
    assert_false(gw_mono_before(now, gw_pacer_next(&pacer, rate, MSS, TRAIN)));
    while (gw_pacer_allowance(&pacer, now, rate, MSS, TRAIN, FAR) > 0)
        gw_pacer_sent(&pacer, MSS);
    struct gw_mono next = gw_pacer_next(&pacer, rate, MSS, TRAIN);
    assert_int_equal(gw_pacer_allowance(&pacer, gw_mono_add(next, -GW_US(1)), rate, MSS, TRAIN, FAR), 0);
    assert_true(gw_pacer_allowance(&pacer, next, rate, MSS, TRAIN, FAR) >= 12500);
}

static void test_no_limit(void **state)
{
    (void)state;
    struct gw_pacer pacer;
    gw_pacer_init(&pacer, start);
    for (int i = 0; i < 1000; i++) {
        assert_true(gw_pacer_allowance(&pacer, start, 0, MSS, TRAIN, 0) == UINT64_MAX);
        gw_pacer_sent(&pacer, 60000);
    }
    assert_false(gw_mono_before(start, gw_pacer_next(&pacer, 0, MSS, TRAIN)));
    /* The limit that comes then does not punish for that. */
    uint64_t rate = 12500000;
    struct gw_mono later = gw_mono_add(start, GW_MS(7));
    gw_pacer_allowance(&pacer, start, rate, MSS, TRAIN, FAR);
    assert_true(gw_pacer_allowance(&pacer, later, rate, MSS, TRAIN, FAR) > 0);
}

/* What is not paced but counted (IP packets) delays what is, within bounds. */
static void test_debt(void **state)
{
    (void)state;
    struct gw_pacer pacer;
    uint64_t rate = 12500000;
    gw_pacer_init(&pacer, start);
    gw_pacer_allowance(&pacer, start, rate, MSS, TRAIN, FAR);
    for (int i = 0; i < 1000; i++)
        gw_pacer_sent(&pacer, 60000);
    gw_pacer_sent(&pacer, UINT64_MAX);
    assert_int_equal(gw_pacer_allowance(&pacer, start, rate, MSS, TRAIN, FAR), 0);
    struct gw_mono next = gw_pacer_next(&pacer, rate, MSS, TRAIN);
    int64_t wait_ns = gw_mono_sub(next, start);
    assert_in_range(wait_ns, (GW_PACER_DEBT_MAX + 12500) * 80 - 1000,
                    (GW_PACER_DEBT_MAX + 12500) * 80 + 1000);
    /* After a wait longer than the debt it is forgotten. */
    assert_true(gw_pacer_allowance(&pacer, gw_mono_add(start, GW_S(100)), rate, MSS, TRAIN, FAR) >= 12500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantum),        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_late_wake_ups),  cmocka_unit_test(test_near),
        cmocka_unit_test(test_frequent_calls), cmocka_unit_test(test_waits_for_a_quantum),
        cmocka_unit_test(test_no_limit),       cmocka_unit_test(test_debt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
