/* SPDX-License-Identifier: MIT */
/* What an engine finds out about the NAT in front of it, for every kind of line, with two anchors and with one. */
#include "tests/sim/behind.h"

#include "gateway/base/log.h"
#include "gateway/wire/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sim_net net;
static struct sim_behind world;
static struct sim_node *node, *anchors[2];
static struct sim_nat_line line;

static void begin(enum nat_kind kind, unsigned anchor_count, uint64_t seed)
{
    static const char *const places[2] = {"9.9.9.9", "9.9.9.10"};
    sim_net_init(&net, seed, NULL);
    sim_behind_init(&world, &net, &(struct sim_link_params){.delay_ns = GW_MS(20)});
    sim_nat_add_line(&line, &world.nat, &world.nat.internet, kind, 1, false);
    node = sim_behind_add(&world, &line);
    for (unsigned i = 0; i < anchor_count; i++) {
        anchors[i] = sim_behind_add_public(&world, places[i], NULL);
        anchors[i]->params.anchor.is_enabled = true;
        sim_node_restart(anchors[i]);
        sim_node_add_unlocated(anchors[i], node);
        sim_node_add_anchor(node, anchors[i]);
    }
    sim_behind_tell_addresses(node);
}

static void end(void)
{
    sim_behind_fini(&world);
    sim_net_fini(&net);
}

static struct gw_nat_behaviour measured(void)
{
    struct gw_nat_behaviour nat;
    sim_net_run(&net, GW_S(8));
    gw_gateway_nat_view(node->gateway, &nat);
    print_message("%-22s mapping %s, filtering %s, ports %s, hairpin %d, translated %d, %u anchors\n",
                  nat_kind_name(line.kind), gw_nat_reach_names[nat.mapping],
                  gw_nat_reach_names[nat.filtering], gw_nat_ports_names[nat.ports], nat.hairpin,
                  nat.translated, nat.anchors);
    assert_false(nat.is_measuring);
    return nat;
}

struct expected {
    enum nat_kind kind;
    enum gw_nat_reach mapping, filtering;
    enum gw_nat_ports ports;
    enum gw_nat_answer translated, hairpin;
};
static const struct expected table[] = {
    {NAT_KIND_OPEN, GW_NAT_INDEPENDENT, GW_NAT_INDEPENDENT, GW_NAT_PORTS_PRESERVED, GW_NAT_NO, GW_NAT_YES},
    {NAT_KIND_FULL_CONE, GW_NAT_INDEPENDENT, GW_NAT_INDEPENDENT, GW_NAT_PORTS_PRESERVED, GW_NAT_YES,
     GW_NAT_YES},
    {NAT_KIND_ADDRESS_RESTRICTED, GW_NAT_INDEPENDENT, GW_NAT_ADDRESS, GW_NAT_PORTS_PRESERVED, GW_NAT_YES,
     GW_NAT_NO},
    {NAT_KIND_PORT_RESTRICTED, GW_NAT_INDEPENDENT, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_PRESERVED, GW_NAT_YES,
     GW_NAT_NO},
    {NAT_KIND_SYMMETRIC_SEQUENTIAL, GW_NAT_ADDRESS_PORT, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_SEQUENTIAL,
     GW_NAT_YES, GW_NAT_NO},
    {NAT_KIND_SYMMETRIC_RANDOM, GW_NAT_ADDRESS_PORT, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_RANDOM, GW_NAT_YES,
     GW_NAT_NO},
    {NAT_KIND_CGNAT_DOUBLE, GW_NAT_INDEPENDENT, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_UNKNOWN, GW_NAT_YES,
     GW_NAT_NO},
    {NAT_KIND_LINUX, GW_NAT_INDEPENDENT, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_PRESERVED, GW_NAT_YES, GW_NAT_NO},
    {NAT_KIND_LINUX_BARE, GW_NAT_INDEPENDENT, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_PRESERVED, GW_NAT_YES,
     GW_NAT_NO},
    {NAT_KIND_LINUX_RANDOM, GW_NAT_ADDRESS_PORT, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_RANDOM, GW_NAT_YES,
     GW_NAT_NO},
    {NAT_KIND_CGNAT_SYMMETRIC, GW_NAT_ADDRESS_PORT, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_RANDOM, GW_NAT_YES,
     GW_NAT_NO},
};

static void check(const struct expected *expected, const struct gw_nat_behaviour *nat)
{
    assert_int_equal(nat->mapping, expected->mapping);
    assert_int_equal(nat->ports, expected->ports);
    assert_int_equal(nat->translated, expected->translated);
    if (expected->hairpin == GW_NAT_NO)
        assert_int_equal(nat->hairpin, GW_NAT_NO);
}

static void test_two_anchors(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        begin(table[i].kind, 2, 10 + i);
        struct gw_nat_behaviour nat = measured();
        check(&table[i], &nat);
        assert_int_equal(nat.filtering, table[i].filtering);
        assert_int_equal(nat.anchors, 2);
        assert_int_equal(node->place->open_links, 0); /* the socket is closed again */
        end();
    }
}

/* An anchor with two ports tells nearly as much: only who lets everybody in looks like one that lets in the addresses it sent to. */
static void test_one_anchor(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        begin(table[i].kind, 1, 50 + i);
        struct gw_nat_behaviour nat = measured();
        check(&table[i], &nat);
        assert_int_equal(nat.filtering,
                         table[i].filtering == GW_NAT_INDEPENDENT ? GW_NAT_ADDRESS : table[i].filtering);
        end();
    }
}

/* Nobody to ask: nothing is said. */
static void test_blocked(void **state)
{
    (void)state;
    begin(NAT_KIND_UDP_BLOCKED, 2, 90);
    struct gw_nat_behaviour nat = measured();
    assert_int_equal(nat.mapping, GW_NAT_UNKNOWN);
    assert_int_equal(nat.anchors, 0);
    assert_true(gw_mono_is_never(nat.measured));
    end();
}

/* Kept as long as nothing changes, and measured anew elsewhere. */
static void test_moved(void **state)
{
    (void)state;
    struct sim_nat_line other;
    begin(NAT_KIND_PORT_RESTRICTED, 2, 91);
    struct gw_nat_behaviour nat = measured();
    struct gw_mono first = nat.measured;
    sim_net_run(&net, GW_S(1200));
    nat = measured();
    assert_true(nat.measured.ns == first.ns);
    sim_nat_add_line(&other, &world.nat, &world.nat.internet, NAT_KIND_SYMMETRIC_RANDOM, 2, false);
    sim_behind_move(node, &other);
    sim_behind_tell_addresses(node);
    gw_gateway_kick(node->gateway, sim_now(node));
    sim_node_pump(node);
    sim_net_run(&net, GW_S(30));
    nat = measured();
    assert_true(nat.measured.ns > first.ns);
    assert_int_equal(nat.mapping, GW_NAT_ADDRESS_PORT);
    end();
}

/* ---- strangers */

static uint8_t seen[GW_PROBE_LEN];
static unsigned probes_seen;
static bool has_seen;

static bool keep_probe(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                       size_t len)
{
    (void)from, (void)tuple;
    if (len == GW_PROBE_LEN && datagram[0] == GW_MESSAGE_PROBE) {
        if (!has_seen)
            memcpy(seen, datagram, len);
        has_seen = true;
        probes_seen++;
    }
    return true;
}

static unsigned answers_to(const uint8_t *datagram, size_t len, const char *from)
{
    struct gw_tuple tuple = {.local = sim_behind_addr(anchors[0], 4)};
    probes_seen = 0;
    gw_addr_parse(&tuple.remote, from);
    sim_node_receive(anchors[0], &tuple, datagram, len, 0);
    sim_net_run(&net, GW_MS(1));
    return probes_seen;
}

/* Whoever has no token gets no answer; one heard on the way is answered to where it came from, one for one, as long as it lives and so often at most. */
static void test_strangers(void **state)
{
    (void)state;
    uint8_t other[GW_PROBE_LEN];
    begin(NAT_KIND_PORT_RESTRICTED, 1, 92);
    node->filter = anchors[0]->filter = keep_probe;
    has_seen = false;
    for (unsigned ms = 0; ms < 5000 && !has_seen; ms++)
        sim_net_run(&net, GW_MS(1));
    assert_true(has_seen);
    sim_net_run(&net, GW_S(3));
    assert_int_equal(answers_to(seen, sizeof seen, "6.6.6.6:666"),
                     1); /* replayed: once, no longer than itself */
    for (unsigned i = 0; i < GW_PROBE_LEN; i++) {
        memcpy(other, seen, sizeof other);
        other[i] ^= 0x40;
        assert_int_equal(answers_to(other, sizeof other, "6.6.6.6:666"), 0);
    }
    unsigned sum = 0;
    for (unsigned i = 0; i < 100; i++)
        sum += answers_to(seen, sizeof seen, "6.6.6.6:666");
    assert_in_range(sum, 1, 32);
    sim_net_run(&net, GW_S(20));
    assert_int_equal(answers_to(seen, sizeof seen, "6.6.6.6:666"), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_anchors), cmocka_unit_test(test_one_anchor), cmocka_unit_test(test_blocked),
        cmocka_unit_test(test_moved),       cmocka_unit_test(test_strangers),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
