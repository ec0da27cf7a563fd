/* SPDX-License-Identifier: MIT */
/* The framing of carriers: what is a frame of ours, what is not, and when that is known. */
#include "gateway/wire/carrier_frame.h"

#include "gateway/wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_table(void **state)
{
    (void)state;
    static const struct {
        uint8_t gate[GW_CARRIER_GATE_LEN];
        size_t have;
        enum gw_carrier_frame expected;
        size_t len;
    } table[] = {
        {{0}, 0, GW_CARRIER_FRAME_MORE, 0},
        {{0xff, 0xff}, 9, GW_CARRIER_FRAME_MORE, 0}, /* the gate is not all there */
        {{0xff, 0xff}, 10, GW_CARRIER_FRAME_WRONG, 0},
        {{0, 148, 1}, 10, GW_CARRIER_FRAME_MORE, 148},
        {{0, 148, 1}, 149, GW_CARRIER_FRAME_MORE, 148},
        {{0, 148, 1}, 150, GW_CARRIER_FRAME_WHOLE, 148},
        {{0, 148, 1}, 5000, GW_CARRIER_FRAME_WHOLE, 148},
        {{0, 147, 1}, 150, GW_CARRIER_FRAME_WRONG, 0}, /* no initiation has that length */
        {{0, 92, 2}, 94, GW_CARRIER_FRAME_WHOLE, 92},
        {{0, 64, 3}, 66, GW_CARRIER_FRAME_WHOLE, 64},
        {{0, 32, 4}, 34, GW_CARRIER_FRAME_WHOLE, 32},
        {{0, 31, 4}, 34, GW_CARRIER_FRAME_WRONG, 0},
        {{0, 48, 5, 2}, 50, GW_CARRIER_FRAME_WHOLE, 48},
        {{0, 48, 5, 3}, 50, GW_CARRIER_FRAME_WRONG, 0},
        {{0, 48, 6}, 50, GW_CARRIER_FRAME_WHOLE, 48},
        {{0, 100, 7}, 102, GW_CARRIER_FRAME_WRONG, 0},
        {{0, 100, 4, 1}, 102, GW_CARRIER_FRAME_WRONG, 0},
        {{0, 32, 1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42}, 34, GW_CARRIER_FRAME_WRONG, 0}, /* STUN */
        {{0x24, 0, 4}, 9218, GW_CARRIER_FRAME_WHOLE, 9216},
        {{0x24, 1, 4}, 9219, GW_CARRIER_FRAME_WRONG, 0},
        {{'G', 'E', 'T', ' ', '/', ' '}, 10, GW_CARRIER_FRAME_HTTP, 0},
        {{'P', 'R', 'I', ' ', '*', ' '}, 10, GW_CARRIER_FRAME_HTTP, 0},
        {{'g', 'e', 't', ' ', '/', ' '}, 10, GW_CARRIER_FRAME_WRONG, 0},
        {{0x16, 3, 1, 2, 0, 1}, 600, GW_CARRIER_FRAME_WRONG, 0}, /* TLS in TLS */
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t len = 77;
        enum gw_carrier_frame got = gw_carrier_frame_look(table[i].gate, table[i].have, &len);
        if (got != table[i].expected || len != table[i].len)
            fail_msg("row %zu: %d, %zu bytes", i, got, len);
    }
}

static void test_written_ones_read_the_same(void **state)
{
    (void)state;
    for (size_t len = GW_CARRIER_MIN; len <= GW_CARRIER_MAX; len++) {
        uint8_t gate[GW_CARRIER_GATE_LEN] = {0, 0, GW_MESSAGE_DATA};
        size_t got;
        gw_carrier_frame_write(gate, len);
        assert_int_equal(gw_carrier_frame_look(gate, GW_CARRIER_HEADER_LEN + len, &got),
                         GW_CARRIER_FRAME_WHOLE);
        assert_int_equal(got, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_written_ones_read_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
