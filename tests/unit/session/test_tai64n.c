/* SPDX-License-Identifier: MIT */
/* Timestamps never go back: not with the wall clock, not over a restart, not over many. */
#include "gateway/session/tai64n.h"

#include "gateway/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "hex.h"

static const struct gw_wall none = {0, 0};

static struct gw_wall at(int64_t s)
{
    return (struct gw_wall){1700000000 + s, 999999999};
}

static void test_format(void **state)
{
    struct gw_tai64n_clock clock;
    uint8_t stamp[GW_TAI64N_LEN];
    struct gw_wall back;

    (void)state;
    gw_tai64n_init(&clock, none);
    gw_tai64n_next(&clock, (struct gw_wall){1700000000, 0x1dffffff}, stamp);
    assert_hex_equal(stamp, "400000006553f10a1d000000"); /* nanoseconds cut to 2^24 */
    back = gw_tai64n_wall(stamp);
    assert_int_equal(back.s, 1700000000);
    assert_int_equal(back.ns, 0x1d000000);
    gw_tai64n_next(&clock, (struct gw_wall){1700000000, 0x1dffffff}, stamp);
    assert_hex_equal(stamp, "400000006553f10a1d000001"); /* the same moment: one more */
    gw_tai64n_next(&clock, (struct gw_wall){0, 0}, stamp);
    assert_hex_equal(stamp, "400000006553f10a1d000002"); /* a clock set back: one more */
}

static void test_carry(void **state)
{
    struct gw_tai64n_clock clock;
    uint8_t stamp[GW_TAI64N_LEN];

    (void)state;
    gw_tai64n_init(&clock, (struct gw_wall){1700000000, 999999999});
    gw_tai64n_next(&clock, none, stamp);
    assert_hex_equal(stamp, "400000006553f10b00000000");
}

static void test_lease(void **state)
{
    struct gw_tai64n_clock clock;
    uint8_t stamp[GW_TAI64N_LEN];
    struct gw_wall lease;
    unsigned changes = 0;

    (void)state;
    gw_tai64n_init(&clock, none);
    assert_false(gw_tai64n_lease_due(&clock, &lease));
    for (int64_t s = 0; s < 3600; s += 5) {
        gw_tai64n_next(&clock, at(s), stamp);
        if (!gw_tai64n_lease_due(&clock, &lease))
            continue;
        assert_true(lease.s >= at(s).s + 600);
        changes++;
        gw_tai64n_lease_saved(&clock, lease);
        assert_false(gw_tai64n_lease_due(&clock, &lease));
    }
    assert_in_range(changes, 7, 8); /* one in eight minutes */
}

/* Saved late: what is due stays due, and an old value does not settle it. */
static void test_lease_stays_due(void **state)
{
    struct gw_tai64n_clock clock;
    uint8_t stamp[GW_TAI64N_LEN];
    struct gw_wall first, second;

    (void)state;
    gw_tai64n_init(&clock, none);
    gw_tai64n_next(&clock, at(0), stamp);
    assert_true(gw_tai64n_lease_due(&clock, &first));
    gw_tai64n_next(&clock, at(1000), stamp);
    gw_tai64n_lease_saved(&clock, first);
    assert_true(gw_tai64n_lease_due(&clock, &second));
    assert_true(second.s > first.s);
    gw_tai64n_lease_saved(&clock, second);
    assert_false(gw_tai64n_lease_due(&clock, &second));
}

/* Runs of random length, the clock jumping both ways at each start, the lease saved or (crash) only what was saved before is there:
 * saved is what was due before the timestamp was used. */
static void test_restarts(void **state)
{
    struct gw_random_seeded random;
    struct gw_wall saved = none;
    uint8_t last[GW_TAI64N_LEN] = {0}, stamp[GW_TAI64N_LEN];

    (void)state;
    gw_random_seeded_init(&random, 1);
    for (unsigned run = 0; run < 2000; run++) {
        struct gw_tai64n_clock clock;
        int64_t s = (int64_t)(gw_random_u32(&random.random) % 100000) - 50000;

        gw_tai64n_init(&clock, saved);
        for (unsigned i = gw_random_u32(&random.random) % 20; i > 0; i--) {
            s += gw_random_u32(&random.random) % 300;
            gw_tai64n_next(&clock, at(s), stamp);
            if (gw_tai64n_lease_due(&clock, &saved))
                gw_tai64n_lease_saved(&clock, saved);
            assert_true(memcmp(stamp, last, sizeof stamp) > 0);
            memcpy(last, stamp, sizeof last);
        }
    }
}

/* A daemon that restarts every second for a day runs ahead of the clock by no more than a lease. */
static void test_crash_loop(void **state)
{
    struct gw_wall saved = none;
    uint8_t stamp[GW_TAI64N_LEN];

    (void)state;
    for (int64_t s = 0; s < 86400; s++) {
        struct gw_tai64n_clock clock;

        gw_tai64n_init(&clock, saved);
        gw_tai64n_next(&clock, at(s), stamp);
        if (gw_tai64n_lease_due(&clock, &saved))
            gw_tai64n_lease_saved(&clock, saved);
    }
    assert_true(saved.s <= at(86400).s + 602);
}

static void test_damaged_floor(void **state)
{
    static const struct gw_wall damaged[] = {
        {INT64_MAX, 0}, {-1, 0}, {1, -1}, {1, 1000000000}, {INT64_MIN, 5}};
    uint8_t stamp[GW_TAI64N_LEN];

    (void)state;
    for (unsigned i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct gw_tai64n_clock clock;

        gw_tai64n_init(&clock, damaged[i]);
        gw_tai64n_next(&clock, at(0), stamp);
        assert_int_equal(gw_tai64n_wall(stamp).s, at(0).s);
    }
}

static void test_late_floor(void **state)
{
    struct gw_tai64n_clock clock;
    uint8_t stamp[GW_TAI64N_LEN];

    (void)state;
    gw_tai64n_init(&clock, none);
    gw_tai64n_next(&clock, at(0), stamp);
    gw_tai64n_set_floor(&clock, at(-100)); /* below: no effect */
    gw_tai64n_next(&clock, at(0), stamp);
    assert_int_equal(gw_tai64n_wall(stamp).s, at(0).s);
    gw_tai64n_set_floor(&clock, at(1000));
    gw_tai64n_next(&clock, at(0), stamp);
    assert_true(gw_tai64n_wall(stamp).s > at(1000).s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),        cmocka_unit_test(test_carry),
        cmocka_unit_test(test_lease),         cmocka_unit_test(test_lease_stays_due),
        cmocka_unit_test(test_restarts),      cmocka_unit_test(test_crash_loop),
        cmocka_unit_test(test_damaged_floor), cmocka_unit_test(test_late_floor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
