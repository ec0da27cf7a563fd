/* SPDX-License-Identifier: MIT */
/* The gate: every length, and every wrong bit in the first four bytes. */
#include "gateway/wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_table(void **state)
{
    (void)state;
    static const struct {
        uint8_t head[4];
        size_t len;
        enum gw_message_type type;
    } table[] = {
        {{1, 0, 0, 0}, 148, GW_MESSAGE_INITIATION}, {{1, 0, 0, 0}, 147, GW_MESSAGE_NONE},
        {{1, 0, 0, 0}, 149, GW_MESSAGE_NONE},       {{2, 0, 0, 0}, 92, GW_MESSAGE_RESPONSE},
        {{2, 0, 0, 0}, 148, GW_MESSAGE_NONE},       {{3, 0, 0, 0}, 64, GW_MESSAGE_COOKIE_REPLY},
        {{3, 0, 0, 0}, 92, GW_MESSAGE_NONE},        {{4, 0, 0, 0}, 32, GW_MESSAGE_DATA},
        {{4, 0, 0, 0}, 16, GW_MESSAGE_NONE},        {{4, 0, 0, 0}, 31, GW_MESSAGE_NONE},
        {{4, 0, 0, 0}, 1452, GW_MESSAGE_DATA},      {{4, 0, 0, 0}, 65504, GW_MESSAGE_DATA},
        {{5, 1, 0, 0}, 48, GW_MESSAGE_FAST_DATA},   {{5, 2, 255, 0}, 49, GW_MESSAGE_FAST_DATA},
        {{5, 1, 0, 0}, 47, GW_MESSAGE_NONE},        {{5, 0, 0, 0}, 48, GW_MESSAGE_NONE},
        {{5, 3, 0, 0}, 48, GW_MESSAGE_NONE},        {{5, 1, 0, 1}, 48, GW_MESSAGE_NONE},
        {{6, 0, 0, 0}, 48, GW_MESSAGE_RELAY},       {{6, 0, 0, 0}, 47, GW_MESSAGE_NONE},
        {{6, 0, 0, 1}, 148, GW_MESSAGE_NONE},       {{7, 0, 0, 0}, 52, GW_MESSAGE_PROBE},
        {{7, 0, 0, 0}, 51, GW_MESSAGE_NONE},        {{7, 0, 0, 0}, 53, GW_MESSAGE_NONE},

        {{8, 0, 0, 0}, 148, GW_MESSAGE_NONE},       {{0, 0, 0, 0}, 148, GW_MESSAGE_NONE},
        {{0, 1, 0, 0}, 148, GW_MESSAGE_NONE}, /* a STUN request */
        {{9, 0, 0, 0}, 148, GW_MESSAGE_NONE},
    };
    static uint8_t datagram[65507];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        memcpy(datagram, table[i].head, 4);
        assert_int_equal(gw_message_gate(datagram, table[i].len), table[i].type);
    }
}

/* The rule once more, in another form. */
static bool is_right(const uint8_t head[4], size_t len)
{
    bool rest_is_zero = head[1] == 0 && head[2] == 0 && head[3] == 0;
    return (head[0] == 1 && rest_is_zero && len == 148) || (head[0] == 2 && rest_is_zero && len == 92) ||
           (head[0] == 3 && rest_is_zero && len == 64) || (head[0] == 4 && rest_is_zero && len > 31) ||
           (head[0] == 6 && rest_is_zero && len > 47) || (head[0] == 7 && rest_is_zero && len == 52) ||
           (head[0] == 5 && (head[1] == 1 || head[1] == 2) && head[3] == 0 && len > 47);
}

static void check(const uint8_t head[4], size_t len)
{
    /* On the heap and no longer than said, so that a read behind the end is seen. */
    uint8_t *datagram = calloc(1, len > 0 ? len : 1);
    assert_non_null(datagram);
    memcpy(datagram, head, len < 4 ? len : 4);
    int expected = len >= 4 && is_right(head, len) ? head[0] : 0;
    assert_int_equal(gw_message_gate(datagram, len), expected);
    free(datagram);
}

static void test_every_length(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        for (uint8_t suite = 0; suite < 4; suite++) {
            uint8_t head[4] = {(uint8_t)type, suite, 0, 0};
            for (size_t len = 0; len <= 200; len++)
                check(head, len);
        }
    }
}

static void test_every_wrong_bit(void **state)
{
    (void)state;
    static const size_t lens[] = {148, 92, 64, 32, 48};
    for (unsigned type = 1; type <= 5; type++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            uint8_t head[4] = {(uint8_t)type, type == 5, 0, 0};
            check(head, lens[type - 1]);
            head[bit / 8] ^= (uint8_t)(1u << bit % 8);
            for (unsigned i = 0; i < 5; i++)
                check(head, lens[i]);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_every_wrong_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
