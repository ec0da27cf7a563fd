/* SPDX-License-Identifier: MIT */
/* Whether what nobody asked for gets in, as an engine has its anchors find out: behind nothing, a NAT, a firewall; and what a node with `role: auto` makes of it. */
#include "tests/sim/behind.h"

#include "gateway/anchor/anchor.h"
#include "gateway/base/log.h"

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
static bool
    is_firewalled[2]; /* what the anchor sends by its second port, where the node sends nothing, is dropped */
static unsigned unasked; /* ... that the anchors sent */

static bool pass_first(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                       size_t len)
{
    (void)datagram, (void)len;
    unasked += tuple->link == 1;
    return tuple->link != 1 || !is_firewalled[from == anchors[0] ? 0 : 1];
}

static void know(struct sim_node *who, const struct sim_node *whom, bool is_anchor, uint8_t family)
{
    struct gw_peer_config config = sim_peer_config(who, whom);
    struct gw_peer *peer;
    config.has_ed25519 = true;
    config.endpoint_count = 0;
    if (is_anchor) {
        config.endpoints[config.endpoint_count++] = sim_behind_addr(whom, family);
        config.is_anchor = config.is_eager = true;
        config.keepalive_ns = GW_S(25);
    }
    assert_int_equal(gw_gateway_add_peer(who->gateway, sim_now(who), &config, &peer), 0);
}

static void tell_addresses(uint8_t family)
{
    struct gw_candidate own = {sim_behind_addr(node, family), GW_CANDIDATE_HOST};
    gw_gateway_set_candidates(node->gateway, sim_now(node), &own, 1);
}

static void begin(enum nat_kind kind, uint8_t family, unsigned anchor_count, uint64_t seed)
{
    static const char *const places[2][2] = {{"9.9.9.9", "2a00::9"}, {"9.9.9.10", "2a00::10"}};
    sim_net_init(&net, seed, NULL);
    sim_behind_init(&world, &net, &(struct sim_link_params){.delay_ns = GW_MS(20)});
    sim_nat_add_line(&line, &world.nat, &world.nat.internet, kind, 1, family == 6);
    node = sim_behind_add(&world, &line);
    node->params.anchor.is_enabled = node->params.anchor.is_auto = true;
    sim_node_restart(node);
    is_firewalled[0] = is_firewalled[1] = false;
    unasked = 0;
    for (unsigned i = 0; i < anchor_count; i++) {
        anchors[i] = sim_behind_add_public(&world, places[i][0], places[i][1]);
        anchors[i]->params.anchor.is_enabled = true;
        anchors[i]->filter = pass_first;
        sim_node_restart(anchors[i]);
        know(anchors[i], node, false, family);
        know(node, anchors[i], true, family);
    }
    tell_addresses(family);
}

static void end(void)
{
    sim_behind_fini(&world);
    sim_net_fini(&net);
}

static bool is_anchor(void)
{
    return gw_gateway_anchor_stats(node->gateway, &(struct gw_anchor_stats){0});
}

static enum gw_public_reason reason(void)
{
    struct gw_public_view view;
    gw_gateway_public_view(node->gateway, &view);
    print_message("%s, %s\n", nat_kind_name(line.kind), gw_public_reason_names[view.reason]);
    assert_int_equal(is_anchor(), gw_public_is(view.reason));
    return view.reason;
}

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        enum nat_kind kind;
        uint8_t family;
        enum gw_public_reason reason;
    } table[] = {
        {NAT_KIND_OPEN, 4, GW_PUBLIC_OPEN},
        {NAT_KIND_OPEN, 6, GW_PUBLIC_OPEN},
        {NAT_KIND_V6_ONLY, 6, GW_PUBLIC_FIREWALL},
        {NAT_KIND_PORT_RESTRICTED, 6, GW_PUBLIC_FIREWALL}, /* by IPv6, which has a firewall beside that NAT */
        {NAT_KIND_PORT_RESTRICTED, 4, GW_PUBLIC_NAT},
        {NAT_KIND_FULL_CONE, 4, GW_PUBLIC_NAT},
        {NAT_KIND_UDP_BLOCKED, 4, GW_PUBLIC_UNSEEN},
    };
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        for (unsigned count = 1; count <= 2; count++) {
            begin(table[i].kind, table[i].family, count, 10 * count + i);
            sim_net_run(&net, GW_S(15));
            assert_int_equal(reason(), table[i].reason);
            end();
        }
    }
}

/* It goes, and comes back: noticed, at no great price; and what is known is not forgotten because nobody answers for a while. */
static void test_firewall_goes_and_comes(void **state)
{
    (void)state;
    begin(NAT_KIND_OPEN, 4, 1, 40);
    is_firewalled[0] = true;
    sim_net_run(&net, GW_S(1800));
    assert_int_equal(reason(), GW_PUBLIC_FIREWALL);
    assert_in_range(unasked, 60, 120); /* three a minute, and what the NAT's measuring sends */
    is_firewalled[0] = false;
    sim_net_run(&net, GW_S(65));
    assert_int_equal(reason(), GW_PUBLIC_OPEN);
    unasked = 0;
    sim_net_run(&net, GW_S(1800));
    assert_in_range(unasked, 2, 4);
    anchors[0]->is_down = true;
    sim_net_run(&net, GW_S(1800));
    assert_int_equal(reason(), GW_PUBLIC_OPEN);
    anchors[0]->is_down = false;
    is_firewalled[0] = true;
    sim_net_run(&net, GW_S(650));
    assert_int_equal(reason(), GW_PUBLIC_FIREWALL);
    end();
}

/* What one anchor's firewall keeps from leaving, another one's lets out. */
static void test_one_of_two(void **state)
{
    (void)state;
    begin(NAT_KIND_OPEN, 4, 2, 41);
    is_firewalled[0] = true;
    sim_net_run(&net, GW_S(15));
    assert_int_equal(reason(), GW_PUBLIC_OPEN);
    is_firewalled[1] = true;
    gw_gateway_try_inbound(node->gateway, sim_now(node));
    sim_net_run(&net, GW_S(5));
    assert_int_equal(reason(), GW_PUBLIC_OPEN); /* once may be bad luck */
    sim_net_run(&net, GW_S(15));
    assert_int_equal(reason(), GW_PUBLIC_FIREWALL);
    end();
}

/* The owner's word counts; elsewhere, nothing that was found out before does. */
static void test_addresses(void **state)
{
    (void)state;
    struct sim_nat_line other;
    begin(NAT_KIND_OPEN, 4, 1, 42);
    sim_net_run(&net, GW_S(15));
    assert_int_equal(reason(), GW_PUBLIC_OPEN);
    sim_nat_add_line(&other, &world.nat, &world.nat.internet, NAT_KIND_PORT_RESTRICTED, 2, false);
    sim_behind_move(node, &other);
    tell_addresses(4);
    assert_false(is_anchor());
    gw_gateway_kick(node->gateway, sim_now(node));
    sim_node_pump(node);
    sim_net_run(&net, GW_S(30));
    assert_int_equal(reason(), GW_PUBLIC_NAT);
    struct gw_candidate said = {.kind = GW_CANDIDATE_CONFIGURED};
    assert_int_equal(gw_addr_parse(&said.addr, "11.0.2.1:7000"), 0);
    gw_gateway_set_candidates(node->gateway, sim_now(node), &said, 1);
    assert_int_equal(reason(), GW_PUBLIC_ADVERTISED);
    end();
}

/* Who is no candidate for an anchor tries nothing by itself; asked before its anchors are there, it does as soon as they are. */
static void test_only_when_asked(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        begin(NAT_KIND_OPEN, 6, 1, 43 + i); /* by IPv6, so that nothing else measures */
        node->params.anchor.is_enabled = node->params.anchor.is_auto = false;
        sim_node_restart(node);
        know(node, anchors[0], true, 6);
        tell_addresses(6);
        if (i == 1)
            gw_gateway_try_inbound(node->gateway, sim_now(node));
        sim_net_run(&net, GW_S(300));
        struct gw_public_view view;
        gw_gateway_public_view(node->gateway, &view);
        assert_int_equal(view.reason, i == 0 ? GW_PUBLIC_UNTESTED : GW_PUBLIC_OPEN);
        assert_false(view.is_running);
        assert_int_equal(unasked, i);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),           cmocka_unit_test(test_firewall_goes_and_comes),
        cmocka_unit_test(test_one_of_two),      cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_only_when_asked),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
