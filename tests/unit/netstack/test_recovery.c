/* SPDX-License-Identifier: MIT */
/* What a loss costs: lwIP's own timers would take seconds for what is mended here in round trips. 1 ms each way, 40 MB/s. */
#include "gateway/base/err.h"
#include "gateway/packet/ip.h"
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LEN 3000000u

static struct wire *wire;
static struct end client;
static uint32_t first_seq;
static unsigned count, lost, opened;
static bool has_first;
/* What the filter does. */
static uint32_t from, to, only_times, times;
static unsigned keep_each;
static bool opens_window;

struct seen {
    bool is_data;
    uint32_t offset; /* of its first byte */
};

static struct seen look(const uint8_t *packet, size_t len)
{
    struct gw_ip ip;
    struct seen seen = {0};
    assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
    uint32_t seq = gw_load32_be(packet + ip.l4 + 4);
    if (packet[ip.l4 + 13] & GW_TCP_SYN) {
        first_seq = seq + 1;
        has_first = true;
        return seen;
    }
    seen.is_data = ip.total_len > ip.header_len;
    seen.offset = seq - first_seq;
    return seen;
}

static void open_window(uint8_t *packet, size_t len)
{
    struct gw_ip ip;
    if (gw_ip_parse(&ip, packet, len) != 0 || (packet[ip.l4 + 13] & GW_TCP_SYN))
        return;
    gw_store16_be(packet + ip.l4 + 14, (uint16_t)(gw_load16_be(packet + ip.l4 + 14) + ++opened));
    gw_checksum_complete(packet, &ip);
}

static bool filter(struct wire *w, int side, uint8_t *packet, size_t len)
{
    (void)w;
    if (side == 1) {
        if (opens_window)
            open_window(packet, len);
        count++;
        return keep_each == 0 || count < 100 || count > 900 || count % keep_each == 0;
    }
    struct seen seen = look(packet, len);
    if (!seen.is_data || seen.offset < from || seen.offset >= to || times >= only_times)
        return true;
    times++;
    lost++;
    return false;
}

static int set_up(void **state)
{
    (void)state;
    wire = wire_new(NULL);
    wire->rate = 40000000;
    wire->filter = filter;
    client = (struct end){0};
    count = lost = opened = times = 0;
    from = to = 0;
    only_times = 100000;
    keep_each = 0;
    opens_window = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire_free(wire);
    return 0;
}

static bool is_there(struct wire *w, void *ctx)
{
    (void)ctx;
    return w->ends[0].received == LEN && w->ends[0].is_fin;
}

/* Milliseconds. */
static int64_t send_all(void)
{
    struct gw_mono began = wire->now;
    assert_int_equal(wire_connect(wire, &client, 4, 80, LEN), 0);
    assert_true(wire_run(wire, GW_S(60), is_there, NULL));
    int64_t took = gw_mono_sub(wire->now, began) / 1000000;
    print_message("%u segments lost, %lld ms\n", lost, (long long)took);
    return took;
}

static void test_nothing_is_lost(void **state)
{
    (void)state;
    assert_in_range(send_all(), 75, 200);
}

/* 200 in a row, once each. */
static void test_a_burst(void **state)
{
    (void)state;
    from = 1000000;
    to = 1280000;
    only_times = 200;
    assert_in_range(send_all(), 75, 600);
    assert_in_range(lost, 100, 200);
}

/* What was sent again is lost again, three times. */
static void test_a_repair_is_lost(void **state)
{
    (void)state;
    from = 1000000;
    to = 1001000;
    only_times = 4;
    assert_in_range(send_all(), 75, 1000);
    assert_int_equal(lost, 4);
}

/* Nothing comes behind it that could say so. */
static void test_the_tail(void **state)
{
    (void)state;
    from = LEN - 5000;
    to = LEN;
    only_times = 4;
    assert_in_range(send_all(), 75, 400);
    assert_int_equal(lost, 4);
}

/* A receiver whose window opens with each segment, as a kernel's does. */
static void test_duplicates_that_open_the_window(void **state)
{
    (void)state;
    opens_window = true;
    from = 1000000;
    to = 1020000;
    only_times = 10;
    assert_in_range(send_all(), 75, 300);
    assert_int_equal(lost, 10);
}

/* Acknowledgements that come merged: never three of a kind. */
static void test_few_acknowledgements(void **state)
{
    (void)state;
    keep_each = 8;
    from = 1000000;
    to = 1020000;
    only_times = 10;
    assert_in_range(send_all(), 75, 600);
    assert_int_equal(lost, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_is_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_burst, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_repair_is_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_tail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_duplicates_that_open_the_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_few_acknowledgements, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
