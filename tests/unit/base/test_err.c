/* SPDX-License-Identifier: MIT */
/* Words for errors: that every value has some of its own is the compiler's to see (the switch in err.c). */
#include "gateway/base/err.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const int all_values[] = {
    GW_OK,           GW_E_NOMEM,  GW_E_INVAL,   GW_E_MALFORMED, GW_E_AUTH,     GW_E_REPLAY,
    GW_E_UNKNOWN,    GW_E_LIMIT,  GW_E_STATE,   GW_E_EXPIRED,   GW_E_TOO_BIG,  GW_E_CONFIG,
    GW_E_PERMISSION, GW_E_CLOSED, GW_E_TIMEOUT, GW_E_NO_SEAL,   GW_E_SHUT_OUT, GW_E_AGAIN,
};
#define COUNT (sizeof all_values / sizeof all_values[0])

static void test_every_value_has_its_own_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        const char *words = gw_strerror(all_values[i]);
        assert_non_null(words);
        assert_true(strlen(words) > 3);
        assert_null(strstr(words, "unknown error"));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(words, gw_strerror(all_values[j]));
    }
}

/* Own values lie outside of what can be -errno, and have no gap. */
static void test_own_values_are_a_dense_range(void **state)
{
    (void)state;
    size_t own = 0;
    for (size_t i = 0; i < COUNT; i++)
        own += all_values[i] < -1000;
    for (int err = -1001; err > -1001 - (int)own; err--)
        assert_null(strstr(gw_strerror(err), "unknown error"));
    assert_string_equal(gw_strerror(-1001 - (int)own), "unknown error -1015");
}

static void test_system_errors_are_the_systems(void **state)
{
    (void)state;
    assert_string_equal(gw_strerror(-ENOENT), strerror(ENOENT));
    assert_string_equal(gw_strerror(-ECONNREFUSED), strerror(ECONNREFUSED));
    assert_string_equal(gw_strerror(-EMFILE), strerror(EMFILE));
}

static void test_numbers_of_nobody(void **state)
{
    (void)state;
    assert_string_equal(gw_strerror(1), "unknown error 1");
    assert_string_equal(gw_strerror(INT_MAX), "unknown error 2147483647");
    assert_string_equal(gw_strerror(INT_MIN), "unknown error -2147483648");
    assert_string_equal(gw_strerror(-1000), "unknown error -1000");
    assert_non_null(strstr(gw_strerror(-999), "999")); /* the C library's words for it */
}

static void test_keeps_errno(void **state)
{
    (void)state;
    static const int values[] = {0, -ENOENT, -999, -1001, INT_MIN, 5};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        errno = EXDEV;
        (void)gw_strerror(values[i]);
        assert_int_equal(errno, EXDEV);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_has_its_own_words),
        cmocka_unit_test(test_own_values_are_a_dense_range),
        cmocka_unit_test(test_system_errors_are_the_systems),
        cmocka_unit_test(test_numbers_of_nobody),
        cmocka_unit_test(test_keeps_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
