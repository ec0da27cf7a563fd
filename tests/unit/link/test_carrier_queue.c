/* SPDX-License-Identifier: MIT */
/* What waits for a carrier: order, bounds in bytes and in time. */
#include "gateway/link/carrier_queue.h"

#include "gateway/wire/carrier_frame.h"
#include "gateway/wire/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct gw_carrier_queue queue;
static struct gw_mono now = {GW_S(100)};
static uint8_t slab[GW_TRAIN_SLAB];

static int set_up(void **state)
{
    (void)state;
    gw_carrier_queue_init(&queue);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gw_carrier_queue_fini(&queue);
    return queue.bytes == 0 ? 0 : -1;
}

/* count datagrams of len bytes that all begin with `mark`. */
static void push(uint8_t mark, unsigned count, size_t len)
{
    struct gw_train train = {
        .slab = slab, .stride = (uint16_t)len, .count = (uint16_t)count, .last_len = (uint16_t)len};
    memset(slab, mark, count * len);
    gw_carrier_queue_push(&queue, now, &train);
}

static unsigned take(size_t want, uint8_t *mark)
{
    size_t len;
    const uint8_t *bytes = gw_carrier_queue_take(&queue, now, want, &len);
    unsigned frames = 0;
    for (size_t at = 0; at < len; frames++) {
        size_t frame = gw_load16_be(bytes + at);
        *mark = bytes[at + GW_CARRIER_HEADER_LEN];
        assert_int_equal(bytes[at + GW_CARRIER_HEADER_LEN + frame - 1], *mark);
        at += GW_CARRIER_HEADER_LEN + frame;
        assert_true(at <= len);
    }
    return frames;
}

static void test_order(void **state)
{
    (void)state;
    uint8_t mark = 0;
    push(1, 10, 100);
    push(2, 1, 32);
    assert_int_equal(take(350, &mark), 4); /* whole frames, the last may exceed */
    assert_int_equal(mark, 1);
    assert_int_equal(take(1, &mark), 1); /* one at least */
    assert_int_equal(take(100000, &mark), 5);
    assert_int_equal(take(100000, &mark), 1);
    assert_int_equal(mark, 2);
    assert_int_equal(take(100000, &mark), 0);
    assert_int_equal(queue.bytes, 0);
    assert_int_equal(queue.dropped, 0);
}

static void test_too_much_drops_the_oldest(void **state)
{
    (void)state;
    uint8_t mark = 0;
    for (unsigned i = 0; i < 100; i++) {
        push((uint8_t)i, 40, 1400);
        assert_true(queue.bytes <= GW_CARRIER_QUEUE_BYTES);
    }
    assert_int_equal(queue.dropped, 40 * 96); /* four trains of 56,080 bytes fit */
    assert_int_equal(take(1, &mark), 1);
    assert_int_equal(mark, 96);
}

static void test_too_old(void **state)
{
    (void)state;
    uint8_t mark = 0;
    push(1, 3, 100);
    now = gw_mono_add(now, GW_MS(30));
    push(2, 2, 100);
    now = gw_mono_add(now, GW_MS(30));
    assert_int_equal(take(1000, &mark), 2); /* the first waited for 60 ms, and there is something newer */
    assert_int_equal(mark, 2);
    assert_int_equal(queue.dropped, 3);
    push(3, 1, 100);
    now = gw_mono_add(now, GW_S(10));
    assert_int_equal(take(1000, &mark), 1); /* the last one goes, however old */
    assert_int_equal(mark, 3);
    push(4, 10, 100);
    assert_int_equal(take(150, &mark), 2);
    now = gw_mono_add(now, GW_S(1));
    push(5, 1, 100);
    assert_int_equal(take(1000, &mark), 1); /* what was left of the fourth is dropped, too */
    assert_int_equal(mark, 5);
    assert_int_equal(queue.dropped, 3 + 8);
}

static void test_what_no_frame_holds(void **state)
{
    (void)state;
    uint8_t mark;
    push(1, 1, GW_CARRIER_MAX + 1);
    push(1, 1, GW_CARRIER_MIN - 1);
    assert_int_equal(queue.dropped, 2);
    assert_int_equal(take(1000, &mark), 0);
    push(2, 7, GW_CARRIER_MAX);
    assert_int_equal(take(100000, &mark), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_much_drops_the_oldest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_old, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_no_frame_holds, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
