/* SPDX-License-Identifier: MIT */
/* IP packets between engines in virtual time: to peers of ours and to stock ones, bursts, queues that are full, packets longer than the path takes. */
#include "tests/sim/two_nodes.h"

#include "gateway/base/log.h"
#include "gateway/packet/ip.h"
#include "gateway/wire/message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned packets_seen;
static size_t packet_bytes_seen, packet_len_seen;
static bool packet_is_wrong;
static void on_packet(struct gateway *gateway, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx)
{
    struct gw_ip ip;
    (void)gateway, (void)peer, (void)now, (void)ctx;
    packet_is_wrong |= gw_ip_parse(&ip, packet, len) != 0 || ip.total_len != len ||
                       (!is_partial && !gw_checksum_is_right(packet, &ip));
    packets_seen++;
    packet_len_seen = len;
    packet_bytes_seen += len - ip.header_len;
}

/* ---- stock peers */

/* Who is configured as stock WireGuard gets and sends packets by cryptokey routing, and has no flows. */
static void test_stock_peer(void **state)
{
    (void)state;
    uint8_t packet[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 64, 0, 1, 10, 64, 0, 2};
    struct sim_client client;
    two_nodes(12, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b);
    struct gw_peer_config config = sim_peer_config(b, a);
    struct gw_peer *to_a;
    config.hello = GW_HELLO_NEVER;
    config.allowed_ip_count = 1;
    config.allowed_ips[0].ip.family = 4;
    memcpy(config.allowed_ips[0].ip.ip, (uint8_t[]){10, 64, 0, 1}, 4);
    config.allowed_ips[0].bits = 32;
    gw_gateway_add_peer(b->gateway, sim_now(b), &config, &to_a);
    b->events.on_packet = on_packet;
    packets_seen = 0;
    assert_int_equal(gw_peer_send_packet(to_b, sim_now(a), packet, sizeof packet), 0);
    packet[15] = 9; /* a source that is not a's: dropped by cryptokey routing */
    assert_int_equal(gw_peer_send_packet(to_b, sim_now(a), packet, sizeof packet), 0);
    sim_net_run(&net, GW_S(2));
    assert_int_equal(packets_seen, 1);
    assert_int_equal(packet_len_seen, 28);
    assert_int_equal(sim_client_start(&client, b, to_a, "echo", 1), -EPROTONOSUPPORT);
    sim_net_fini(&net);
}

static bool passes_no_data(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                           size_t len)
{
    (void)from, (void)tuple;
    return datagram[0] != GW_MESSAGE_DATA || len <= GW_DATA_MIN_LEN; /* keepalives and handshakes only */
}

/* A peer that never answers HELLO is taken for stock WireGuard after three of them. */
static void test_silent_peer_is_taken_for_stock(void **state)
{
    (void)state;
    two_nodes(13, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b);
    sim_node_add_peer(b, a);
    b->filter = passes_no_data;
    gw_peer_connect(to_b, sim_now(a));
    sim_net_run(&net, GW_S(10));
    assert_int_equal(status_of(to_b).kind, GW_PEER_WIREGUARD);
    /* The first HELLO of its own corrects that. */
    b->filter = NULL;
    gw_peer_connect(gw_gateway_find_peer(b->gateway, gw_gateway_public_key(a->gateway)), sim_now(b));
    sim_net_run(&net, GW_S(200));
    uint32_t id;
    gw_peer_ping(gw_gateway_find_peer(b->gateway, gw_gateway_public_key(a->gateway)), sim_now(b), &id);
    sim_net_run(&net, GW_S(10));
    assert_int_equal(status_of(to_b).kind, GW_PEER_PEERGATE);
    sim_net_fini(&net);
}

/* ---- many, and long ones */

static void allow_all(struct gw_peer_config *config)
{
    config->allowed_ip_count = 1;
    config->allowed_ips[0] = (struct gw_prefix){.ip = {.family = 4}, .bits = 0};
}

static struct gw_peer *pair_for_packets(uint64_t seed, const struct sim_link_params *params)
{
    struct gw_peer *to_b, *to_a;
    two_nodes(seed, params);
    struct gw_peer_config config = sim_peer_config(a, b);
    allow_all(&config);
    gw_gateway_add_peer(a->gateway, sim_now(a), &config, &to_b);
    config = sim_peer_config(b, a);
    allow_all(&config);
    gw_gateway_add_peer(b->gateway, sim_now(b), &config, &to_a);
    b->events.on_packet = on_packet;
    packets_seen = 0;
    packet_bytes_seen = 0;
    packet_is_wrong = false;
    return to_b;
}

/* An IPv4 TCP packet with `payload` bytes and a right checksum. */
static size_t make_tcp(uint8_t *packet, size_t payload)
{
    struct gw_ip ip;
    memset(packet, 0, 40 + payload);
    packet[0] = 0x45;
    gw_store16_be(packet + 2, (uint16_t)(40 + payload));
    packet[8] = 64;
    packet[9] = GW_IP_TCP;
    memcpy(packet + 12, (uint8_t[]){10, 64, 0, 1, 10, 64, 0, 2}, 8);
    packet[32] = 5 << 4;
    packet[33] = GW_TCP_ACK;
    for (size_t i = 0; i < payload; i++)
        packet[40 + i] = (uint8_t)i;
    gw_checksum_ip_header(packet, 20);
    assert_int_equal(gw_ip_parse(&ip, packet, 40 + payload), 0);
    gw_checksum_complete(packet, &ip);
    return 40 + payload;
}

/* A burst as a TUN gives it is cut at its segment size and arrives whole. */
static void test_packet_bursts(void **state)
{
    (void)state;
    static uint8_t packet[65535];
    struct gw_peer *to_b = pair_for_packets(20, &(struct sim_link_params){.delay_ns = DELAY});
    gw_peer_connect(to_b, sim_now(a));
    sim_net_run(&net, GW_S(1));
    size_t len = make_tcp(packet, 60000);
    struct gw_super_hint hint = {.segment_len = 1340, .is_checksum_left = true};
    assert_int_equal(gw_peer_send_burst(to_b, sim_now(a), packet, len, &hint), 0);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(packets_seen, (60000 + 1339) / 1340);
    assert_int_equal(packet_bytes_seen, 60000);
    assert_false(packet_is_wrong);
    sim_net_fini(&net);
}

/* Many small packets that do leave are a backlog; those of a peer that cannot be sent to are none, which would hold up the others'. */
static void test_backlog(void **state)
{
    (void)state;
    uint8_t packet[140];
    struct gw_peer *to_b = pair_for_packets(22, &(struct sim_link_params){.delay_ns = DELAY});
    size_t len = make_tcp(packet, 100);
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(gw_peer_send_packet(to_b, sim_now(a), packet, len), 0);
    assert_false(gw_peer_is_backlogged(to_b, sim_now(a)));
    sim_net_run(&net, GW_S(1)); /* the handshake, and all of them */
    assert_false(gw_peer_is_backlogged(to_b, sim_now(a)));
    gw_peer_send_packet(to_b, sim_now(a), packet, len);
    sim_net_run(&net, GW_US(100));
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(gw_peer_send_packet(to_b, sim_now(a), packet, len), 0);
    assert_true(gw_peer_is_backlogged(to_b, sim_now(a)));
    sim_net_run(&net, GW_S(1));
    assert_false(gw_peer_is_backlogged(to_b, sim_now(a)));
    assert_int_equal(packets_seen, 801);
    sim_net_fini(&net);
}

/* What is longer than a narrow path goes in two parts, in any order and with losses: whole or not at all. */
static void test_long_packets_are_cut(void **state)
{
    (void)state;
    uint8_t packet[1500];
    struct gw_peer *to_b = pair_for_packets(
        21,
        &(struct sim_link_params){.delay_ns = DELAY, .mtu = 1260, .reorder = 0.3, .reorder_ns = GW_MS(3)});
    gw_peer_connect(to_b, sim_now(a));
    sim_net_run(&net, GW_S(5));
    assert_in_range(status_of(to_b).payload_len, 1200, 1260);
    for (unsigned i = 0; i < 200; i++) {
        size_t len = make_tcp(packet, 1340);
        assert_int_equal(gw_peer_send_packet(to_b, sim_now(a), packet, len), 0);
        sim_net_run(&net, GW_MS(1));
    }
    sim_net_run(&net, GW_S(1));
    assert_int_equal(packets_seen, 200);
    assert_int_equal(packet_len_seen, 1380);
    assert_false(packet_is_wrong);
    sim_net_fini(&net);
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stock_peer),           cmocka_unit_test(test_silent_peer_is_taken_for_stock),
        cmocka_unit_test(test_packet_bursts),        cmocka_unit_test(test_backlog),
        cmocka_unit_test(test_long_packets_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
