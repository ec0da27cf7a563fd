/* SPDX-License-Identifier: MIT */
/* Anchors in virtual time: registration, what an anchor tells and to whom, its restart, and what a bad client or a bad anchor can do. Where two nodes are
 * said not to reach each other, every datagram between their addresses is dropped. */
#include "tests/sim/app.h"

#include "gateway/anchor/anchor.h"
#include "gateway/peer/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)

static struct sim_net net;
static struct sim_node *anchor, *a, *b;
static struct gw_peer *a_to_b, *b_to_a, *a_to_anchor, *b_to_anchor;

static bool blocks_direct(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                          size_t len)
{
    (void)datagram, (void)len;
    bool is_from_a = from == a && gw_addr_equal(&tuple->remote, &b->addr);
    bool is_from_b = from == b && gw_addr_equal(&tuple->remote, &a->addr);
    return !is_from_a && !is_from_b;
}

static struct gw_peer *add_anchor(struct sim_node *node)
{
    struct gw_peer_config config = sim_peer_config(node, anchor);
    struct gw_peer *peer;
    config.is_anchor = config.is_eager = true;
    config.keepalive_ns = GW_S(25);
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
    return peer;
}

/* Without an address: it is to be found. */
static struct gw_peer *add_unlocated(struct sim_node *node, const struct sim_node *other)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    struct gw_peer *peer;
    config.endpoint_count = 0;
    config.has_ed25519 = true;
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
    return peer;
}

static void make_anchor(void)
{
    anchor->params.anchor.is_enabled = true;
    anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    add_unlocated(anchor, a);
    add_unlocated(anchor, b);
}

static void three_nodes(uint64_t seed, const struct sim_link_params *params)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    sim_net_init(&net, seed, params);
    anchor = sim_net_add(&net, "10.0.0.1:7001");
    a = sim_net_add(&net, "10.0.0.2:7002");
    b = sim_net_add(&net, "10.0.0.3:7003");
    a->filter = b->filter = blocks_direct;
    make_anchor();
    a_to_anchor = add_anchor(a);
    b_to_anchor = add_anchor(b);
    sim_app_serve(a);
    sim_app_serve(b);
    a_to_b = add_unlocated(a, b);
    b_to_a = add_unlocated(b, a);
}

static struct gw_anchor_view view_of(const struct sim_node *node)
{
    struct gw_anchor_view view;
    assert_true(gw_gateway_anchor_view(node->gateway, 0, net.clock.now, &view));
    return view;
}

static struct gw_anchor_stats stats_of(const struct sim_node *node)
{
    struct gw_anchor_stats stats;
    assert_true(gw_gateway_anchor_stats(node->gateway, &stats));
    return stats;
}

/* ---- registration */

static void test_register(void **state)
{
    (void)state;
    three_nodes(1, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_MS(500));
    struct gw_anchor_view view = view_of(a);
    assert_true(view.is_registered);
    assert_int_equal(view.tags, 1);
    assert_true(gw_addr_equal(&view.observed, &a->addr));
    assert_true(view_of(b).is_registered);
    assert_int_equal(stats_of(anchor).clients, 2);
    assert_int_equal(stats_of(anchor).registrations, 2);
    sim_net_fini(&net);
}

static void test_register_on_bad_links(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 110; seed++) {
        three_nodes(seed, &(struct sim_link_params){.delay_ns = DELAY, .loss = 0.3, .duplicate = 0.1});
        sim_net_run(&net, GW_S(30));
        assert_true(view_of(a).is_registered);
        assert_true(view_of(b).is_registered);
        assert_int_equal(stats_of(anchor).registrations, 2);
        sim_net_fini(&net);
    }
}

/* More peers than one message has room for: pages. */
static void test_many_peers(void **state)
{
    (void)state;
    three_nodes(2, &(struct sim_link_params){.delay_ns = DELAY});
    for (unsigned i = 0; i < 299; i++) {
        struct gw_peer_config config = {.name = "other"};
        struct gw_peer *peer;
        gw_random_fill(&a->random.random, config.public_key, sizeof config.public_key);
        config.public_key[31] &= 0x7f;
        assert_int_equal(gw_gateway_add_peer(a->gateway, sim_now(a), &config, &peer), 0);
    }
    sim_net_run(&net, GW_S(2));
    assert_int_equal(view_of(a).tags, 256); /* what an anchor takes of one client */
    assert_true(view_of(a).is_refused);
    assert_true(view_of(a).is_registered);
    assert_int_equal(stats_of(anchor).registrations, 257);
    gw_gateway_remove_peer(a->gateway, sim_now(a), a_to_b);
    sim_net_run(&net, GW_S(2));
    assert_true(view_of(a).is_registered);
    sim_net_fini(&net);
}

static void test_not_an_anchor(void **state)
{
    (void)state;
    three_nodes(3, &(struct sim_link_params){.delay_ns = DELAY});
    anchor->params.anchor.is_enabled = false;
    sim_node_restart(anchor);
    add_unlocated(anchor, a);
    sim_net_run(&net, GW_S(2));
    assert_false(view_of(a).is_registered);
    assert_int_equal(view_of(a).refusal, peergate_Refusal_REFUSAL_NO_ANCHOR);
    assert_false(gw_gateway_anchor_stats(anchor->gateway, &(struct gw_anchor_stats){0}));
    sim_net_fini(&net);
}

/* It comes back without memory: healed within one keepalive. */
static void test_anchor_restarts(void **state)
{
    (void)state;
    three_nodes(4, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(10));
    make_anchor();
    assert_int_equal(stats_of(anchor).registrations, 0);
    sim_net_run(&net, GW_S(27));
    assert_int_equal(stats_of(anchor).registrations, 2);
    assert_true(view_of(a).is_registered);
    sim_net_fini(&net);
}

/* Half a day of nothing to do. */
static void test_idle(void **state)
{
    (void)state;
    three_nodes(5, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(60));
    uint64_t before = a->datagrams_out;
    sim_net_run(&net, GW_S(12 * 3600));
    print_message("%.1f datagrams an hour\n", (double)(a->datagrams_out - before) / 12);
    assert_true(view_of(a).is_registered);
    assert_int_equal(stats_of(anchor).registrations, 2);
    assert_in_range((a->datagrams_out - before) / 12, 1,
                    400); /* 144 requests, as many keepalives, 30 handshakes */
    sim_net_fini(&net);
}

static void test_expires(void **state)
{
    (void)state;
    three_nodes(6, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(10));
    a->is_down = true;
    sim_net_run(&net, GW_S(700));
    assert_int_equal(stats_of(anchor).registrations, 1);
    a->is_down = false;
    sim_net_run(&net, GW_S(90));
    assert_int_equal(stats_of(anchor).registrations, 2);
    sim_net_fini(&net);
}

/* ---- who is seen where */

static void test_observed_address_changes(void **state)
{
    (void)state;
    three_nodes(7, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    sim_node_move(a, "10.0.0.9:9009");
    gw_gateway_kick(a->gateway, sim_now(a));
    gw_peer_connect(a_to_anchor, sim_now(a));
    uint32_t id;
    assert_int_equal(gw_peer_ping(a_to_anchor, sim_now(a), &id), 0);
    sim_net_run(&net, GW_S(3));
    struct gw_anchor_view view = view_of(a);
    assert_true(gw_addr_equal(&view.observed, &a->addr));
    sim_net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register),        cmocka_unit_test(test_register_on_bad_links),
        cmocka_unit_test(test_many_peers),      cmocka_unit_test(test_not_an_anchor),
        cmocka_unit_test(test_anchor_restarts), cmocka_unit_test(test_idle),
        cmocka_unit_test(test_expires),         cmocka_unit_test(test_observed_address_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
