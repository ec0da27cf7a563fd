/* SPDX-License-Identifier: MIT */
/* The ring of packets in flight: grows, wraps, and keeps each packet's items. */
#include "gateway/flow/sent.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct gw_sent_packet *send_one(struct gw_sent *sent, unsigned items)
{
    struct gw_sent_packet *packet = gw_sent_begin(sent);
    assert_non_null(packet);
    for (unsigned i = 0; i < items; i++) {
        struct gw_sent_item *item = gw_sent_add(sent, packet);
        assert_non_null(item);
        item->kind = GW_SENT_BYTES;
        item->offset = sent->next;
        item->len = i;
    }
    gw_sent_commit(sent);
    return packet;
}

static void check_items(struct gw_sent_packet *packet, uint64_t number)
{
    unsigned count = 0;
    gw_sent_for_each_item(packet, item)
    {
        assert_int_equal(item->offset, number);
        assert_int_equal(item->len, count++);
    }
    assert_int_equal(count, number % 5);
}

static void test_ring(void **state)
{
    struct gw_sent sent;
    (void)state;
    gw_sent_init(&sent);
    uint64_t first = 0;
    for (uint64_t number = 0; number < 5000; number++) {
        (void)send_one(&sent, (unsigned)(number % 5));
        /* Up to 700 in flight, then fewer, then more. */
        while (sent.next - sent.first > 700 - number % 650) {
            struct gw_sent_packet *packet = gw_sent_at(&sent, sent.first);
            check_items(packet, first++);
            gw_sent_clear_items(&sent, packet);
            gw_sent_pop(&sent);
        }
        for (uint64_t k = sent.first; k < sent.next; k += 97)
            check_items(gw_sent_at(&sent, k), k);
    }
    assert_true(sent.cap <= 1024);
    gw_sent_trim(&sent);
    assert_true(sent.cap > 0); /* in use */
    gw_sent_fini(&sent);
}

static void test_void_packet(void **state)
{
    struct gw_sent sent;
    (void)state;
    gw_sent_init(&sent);
    (void)send_one(&sent, 0);
    (void)gw_sent_begin(&sent); /* nothing was to be said */
    assert_int_equal(sent.next, 1);
    (void)send_one(&sent, 1);
    check_items(gw_sent_at(&sent, 0), 0);
    check_items(gw_sent_at(&sent, 1), 1);
    gw_sent_fini(&sent);
}

static void test_trim(void **state)
{
    struct gw_sent sent;
    (void)state;
    gw_sent_init(&sent);
    gw_sent_clear_items(&sent, send_one(&sent, 4));
    gw_sent_pop(&sent);
    assert_true(gw_sent_is_empty(&sent));
    gw_sent_trim(&sent);
    assert_null(sent.ring);
    /* Numbers go on where they were. */
    (void)send_one(&sent, 0);
    assert_int_equal(sent.first, 1);
    gw_sent_fini(&sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_void_packet),
        cmocka_unit_test(test_trim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
