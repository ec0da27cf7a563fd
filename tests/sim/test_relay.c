/* SPDX-License-Identifier: MIT */
/* A relay in virtual time: who gets a channel and who does not, on links of all kinds and after silences of any length, and which of several relays is taken. */
#include "tests/sim/anchored.h"

#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Nothing but the anchor is known, nothing but the anchor is reachable: a stream there and back. */
static void test_relayed_stream(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(20, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 3000000), 0);
    sim_net_run(&net, GW_S(10));
    assert_true(sim_client_is_done(&client));
    /* One round trip with the anchor for the channel, two through it for the handshake and the open. */
    print_message("accepted after %lld ms\n",
                  (long long)(gw_mono_sub(client.accepted_at, client.opened_at) / GW_MS(1)));
    assert_in_range(gw_mono_sub(client.accepted_at, client.opened_at), 10 * DELAY, 11 * DELAY);
    struct gw_peer_status status = status_of(a_to_b);
    assert_true(status.has_path);
    assert_true(gw_tuple_is_relay(&status.path));
    assert_int_equal(status.payload_len, 1456);
    assert_int_equal(stats_of(anchor).channels, 1);
    assert_true(stats_of(anchor).relayed_bytes > 6000000);
    assert_int_equal(stats_of(anchor).dropped_channel, 0);
    sim_net_fini(&net);
}

static void test_relayed_on_bad_links(void **state)
{
    (void)state;
    for (uint64_t seed = 200; seed < 210; seed++) {
        struct sim_client clients[4];
        three_nodes(seed, &(struct sim_link_params){.rate_bps = 50000000,
                                                    .delay_ns = DELAY,
                                                    .buffer_bytes = 200000,
                                                    .loss = 0.05,
                                                    .jitter_ns = GW_MS(2),
                                                    .reorder = 0.02,
                                                    .reorder_ns = GW_MS(5),
                                                    .duplicate = 0.02});
        for (unsigned i = 0; i < 4; i++)
            sim_client_start(&clients[i], i % 2 ? b : a, i % 2 ? b_to_a : a_to_b, "echo", 100000u * (i + 1));
        sim_net_run(&net, GW_S(60));
        for (unsigned i = 0; i < 4; i++)
            assert_true(sim_client_is_done(&clients[i]));
        sim_net_fini(&net);
    }
}

/* Both ask at once, and the initiations cross. */
static void test_both_ask(void **state)
{
    (void)state;
    struct sim_client of_a, of_b;
    three_nodes(21, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    sim_client_start(&of_a, a, a_to_b, "echo", 1000);
    sim_client_start(&of_b, b, b_to_a, "echo", 1000);
    sim_net_run(&net, GW_S(2));
    assert_true(sim_client_is_done(&of_a));
    assert_true(sim_client_is_done(&of_b));
    assert_int_equal(stats_of(anchor).channels, 1);
    sim_net_fini(&net);
}

/* The peer registers only after it was asked for. */
static void test_peer_comes_later(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(22, &(struct sim_link_params){.delay_ns = DELAY});
    b->is_down = true;
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(5));
    assert_false(client.is_closed);
    assert_true(stats_of(anchor).refused_unknown > 0);
    b->is_down = false;
    sim_net_run(&net, GW_S(20));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* The peer forgets its channel by a restart; frames for it make the anchor tell it again. */
static void test_peer_restarts(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(26, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(1));
    assert_true(sim_client_is_done(&client));
    sim_node_restart(b);
    sim_node_add_anchor(b, anchor);
    sim_node_add_unlocated(b, a);
    sim_net_run(&net, GW_S(3));
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(20));
    if (!sim_client_is_done(&client)) { /* the first one may be told of the restart */
        sim_client_start(&client, a, a_to_b, "echo", 1000);
        sim_net_run(&net, GW_S(5));
    }
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* The peer does not know us: the anchor's answer is the same as for nobody at all. */
static void test_stranger(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(23, &(struct sim_link_params){.delay_ns = DELAY});
    gw_gateway_remove_peer(b->gateway, sim_now(b), b_to_a);
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(5));
    assert_false(client.is_accepted);
    assert_int_equal(stats_of(anchor).channels, 0);
    assert_true(stats_of(anchor).refused_unknown > 0);
    assert_int_equal(stats_of(anchor).relayed_datagrams, 0);
    sim_net_fini(&net);
}

static void test_no_relay(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(30, &(struct sim_link_params){.delay_ns = DELAY});
    make_anchor();
    anchor->params.anchor.relays = false;
    sim_node_restart(anchor);
    sim_node_add_unlocated(anchor, a);
    sim_node_add_unlocated(anchor, b);
    sim_net_run(&net, GW_S(30));
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(5));
    assert_false(client.is_accepted);
    assert_int_equal(stats_of(anchor).channels, 0);
    sim_net_fini(&net);
}

static void test_relay_outlives_lifetimes(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(24, &(struct sim_link_params){.rate_bps = 2000000, .delay_ns = DELAY, .buffer_bytes = 50000});
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo",
                     300000000); /* 20 minutes at 2 Mbit/s: channels are prolonged, keys renewed */
    sim_net_run(&net, GW_S(2000));
    assert_true(sim_client_is_done(&client));
    assert_int_equal(stats_of(anchor).channels, 1);
    sim_net_run(&net, GW_S(1000)); /* nobody needs it any more */
    assert_int_equal(stats_of(anchor).channels, 0);
    sim_net_fini(&net);
}

/* Silence of any length, and then somebody wants something: at whatever moment, it works within seconds. */
static void test_after_silence(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(31, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    for (unsigned i = 0; i < 60; i++) {
        bool is_b = i % 3 == 2;
        sim_client_start(&client, is_b ? b : a, is_b ? b_to_a : a_to_b, "echo", 1000);
        sim_net_run(&net, GW_S(8));
        assert_true(sim_client_is_done(&client));
        sim_net_run(&net, GW_S(i * 31));
    }
    sim_net_fini(&net);
}

/* ---- which one */

/* The nearer relay by its round trip is the one that is used, whichever was there first. */
static void test_nearer_relay(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(38, &(struct sim_link_params){.delay_ns = GW_MS(40)});
    struct sim_node *far = anchor;
    sim_net_run(&net, GW_S(2));
    net.params.delay_ns = DELAY;
    anchor = sim_net_add(&net, "10.0.0.4:7004");
    make_anchor();
    sim_client_start(&client, a, a_to_b, "echo", 100000);
    sim_net_run(&net, GW_MS(500));
    assert_true(stats_of(far).relayed_bytes > 0);
    sim_node_add_anchor(a, anchor);
    sim_node_add_anchor(b, anchor);
    sim_net_run(&net, GW_S(35));
    sim_client_start(&client, a, a_to_b, "echo", 100000);
    sim_net_run(&net, GW_S(5));
    assert_true(sim_client_is_done(&client));
    uint64_t by_far = stats_of(far).relayed_bytes, by_near = stats_of(anchor).relayed_bytes;
    sim_client_start(&client, a, a_to_b, "echo", 1000000);
    sim_net_run(&net, GW_S(5));
    assert_true(sim_client_is_done(&client));
    assert_true(stats_of(anchor).relayed_bytes - by_near > 2000000);
    assert_true(stats_of(far).relayed_bytes - by_far < 10000);
    sim_net_fini(&net);
}

/* The owner says which of the anchors a peer is found through: the others neither hear of it nor relay for it. */
static void test_chosen_anchors(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(50, &(struct sim_link_params){.delay_ns = DELAY});
    struct sim_node *first = anchor, *second = sim_net_add(&net, "10.0.0.4:7004");
    anchor = second;
    make_anchor();
    sim_node_add_anchor(a, anchor);
    sim_node_add_anchor(b, anchor);
    struct gw_peer_config config = *gw_peer_config(a_to_b);
    config.has_anchors = true;
    config.anchor_count = 1;
    memcpy(config.anchors[0], gw_gateway_public_key(second->gateway), GW_KEY_LEN);
    assert_int_equal(gw_gateway_update_peer(a->gateway, sim_now(a), a_to_b, &config), 0);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(stats_of(first).registrations, 1);
    assert_int_equal(stats_of(second).registrations, 2);
    sim_client_start(&client, a, a_to_b, "echo", 100000);
    sim_net_run(&net, GW_S(5));
    assert_true(sim_client_is_done(&client));
    assert_int_equal(stats_of(first).channels, 0);
    assert_int_equal(stats_of(second).channels, 1);

    /* Under way, another one. */
    sim_client_start(&client, a, a_to_b, "echo", 100000);
    memcpy(config.anchors[0], gw_gateway_public_key(first->gateway), GW_KEY_LEN);
    assert_int_equal(gw_gateway_update_peer(a->gateway, sim_now(a), a_to_b, &config), 0);
    sim_net_run(&net, GW_S(10));
    assert_true(sim_client_is_done(&client));
    assert_true(stats_of(first).relayed_bytes > 0);

    config.anchor_count = 0; /* none of those that it names is there */
    assert_int_equal(gw_gateway_update_peer(a->gateway, sim_now(a), a_to_b, &config), 0);
    uint64_t relayed = stats_of(first).relayed_bytes + stats_of(second).relayed_bytes;
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(5));
    assert_false(sim_client_is_done(&client));
    assert_true(stats_of(first).relayed_bytes + stats_of(second).relayed_bytes - relayed < 20000);
    sim_net_fini(&net);
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relayed_stream), cmocka_unit_test(test_relayed_on_bad_links),
        cmocka_unit_test(test_both_ask),       cmocka_unit_test(test_peer_comes_later),
        cmocka_unit_test(test_peer_restarts),  cmocka_unit_test(test_stranger),
        cmocka_unit_test(test_no_relay),       cmocka_unit_test(test_relay_outlives_lifetimes),
        cmocka_unit_test(test_after_silence),  cmocka_unit_test(test_nearer_relay),
        cmocka_unit_test(test_chosen_anchors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
