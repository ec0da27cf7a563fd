/* SPDX-License-Identifier: MIT */
#include "gateway/packet/queue.h"
#include "tests/unit/packet/make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t seed[16] = {7};

static void push(struct gw_packet_queue *queue, uint8_t flow, uint32_t seq, size_t payload,
                 struct gw_mono now)
{
    static uint8_t packet[GW_SUPER_MAX + 64];
    struct gw_super *super;
    const struct gw_super_hint hint = {.segment_len = payload > 1300 ? 1300 : 0, .is_checksum_left = true};
    size_t len = make_packet(
        packet,
        &(struct make){
            .version = 4, .protocol = 6, .flow = flow, .seq = seq, .flags = GW_TCP_ACK, .payload = payload});
    assert_int_equal(gw_super_new(&super, packet, len, &hint), 0);
    gw_packet_queue_push(queue, super, now);
}

/* The next packet's flow and sequence number; false: empty. */
static bool take(struct gw_packet_queue *queue, struct gw_mono now, uint8_t *flow, uint32_t *seq)
{
    uint8_t packet[1500];
    bool is_partial;
    struct gw_super *super = gw_packet_queue_head(queue, now);
    if (!super)
        return false;
    size_t len = gw_super_take(super, packet, 1400, true, &is_partial);
    *flow = packet[15];
    *seq = gw_load32_be(packet + 24);
    gw_packet_queue_took(queue, len, false);
    return true;
}

static void flows_keep_their_order(void **state)
{
    struct gw_packet_queue *queue = gw_packet_queue_new(seed);
    uint32_t next[8] = {0}, expected[8] = {0}, seq;
    struct gw_mono now = {1};
    uint8_t flow;
    (void)state;
    srand(4);
    for (unsigned i = 0; i < 200; i++) {
        unsigned f = (unsigned)rand() % 8;
        size_t payload = (size_t)rand() % 4000;
        push(queue, (uint8_t)f, next[f], payload, now);
        next[f] += payload ? (uint32_t)payload : 0;
    }
    while (take(queue, now, &flow, &seq)) {
        assert_true(seq >= expected[flow]);
        expected[flow] = seq;
    }
    assert_true(gw_packet_queue_is_empty(queue));
    gw_packet_queue_free(queue);
}

static void a_sparse_flow_goes_first(void **state)
{
    struct gw_packet_queue *queue = gw_packet_queue_new(seed);
    struct gw_mono now = {1};
    uint8_t flow;
    uint32_t seq;
    unsigned waited = 0;
    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        push(queue, 1, i * 60000, 60000, now);
    for (unsigned i = 0; i < 50; i++)
        take(queue, now, &flow, &seq);
    push(queue, 2, 0, 10, now);
    do
        assert_true(take(queue, now, &flow, &seq));
    while (flow != 2 && ++waited < 100);
    assert_in_range(waited, 0, GW_PACKET_QUANTUM / 1300 + 1);
    gw_packet_queue_free(queue);
}

static void bytes_are_shared_evenly(void **state)
{
    struct gw_packet_queue *queue = gw_packet_queue_new(seed);
    struct gw_mono now = {1};
    unsigned taken[3] = {0};
    uint8_t flow;
    uint32_t seq;
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        push(queue, 1, i, 60000, now);
        for (unsigned n = 0; n < 46; n++)
            push(queue, 2, i, 1300, now);
    }
    for (unsigned i = 0; i < 200; i++) {
        assert_true(take(queue, now, &flow, &seq));
        taken[flow]++;
    }
    assert_in_range(taken[1], 75, 125);
    gw_packet_queue_free(queue);
}

static void the_fattest_flow_loses(void **state)
{
    struct gw_packet_queue *queue = gw_packet_queue_new(seed);
    struct gw_packet_queue_stats stats;
    struct gw_mono now = {1};
    uint8_t flow;
    uint32_t seq;
    unsigned small = 0;
    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        push(queue, 2, i, 100, now);
    for (uint32_t i = 0; i < 100; i++)
        push(queue, 1, i * 60000, 60000, now);
    gw_packet_queue_stats(queue, &stats);
    assert_true(stats.bytes <= GW_PACKET_QUEUE_BYTES);
    assert_true(stats.dropped_full > 80);
    assert_int_equal(stats.waiting, 110 - stats.dropped_full);
    while (take(queue, now, &flow, &seq))
        small += flow == 2;
    assert_int_equal(small, 10);
    gw_packet_queue_stats(queue, &stats);
    assert_int_equal(stats.waiting, 0);
    gw_packet_queue_free(queue);
}

/* A queue that stands above the target for more than an interval loses some; one that drains does not. */
static void standing_queues_are_thinned(void **state)
{
    (void)state;
    for (unsigned fast = 0; fast < 2; fast++) {
        struct gw_packet_queue *queue = gw_packet_queue_new(seed);
        struct gw_packet_queue_stats stats;
        struct gw_mono now = {1};
        uint8_t flow;
        uint32_t seq;
        for (uint32_t i = 0; i < 150; i++)
            push(queue, 1, i, 1300, now);
        for (uint32_t i = 0; i < 1000; i++) {
            now = gw_mono_add(now, GW_MS(1));
            push(queue, 1, 150 + i, 1300, now);
            take(queue, now, &flow, &seq);
            while (fast && take(queue, now, &flow, &seq)) {
            }
        }
        gw_packet_queue_stats(queue, &stats);
        assert_int_equal(stats.dropped_late > 0, !fast);
        gw_packet_queue_free(queue);
    }
}

static void half_sent_bursts_can_be_dropped(void **state)
{
    struct gw_packet_queue *queue = gw_packet_queue_new(seed);
    struct gw_mono now = {1};
    uint8_t flow;
    uint32_t seq;
    (void)state;
    for (uint32_t i = 0; i < 17; i++)
        push(queue, 1, i * 60000, 60000, now);
    for (unsigned i = 0; i < 3; i++)
        assert_true(take(queue, now, &flow, &seq));
    for (uint32_t i = 17; i < 40; i++)
        push(queue, 1, i * 60000, 60000, now);
    while (take(queue, now, &flow, &seq)) {
    }
    assert_true(gw_packet_queue_is_empty(queue));
    gw_packet_queue_free(queue);
}

static void push_burst(struct gw_packet_queue *queue, const struct make *make)
{
    static uint8_t packet[GW_SUPER_MAX + 64];
    const struct gw_super_hint hint = {.segment_len = 1300, .is_checksum_left = true};
    struct gw_super *super;
    assert_int_equal(gw_super_new(&super, packet, make_packet(packet, make), &hint), 0);
    gw_packet_queue_push(queue, super, (struct gw_mono){1});
}

/* The sequence numbers behind those packets that say PSH. */
static unsigned take_pushes(struct gw_packet_queue *queue, uint32_t ends[4])
{
    struct gw_super *super;
    unsigned count = 0;
    while ((super = gw_packet_queue_head(queue, (struct gw_mono){1})) != NULL) {
        uint8_t packet[1500];
        bool is_partial;
        size_t len = gw_super_take(super, packet, 1400, false, &is_partial);
        assert_int_equal(naive_l4(packet, len), 0);
        if (packet[33] & GW_TCP_PSH) {
            assert_true(count < 4);
            ends[count++] = gw_load32_be(packet + 24) + (uint32_t)len - 40;
        }
        gw_packet_queue_took(queue, len, false);
    }
    return count;
}

static void what_goes_on_is_pushed_at_its_end(void **state)
{
    const uint8_t push = GW_TCP_ACK | GW_TCP_PSH;
    struct make first = {.version = 4, .protocol = 6, .seq = 1000, .flags = push, .payload = 5200};
    struct make next = {.version = 4, .protocol = 6, .seq = 6200, .flags = GW_TCP_ACK, .payload = 2000};
    struct make others[] = {next, next, next, next, next};
    uint32_t ends[4];
    (void)state;
    struct gw_packet_queue *queue = gw_packet_queue_new(seed);
    push_burst(queue, &first);
    push_burst(queue, &next);
    assert_int_equal(take_pushes(queue, ends), 1);
    assert_int_equal(ends[0], 8200);
    /* Half out already. */
    push_burst(queue, &first);
    uint8_t flow;
    uint32_t seq;
    assert_true(take(queue, (struct gw_mono){1}, &flow, &seq));
    push_burst(queue, &next);
    assert_int_equal(take_pushes(queue, ends), 1);
    assert_int_equal(ends[0], 8200);
    /* A gap, another ack, another flow, an end, no data: it stays where it is. */
    others[0].seq++;
    others[1].ack = 1;
    others[2].flow = 1;
    others[3].flags |= GW_TCP_FIN;
    others[4].payload = 0;
    for (unsigned i = 0; i < 5; i++) {
        push_burst(queue, &first);
        push_burst(queue, &others[i]);
        assert_int_equal(take_pushes(queue, ends), 1);
        assert_int_equal(ends[0], 6200);
    }
    gw_packet_queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flows_keep_their_order),
        cmocka_unit_test(a_sparse_flow_goes_first),
        cmocka_unit_test(bytes_are_shared_evenly),
        cmocka_unit_test(the_fattest_flow_loses),
        cmocka_unit_test(standing_queues_are_thinned),
        cmocka_unit_test(half_sent_bursts_can_be_dropped),
        cmocka_unit_test(what_goes_on_is_pushed_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
