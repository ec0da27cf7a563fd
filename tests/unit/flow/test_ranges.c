/* SPDX-License-Identifier: MIT */
/* gw_ranges against a bitmap on random data, and its limits. */
#include "gateway/base/err.h"
#include "gateway/flow/ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SPACE 300u

static uint64_t rng = 1;

static uint64_t below(uint64_t bound)
{
    rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (rng >> 33) % bound;
}

/* Sorted, disjoint, with gaps in between, and the same numbers as the bitmap. */
static void check_same(const struct gw_ranges *ranges, const bool model[SPACE])
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < ranges->len; i++) {
        assert_true(ranges->list[i].start < ranges->list[i].end);
        assert_true(i == 0 || ranges->list[i - 1].end < ranges->list[i].start);
        for (; at < ranges->list[i].start; at++)
            assert_false(model[at]);
        for (; at < ranges->list[i].end; at++)
            assert_true(model[at]);
    }
    for (; at < SPACE; at++)
        assert_false(model[at]);
}

static void test_model(void **state)
{
    struct gw_ranges ranges;
    bool model[SPACE] = {false};
    (void)state;
    gw_ranges_init(&ranges);
    for (unsigned round = 0; round < 50000; round++) {
        uint64_t start = below(SPACE), end = start + below(round % 3 == 0 ? SPACE - start : 5);
        if (end > SPACE)
            end = SPACE;
        switch (below(8)) {
        default:
            assert_int_equal(gw_ranges_add(&ranges, start, end, UINT32_MAX), 0);
            memset(model + start, true, end - start);
            break;
        case 4:
        case 5:
            assert_int_equal(gw_ranges_subtract(&ranges, start, end), 0);
            memset(model + start, false, end - start);
            break;
        case 6:
            start /= 4;
            gw_ranges_drop_below(&ranges, start);
            memset(model, false, start);
            break;
        case 7:
            if (ranges.len > 0)
                memset(model + ranges.list[0].start, false, ranges.list[0].end - ranges.list[0].start);
            gw_ranges_drop_first(&ranges);
            break;
        }
        check_same(&ranges, model);
        uint64_t value = below(SPACE);
        assert_int_equal(gw_ranges_contains(&ranges, value), model[value]);
    }
    gw_ranges_fini(&ranges);
}

static void test_limit(void **state)
{
    struct gw_ranges ranges;
    (void)state;
    gw_ranges_init(&ranges);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(gw_ranges_add(&ranges, 10 * i, 10 * i + 5, 10), 0);
    assert_int_equal(gw_ranges_add(&ranges, 200, 201, 10), GW_E_LIMIT);
    assert_int_equal(ranges.len, 10);
    /* What touches an existing one needs no room. */
    assert_int_equal(gw_ranges_add(&ranges, 5, 10, 10), 0);
    assert_int_equal(ranges.len, 9);
    assert_int_equal(gw_ranges_add(&ranges, 200, 201, 10), 0);
    gw_ranges_fini(&ranges);
}

static void test_ends(void **state)
{
    struct gw_ranges ranges;
    (void)state;
    gw_ranges_init(&ranges);
    assert_false(gw_ranges_contains(&ranges, 0));
    assert_int_equal(gw_ranges_add(&ranges, 7, 7, 1), 0);
    assert_int_equal(ranges.len, 0);
    assert_int_equal(gw_ranges_add(&ranges, UINT64_MAX - 1, UINT64_MAX, 1), 0);
    assert_true(gw_ranges_contains(&ranges, UINT64_MAX - 1));
    assert_false(gw_ranges_contains(&ranges, UINT64_MAX));
    gw_ranges_drop_below(&ranges, UINT64_MAX);
    assert_int_equal(ranges.len, 0);
    gw_ranges_drop_first(&ranges);
    gw_ranges_fini(&ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
