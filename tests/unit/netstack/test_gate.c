/* SPDX-License-Identifier: MIT */
/* Who gets which packet on a machine with a TUN. */
#include "gateway/base/err.h"
#include "gateway/packet/flow.h"
#include "netstack/gate.h"
#include "packet.h"
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SERVICE 80 /* the netstack's */
#define OPEN 81    /* the kernel's */

static struct wire *wire;
static struct gw_gate *gate;
static struct gw_mono now;
static unsigned asked;
static bool is_exposed, is_peer_gone;
static uint16_t ended[8]; /* remote ports */
static unsigned ended_count;

static enum gw_gate_way decide(void *ctx, void *peer, const struct gw_addr *local, bool is_udp)
{
    (void)ctx, (void)peer, (void)is_udp;
    asked++;
    if (local->port == 0)
        return is_exposed ? GW_GATE_KERNEL : GW_GATE_NOBODY;
    return local->port == OPEN || is_exposed ? GW_GATE_KERNEL : GW_GATE_STACK;
}

static enum gw_gate_way decide_foreign(void *ctx, void *peer, const struct gw_addr *to)
{
    (void)ctx, (void)peer;
    return to->ip[0] == 192 ? GW_GATE_KERNEL : GW_GATE_NOBODY;
}

static void *route(void *ctx, const struct gw_addr *remote)
{
    (void)ctx, (void)remote;
    return is_peer_gone ? NULL : wire;
}

static void on_end(void *ctx, const struct gw_addr *local, const struct gw_addr *remote)
{
    (void)ctx, (void)local;
    if (ended_count < 8)
        ended[ended_count] = remote->port;
    ended_count++;
}

static int set_up(void **state)
{
    (void)state;
    wire = wire_new(NULL);
    struct gw_gate_params params = {.random = &wire->random.random,
                                    .link = wire->link[0],
                                    .decide = decide,
                                    .decide_foreign = decide_foreign,
                                    .route = route,
                                    .on_end = on_end};
    gate = gw_gate_new(&params);
    now = wire->now;
    asked = 0;
    is_exposed = is_peer_gone = false;
    ended_count = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gw_gate_free(gate);
    wire_free(wire);
    return 0;
}

/* ---- packets */

static struct packet with_ports(struct packet packet, uint16_t from, uint16_t to)
{
    uint8_t *l4 = packet.bytes + (packet.bytes[0] >> 4 == 6 ? 40 : 20);
    uint8_t protocol = packet.bytes[0] >> 4 == 6 ? packet.bytes[6] : packet.bytes[9];
    gw_store16_be(l4, from);
    gw_store16_be(l4 + 2, to);
    if (protocol == GW_IP_UDP)
        gw_store16_be(l4 + 4, (uint16_t)(packet.bytes + packet.len - l4));
    else
        l4[12] = 5 << 4;
    return packet;
}

static struct packet tcp(uint16_t from, uint16_t to, uint8_t flags)
{
    struct packet packet =
        with_ports(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_TCP, 0, false, 1, 20), from, to);
    packet.bytes[20 + 13] = flags;
    return packet;
}

static struct packet udp(const char *from, const char *to, uint16_t from_port, uint16_t to_port)
{
    bool is_v6 = strchr(from, ':');
    struct packet packet =
        is_v6 ? packet_v6(from, to, GW_IP_UDP, 12) : packet_v4(from, to, GW_IP_UDP, 0, false, 1, 12);
    return with_ports(packet, from_port, to_port);
}

static enum gw_gate_way in(struct packet packet)
{
    struct gw_ip ip;
    assert_int_equal(gw_ip_parse(&ip, packet.bytes, packet.len), 0);
    return gw_gate_inbound(gate, now, wire, packet.bytes, &ip);
}

static bool goes_out(struct packet packet)
{
    struct gw_ip ip;
    assert_int_equal(gw_ip_parse(&ip, packet.bytes, packet.len), 0);
    return gw_gate_outbound(gate, now, is_peer_gone ? NULL : wire, packet.bytes, &ip);
}

static void out(struct packet packet)
{
    assert_true(goes_out(packet));
}

/* ---- tests */

static void test_tcp_begins_with_a_syn(void **state)
{
    (void)state;
    assert_int_equal(in(tcp(999, SERVICE, GW_TCP_SYN)), GW_GATE_STACK);
    assert_int_equal(in(tcp(999, OPEN, GW_TCP_SYN)), GW_GATE_KERNEL);
    assert_int_equal(in(tcp(999, 22, GW_TCP_SYN)), GW_GATE_STACK); /* which refuses it */
    assert_int_equal(in(tcp(999, 22, GW_TCP_SYN | GW_TCP_ECE | GW_TCP_CWR)), GW_GATE_STACK);
    assert_int_equal(in(tcp(999, 22, GW_TCP_SYN | GW_TCP_FIN)), GW_GATE_STACK);
    assert_int_equal(in(tcp(999, 22, GW_TCP_SYN | GW_TCP_ACK)), GW_GATE_KERNEL); /* an answer */
    assert_int_equal(in(tcp(999, 22, GW_TCP_ACK)), GW_GATE_KERNEL);
    assert_int_equal(in(tcp(999, 22, GW_TCP_RST)), GW_GATE_KERNEL);
    assert_int_equal(asked, 5);
    is_exposed = true;
    assert_int_equal(in(tcp(999, 22, GW_TCP_SYN)), GW_GATE_KERNEL);
}

static void test_the_netstacks_connections_stay_its_own(void **state)
{
    (void)state;
    static struct end client; /* outlives the test: its connection ends with the wire */
    struct gw_connection_info info;
    client = (struct end){.is_kept_open = true};
    assert_int_equal(wire_connect(wire, &client, 4, SERVICE, 10), 0);
    wire_run(wire, GW_S(1), NULL, NULL);
    gw_connection_info(client.connection, &info);
    assert_int_equal(in(tcp(SERVICE, info.local.port, GW_TCP_ACK)), GW_GATE_STACK);
    assert_int_equal(in(tcp(SERVICE, (uint16_t)(info.local.port + 1), GW_TCP_ACK)), GW_GATE_KERNEL);
}

static void test_udp_answers_get_in(void **state)
{
    (void)state;
    static const char *const pairs[2][2] = {{"10.64.0.1", "10.64.0.2"}, {"fd00::1", "fd00::2"}};
    for (int i = 0; i < 2; i++) {
        const char *own = pairs[i][0], *peer = pairs[i][1];
        assert_int_equal(in(udp(peer, own, 53, 5000)), GW_GATE_STACK);
        out(udp(own, peer, 5000, 53));
        assert_int_equal(in(udp(peer, own, 53, 5000)), GW_GATE_KERNEL);
        assert_int_equal(in(udp(peer, own, 54, 5000)), GW_GATE_STACK);
        assert_int_equal(in(udp(peer, own, 53, 5001)), GW_GATE_STACK);
        now = gw_mono_add(now, GW_S(100));
        assert_int_equal(in(udp(peer, own, 53, 5000)), GW_GATE_KERNEL);
        now = gw_mono_add(now, GW_S(100));
        assert_int_equal(in(udp(peer, own, 53, 5000)), GW_GATE_KERNEL); /* kept alive by answers */
        now = gw_mono_add(now, GW_S(122));
        assert_int_equal(in(udp(peer, own, 53, 5000)), GW_GATE_STACK);
    }
}

/* Packets that pass by the gate keep a flow as those that it sees: they do not let one in. */
static void test_use_elsewhere_counts(void **state)
{
    (void)state;
    static const uint8_t seed[GW_FLOW_SEED_LEN] = {7};
    struct packet packet = udp("10.64.0.2", "10.64.0.1", 53, 5000);
    struct gw_flow_key key;
    struct gw_ip ip;
    struct gw_gate_params params = {.seed = seed,
                                    .random = &wire->random.random,
                                    .link = wire->link[0],
                                    .decide = decide,
                                    .decide_foreign = decide_foreign};
    gw_gate_free(gate);
    gate = gw_gate_new(&params);
    assert_int_equal(gw_ip_parse(&ip, packet.bytes, packet.len), 0);
    gw_flow_key_of(&key, packet.bytes, &ip, true);
    gw_gate_used(gate, now, gw_flow_tag(&key, seed), (uint32_t)(now.ns / GW_S(1)));
    assert_int_equal(in(packet), GW_GATE_STACK);
    out(udp("10.64.0.1", "10.64.0.2", 5000, 53));
    for (int i = 0; i < 3; i++) {
        now = gw_mono_add(now, GW_S(200));
        /* Another thread's clock may be ahead. */
        gw_gate_used(gate, now, gw_flow_tag(&key, seed), (uint32_t)(now.ns / GW_S(1)) + 1);
        assert_int_equal(in(packet), GW_GATE_KERNEL);
    }
    now = gw_mono_add(now, GW_S(200));
    assert_int_equal(in(packet), GW_GATE_STACK);
}

static void test_what_was_let_in_is_asked_about_once(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(in(udp("10.64.0.2", "10.64.0.1", 999, OPEN)), GW_GATE_KERNEL);
        assert_int_equal(in(udp("10.64.0.2", "10.64.0.1", 998, OPEN)), GW_GATE_KERNEL);
    }
    assert_int_equal(asked, 2);
    gw_gate_forget(gate, now);
    assert_int_equal(in(udp("10.64.0.2", "10.64.0.1", 999, OPEN)), GW_GATE_KERNEL);
    assert_int_equal(asked, 3);
}

static struct packet tcp_out(uint16_t from, uint16_t to, uint8_t flags)
{
    struct packet packet =
        with_ports(packet_v4("10.64.0.1", "10.64.0.2", GW_IP_TCP, 0, false, 1, 20), from, to);
    packet.bytes[20 + 13] = flags;
    return packet;
}

static void test_tcp_ends_with_the_right_to_it(void **state)
{
    (void)state;
    is_exposed = true;
    for (uint16_t port = 999; port < 1003; port++) {
        assert_int_equal(in(tcp(port, port == 1002 ? OPEN : 22, GW_TCP_SYN)), GW_GATE_KERNEL);
        out(tcp_out(port == 1002 ? OPEN : 22, port, GW_TCP_SYN | GW_TCP_ACK));
        assert_int_equal(in(tcp(port, port == 1002 ? OPEN : 22, GW_TCP_ACK)), GW_GATE_KERNEL);
    }
    out(tcp_out(5000, 80, GW_TCP_SYN)); /* the kernel's own */
    out(tcp_out(22, 1001, GW_TCP_RST)); /* over already */
    unsigned before = asked;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(in(tcp(999, 22, GW_TCP_ACK)), GW_GATE_KERNEL);
    assert_int_equal(asked, before);

    gw_gate_forget(gate, now); /* the same word as before */
    assert_int_equal(ended_count, 0);
    assert_int_equal(in(tcp(999, 22, GW_TCP_ACK)), GW_GATE_KERNEL);
    out(tcp_out(22, 999, GW_TCP_ACK));

    is_exposed = false;
    gw_gate_forget(gate, now);
    assert_int_equal(ended_count, 2);
    assert_int_equal(ended[0] + ended[1], 999 + 1000);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(in(tcp(999, 22, GW_TCP_ACK)), GW_GATE_STACK); /* which resets it */
        assert_false(goes_out(tcp_out(22, 999, GW_TCP_ACK)));
        assert_false(goes_out(tcp_out(22, 1001, GW_TCP_ACK | GW_TCP_FIN)));
        assert_int_equal(in(tcp(1002, OPEN, GW_TCP_ACK)), GW_GATE_KERNEL);
        out(tcp_out(OPEN, 1002, GW_TCP_ACK));
        assert_int_equal(in(tcp(80, 5000, GW_TCP_SYN | GW_TCP_ACK)), GW_GATE_KERNEL);
        assert_int_equal(in(tcp(80, 5000, GW_TCP_ACK)), GW_GATE_KERNEL);
        out(tcp_out(5000, 80, GW_TCP_ACK));
        gw_gate_forget(gate, now);
    }
    assert_int_equal(ended_count, 2);

    is_peer_gone = true;
    gw_gate_forget(gate, now);
    assert_int_equal(ended_count, 3);
    assert_int_equal(ended[2], 1002);
    struct packet other =
        with_ports(packet_v4("192.168.1.1", "10.64.0.2", GW_IP_TCP, 0, false, 1, 20), OPEN, 1002);
    other.bytes[20 + 13] = GW_TCP_SYN | GW_TCP_ACK;
    out(other); /* of a subnet */
    assert_false(goes_out(tcp_out(OPEN, 1002, GW_TCP_ACK)));
    out(tcp_out(5000, 80, GW_TCP_ACK));
    /* A port that the kernel begins from is its own again. */
    is_peer_gone = false;
    out(tcp_out(22, 80, GW_TCP_SYN));
    assert_int_equal(in(tcp(80, 22, GW_TCP_ACK)), GW_GATE_KERNEL);
}

/* What the kernel began, too: until it begins it anew, or it has been silent for long. */
static void test_what_has_nobody_there_is_ended(void **state)
{
    (void)state;
    struct gw_addr local, remote;
    assert_int_equal(gw_addr_parse_ip(&local, "10.64.0.1", 5000), 0);
    assert_int_equal(gw_addr_parse_ip(&remote, "10.64.0.2", 80), 0);
    out(tcp_out(5000, 80, GW_TCP_SYN));
    out(tcp_out(5001, 80, GW_TCP_SYN));
    gw_gate_end(gate, now, &local, &remote);
    assert_int_equal(ended_count, 1);
    assert_int_equal(ended[0], 80);
    for (int i = 0; i < 3; i++) {
        assert_false(goes_out(tcp_out(5000, 80, GW_TCP_ACK)));
        out(tcp_out(5001, 80, GW_TCP_ACK));
        out(tcp_out(5000, 81, GW_TCP_ACK));
        out(tcp_out(80, 5000, GW_TCP_ACK));
        out(tcp_out(5000, 80, GW_TCP_RST)); /* the kernel has none any more, and says so */
        now = gw_mono_add(now, GW_S(100));
        is_peer_gone = !is_peer_gone; /* whoever is there */
    }
    is_peer_gone = false;
    out(tcp_out(5000, 80, GW_TCP_SYN));
    out(tcp_out(5000, 80, GW_TCP_ACK));
    gw_gate_end(gate, now, &local, &remote);
    now = gw_mono_add(now, GW_S(122));
    out(tcp_out(5000, 80, GW_TCP_ACK));

    /* From what is no address of this machine any more. */
    assert_int_equal(gw_addr_parse_ip(&local, "10.64.0.9", 5000), 0);
    gw_gate_end(gate, now, &local, &remote);
    struct packet packet =
        with_ports(packet_v4("10.64.0.9", "10.64.0.2", GW_IP_TCP, 0, false, 1, 20), 5000, 80);
    packet.bytes[20 + 13] = GW_TCP_ACK;
    assert_false(goes_out(packet));
}

/* However many there are: who would be forgotten is only told later. */
static void test_many_connections_end(void **state)
{
    (void)state;
    is_exposed = true;
    for (unsigned i = 1; i < 30000; i++)
        out(tcp_out(22, (uint16_t)i, GW_TCP_SYN | GW_TCP_ACK));
    is_exposed = false;
    gw_gate_forget(gate, now);
    assert_true(ended_count > 900);
    for (unsigned i = 1; i < 30000; i++)
        assert_int_equal(in(tcp((uint16_t)i, 22, GW_TCP_ACK)), GW_GATE_STACK);
}

/* What the kernel goes on sending does not make it the kernel's flow. */
static void test_udp_ends_with_the_right_to_it(void **state)
{
    (void)state;
    is_exposed = true;
    assert_int_equal(in(udp("10.64.0.2", "10.64.0.1", 999, 22)), GW_GATE_KERNEL);
    out(udp("10.64.0.1", "10.64.0.2", 22, 999));
    gw_gate_forget(gate, now);
    out(udp("10.64.0.1", "10.64.0.2", 22, 999));
    assert_int_equal(in(udp("10.64.0.2", "10.64.0.1", 999, 22)), GW_GATE_KERNEL);
    is_exposed = false;
    gw_gate_forget(gate, now);
    for (unsigned i = 0; i < 10; i++) {
        assert_false(goes_out(udp("10.64.0.1", "10.64.0.2", 22, 999)));
        assert_int_equal(in(udp("10.64.0.2", "10.64.0.1", 999, 22)), GW_GATE_STACK);
        now = gw_mono_add(now, GW_S(60));
        if (i % 2)
            gw_gate_forget(gate, now);
    }
    is_exposed = true;
    out(udp("10.64.0.1", "10.64.0.2", 22, 999));
    assert_int_equal(in(udp("10.64.0.2", "10.64.0.1", 999, 22)), GW_GATE_KERNEL);
}

/* A peer that comes from 100,000 ports does not shut out what the kernel asked for. */
static void test_a_flood_shuts_nobody_out(void **state)
{
    (void)state;
    out(udp("10.64.0.1", "10.64.0.3", 5000, 53));
    for (unsigned i = 0; i < 100000; i++)
        in(udp("10.64.0.2", "10.64.0.1", (uint16_t)(i % 65535 + 1), i < 65535 ? OPEN : SERVICE));
    assert_int_equal(in(udp("10.64.0.3", "10.64.0.1", 53, 5000)), GW_GATE_KERNEL);
}

static void test_fragments_follow_their_beginning(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        uint16_t id = (uint16_t)(77 + i), port = i ? OPEN : SERVICE;
        enum gw_gate_way way = i ? GW_GATE_KERNEL : GW_GATE_STACK;
        assert_int_equal(
            in(with_ports(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_UDP, 0, true, id, 800), 999, port)), way);
        assert_int_equal(in(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_UDP, 800, true, id, 800)), way);
        assert_int_equal(in(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_UDP, 1600, false, id, 100)), way);
    }
    /* Without one the kernel throws them away. */
    assert_int_equal(in(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_UDP, 800, true, 79, 800)), GW_GATE_KERNEL);
    /* Answers in fragments. */
    out(with_ports(packet_v4("10.64.0.1", "10.64.0.2", GW_IP_UDP, 0, true, 5, 800), 5000, 7));
    out(packet_v4("10.64.0.1", "10.64.0.2", GW_IP_UDP, 800, false, 5, 800));
    assert_int_equal(in(with_ports(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_UDP, 0, true, 6, 800), 7, 5000)),
                     GW_GATE_KERNEL);
}

/* RFC 1858: flags that come in a second piece, or a header in several. */
static void test_no_syn_slips_through_in_pieces(void **state)
{
    (void)state;
    struct packet first = packet_v4("10.64.0.2", "10.64.0.1", GW_IP_TCP, 0, true, 9, 8);
    assert_int_equal(in(with_ports(first, 999, 22)), GW_GATE_NOBODY);
    assert_int_equal(in(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_TCP, 8, false, 9, 24)), GW_GATE_NOBODY);
    assert_int_equal(in(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_TCP, 16, false, 9, 24)), GW_GATE_NOBODY);
    struct packet syn = with_ports(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_TCP, 0, true, 9, 24), 999, 22);
    syn.bytes[20 + 13] = GW_TCP_SYN;
    assert_int_equal(in(syn), GW_GATE_STACK);
    assert_int_equal(in(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_UDP, 0, true, 9, 0)), GW_GATE_NOBODY);
}

static void test_nothing_goes_beyond_64_kb(void **state)
{
    (void)state;
    assert_int_equal(in(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_UDP, 65520, false, 7, 8)), GW_GATE_KERNEL);
    assert_int_equal(in(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_UDP, 65528, false, 7, 64)), GW_GATE_NOBODY);
    assert_int_equal(in(packet_v4("10.64.0.2", "192.168.1.1", GW_IP_UDP, 65528, false, 7, 64)),
                     GW_GATE_NOBODY);
}

static void test_other_protocols_and_addresses(void **state)
{
    (void)state;
    assert_int_equal(in(packet_v4("10.64.0.2", "10.64.0.1", GW_IP_ICMP, 0, false, 1, 8)), GW_GATE_KERNEL);
    assert_int_equal(in(packet_v4("10.64.0.2", "10.64.0.1", 47, 0, false, 1, 8)), GW_GATE_NOBODY);
    out(packet_v4("10.64.0.1", "10.64.0.2", 47, 0, false, 1, 8));
    assert_int_equal(in(packet_v4("10.64.0.2", "10.64.0.1", 47, 0, false, 1, 8)), GW_GATE_KERNEL);
    assert_int_equal(in(packet_v4("10.64.0.2", "192.168.1.1", GW_IP_ICMP, 0, false, 1, 8)), GW_GATE_KERNEL);
    assert_int_equal(in(packet_v4("10.64.0.2", "172.16.0.1", GW_IP_ICMP, 0, false, 1, 8)), GW_GATE_NOBODY);
    struct gw_gate_stats stats;
    gw_gate_stats(gate, &stats);
    assert_int_equal(stats.dropped, 2);
    assert_int_equal(stats.to_kernel, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tcp_begins_with_a_syn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_netstacks_connections_stay_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_udp_answers_get_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_use_elsewhere_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_let_in_is_asked_about_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tcp_ends_with_the_right_to_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_has_nobody_there_is_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_connections_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_udp_ends_with_the_right_to_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_flood_shuts_nobody_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fragments_follow_their_beginning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_syn_slips_through_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_goes_beyond_64_kb, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_protocols_and_addresses, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
