/* SPDX-License-Identifier: MIT */
/* The model: how long it remembers, TCP, the presets, and what must hold whatever happens. */
#include "tests/nat/ask.h"
#include "tests/nat/kinds.h"
#include "tests/sim/clock.h"

#include <stdio.h>

static struct nat_params preset(enum nat_kind kind)
{
    struct nat_line line;
    nat_line(&line, kind);
    ask_pool(&line.v4[0], 1);
    return line.v4[0];
}

static void wait(struct ask *a, int64_t ns)
{
    a->now = gw_mono_add(a->now, ns);
}

/* ---- time-outs */

static void test_fresh(void **state)
{
    (void)state;
    struct nat_params p = preset(NAT_KIND_PORT_RESTRICTED);
    struct ask a = ask_new(&p);
    ask_out(&a, HOST, "1.1.1.1:10", NULL);
    wait(&a, GW_S(30) - 1);
    assert_int_equal(ask_stats(&a).mappings, 1);
    wait(&a, 1);
    assert_int_equal(ask_stats(&a).mappings, 0);
    assert_false(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST));
    ask_end(&a);
}

/* Linux's rule: assured are those that were answered and go on after 2 s. */
static void test_assured(void **state)
{
    (void)state;
    struct nat_params p = preset(NAT_KIND_PORT_RESTRICTED);
    struct ask a = ask_new(&p);
    ask_out(&a, HOST, "1.1.1.1:10", NULL);
    assert_true(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST));
    wait(&a, GW_MS(1999));
    ask_out(&a, HOST, "1.1.1.1:10", NULL); /* too young */
    wait(&a, GW_S(30));
    assert_false(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST));
    ask_out(&a, HOST, "1.1.1.1:10", NULL);
    assert_true(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST));
    wait(&a, GW_S(2));
    ask_out(&a, HOST, "1.1.1.1:10", NULL);
    wait(&a, GW_S(120) - 1);
    assert_true(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST));
    wait(&a, GW_S(120));
    assert_false(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST));
    /* Never answered: never assured, however long it goes on. */
    for (unsigned i = 0; i < 10; i++) {
        ask_out(&a, HOST, "2.2.2.2:10", NULL);
        wait(&a, GW_S(29));
    }
    wait(&a, GW_S(1));
    assert_int_equal(ask_stats(&a).mappings, 0);
    ask_end(&a);
}

/* REQ-6: outbound traffic keeps it; inbound where the NAT is so minded. */
static void test_refresh(void **state)
{
    (void)state;
    for (unsigned inbound = 0; inbound < 2; inbound++) {
        struct nat_params p = preset(NAT_KIND_FULL_CONE);
        p.udp_settle_ns = 0;
        p.udp_assured_ns = p.udp_fresh_ns;
        p.inbound_refreshes = inbound;
        struct ask a = ask_new(&p);
        ask_out(&a, HOST, "1.1.1.1:10", NULL);
        for (unsigned i = 0; i < 5; i++) {
            wait(&a, GW_S(29));
            ask_out(&a, HOST, "3.3.3.3:10", NULL); /* one session for all: this keeps it */
        }
        assert_true(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST));
        wait(&a, GW_S(20));
        assert_true(ask_in(&a, "2.2.2.2:10", "11.0.0.1:5000", HOST));
        wait(&a, GW_S(20));
        assert_int_equal(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST), inbound);
        ask_end(&a);
    }
}

/* The mapping lives as long as one session does; a remote that was not sent to for long is a stranger again. */
static void test_sessions(void **state)
{
    (void)state;
    struct nat_params p = preset(NAT_KIND_PORT_RESTRICTED);
    p.ports = NAT_PORTS_RANDOM;
    struct ask a = ask_new(&p);
    char first[GW_ADDR_STRLEN], later[GW_ADDR_STRLEN];
    ask_out(&a, HOST, "1.1.1.1:10", first);
    wait(&a, GW_S(20));
    ask_out(&a, HOST, "2.2.2.2:10", later);
    assert_string_equal(first, later);
    assert_int_equal(ask_stats(&a).sessions, 2);
    wait(&a, GW_S(20));
    assert_int_equal(ask_stats(&a).sessions, 1);
    assert_false(ask_in(&a, "1.1.1.1:10", first, HOST));
    assert_true(ask_in(&a, "2.2.2.2:10", first, HOST));
    wait(&a, GW_S(120));
    ask_out(&a, HOST, "2.2.2.2:10", later);
    assert_string_not_equal(first, later); /* a new mapping */
    assert_int_equal(ask_stats(&a).mapped, 2);
    ask_end(&a);
}

/* ---- TCP */

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static bool tcp_out(struct ask *a, uint8_t flags)
{
    a->tcp_flags = flags;
    return ask_out(a, HOST, "1.1.1.1:443", NULL);
}

static bool tcp_in(struct ask *a, uint8_t flags)
{
    a->tcp_flags = flags;
    return ask_in(a, "1.1.1.1:443", "11.0.0.1:5000", HOST);
}

static void test_tcp(void **state)
{
    (void)state;
    struct nat_params p = preset(NAT_KIND_FULL_CONE); /* whatever UDP gets, TCP gets this */
    struct ask a = ask_new(&p);
    a.protocol = NAT_TCP;
    assert_false(tcp_in(&a, SYN));
    assert_true(tcp_out(&a, SYN));
    assert_false(ask_in(&a, "1.1.1.1:444", "11.0.0.1:5000", HOST));
    assert_false(ask_in(&a, "2.2.2.2:443", "11.0.0.1:5000", HOST));
    assert_true(tcp_in(&a, SYN | ACK));
    assert_true(tcp_out(&a, ACK));
    wait(&a, GW_S(7439));
    assert_true(tcp_in(&a, ACK));
    assert_true(tcp_out(&a, FIN | ACK));
    assert_true(tcp_in(&a, FIN | ACK));
    assert_true(tcp_out(&a, ACK));
    wait(&a, GW_S(119));
    assert_int_equal(ask_stats(&a).sessions, 1);
    wait(&a, GW_S(1));
    assert_int_equal(ask_stats(&a).sessions, 0);
    ask_end(&a);
}

static void test_tcp_unanswered(void **state)
{
    (void)state;
    struct nat_params p = preset(NAT_KIND_PORT_RESTRICTED);
    struct ask a = ask_new(&p);
    a.protocol = NAT_TCP;
    assert_true(tcp_out(&a, SYN));
    wait(&a, GW_S(119));
    assert_true(tcp_out(&a, SYN));
    wait(&a, GW_S(120));
    assert_int_equal(ask_stats(&a).sessions, 0);
    /* Both send a SYN (RFC 5382 REQ-2): each opens its own side. */
    assert_true(tcp_out(&a, SYN));
    assert_true(tcp_in(&a, SYN));
    assert_true(tcp_out(&a, SYN | ACK));
    assert_true(tcp_in(&a, ACK));
    wait(&a, GW_S(1000));
    assert_true(tcp_in(&a, ACK));
    assert_true(tcp_in(&a, RST));
    wait(&a, GW_S(120));
    assert_int_equal(ask_stats(&a).sessions, 0);
    ask_end(&a);
}

/* ---- presets */

static void test_presets(void **state)
{
    (void)state;
    static const struct {
        enum nat_kind kind;
        bool keeps_mapping; /* for another remote */
        bool port_in, address_in, anybody_in;
    } expected[] = {
        {NAT_KIND_FULL_CONE, true, true, true, true},
        {NAT_KIND_ADDRESS_RESTRICTED, true, true, true, false},
        {NAT_KIND_PORT_RESTRICTED, true, true, false, false},
        {NAT_KIND_SYMMETRIC_SEQUENTIAL, false, true, false, false},
        {NAT_KIND_SYMMETRIC_RANDOM, false, true, false, false},
        {NAT_KIND_LINUX, true, true, false, false},
        {NAT_KIND_LINUX_BARE, true, true, false, false},
        {NAT_KIND_LINUX_RANDOM, false, true, false, false},
        {NAT_KIND_CGNAT_DOUBLE, true, true, false, false},
        {NAT_KIND_CGNAT_SYMMETRIC, true, true, false, false},
    };
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct nat_params p = preset(expected[i].kind);
        struct ask a = ask_new(&p);
        char first[GW_ADDR_STRLEN], second[GW_ADDR_STRLEN];
        assert_int_equal(nat_kind_by_name(nat_kind_name(expected[i].kind)), expected[i].kind);
        assert_true(ask_out(&a, HOST, "1.1.1.1:10", first));
        assert_int_equal(ask_in(&a, "2.2.2.2:10", first, HOST), expected[i].anybody_in);
        assert_int_equal(ask_in(&a, "1.1.1.1:11", first, HOST), expected[i].address_in);
        assert_int_equal(ask_in(&a, "1.1.1.1:10", first, HOST), expected[i].port_in);
        assert_true(ask_out(&a, HOST, "3.3.3.3:10", second));
        assert_int_equal(strcmp(first, second) == 0, expected[i].keeps_mapping);
        ask_end(&a);
    }
    assert_int_equal(nat_kind_by_name("what"), NAT_KIND_COUNT);
}

static void test_lines(void **state)
{
    (void)state;
    struct nat_line line;
    for (unsigned kind = 0; kind < NAT_KIND_COUNT; kind++) {
        nat_line(&line, (enum nat_kind)kind);
        assert_int_equal(line.has_v4, kind != NAT_KIND_V6_ONLY);
        assert_int_equal(line.has_v6, kind == NAT_KIND_V6_ONLY || kind == NAT_KIND_OPEN);
        bool is_carrier = kind == NAT_KIND_CGNAT_DOUBLE || kind == NAT_KIND_CGNAT_SYMMETRIC;
        assert_int_equal(line.box_count, !line.has_v4 ? 0 : is_carrier ? 2 : 1);
        assert_int_equal(line.v4[0].is_open && line.v6.is_open, kind == NAT_KIND_OPEN);
        assert_int_equal(line.v4[0].blocks_udp && line.v6.blocks_udp, kind == NAT_KIND_UDP_BLOCKED);
        assert_true(line.v6.is_firewall);
    }
    /* The carrier's: one mapping for all where it keeps to the RFC, one for each remote where not. */
    for (unsigned i = 0; i < 2; i++) {
        nat_line(&line, i ? NAT_KIND_CGNAT_SYMMETRIC : NAT_KIND_CGNAT_DOUBLE);
        ask_pool(&line.v4[1], 2);
        struct ask a = ask_new(&line.v4[1]);
        unsigned first = ask_out_port(&a, "100.64.0.2:5000", "1.1.1.1:10");
        assert_int_not_equal(first, 5000);
        assert_int_equal(ask_out_port(&a, "100.64.0.2:5000", "2.2.2.2:10") == first, i == 0);
        ask_end(&a);
    }
}

/* ---- whatever happens */

struct seen {
    struct gw_addr outside, inside, remote;
};

/* Hosts and strangers send at random through NATs of random kinds: an outside address belongs to one inside address at a
 * time, what comes in goes to the one it belongs to, and with a filter only from whom that one has sent to before. */
static void test_random(void **state)
{
    (void)state;
    enum { SENT = 1500 };
    static struct seen sent[SENT];
    for (uint64_t seed = 1; seed <= 54; seed++) {
        struct sim_dice dice = {seed};
        struct nat_params p = {.mapping = (enum nat_reach)(seed % 3),
                               .filtering = (enum nat_reach)(seed / 3 % 3),
                               .ports = (enum nat_ports)(seed / 9 % 3),
                               .others = 5,
                               .port_first = 3000,
                               .port_last = 3799,
                               .udp_fresh_ns = GW_S(30),
                               .udp_assured_ns = GW_S(60),
                               .tcp_fresh_ns = 1,
                               .tcp_open_ns = 1,
                               .tcp_closed_ns = 1,
                               .inbound_refreshes = seed % 2,
                               .is_pool_arbitrary = seed % 5 == 0,
                               .max_host_mappings = 100};
        ask_pool(&p, 1 + (unsigned)(seed % 3));
        struct ask a = ask_new(&p);
        unsigned count = 0;
        for (unsigned i = 0; i < SENT; i++) {
            struct nat_packet packet = {.protocol = NAT_UDP};
            struct seen *now = &sent[count];
            wait(&a, (int64_t)(sim_dice_u64(&dice) % 10000000)); /* 20 s in all: nothing times out */
            if (i == 0 || sim_dice_u64(&dice) % 3) {
                uint64_t roll = sim_dice_u64(&dice);
                now->inside = (struct gw_addr){.ip = {192, 168, 1, (uint8_t)(2 + roll % 4)},
                                               .port = (uint16_t)(3000 + (roll >> 8) % 10),
                                               .family = 4};
                now->remote = (struct gw_addr){.ip = {1, 1, 1, (uint8_t)(1 + (roll >> 16) % 4)},
                                               .port = (uint16_t)(1 + (roll >> 24) % 4),
                                               .family = 4};
                packet.from = now->inside;
                packet.to = now->remote;
                if (nat_from_inside(a.nat, a.now, &packet) == NAT_DROP)
                    continue;
                now->outside = packet.from;
                for (unsigned k = 0; k < count; k++) {
                    if (gw_addr_equal(&sent[k].outside, &now->outside))
                        assert_true(gw_addr_equal(&sent[k].inside, &now->inside));
                    if (gw_addr_equal(&sent[k].inside, &now->inside) &&
                        gw_addr_equal(&sent[k].remote, &now->remote))
                        assert_true(gw_addr_equal(&sent[k].outside, &now->outside));
                }
                assert_true(nat_owns(a.nat, &now->outside));
                count++;
            } else {
                const struct seen *to = &sent[sim_dice_u64(&dice) % count];
                const struct seen *from = &sent[sim_dice_u64(&dice) % count];
                packet.from = from->remote;
                packet.to = to->outside;
                bool is_in = nat_from_outside(a.nat, a.now, &packet) == NAT_IN,
                     was_sent = p.filtering == NAT_INDEPENDENT;
                for (unsigned k = 0; k < count && !was_sent; k++) {
                    was_sent = gw_addr_equal(&sent[k].outside, &to->outside) &&
                               gw_addr_same_ip(&sent[k].remote, &from->remote) &&
                               (p.filtering == NAT_ADDRESS || sent[k].remote.port == from->remote.port);
                }
                assert_int_equal(is_in, was_sent);
                assert_true(!is_in || gw_addr_equal(&packet.to, &to->inside));
            }
        }
        assert_true(count > SENT / 10);
        wait(&a, GW_S(61));
        assert_int_equal(ask_stats(&a).sessions, 0);
        assert_int_equal(ask_stats(&a).hosts, 0);
        ask_end(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh),   cmocka_unit_test(test_assured),
        cmocka_unit_test(test_refresh), cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_tcp),     cmocka_unit_test(test_tcp_unanswered),
        cmocka_unit_test(test_presets), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
