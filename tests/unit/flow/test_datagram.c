/* SPDX-License-Identifier: MIT */
/* The queue of a datagram flow: order, age, bounds, and its share of the budget. */
#include "gateway/base/err.h"
#include "gateway/flow/datagram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct gw_mono at_ms(int64_t ms)
{
    return (struct gw_mono){GW_MS(ms)};
}

static void test_order_and_age(void **state)
{
    struct gw_datagrams queue = {0};
    struct gw_flow_budget budget = {.limit = 1u << 20};
    unsigned dropped;
    (void)state;
    assert_null(gw_datagrams_peek(&queue, &budget, at_ms(0), &dropped));
    for (uint8_t i = 0; i < 30; i++)
        assert_int_equal(gw_datagrams_push(&queue, &budget, budget.limit, at_ms(i), &i, 1, &dropped), 0);
    /* Of the 30, pushing dropped those that were older than 20 ms at the last push. */
    assert_int_equal(gw_datagrams_peek(&queue, &budget, at_ms(29), &dropped)->data[0], 9);
    assert_int_equal(dropped, 0);
    assert_int_equal(gw_datagrams_peek(&queue, &budget, at_ms(31), &dropped)->data[0], 11);
    assert_int_equal(dropped, 2);
    gw_datagrams_pop(&queue, &budget);
    assert_int_equal(gw_datagrams_peek(&queue, &budget, at_ms(31), &dropped)->data[0], 12);
    assert_null(gw_datagrams_peek(&queue, &budget, at_ms(1000), &dropped));
    assert_int_equal(dropped, 18);
    assert_int_equal(budget.used, 0);
    assert_int_equal(queue.bytes, 0);
}

static void test_bounds(void **state)
{
    struct gw_datagrams queue = {0};
    struct gw_flow_budget budget = {.limit = 1u << 20};
    static const uint8_t data[1400];
    unsigned dropped;
    (void)state;
    int err = 0;
    while (err == 0)
        err = gw_datagrams_push(&queue, &budget, budget.limit, at_ms(0), data, sizeof data, &dropped);
    assert_int_equal(err, GW_E_LIMIT);
    assert_true(queue.bytes <= GW_DATAGRAM_QUEUE_MAX && queue.bytes > GW_DATAGRAM_QUEUE_MAX - 2000);
    assert_int_equal(budget.used, queue.bytes);
    /* Later the old ones make room. */
    assert_int_equal(gw_datagrams_push(&queue, &budget, budget.limit, at_ms(21), data, 0, &dropped), 0);
    assert_true(dropped > 100);
    assert_int_equal(gw_datagrams_push(&queue, &budget, 10, at_ms(21), data, 1, &dropped), GW_E_NOMEM);
    gw_datagrams_clear(&queue, &budget);
    assert_int_equal(budget.used, 0);
    assert_null(queue.tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_age),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
