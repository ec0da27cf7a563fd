/* SPDX-License-Identifier: MIT */
/* Wiping and comparing: exactly the bytes asked for, every one of them. */
#include "gateway/base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_wipe(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 40; len++) {
        uint8_t bytes[64];
        memset(bytes, 0xa5, sizeof bytes);
        gw_wipe(bytes + 8, len);
        for (size_t i = 0; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], i >= 8 && i < 8 + len ? 0 : 0xa5);
    }
}

static void test_equal(void **state)
{
    (void)state;
    uint8_t a[33], b[33];
    memset(a, 7, sizeof a);
    memset(b, 7, sizeof b);
    assert_true(gw_secret_equal(a, b, sizeof a));
    assert_true(gw_secret_equal(a, b, 0));
    for (size_t i = 0; i < sizeof a; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            b[i] ^= (uint8_t)(1u << bit);
            assert_false(gw_secret_equal(a, b, sizeof a));
            assert_true(gw_secret_equal(a, b, i)); /* what differs is behind the end */
            b[i] ^= (uint8_t)(1u << bit);
        }
    }
}

static void test_is_zero(void **state)
{
    (void)state;
    uint8_t bytes[33] = {0};
    assert_true(gw_is_zero(bytes, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = 0x80;
        assert_false(gw_is_zero(bytes, sizeof bytes));
        assert_true(gw_is_zero(bytes, i));
        bytes[i] = 0;
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wipe),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
