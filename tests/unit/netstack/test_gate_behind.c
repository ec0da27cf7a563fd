/* SPDX-License-Identifier: MIT */
/* A subnet behind this machine, and a peer that may begin nothing there: it gets through what the subnet asked it, and nothing else. */
#include "netstack/gate.h"
#include "packet.h"
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BEHIND "10.1.0.9"
#define PEER "10.64.0.2"
#define BEHIND6 "fd00::9"
#define PEER6 "fd00::2"

static struct wire *wire;
static struct gw_gate *gate;
static struct gw_mono now;
static bool is_limited;

static enum gw_gate_way decide(void *ctx, void *peer, const struct gw_addr *local, bool is_udp)
{
    (void)ctx, (void)peer, (void)local, (void)is_udp;
    return GW_GATE_STACK;
}

static enum gw_gate_way decide_foreign(void *ctx, void *peer, const struct gw_addr *to)
{
    (void)ctx, (void)to;
    assert_ptr_equal(peer, wire);
    return is_limited ? GW_GATE_NOBODY : GW_GATE_KERNEL;
}

static void *route(void *ctx, const struct gw_addr *remote)
{
    (void)ctx, (void)remote;
    return wire;
}

static void on_end(void *ctx, const struct gw_addr *local, const struct gw_addr *remote)
{
    (void)ctx, (void)local, (void)remote;
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
    is_limited = true;
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

static struct packet v4(bool is_in, uint8_t protocol, size_t l4_len)
{
    return packet_v4(is_in ? PEER : BEHIND, is_in ? BEHIND : PEER, protocol, 0, false, 7, l4_len);
}

static struct packet v6(bool is_in, uint8_t protocol, size_t l4_len)
{
    return packet_v6(is_in ? PEER6 : BEHIND6, is_in ? BEHIND6 : PEER6, protocol, l4_len);
}

static struct packet icmp(bool is_in, uint8_t type)
{
    struct packet packet = v4(is_in, GW_IP_ICMP, 8);
    packet.bytes[20] = type;
    return packet;
}

static struct packet icmp6(bool is_in, uint8_t type)
{
    struct packet packet = v6(is_in, GW_IP_ICMPV6, 8);
    packet.bytes[40] = type;
    return packet;
}

static struct packet with_ports(struct packet packet, bool is_in, uint16_t theirs, uint16_t ours)
{
    gw_store16_be(packet.bytes + 20, is_in ? theirs : ours);
    gw_store16_be(packet.bytes + 22, is_in ? ours : theirs);
    return packet;
}

static struct packet tcp(bool is_in, uint16_t theirs, uint16_t ours, uint8_t flags)
{
    struct packet packet = with_ports(v4(is_in, GW_IP_TCP, 20), is_in, theirs, ours);
    packet.bytes[32] = 5 << 4;
    packet.bytes[33] = flags;
    return packet;
}

static struct packet udp(bool is_in, uint16_t theirs, uint16_t ours)
{
    struct packet packet = with_ports(v4(is_in, GW_IP_UDP, 16), is_in, theirs, ours);
    gw_store16_be(packet.bytes + 24, 16);
    return packet;
}

static struct packet piece(struct packet packet, uint16_t offset, bool has_more)
{
    gw_store16_be(packet.bytes + 6, (uint16_t)(offset / 8 | (has_more ? 0x2000u : 0u)));
    return packet;
}

static bool gets_in(struct packet packet)
{
    struct gw_ip ip;
    assert_int_equal(gw_ip_parse(&ip, packet.bytes, packet.len), 0);
    enum gw_gate_way way = gw_gate_inbound(gate, now, wire, packet.bytes, &ip);
    assert_true(way == GW_GATE_KERNEL || way == GW_GATE_NOBODY);
    return way == GW_GATE_KERNEL;
}

static bool goes_out(struct packet packet)
{
    struct gw_ip ip;
    assert_int_equal(gw_ip_parse(&ip, packet.bytes, packet.len), 0);
    return gw_gate_outbound(gate, now, wire, packet.bytes, &ip);
}

/* ---- tests */

static void test_nothing_begins(void **state)
{
    (void)state;
    static const uint8_t flags[] = {GW_TCP_SYN, GW_TCP_ACK, GW_TCP_SYN | GW_TCP_ACK,
                                    GW_TCP_RST, GW_TCP_FIN, 0};
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < sizeof flags; k++)
            assert_int_equal(gets_in(tcp(true, 999, 22, flags[k])), !is_limited);
        for (unsigned type = 0; type < 256; type++) {
            assert_int_equal(gets_in(icmp(true, (uint8_t)type)), !is_limited);
            assert_int_equal(gets_in(icmp6(true, (uint8_t)type)), !is_limited);
        }
        assert_int_equal(gets_in(udp(true, 999, 53)), !is_limited);
        assert_int_equal(gets_in(v4(true, 47, 8)), !is_limited);
        assert_int_equal(gets_in(piece(v4(true, GW_IP_UDP, 16), 64, true)), !is_limited);
        is_limited = false;
    }
}

static void test_tcp_that_the_subnet_begins(void **state)
{
    (void)state;
    assert_true(goes_out(tcp(false, 80, 5000, GW_TCP_SYN)));
    assert_true(gets_in(tcp(true, 80, 5000, GW_TCP_SYN | GW_TCP_ACK)));
    assert_true(gets_in(tcp(true, 80, 5000, GW_TCP_ACK)));
    assert_true(gets_in(icmp(true, 3))); /* too big, perhaps */
    assert_false(gets_in(tcp(true, 80, 5000, GW_TCP_SYN)));
    assert_false(gets_in(tcp(true, 80, 5001, GW_TCP_ACK)));
    assert_false(gets_in(tcp(true, 81, 5000, GW_TCP_ACK)));
    assert_false(gets_in(icmp(true, 8)));
    assert_true(gets_in(piece(tcp(true, 80, 5000, GW_TCP_ACK), 0, true)));
    for (uint16_t offset = 8; offset < 64;
         offset += 8) /* RFC 1858: a later piece does not make a SYN of it */
        assert_int_equal(gets_in(piece(v4(true, GW_IP_TCP, 8), offset, true)), offset >= GW_TCP_HEADER);
    for (int i = 0; i < 3; i++) {
        now = gw_mono_add(now, GW_S(7200)); /* as often as a kernel asks whether the other end is there */
        assert_true(goes_out(tcp(false, 80, 5000, GW_TCP_ACK)));
        assert_true(gets_in(tcp(true, 80, 5000, GW_TCP_ACK)));
    }
    gw_gate_forget(gate, now); /* the same word as before */
    assert_true(gets_in(tcp(true, 80, 5000, GW_TCP_ACK)));
    now = gw_mono_add(now, GW_S(7500));
    assert_false(gets_in(tcp(true, 80, 5000, GW_TCP_ACK)));
    assert_true(goes_out(tcp(false, 80, 5000, GW_TCP_ACK)));
    assert_false(gets_in(tcp(true, 80, 5000, GW_TCP_ACK)));
}

static void test_pings_of_the_subnet(void **state)
{
    (void)state;
    assert_true(goes_out(icmp(false, 0))); /* an answer begins nothing */
    assert_false(gets_in(icmp(true, 0)));
    assert_true(goes_out(icmp(false, 8)));
    assert_true(gets_in(icmp(true, 0)));
    assert_false(gets_in(icmp(true, 8)));
    assert_false(gets_in(icmp(true, 5)));
    assert_true(goes_out(icmp6(false, 128)));
    assert_true(gets_in(icmp6(true, 129)));
    assert_true(gets_in(icmp6(true, 2)));
    assert_false(gets_in(icmp6(true, 128)));
    assert_false(gets_in(icmp6(true, 134)));
}

static void test_datagrams_of_the_subnet(void **state)
{
    (void)state;
    assert_true(goes_out(udp(false, 53, 5000)));
    assert_true(gets_in(udp(true, 53, 5000)));
    assert_true(gets_in(icmp(true, 3)));
    assert_false(gets_in(udp(true, 54, 5000)));
    assert_false(gets_in(piece(v4(true, GW_IP_UDP, 16), 64, false)));
    assert_true(gets_in(piece(udp(true, 53, 5000), 0, true)));
    assert_true(gets_in(piece(v4(true, GW_IP_UDP, 16), 64, false)));
    now = gw_mono_add(now, GW_S(122));
    assert_false(gets_in(udp(true, 53, 5000)));
}

/* What the peer began while it might does not go on, whatever the subnet still says. */
static void test_the_right_is_taken_away(void **state)
{
    (void)state;
    is_limited = false;
    assert_true(gets_in(tcp(true, 999, 22, GW_TCP_SYN)));
    assert_true(goes_out(tcp(false, 999, 22, GW_TCP_SYN | GW_TCP_ACK)));
    assert_true(gets_in(udp(true, 999, 53)));
    assert_true(goes_out(udp(false, 999, 53)));
    is_limited = true;
    gw_gate_forget(gate, now);
    for (int i = 0; i < 3; i++) {
        goes_out(tcp(false, 999, 22, GW_TCP_ACK));
        assert_false(gets_in(tcp(true, 999, 22, GW_TCP_ACK)));
        assert_false(goes_out(udp(false, 999, 53)));
        assert_false(gets_in(udp(true, 999, 53)));
    }
    is_limited = false;
    gw_gate_forget(gate, now);
    assert_true(gets_in(tcp(true, 999, 22, GW_TCP_ACK)));
    assert_true(gets_in(udp(true, 999, 53)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_begins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tcp_that_the_subnet_begins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pings_of_the_subnet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_datagrams_of_the_subnet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_right_is_taken_away, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
