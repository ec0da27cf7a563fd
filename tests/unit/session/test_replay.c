/* SPDX-License-Identifier: MIT */
/* The window against a naive set of counters, and its edges one by one. */
#include "gateway/session/replay.h"

#include "gateway/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WINDOW (GW_REPLAY_BITS - 64u)

static struct gw_replay replay;

static void test_edges(void **state)
{
    /* in order, on one window */
    static const struct {
        uint64_t counter;
        bool is_accepted, is_highest;
    } steps[] = {
        {0, true, true},
        {0, false, false},
        {1, true, true},
        {1, false, false},
        {9, true, true},
        {8, true, false},
        {7, true, false},
        {7, false, false},
        {WINDOW, true, true},
        {WINDOW - 1, true, false},
        {WINDOW - 1, false, false},
        {1, false, false},
        {2, true, false},
        {2, false, false},
        {WINDOW + 16, true, true},
        {3, false, false}, /* too old now */
        {WINDOW + 16, false, false},
        {WINDOW * 4, true, true},
        {WINDOW * 4 - (WINDOW - 1), true, false}, /* the oldest that may come */
        {10, false, false},
        {WINDOW * 4 - WINDOW, false, false},
        {WINDOW * 4 - (WINDOW + 1), false, false},
        {UINT64_C(1) << 40, true, true}, /* a jump over everything */
        {(UINT64_C(1) << 40) - 1, true, false},
        {(UINT64_C(1) << 40) - (WINDOW - 1), true, false},
        {(UINT64_C(1) << 40) - WINDOW, false, false},
        {UINT64_MAX, false, false}, /* no counter */
        {UINT64_MAX - 1, true, true},
        {UINT64_MAX - 1, false, false},
        {UINT64_MAX - 2, true, false},
        {UINT64_MAX, false, false},
    };

    (void)state;
    gw_replay_init(&replay);
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        bool is_highest = false;

        assert_int_equal(gw_replay_is_fresh(&replay, steps[i].counter), steps[i].is_accepted);
        assert_int_equal(gw_replay_accept(&replay, steps[i].counter, &is_highest), steps[i].is_accepted);
        assert_int_equal(is_highest, steps[i].is_highest);
        assert_false(gw_replay_is_fresh(&replay, steps[i].counter));
    }
}

/* Counters downwards through the whole window: all new once. */
static void test_backwards(void **state)
{
    (void)state;
    gw_replay_init(&replay);
    for (unsigned i = WINDOW; i > 0; i--)
        assert_true(gw_replay_accept(&replay, i, NULL));
    assert_false(gw_replay_accept(&replay, 0, NULL));
    for (unsigned i = WINDOW; i > 0; i--)
        assert_false(gw_replay_accept(&replay, i, NULL));
}

/* ---- the model */

#define MODEL_MAX 400000u

static uint8_t seen[MODEL_MAX];

static bool model_accept(uint64_t *highest, bool *has_any, uint64_t counter)
{
    if (seen[counter] || (*has_any && *highest >= WINDOW && counter <= *highest - WINDOW))
        return false;
    seen[counter] = 1;
    if (!*has_any || counter > *highest)
        *highest = counter;
    *has_any = true;
    return true;
}

/* Mostly near the highest, on both sides; sometimes far ahead, sometimes anywhere. */
static uint64_t draw(struct gw_random *random, uint64_t highest)
{
    const uint32_t dice = gw_random_u32(random) % 100;
    const uint32_t value = gw_random_u32(random);
    uint64_t counter = highest + value % 4;

    if (dice < 40)
        counter = highest - value % (WINDOW + 200);
    else if (dice < 50)
        counter = highest + value % 300;
    else if (dice == 50)
        counter = highest + value % (2 * GW_REPLAY_BITS);
    else if (dice == 51)
        counter = value;
    return counter % MODEL_MAX;
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct gw_random_seeded random;
        uint64_t highest = 0;
        bool has_any = false;

        gw_random_seeded_init(&random, seed);
        gw_replay_init(&replay);
        memset(seen, 0, sizeof seen);
        for (unsigned i = 0; i < 20000; i++) {
            const uint64_t counter = draw(&random.random, highest);
            const bool was_above = !has_any || counter > highest;
            const bool expected = model_accept(&highest, &has_any, counter);
            bool is_highest = false;

            assert_int_equal(gw_replay_accept(&replay, counter, &is_highest), expected);
            assert_int_equal(is_highest, expected && was_above);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_backwards),
        cmocka_unit_test(test_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
