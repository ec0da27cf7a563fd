/* SPDX-License-Identifier: MIT */
/* Windows: grow only for a reader that keeps up, never beyond their maximum, and are granted anew at half. */
#include "gateway/flow/credit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RTT GW_MS(50)

static struct gw_mono at_ms(int64_t ms)
{
    return (struct gw_mono){GW_MS(ms)};
}

static void test_half(void **state)
{
    struct gw_credit credit;
    (void)state;
    gw_credit_init(&credit, at_ms(0), 16384);
    assert_int_equal(credit.granted, 16384);
    assert_false(gw_credit_on_consumed(&credit, at_ms(1), 8191, RTT, 1u << 20));
    assert_true(gw_credit_on_consumed(&credit, at_ms(2), 8192, RTT, 1u << 20));
    assert_int_equal(credit.window, 32768);
    assert_int_equal(credit.granted, 8192 + 32768);
}

static void test_slow_reader(void **state)
{
    struct gw_credit credit;
    uint64_t consumed = 0;
    (void)state;
    gw_credit_init(&credit, at_ms(0), 16384);
    /* Half a window in each 101 ms is not within 2 RTT. */
    for (int64_t ms = 101; ms < 5000; ms += 101) {
        consumed += 8192;
        assert_true(gw_credit_on_consumed(&credit, at_ms(ms), consumed, RTT, 1u << 20));
        assert_int_equal(credit.window, 16384);
        assert_int_equal(credit.granted, consumed + 16384);
    }
}

static void test_maximum(void **state)
{
    struct gw_credit credit;
    uint64_t consumed = 0;
    (void)state;
    gw_credit_init(&credit, at_ms(0), 16384);
    for (int64_t ms = 1; ms < 100; ms++) {
        consumed = credit.granted;
        assert_true(gw_credit_on_consumed(&credit, at_ms(ms), consumed, RTT, 300000));
        assert_true(credit.window <= 300000);
    }
    assert_int_equal(credit.window, 300000);
    /* A maximum that falls takes nothing back. */
    uint64_t granted = credit.granted;
    (void)gw_credit_on_consumed(&credit, at_ms(101), consumed, RTT, 1000);
    assert_true(credit.granted >= granted);

    assert_int_equal(gw_credit_max_window(10u << 20, 64u << 20), 8u << 20); /* 1/8 of the budget */
    assert_int_equal(gw_credit_max_window(10u << 20, 1u << 30), 16u << 20); /* 16 MB */
    assert_int_equal(gw_credit_max_window(1u << 20, 1u << 30), 4u << 20);   /* 4 BDP */
    assert_int_equal(gw_credit_max_window(0, 64u << 20), GW_CREDIT_FLOOR);
    assert_int_equal(gw_credit_max_window(0, 1000), GW_CREDIT_STREAM_INITIAL);
}

static void test_bdp(void **state)
{
    struct gw_bdp bdp = {.round_at = at_ms(0)};
    (void)state;
    /* 1000 bytes a millisecond and 50 ms: 50 KB. */
    for (int64_t ms = 0; ms < 1000; ms++)
        gw_bdp_received(&bdp, at_ms(ms), 1000, RTT);
    assert_in_range(bdp.bytes, 48000, 52000);
    /* One burst after a long silence is no round of its own. */
    gw_bdp_received(&bdp, at_ms(2000), 1000, RTT);
    assert_true(bdp.bytes <= 52000);
    for (int64_t ms = 2050; ms < 5000; ms += 50)
        gw_bdp_received(&bdp, at_ms(ms), 10, RTT);
    assert_true(bdp.bytes < 1000);
}

static void test_steps(void **state)
{
    struct gw_credit credit;
    (void)state;
    gw_credit_init(&credit, at_ms(0), 1u << 20);
    assert_false(gw_credit_on_consumed(&credit, at_ms(500), (1u << 17) - 1, RTT, 1u << 20));
    assert_true(gw_credit_on_consumed(&credit, at_ms(500), 1u << 17, RTT, 1u << 20));
    assert_int_equal(credit.granted, (1u << 20) + (1u << 17));
}

static void test_blocked(void **state)
{
    struct gw_credit credit;
    (void)state;
    gw_credit_init(&credit, at_ms(0), 16384);
    assert_true(gw_credit_on_blocked(&credit, 0, 40000));
    assert_int_equal(credit.granted, 32768);
    assert_true(gw_credit_on_blocked(&credit, 0, 40000));
    assert_int_equal(credit.granted, 40000);
    assert_false(gw_credit_on_blocked(&credit, 0, 40000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half), cmocka_unit_test(test_slow_reader), cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_bdp),  cmocka_unit_test(test_steps),       cmocka_unit_test(test_blocked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
