/* SPDX-License-Identifier: MIT */
/* Path MTU with whole engines: links that swallow what is too long for them, without a word. Prints the figures that issue and docs ask for. */
#include "tests/sim/app.h"

#include "gateway/packet/ip.h"
#include "gateway/wire/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define IP_UDP_V4 28u
#define IP_UDP_V6 48u
#define JUMBO_V4 8972u
#define JUMBO_V6 8952u

static struct sim_net net;
static struct sim_node *a, *b;
static struct gw_peer *to_b;
static unsigned link_mtu; /* of the link, both ways */
static unsigned vanished;

static bool link_carries(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                         size_t len)
{
    (void)from, (void)datagram;
    bool is_carried = len + (tuple->remote.family == 6 ? IP_UDP_V6 : IP_UDP_V4) <= link_mtu;
    vanished += !is_carried;
    return is_carried;
}

static struct sim_node *add(const char *addr, bool is_jumbo)
{
    struct sim_node *node = sim_net_add(&net, addr);
    if (is_jumbo) {
        node->params.mtu_v4 = JUMBO_V4;
        node->params.mtu_v6 = JUMBO_V6;
        sim_node_restart(node);
    }
    node->filter = link_carries;
    sim_app_serve(node);
    return node;
}

static void begin(uint64_t seed, unsigned mtu, const struct sim_link_params *params, bool is_v6,
                  bool is_jumbo)
{
    struct sim_link_params endless = *params;
    endless.mtu = 60000; /* link_carries says what it is */
    sim_net_init(&net, seed, &endless);
    link_mtu = mtu;
    vanished = 0;
    a = add(is_v6 ? "[2001:db8::1]:7001" : "10.0.0.1:7001", is_jumbo);
    b = add(is_v6 ? "[2001:db8::2]:7002" : "10.0.0.2:7002", is_jumbo);
    to_b = sim_node_add_peer(a, b);
    sim_node_add_peer(b, a);
}

static struct gw_peer_status status(void)
{
    struct gw_peer_status out;
    gw_peer_status(to_b, net.clock.now, &out);
    return out;
}

/* Until the search is over; how long it took from the first packet on. */
static int64_t search(void)
{
    struct gw_mono start = net.clock.now;
    gw_peer_connect(to_b, sim_now(a));
    sim_node_pump(a);
    while (status().mtu_state != GW_MTU_DONE) {
        sim_net_run(&net, GW_MS(5));
        assert_in_range(gw_mono_sub(net.clock.now, start), 0, GW_S(20));
    }
    return gw_mono_sub(net.clock.now, start);
}

static void try_mtu(unsigned mtu, bool is_v6, bool is_jumbo, int64_t *worst)
{
    begin(mtu, mtu, &(struct sim_link_params){.delay_ns = GW_MS(10)}, is_v6, is_jumbo);
    int64_t took = search();
    unsigned fits = mtu - (is_v6 ? IP_UDP_V6 : IP_UDP_V4);
    unsigned full = is_jumbo ? (is_v6 ? JUMBO_V6 : JUMBO_V4) : is_v6 ? 1452 : 1472;
    if (fits > full)
        fits = full;
    if (status().payload_len > fits || status().payload_len + 9u < fits)
        fail_msg("%u bytes at an MTU of %u, jumbo %d", status().payload_len, mtu, is_jumbo);
    if (took > *worst)
        *worst = took;
    sim_net_fini(&net);
}

static void test_every_link(void **state)
{
    (void)state;
    int64_t small = 0, large = 0, ethernet = 0;
    unsigned count = 0;
    for (unsigned mtu = 1280; mtu < 1500; mtu++, count++)
        try_mtu(mtu, mtu % 2 == 0, mtu % 3 == 0, &small);
    for (unsigned mtu = 1500; mtu <= 9000; mtu += 50, count++)
        try_mtu(mtu, mtu % 4 == 0, true, &large);
    try_mtu(1500, false, false, &ethernet);
    print_message(
        "| path MTU, 20 ms: %u links from 1280 to 9000 | found at most %.2f s after the first packet below 1500, %.2f s "
        "above (jumbo at both ends); Ethernet's 1500 after %.0f ms |\n",
        count, (double)small / 1e9, (double)large / 1e9, (double)ethernet / 1e6);
    assert_in_range(ethernet, 0, GW_MS(100)); /* session, HELLO, one round trip */
    assert_in_range(small, 0, GW_S(4));
    assert_in_range(large, 0, GW_S(5));
}

/* ---- black holes */

/* Echoes in bulk over a link that shrinks without a word: how long nothing came back. */
static int64_t shrink_under_flow(uint64_t seed, int64_t delay_ns, unsigned from, unsigned to)
{
    struct sim_client client;
    begin(seed, from, &(struct sim_link_params){.delay_ns = delay_ns, .rate_bps = 50000000}, false, false);
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 40u << 20), 0);
    sim_net_run(&net, GW_S(4));
    assert_in_range(status().payload_len, from - IP_UDP_V4 - 9, from - IP_UDP_V4);
    link_mtu = to;
    uint64_t seen = client.received;
    struct gw_mono last = net.clock.now;
    int64_t gap = 0;
    for (unsigned i = 0; i < 12000 && !sim_client_is_done(&client); i++) {
        sim_net_run(&net, GW_MS(5));
        int64_t since = gw_mono_sub(net.clock.now, last);
        gap = since > gap ? since : gap;
        if (client.received != seen)
            last = net.clock.now;
        seen = client.received;
    }
    assert_true(sim_client_is_done(&client));
    assert_in_range(status().payload_len, to - IP_UDP_V4 - 9, to - IP_UDP_V4);
    sim_net_fini(&net);
    return gap;
}

static void test_shrinking_link_under_a_flow(void **state)
{
    (void)state;
    static const int64_t delays[] = {GW_MS(1), GW_MS(10), GW_MS(50), GW_MS(150)};
    for (unsigned i = 0; i < 4; i++) {
        int64_t worst = 0;
        for (unsigned to = 1280; to < 1500; to += 55) {
            int64_t gap = shrink_under_flow(100 * i + to, delays[i], 1500, to);
            worst = gap > worst ? gap : worst;
        }
        print_message(
            "| path MTU: black hole under a download, RTT %d ms | data again after %.2f s at most |\n",
            (int)(2 * delays[i] / GW_MS(1)), (double)worst / 1e9);
        assert_in_range(worst, 0, GW_S(3));
    }
}

/* Only what is short gets through, less than any path has to carry: no size helps, and the peer answers handshakes all the time. New keys are asked for again, but ever more seldom. */
static void test_hole_without_end(void **state)
{
    (void)state;
    struct sim_client client;
    struct gw_peer_status before, after;
    begin(77, 1500, &(struct sim_link_params){.delay_ns = GW_MS(1), .rate_bps = 50000000}, false, false);
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 40u << 20), 0);
    sim_net_run(&net, GW_S(2));
    before = status();
    link_mtu = 600;
    sim_net_run(&net, GW_S(100));
    after = status();
    assert_int_equal(after.session.state, GW_SESSION_ESTABLISHED);
    uint64_t asked = after.session.handshakes_sent - before.session.handshakes_sent;
    print_message("| path MTU: nothing but short packets for 100 s | %llu initiations |\n",
                  (unsigned long long)asked);
    assert_in_range(asked, 1, 20);
    link_mtu = 1500;
    for (unsigned i = 0; i < 600 && !sim_client_is_done(&client); i++)
        sim_net_run(&net, GW_MS(100));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* IP packets alone, which nobody acknowledges to us, while small ones go on. */
static struct {
    unsigned large, small;
    struct gw_mono last_large;
} packets;

static void on_packet(struct gateway *gateway, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx)
{
    (void)gateway, (void)peer, (void)packet, (void)is_partial, (void)ctx;
    packets.large += len > 1000;
    packets.small += len <= 1000;
    if (len > 1000)
        packets.last_large = now;
}

static void send_udp(struct sim_node *from, struct gw_peer *peer, uint8_t host, size_t len)
{
    uint8_t packet[1500] = {0x45};
    gw_store16_be(packet + 2, (uint16_t)len);
    packet[8] = 64;
    packet[9] = GW_IP_UDP;
    gw_store16_be(packet + 24, (uint16_t)(len - 20));
    memcpy(packet + 12, (const uint8_t[4]){10, 9, 0, host}, 4);
    memcpy(packet + 16, (const uint8_t[4]){10, 9, 0, (uint8_t)(3 - host)}, 4);
    assert_int_equal(gw_peer_send_packet(peer, sim_now(from), packet, len), 0);
    sim_node_pump(from);
}

static struct gw_peer *pair_for_packets(uint64_t seed, int64_t delay_ns, double loss)
{
    sim_net_init(&net, seed, &(struct sim_link_params){.delay_ns = delay_ns, .loss = loss, .mtu = 60000});
    link_mtu = 1500;
    a = add("10.0.0.1:7001", false);
    b = add("10.0.0.2:7002", false);
    struct gw_peer_config to = sim_peer_config(a, b), back = sim_peer_config(b, a);
    struct gw_peer *to_a;
    to.allowed_ip_count = back.allowed_ip_count = 1;
    to.allowed_ips[0] = back.allowed_ips[0] = (struct gw_prefix){.ip = {.family = 4}, .bits = 0};
    assert_int_equal(gw_gateway_add_peer(a->gateway, sim_now(a), &to, &to_b), 0);
    assert_int_equal(gw_gateway_add_peer(b->gateway, sim_now(b), &back, &to_a), 0);
    a->events.on_packet = b->events.on_packet = on_packet;
    memset(&packets, 0, sizeof packets);
    return to_a;
}

static void test_black_hole_for_packets(void **state)
{
    (void)state;
    static const int64_t delays[] = {GW_MS(1), GW_MS(20), GW_MS(100)};
    for (unsigned i = 0; i < 3; i++) {
        struct gw_peer *to_a = pair_for_packets(300 + i, delays[i], 0);
        search();
        link_mtu = 1400;
        struct gw_mono shrunk = net.clock.now;
        unsigned tick = 0;
        for (; packets.large == 0 && tick < 1000; tick++) {
            if (tick % 10 == 0) /* a retransmission now and then */
                send_udp(a, to_b, 1, 1380);
            send_udp(b, to_a, 2, 100); /* and something comes in all the time */
            sim_net_run(&net, GW_MS(20));
        }
        int64_t took = gw_mono_sub(packets.last_large, shrunk);
        print_message(
            "| path MTU: black hole under IP packets, RTT %d ms | large ones again after %.2f s |\n",
            (int)(2 * delays[i] / GW_MS(1)), (double)took / 1e9);
        assert_in_range(took, 0, GW_S(3));
        assert_true(packets.small > 0);
        for (unsigned more = 0; more < 100; more++) {
            send_udp(a, to_b, 1, 1380);
            sim_net_run(&net, GW_MS(100));
        }
        assert_in_range(status().payload_len, 1363, 1372);
        sim_net_fini(&net);
    }
}

/* ---- loss */

static void test_loss_does_not_shrink(void **state)
{
    (void)state;
    struct sim_client client;
    unsigned smallest = 9999;
    begin(400, 1500, &(struct sim_link_params){.delay_ns = GW_MS(15), .loss = 0.05, .rate_bps = 20000000},
          false, false);
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 30u << 20), 0);
    sim_net_run(&net, GW_S(4));
    for (unsigned i = 0; i < 3000 && !sim_client_is_done(&client); i++) {
        sim_net_run(&net, GW_MS(20));
        smallest = status().payload_len < smallest ? status().payload_len : smallest;
    }
    assert_true(sim_client_is_done(&client));
    print_message("| path MTU: 5 %% loss, 30 MB there and back | never below %u bytes |\n", smallest);
    assert_int_equal(smallest, 1472);
    sim_net_fini(&net);

    struct gw_peer *to_a = pair_for_packets(401, GW_MS(15), 0.05);
    search();
    for (unsigned i = 0; i < 6000; i++) { /* ten minutes of packets */
        send_udp(a, to_b, 1, 1380);
        send_udp(b, to_a, 2, 1380);
        sim_net_run(&net, GW_MS(100));
        if (i > 50)
            assert_int_equal(status().payload_len, 1472);
    }
    sim_net_fini(&net);
}

/* ---- growth, other paths */

static void test_growing_link(void **state)
{
    (void)state;
    pair_for_packets(500, GW_MS(10), 0);
    link_mtu = 1400;
    search();
    assert_in_range(status().payload_len, 1363, 1372);
    link_mtu = 1500;
    for (unsigned i = 0; i < 610; i++) {
        send_udp(a, to_b, 1, 1380);
        sim_net_run(&net, GW_S(1));
    }
    assert_int_equal(status().payload_len, 1472);
    link_mtu = 1400;
    sim_net_run(&net, GW_S(1));
    for (unsigned i = 0; i < 10; i++) {
        send_udp(a, to_b, 1, 1380);
        sim_net_run(&net, GW_S(1));
    }
    assert_in_range(status().payload_len, 1363, 1372);
    link_mtu = 1500; /* told that the network is another one, it does not wait */
    gw_gateway_kick(a->gateway, sim_now(a));
    sim_node_pump(a);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(status().payload_len, 1472);
    sim_net_fini(&net);
}

/* The peer is somewhere else: what was known of the old way does not hold for the new one. */
static void test_other_path(void **state)
{
    (void)state;
    struct sim_client client;
    begin(600, 1500, &(struct sim_link_params){.delay_ns = GW_MS(10), .rate_bps = 20000000}, false, false);
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 4u << 20), 0);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(status().payload_len, 1472);
    sim_node_move(b, "10.0.9.9:7002");
    link_mtu = 1300;
    sim_net_run(&net, GW_S(20));
    assert_true(sim_client_is_done(&client));
    assert_in_range(status().payload_len, 1263, 1272);
    sim_net_fini(&net);
}

/* Nobody sends: nobody probes. */
static void test_idle_peers_cost_nothing(void **state)
{
    (void)state;
    begin(700, 1400, &(struct sim_link_params){.delay_ns = GW_MS(10)}, false, false);
    search();
    sim_net_run(&net, GW_S(5));
    unsigned before = vanished;
    uint64_t sent = a->datagrams_out;
    sim_net_run(&net, GW_S(3600));
    assert_int_equal(vanished, before);
    print_message("datagrams in an idle hour: %llu\n", (unsigned long long)(a->datagrams_out - sent));
    sim_net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_link),           cmocka_unit_test(test_shrinking_link_under_a_flow),
        cmocka_unit_test(test_hole_without_end),     cmocka_unit_test(test_black_hole_for_packets),
        cmocka_unit_test(test_loss_does_not_shrink), cmocka_unit_test(test_growing_link),
        cmocka_unit_test(test_other_path),           cmocka_unit_test(test_idle_peers_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
