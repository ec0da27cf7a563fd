/* SPDX-License-Identifier: MIT */
/* Anchors in virtual time: registration and what it costs, an anchor that restarts, is none, or becomes one. */
#include "tests/sim/anchored.h"

#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

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

/* Asked a moment ago is not "does not answer". */
static void test_silent_anchor(void **state)
{
    (void)state;
    three_nodes(3, &(struct sim_link_params){.delay_ns = DELAY});
    anchor->is_down = true;
    sim_net_run(&net, GW_MS(100));
    assert_true(view_of(a).is_connecting && !view_of(a).is_connected);
    sim_net_run(&net, GW_S(5));
    assert_false(view_of(a).is_connecting || view_of(a).is_connected);
    anchor->is_down = false;
    sim_net_run(&net, GW_S(20));
    assert_true(view_of(a).is_registered && !view_of(a).is_connecting);
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
    sim_node_add_unlocated(anchor, a);
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

/* One that is an anchor only while it can be reached from anywhere; here by its owner's word (sim/inbound has the rest). */
static void test_auto(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(55, &(struct sim_link_params){.delay_ns = DELAY});
    struct sim_node *judge = anchor, *volunteer = sim_net_add(&net, "10.0.0.4:7004");
    volunteer->params.anchor.is_auto = true;
    sim_node_add_unlocated(judge, volunteer);
    anchor = volunteer;
    make_anchor();
    anchor = judge;
    sim_node_add_anchor(volunteer, anchor);
    anchor = volunteer;
    gw_gateway_remove_peer(a->gateway, sim_now(a), a_to_anchor);
    gw_gateway_remove_peer(b->gateway, sim_now(b), b_to_anchor);
    sim_node_add_anchor(a, anchor);
    sim_node_add_anchor(b, anchor);
    struct gw_candidate inside = {.kind = GW_CANDIDATE_HOST},
                        outside = {volunteer->addr, GW_CANDIDATE_CONFIGURED};
    assert_int_equal(gw_addr_parse(&inside.addr, "192.168.1.4:7004"), 0);
    gw_gateway_set_candidates(volunteer->gateway, sim_now(volunteer), &inside, 1);
    sim_net_run(&net, GW_S(5));
    assert_false(gw_gateway_anchor_stats(volunteer->gateway, &(struct gw_anchor_stats){0}));
    assert_int_equal(view_of(a).refusal, peergate_Refusal_REFUSAL_NO_ANCHOR);
    gw_gateway_set_candidates(volunteer->gateway, sim_now(volunteer), &outside, 1);
    sim_net_run(&net, GW_S(90)); /* who was refused asks again after a minute */
    assert_int_equal(stats_of(volunteer).registrations, 2);
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(2));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* ---- idle */

/* Half a day of nothing to do. */
static void test_idle(void **state)
{
    (void)state;
    three_nodes(5, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(60));
    sim_node_watch(a);
    sim_net_run(&net, GW_S(12 * 3600));
    print_message("an hour: %.1f datagrams sent, %.1f received, %.1f wake-ups\n", a->traffic.sent / 12.0,
                  a->traffic.received / 12.0, a->traffic.wakeups / 12.0);
    assert_true(view_of(a).is_registered);
    assert_int_equal(stats_of(anchor).registrations, 2);
    assert_in_range(a->traffic.wakeups / 12, 130, 150); /* one each 25 s */
    assert_in_range(a->traffic.sent / 12, 130, 260);    /* 144 requests, 29 handshakes */
    sim_net_fini(&net);
}

/* A peer that is known and was used: nothing goes to it any more once nobody uses it, and it is there at once when somebody does. */
static void test_idle_peers(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(8, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer_config config = *gw_peer_config(a_to_b);
    config.keepalive_ns = GW_S(20);
    assert_int_equal(gw_gateway_update_peer(a->gateway, sim_now(a), a_to_b, &config), 0);
    for (unsigned i = 0; i < 50; i++) { /* and others, who are not there */
        struct gw_peer *peer;
        struct gw_peer_config other = {.name = "other", .keepalive_ns = GW_S(20)};
        gw_random_fill(&a->random.random, other.public_key, sizeof other.public_key);
        other.public_key[31] &= 0x7f;
        assert_int_equal(gw_gateway_add_peer(a->gateway, sim_now(a), &other, &peer), 0);
    }
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(1));
    assert_true(sim_client_is_done(&client));
    sim_net_run(&net, GW_S(600)); /* until the last of its timers has run */
    sim_node_watch(a);
    uint64_t relayed = stats_of(anchor).relayed_datagrams;
    sim_net_run(&net, GW_S(3600));
    print_message("an hour, 51 peers: %u sent, %u received, %u wake-ups\n", a->traffic.sent,
                  a->traffic.received, a->traffic.wakeups);
    assert_int_equal(stats_of(anchor).relayed_datagrams, relayed);
    assert_in_range(a->traffic.wakeups, 130, 150);
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(1));
    assert_true(sim_client_is_done(&client));
    /* One round trip for the channel, one for the handshake through it, one for the stream. */
    assert_in_range(gw_mono_sub(client.accepted_at, client.opened_at), 10 * DELAY, 11 * DELAY);
    sim_net_fini(&net);
}

static void on_nothing(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream, (void)now, (void)user;
}

static size_t on_no_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                         void *user)
{
    (void)stream, (void)now, (void)iov, (void)count, (void)user;
    return 0;
}

static void on_over(struct gw_stream *stream, struct gw_mono now, unsigned long long reason, void *user)
{
    (void)stream, (void)now, (void)reason, (void)user;
}

static const struct gw_stream_ops quiet_ops = {.on_accepted = on_nothing,
                                               .on_data = on_no_data,
                                               .on_fin = on_nothing,
                                               .on_writable = on_nothing,
                                               .on_closed = on_over};

/* A stream that is open, with nothing to say: its peer is kept alive. */
static void test_open_stream_is_kept(void **state)
{
    (void)state;
    struct gw_stream *stream;
    three_nodes(9, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer_config config = *gw_peer_config(a_to_b);
    config.keepalive_ns = GW_S(20);
    assert_int_equal(gw_gateway_update_peer(a->gateway, sim_now(a), a_to_b, &config), 0);
    sim_net_run(&net, GW_S(1));
    struct gw_open open = {.service = "echo", .class_ = GW_CLASS_NORMAL};
    assert_int_equal(gw_peer_open(a_to_b, sim_now(a), &open, &quiet_ops, NULL, &stream), 0);
    sim_net_run(&net, GW_S(600));
    uint64_t relayed = stats_of(anchor).relayed_datagrams;
    sim_net_run(&net, GW_S(600));
    assert_in_range(stats_of(anchor).relayed_datagrams - relayed, 25, 120);
    sim_net_fini(&net);
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register),
        cmocka_unit_test(test_silent_anchor),
        cmocka_unit_test(test_register_on_bad_links),
        cmocka_unit_test(test_many_peers),
        cmocka_unit_test(test_not_an_anchor),
        cmocka_unit_test(test_anchor_restarts),
        cmocka_unit_test(test_expires),
        cmocka_unit_test(test_observed_address_changes),
        cmocka_unit_test(test_auto),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_idle_peers),
        cmocka_unit_test(test_open_stream_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
