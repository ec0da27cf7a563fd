/* SPDX-License-Identifier: MIT */
/* A train's arithmetic: where its datagrams lie. */
#include "gateway/wire/train.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_lengths(void **state)
{
    (void)state;
    static const struct {
        uint16_t stride, count, last_len;
        size_t len;
    } table[] = {
        {0, 0, 0, 0},          {1200, 1, 1200, 1200},   {1200, 1, 7, 7},          {1200, 3, 1, 2401},
        {1200, 3, 1200, 3600}, {1018, 64, 1018, 65152}, {65507, 1, 65507, 65507},
    };
    static uint8_t slab[GW_TRAIN_SLAB];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct gw_train t = {
            .slab = slab, .stride = table[i].stride, .count = table[i].count, .last_len = table[i].last_len};
        uint8_t *end = slab;
        for (unsigned n = 0; n < t.count; n++) { /* without gaps, one behind the other */
            assert_ptr_equal(gw_train_datagram(&t, n), end);
            end += gw_train_datagram_len(&t, n);
        }
        assert_int_equal(end - slab, table[i].len);
        assert_int_equal(gw_train_len(&t), table[i].len);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
