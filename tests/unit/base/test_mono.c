/* SPDX-License-Identifier: MIT */
/* Instants: that arithmetic saturates and never wraps. */
#include "gateway/base/mono.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct gw_mono at(int64_t ns)
{
    return (struct gw_mono){ns};
}

static void test_add(void **state)
{
    (void)state;
    static const struct {
        int64_t t, dur, sum;
    } table[] = {
        {0, 0, 0},
        {5, 7, 12},
        {5, -7, -2},
        {INT64_MAX - 1, 1, INT64_MAX}, /* GW_NEVER itself */
        {INT64_MAX - 1, 2, INT64_MAX},
        {1, INT64_MAX, INT64_MAX},
        {INT64_MAX, 1, INT64_MAX}, /* never stays never */
        {INT64_MAX, -1, INT64_MAX},
        {INT64_MAX, INT64_MIN, INT64_MAX},
        {INT64_MIN + 1, -2, INT64_MIN},
        {-1, INT64_MIN, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_int_equal(gw_mono_add(at(table[i].t), table[i].dur).ns, table[i].sum);
}

static void test_order(void **state)
{
    (void)state;
    assert_true(gw_mono_before(at(1), at(2)));
    assert_false(gw_mono_before(at(2), at(2)));
    assert_true(gw_mono_due(at(2), at(2)));
    assert_true(gw_mono_due(at(1), at(2)));
    assert_false(gw_mono_due(at(3), at(2)));
    assert_false(gw_mono_due(GW_NEVER, at(INT64_MAX - 1)));
    assert_int_equal(gw_mono_min(at(1), GW_NEVER).ns, 1);
    assert_true(gw_mono_is_never(gw_mono_max(at(1), GW_NEVER)));
    assert_int_equal(gw_mono_sub(at(10), at(4)), 6);
}

static void test_units(void **state)
{
    (void)state;
    assert_int_equal(GW_S(1), GW_MS(1000));
    assert_int_equal(GW_MS(1), GW_US(1000));
    assert_int_equal(GW_US(1), 1000);
    assert_int_equal(GW_S(1u << 31), INT64_C(2147483648000000000)); /* not computed in 32 bits */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
