/* SPDX-License-Identifier: MIT */
/* Lanes and engine together, on real threads: packets flow while keys change, while the address changes, while the peer is removed and comes back, while there
 * are more lanes and fewer and none. Meant for the thread sanitizer as well (build/tsan). */
#include "tests/unit/lane/stream.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SPEED 60
#define PATIENCE 90 /* seconds: the machine may be busy */
#define MANY 2000u
#define STREAM_BYTES (4u << 20)
#define LENT_BYTES (1u << 20)

static struct world *world;

static int begin(unsigned lanes)
{
    world = calloc(1, sizeof *world);
    assert_non_null(world);
    world_init(world, lanes, SPEED);
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (!world)
        return 0;
    world_fini(world);
    const char *wrong = atomic_load(&world->wrong);
    if (wrong)
        print_error("%s\n", wrong);
    free(world);
    world = NULL;
    return wrong ? 1 : 0;
}

static void flows(const char *when)
{
    if (!world_packets(world, MANY, PATIENCE)) {
        const char *wrong = atomic_load(&world->wrong);
        fail_msg("%s: %s (arrived %u and %u, made %u and %u)", when, wrong ? wrong : "packets do not arrive",
                 atomic_load(&world->nodes[0].arrived_count), atomic_load(&world->nodes[1].arrived_count),
                 atomic_load(&world->nodes[0].next_packet), atomic_load(&world->nodes[1].next_packet));
    }
}

static uint64_t counted(struct world_node *node, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < node->lane_count; i++)
        sum += gw_lane_counted(
            (_Atomic uint64_t *)(void *)((char *)&gw_lanes_get(node->gateway, i)->stats + offset));
    return sum;
}
#define COUNTED(node, name) counted(node, offsetof(struct gw_lane_stats, name))

static struct gw_session_stats session_of(struct world_node *node)
{
    struct gw_peer_status status;
    world_enter(node);
    gw_peer_status(gw_gateway_next_peer(node->gateway, NULL), world_now(world), &status);
    world_leave(node);
    return status.session;
}

/* The lanes of both ends do some of the work. On a busy machine the wire loses so much that the path's size may not be known for a while, and without it the engine sends. */
static void lanes_send(void)
{
    for (int i = 0; i < PATIENCE * 10; i++) {
        if (COUNTED(&world->nodes[0], datagrams_sent) > 0 && COUNTED(&world->nodes[1], datagrams_sent) > 0)
            return;
        usleep(100000);
        flows("until lanes send");
    }
    fail_msg("lanes sent %llu and %llu datagrams",
             (unsigned long long)COUNTED(&world->nodes[0], datagrams_sent),
             (unsigned long long)COUNTED(&world->nodes[1], datagrams_sent));
}

/* Duplicates come to other lanes all the time; keys change every 120 virtual seconds. */
static void test_rekeys(void **state)
{
    (void)state;
    begin(WORLD_LANES_MAX);
    flows("at the start");
    uint64_t before =
        session_of(&world->nodes[0]).handshakes_sent + session_of(&world->nodes[1]).handshakes_sent;
    for (int i = 0; i < PATIENCE * 20; i++) {
        uint64_t now =
            session_of(&world->nodes[0]).handshakes_sent + session_of(&world->nodes[1]).handshakes_sent;
        if (now >= before + 3)
            break;
        usleep(50000);
    }
    assert_true(session_of(&world->nodes[0]).handshakes_sent + session_of(&world->nodes[1]).handshakes_sent >=
                before + 3);
    flows("after rekeys");
    lanes_send();
    for (unsigned i = 0; i < 2; i++) {
        struct world_node *node = &world->nodes[i];
        assert_true(COUNTED(node, dropped_replay) > 0); /* the duplicates */
        assert_int_equal(COUNTED(node, dropped_auth), 0);
        assert_int_equal(COUNTED(node, dropped_inner), 0);
        assert_true(COUNTED(node, packets_out) > MANY);
        assert_true(session_of(node).bytes_received > 100 * MANY);
    }
}

/* Frames come in over lanes, go to the engine's thread by the ring, and are lent to the stream there; packets beside them fill the same rings. */
static void test_streams(void **state)
{
    static struct world_stream stream; /* it is used until the world ends, also after a failure */
    (void)state;
    begin(3);
    flows("at the start");
    world_enter(&world->nodes[0]);
    world_enter(&world->nodes[1]);
    world_stream_open(&stream, world);
    world_leave(&world->nodes[1]);
    world_leave(&world->nodes[0]);
    for (int i = 0; i < PATIENCE * 100 && atomic_load(&stream.read) < STREAM_BYTES; i++)
        usleep(10000);
    if (atomic_load(&stream.read) < STREAM_BYTES)
        fail_msg("%llu bytes came", (unsigned long long)atomic_load(&stream.read));
    flows("beside the stream");
    assert_int_equal(end(NULL), 0); /* the stream is ours */
}

/* What is lent to a stream stays where it is, though the lane fills every byte of its ring that it may. */
static void fill_ring(struct world_stream *stream)
{
    static const uint8_t junk[1000];
    struct gw_lane *lane = gw_lanes_get(stream->world->nodes[0].gateway, 0);
    uint64_t lost = gw_lane_counted(&lane->stats.handed_lost);
    while (gw_lane_counted(&lane->stats.handed_lost) == lost)
        gw_lane_hand_over(lane, junk, sizeof junk, &(struct gw_super_hint){0});
}

static void turns(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        world->still_ns += GW_US(100);
        world_turn(&world->nodes[1], true, true);
        world_turn(&world->nodes[0], true, true);
    }
}

static void test_lent(void **state)
{
    static struct world_stream stream;
    (void)state;
    world = calloc(1, sizeof *world);
    assert_non_null(world);
    world_init(world, 1, 0);
    turns(100);
    world_stream_open(&stream, world);
    for (int i = 0; i < 2000 && stream.read < LENT_BYTES; i++)
        turns(10);
    assert_true(stream.read >= LENT_BYTES);
    uint64_t before = stream.read;
    stream.before_reading = fill_ring;
    for (int i = 0; i < 1000 && stream.read < before + LENT_BYTES; i++) {
        for (int j = 0; j < 20; j++) {
            world->still_ns += GW_US(100);
            world_turn(&world->nodes[1], true, true);
            world_turn(&world->nodes[0], true, false);
        }
        fill_ring(&stream);
        turns(1);
    }
    assert_true(stream.read >= before + LENT_BYTES);
    assert_int_equal(end(NULL), 0);
}

static const struct gw_lane_entry *route(struct world_node *node, struct gw_lane *lane, uint8_t *packet,
                                         size_t *len, struct gw_super_hint *hint)
{
    const struct gw_lane_entry *entry = NULL;
    struct gw_ip ip;
    *len = world_make_burst(node, packet, hint);
    assert_int_equal(gw_ip_parse(&ip, packet, *len), 0);
    gw_lane_begin(lane, world_now(world));
    return gw_lane_route(lane, packet, &ip, WORLD_PACKET_LEN, &entry) ? entry : NULL;
}

/* The packets that a lane read until it was told to stop; nothing leaves meanwhile. */
static unsigned read_until_enough(struct world_node *node, struct gw_lane *lane)
{
    uint8_t packet[WORLD_BURST_MAX];
    struct gw_super_hint hint;
    size_t len;
    for (unsigned i = 1; i <= 1000; i++) {
        const struct gw_lane_entry *entry = route(node, lane, packet, &len, &hint);
        assert_non_null(entry);
        if (gw_lane_send(lane, entry, packet, len, &hint))
            return i;
    }
    return 0;
}

/* No more is read than leaves; what does not leave at all holds up nobody. */
static void test_backlog(void **state)
{
    static uint8_t slab[GW_TRAIN_SLAB];
    uint8_t packet[WORLD_BURST_MAX];
    struct gw_super_hint hint;
    struct gw_train train = {.slab = slab};
    size_t len;
    (void)state;
    world = calloc(1, sizeof *world);
    assert_non_null(world);
    world_init(world, 1, 0);
    struct world_node *node = &world->nodes[1]; /* without a gate */
    struct gw_lane *lane = gw_lanes_get(node->gateway, 0);
    for (int i = 0; i < 1000 && !route(node, lane, packet, &len, &hint); i++)
        turns(10);
    const struct gw_lane_entry *entry = route(node, lane, packet, &len, &hint);
    assert_non_null(entry);
    assert_false(gw_lane_send(lane, entry, packet, len, &hint));
    assert_true(gw_lane_output(lane, &train));
    while (gw_lane_output(lane, &train)) {
    }
    assert_false(gw_lane_is_backlogged(lane));
    assert_int_equal(read_until_enough(node, lane), GW_PACKET_ENOUGH);
    assert_true(gw_lane_is_backlogged(lane));
    assert_true(gw_lane_output(lane, &train)); /* one train is at least one packet */
    assert_false(gw_lane_is_backlogged(lane));
    assert_true(read_until_enough(node, lane) > 0);
    world->still_ns += 2 * GW_PACKET_STUCK_NS; /* the socket is full */
    gw_lane_begin(lane, world_now(world));
    assert_false(gw_lane_is_backlogged(lane));
    while (gw_lane_output(lane, &train)) {
    }
    assert_int_equal(gw_lane_counted(&lane->stats.dropped_full), 0);
    gw_lane_end(lane);
    assert_int_equal(end(NULL), 0);
}

static void test_roaming(void **state)
{
    (void)state;
    begin(2);
    flows("at the start");
    for (uint16_t i = 1; i <= 3; i++) {
        atomic_store(&world->nodes[0].port, (uint16_t)(7001 + i));
        flows("after the address changed");
    }
}

static void test_peer_comes_and_goes(void **state)
{
    (void)state;
    begin(3);
    flows("at the start");
    for (int i = 0; i < 5; i++) {
        struct world_node *node = &world->nodes[i % 2];
        struct gw_peer *peer;
        world_enter(node);
        gw_gateway_remove_peer(node->gateway, world_now(world), gw_gateway_next_peer(node->gateway, NULL));
        world_leave(node);
        usleep(5000);
        world_enter(node);
        node->peer_config.endpoints[0].port = atomic_load(&node->other->port);
        assert_int_equal(gw_gateway_add_peer(node->gateway, world_now(world), &node->peer_config, &peer), 0);
        world_leave(node);
        flows("after the peer came back");
    }
}

static void test_config_changes(void **state)
{
    struct world_node *node;
    (void)state;
    begin(2);
    node = &world->nodes[0];
    flows("at the start");
    for (unsigned i = 0; i < 50; i++) {
        struct gw_peer_config *config = &node->peer_config;
        config->allowed_ips[1] =
            (struct gw_prefix){.ip = {.family = 4, .ip = {10, 9, (uint8_t)i, 0}}, .bits = 24};
        config->allowed_ip_count = 1 + i % 2;
        world_enter(node);
        assert_int_equal(gw_gateway_update_peer(node->gateway, world_now(world),
                                                gw_gateway_next_peer(node->gateway, NULL), config),
                         0);
        world_leave(node);
        usleep(1000);
    }
    flows("after the changes");
}

static void test_lanes_come_and_go(void **state)
{
    const unsigned counts[] = {1, 4, 0, 2, 3, 0, 4};
    (void)state;
    begin(2);
    flows("at the start");
    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct world_node *node = &world->nodes[i % 2];
        world_enter(node);
        world_stop_lanes(node);
        world_start_lanes(node, counts[i]);
        world_leave(node);
        if (node->lane_count > 0 && node->other->lane_count > 0)
            flows("with another number of lanes");
        else
            usleep(100000); /* without lanes nobody makes packets */
    }
}

static void test_starts_are_checked(void **state)
{
    struct gw_lanes_params params = {0};
    (void)state;
    begin(1);
    struct world_node *node = &world->nodes[0];
    world_enter(node);
    assert_int_equal(gw_lanes_start(node->gateway, &params, world_now(world)), -EALREADY);
    world_stop_lanes(node);
    assert_int_equal(gw_lanes_start(node->gateway, &params, world_now(world)), GW_E_INVAL);
    params.count = GW_LANES_MAX + 1;
    assert_int_equal(gw_lanes_start(node->gateway, &params, world_now(world)), GW_E_INVAL);
    assert_int_equal(gw_lanes_count(node->gateway), 0);
    gw_lanes_stop(node->gateway, world_now(world));
    world_start_lanes(node, 1);
    world_leave(node);
    flows("after all that");
}

int main(void)
{
    gw_log_set_level(getenv("WORLD_LOG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_rekeys, end),
                                       cmocka_unit_test_teardown(test_streams, end),
                                       cmocka_unit_test_teardown(test_lent, end),
                                       cmocka_unit_test_teardown(test_backlog, end),
                                       cmocka_unit_test_teardown(test_roaming, end),
                                       cmocka_unit_test_teardown(test_peer_comes_and_goes, end),
                                       cmocka_unit_test_teardown(test_config_changes, end),
                                       cmocka_unit_test_teardown(test_lanes_come_and_go, end),
                                       cmocka_unit_test_teardown(test_starts_are_checked, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
