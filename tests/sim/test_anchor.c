/* SPDX-License-Identifier: MIT */
/* Anchors in virtual time: registration, what an anchor tells and to whom, its restart, and what a bad client or a bad anchor can do. Where two nodes are
 * said not to reach each other, every datagram between their addresses is dropped. */
#include "tests/sim/app.h"

#include "gateway/anchor/anchor.h"
#include "gateway/base/log.h"
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
    return !sim_is_between(from, tuple, a, b);
}

static void make_anchor(void)
{
    anchor->params.anchor.is_enabled = true;
    anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    sim_node_add_unlocated(anchor, a);
    sim_node_add_unlocated(anchor, b);
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
    a_to_anchor = sim_node_add_anchor(a, anchor);
    b_to_anchor = sim_node_add_anchor(b, anchor);
    sim_app_serve(a);
    sim_app_serve(b);
    a_to_b = sim_node_add_unlocated(a, b);
    b_to_a = sim_node_add_unlocated(b, a);
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

/* ---- relay */

static struct gw_peer_status status_of(struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, net.clock.now, &status);
    return status;
}

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

/* Until it is more than now. */
static int64_t time_until_more(const uint64_t *count, int64_t limit_ns)
{
    uint64_t before = *count;
    int64_t ns = 0;
    for (; ns < limit_ns && *count == before; ns += GW_MS(1))
        sim_net_run(&net, GW_MS(1));
    return ns;
}

/* The anchor loses its memory in the middle of a stream. */
static void test_anchor_restarts_under_a_stream(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(25,
                &(struct sim_link_params){.rate_bps = 20000000, .delay_ns = DELAY, .buffer_bytes = 100000});
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 10000000);
    sim_net_run(&net, GW_S(1));
    make_anchor();
    sim_net_run(&net, 4 * DELAY); /* what was on its way */
    int64_t silent = 4 * DELAY + time_until_more(&client.received, GW_S(60));
    print_message("the only relay restarts: data again after %lld ms\n", (long long)(silent / GW_MS(1)));
    assert_true(silent < GW_S(2));
    sim_net_run(&net, GW_S(60));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* The same, where one side only receives, and has nothing to miss an answer to. */
static void test_anchor_restarts_under_one_way(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(35,
                &(struct sim_link_params){.rate_bps = 20000000, .delay_ns = DELAY, .buffer_bytes = 100000});
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "sink", 10000000);
    sim_net_run(&net, GW_S(1));
    make_anchor();
    uint64_t sent = client.sent;
    sim_net_run(&net, GW_S(4));
    print_message("the only relay of an upload restarts: %llu bytes in 4 s\n",
                  (unsigned long long)(client.sent - sent));
    assert_true(client.sent - sent > 2000000);
    sim_net_run(&net, GW_S(20));
    assert_int_equal(client.sent, 10000000);
    sim_net_fini(&net);
}

/* The anchor has restarted, nobody has noticed, and somebody wants to begin: the question that stays unanswered tells. */
static void test_anchor_restarted_before(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(36, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    make_anchor();
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(2));
    assert_int_equal(stats_of(anchor).clients, 1); /* the other side hears of it at its next keepalive */
    assert_true(view_of(a).is_registered);
    sim_net_run(&net, GW_S(35));
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

/* Two anchors; the one in use falls silent. */
static void test_failover(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(27,
                &(struct sim_link_params){.rate_bps = 20000000, .delay_ns = DELAY, .buffer_bytes = 100000});
    struct sim_node *first = anchor, *second = sim_net_add(&net, "10.0.0.4:7004");
    anchor = second;
    make_anchor();
    sim_node_add_anchor(a, anchor);
    sim_node_add_anchor(b, anchor);
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 60000000);
    sim_net_run(&net, GW_S(2));
    struct gw_anchor_stats one = stats_of(first), two = stats_of(second);
    assert_int_equal(one.channels, 1);
    assert_int_equal(two.channels, 1);
    (one.relayed_bytes > two.relayed_bytes ? first : second)->is_down = true;
    sim_net_run(&net, 4 * DELAY); /* what was on its way */
    int64_t silent = 4 * DELAY + time_until_more(&client.received, GW_S(5));
    print_message("the relay in use falls silent: data again after %lld ms\n",
                  (long long)(silent / GW_MS(1)));
    assert_true(silent < GW_S(2));
    bool is_first = first->is_down;
    sim_net_run(&net, GW_S(2));
    (is_first ? first : second)->is_down = false; /* it stands by again, and the other one falls silent */
    sim_net_run(&net, GW_S(8));
    assert_false(sim_client_is_done(&client));
    (is_first ? second : first)->is_down = true;
    sim_net_run(&net, 4 * DELAY);
    silent = 4 * DELAY + time_until_more(&client.received, GW_S(5));
    print_message("the other one, when the first is back: data again after %lld ms\n",
                  (long long)(silent / GW_MS(1)));
    assert_true(silent < GW_S(2));
    sim_net_run(&net, GW_S(60));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* Three anchors, of which two are used and go: the third one is found. */
static void test_two_of_three_die(void **state)
{
    (void)state;
    struct sim_client client;
    struct sim_node *all[3];
    three_nodes(37,
                &(struct sim_link_params){.rate_bps = 20000000, .delay_ns = DELAY, .buffer_bytes = 100000});
    all[0] = anchor;
    for (unsigned i = 1; i < 3; i++) {
        anchor = all[i] = sim_net_add(&net, i == 1 ? "10.0.0.4:7004" : "10.0.0.5:7005");
        make_anchor();
        sim_node_add_anchor(a, anchor);
        sim_node_add_anchor(b, anchor);
    }
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 30000000);
    sim_net_run(&net, GW_S(2));
    unsigned used = 0;
    for (unsigned i = 0; i < 3; i++) {
        bool is_used = stats_of(all[i]).channels > 0;
        all[i]->is_down = is_used;
        used += is_used;
    }
    assert_int_equal(used, 2);
    sim_net_run(&net, 4 * DELAY);
    int64_t silent = 4 * DELAY + time_until_more(&client.received, GW_S(20));
    print_message("both relays in use fall silent: data again after %lld ms\n",
                  (long long)(silent / GW_MS(1)));
    assert_true(silent < GW_S(4));
    sim_net_run(&net, GW_S(60));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

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

/* All of them are gone: what has a direct path goes on, and what has none waits. */
static void test_all_anchors_die(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(39,
                &(struct sim_link_params){.rate_bps = 20000000, .delay_ns = DELAY, .buffer_bytes = 100000});
    a->filter = b->filter = NULL;
    struct gw_candidate at_a = {a->addr, GW_CANDIDATE_HOST}, at_b = {b->addr, GW_CANDIDATE_HOST};
    gw_gateway_set_candidates(a->gateway, sim_now(a), &at_a, 1);
    gw_gateway_set_candidates(b->gateway, sim_now(b), &at_b, 1);
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 20000000);
    sim_net_run(&net, GW_S(3));
    struct gw_peer_status status = status_of(a_to_b);
    assert_false(gw_tuple_is_relay(&status.path));
    anchor->is_down = true;
    sim_net_run(&net, GW_S(60));
    assert_true(sim_client_is_done(&client));
    sim_net_run(&net, GW_S(300)); /* idle, and still there when it is wanted */
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(5));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* ---- the relay against bad input */

static uint8_t captured[2048];
static size_t captured_len;
static bool is_captured;

static bool captures_frames(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                            size_t len)
{
    if (datagram[0] == 6 && !is_captured && len <= sizeof captured) {
        memcpy(captured, datagram, len);
        captured_len = len;
        is_captured = true;
    }
    return blocks_direct(from, tuple, datagram, len);
}

static void feed(struct sim_node *node, const char *from, const uint8_t *datagram, size_t len)
{
    static uint8_t slab[GW_TRAIN_SLAB];
    struct gw_train train = {.slab = slab, .stride = (uint16_t)len, .last_len = (uint16_t)len, .count = 1};
    memcpy(slab, datagram, len);
    train.tuple.local = node->addr;
    assert_int_equal(gw_addr_parse(&train.tuple.remote, from), 0);
    gw_gateway_input(node->gateway, sim_now(node), &train);
    sim_node_pump(node);
}

static void test_stolen_channel(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(28, &(struct sim_link_params){.delay_ns = DELAY});
    a->filter = captures_frames;
    is_captured = false;
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(1));
    assert_true(is_captured);
    struct gw_anchor_stats before = stats_of(anchor), after;
    uint64_t sent_before = anchor->datagrams_out;

    /* The number with another mac; nothing is said. */
    captured[9] ^= 1;
    for (unsigned i = 0; i < 100; i++)
        feed(anchor, "10.0.0.2:7002", captured, captured_len);
    captured[9] ^= 1;
    after = stats_of(anchor);
    assert_int_equal(after.dropped_channel - before.dropped_channel, 100);
    assert_int_equal(after.relayed_datagrams, before.relayed_datagrams);
    assert_int_equal(anchor->datagrams_out, sent_before);

    /* Number and mac, as somebody on the way has them, from elsewhere: dropped, and at most one small question a second. */
    for (unsigned i = 0; i < 100; i++)
        feed(anchor, "6.6.6.6:666", captured, captured_len);
    after = stats_of(anchor);
    assert_int_equal(after.dropped_place - before.dropped_place, 100);
    assert_int_equal(after.relayed_datagrams, before.relayed_datagrams);
    assert_in_range(anchor->datagrams_out - sent_before, 0, 1);

    /* Cut, and with another relay's frame in it. */
    feed(anchor, "10.0.0.2:7002", captured, 47);
    captured[16] = 6;
    feed(anchor, "10.0.0.2:7002", captured, captured_len);
    assert_int_equal(stats_of(anchor).relayed_datagrams, before.relayed_datagrams);

    /* To a client: not from the relay's address, so nothing. */
    struct gw_gateway_stats stats;
    gw_gateway_stats(a->gateway, &stats);
    uint64_t unknown = stats.dropped_unknown;
    feed(a, "6.6.6.6:666", captured, captured_len);
    gw_gateway_stats(a->gateway, &stats);
    assert_int_equal(stats.dropped_unknown, unknown + 1);
    sim_net_fini(&net);
}

static void test_limits_of_a_channel(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(29, &(struct sim_link_params){.delay_ns = DELAY});
    anchor->params.anchor.rate = 125000; /* 1 Mbit/s */
    make_anchor();
    sim_net_run(&net, GW_S(30));
    sim_client_start(&client, a, a_to_b, "sink", 1000000);
    sim_net_run(&net, GW_S(5));
    assert_true(client.sent > 200000); /* at its rate, not at all, would be wrong too */
    assert_true(stats_of(anchor).relayed_bytes < 125000 * 7);
    assert_true(stats_of(anchor).dropped_rate > 0);
    sim_net_run(&net, GW_S(60));
    assert_int_equal(client.sent, 1000000);
    sim_net_fini(&net);
}

/* All channels together, whatever each may have. */
static void test_limit_of_all(void **state)
{
    (void)state;
    struct sim_client of_a, of_b;
    three_nodes(54, &(struct sim_link_params){.delay_ns = DELAY});
    anchor->params.anchor.rate = 10000000;
    anchor->params.anchor.total_rate = 125000;
    make_anchor();
    sim_net_run(&net, GW_S(30));
    sim_client_start(&of_a, a, a_to_b, "sink", 1000000);
    sim_client_start(&of_b, b, b_to_a, "sink", 1000000);
    sim_net_run(&net, GW_S(5));
    assert_true(stats_of(anchor).relayed_bytes > 300000);
    assert_true(stats_of(anchor).relayed_bytes < 125000 * 7);
    sim_net_run(&net, GW_S(60));
    assert_int_equal(of_a.sent + of_b.sent, 2000000);
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

static struct gw_asked_view asked_of(struct gw_peer *peer, unsigned i)
{
    struct gw_reach_view view;
    gw_peer_reach_view(peer, &view);
    assert_true(i < view.asked_count);
    return view.asked[i];
}

/* The hour's volume has passed: both are told why, another anchor carries on, and in the next hour this one does again. */
static void test_volume_of_a_channel(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(51, &(struct sim_link_params){.delay_ns = DELAY});
    anchor->params.anchor.volume = 1000000;
    make_anchor();
    sim_net_run(&net, GW_S(30));
    struct sim_node *first = anchor;
    sim_client_start(&client, a, a_to_b, "sink", 5000000);
    sim_net_run(&net, GW_S(5));
    assert_in_range(stats_of(first).relayed_bytes, 900000, 1000000);
    assert_false(client.sent == 5000000);
    assert_int_equal(asked_of(a_to_b, 0).refusal, peergate_Refusal_REFUSAL_VOLUME);
    assert_int_equal(asked_of(b_to_a, 0).refusal, peergate_Refusal_REFUSAL_VOLUME);
    assert_false(asked_of(a_to_b, 0).has_channel);

    anchor = sim_net_add(&net, "10.0.0.4:7004");
    make_anchor();
    sim_node_add_anchor(a, anchor);
    sim_node_add_anchor(b, anchor);
    sim_net_run(&net, GW_S(20));
    assert_int_equal(client.sent, 5000000);
    assert_true(stats_of(first).relayed_bytes <= 1000000);
    assert_true(stats_of(anchor).relayed_bytes > 4000000);

    anchor->is_down = true;
    sim_net_run(&net, GW_S(3700));
    uint64_t before = stats_of(first).relayed_bytes;
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(20));
    assert_true(sim_client_is_done(&client));
    assert_true(stats_of(first).relayed_bytes > before);
    sim_net_fini(&net);
}

/* What the owner changes while it runs holds at once, also for the channels that there are. */
static void test_limits_change(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(56, &(struct sim_link_params){.delay_ns = DELAY});
    make_anchor();
    sim_net_run(&net, GW_S(30));
    struct gw_anchor *serving = gw_gateway_anchor(anchor->gateway);
    struct gw_anchor_params params = anchor->params.anchor;
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(1));
    assert_true(sim_client_is_done(&client));
    assert_int_equal(stats_of(anchor).channels, 1);

    params.rate = 20000;
    gw_anchor_set_limits(serving, &params, sim_now(anchor));
    sim_client_start(&client, a, a_to_b, "sink", 2000000);
    uint64_t before = stats_of(anchor).relayed_bytes;
    sim_net_run(&net, GW_S(5));
    assert_in_range(stats_of(anchor).relayed_bytes - before, 20000, 200000); /* a burst, and five seconds */

    params.relays = false;
    gw_anchor_set_limits(serving, &params, sim_now(anchor));
    assert_int_equal(stats_of(anchor).channels, 0);
    before = stats_of(anchor).relayed_bytes;
    sim_net_run(&net, GW_S(2));
    assert_int_equal(asked_of(a_to_b, 0).refusal, peergate_Refusal_REFUSAL_NO_RELAY);
    assert_int_equal(asked_of(b_to_a, 0).refusal, peergate_Refusal_REFUSAL_NO_RELAY);
    assert_false(asked_of(a_to_b, 0).has_channel);
    sim_net_run(&net, GW_S(20));
    assert_int_equal(stats_of(anchor).relayed_bytes, before);
    assert_int_equal(stats_of(anchor).channels, 0);

    params.relays = true;
    params.rate = 0;
    gw_anchor_set_limits(serving, &params, sim_now(anchor));
    sim_net_run(&net, GW_S(90));
    assert_int_equal(client.sent, 2000000);
    sim_net_fini(&net);
}

/* ---- an anchor that lies */

static unsigned to_victim;

static bool counts_victim(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                          size_t len)
{
    struct gw_addr victim;
    assert_int_equal(gw_addr_parse(&victim, "6.6.6.6:666"), 0);
    if (gw_addr_equal(&tuple->remote, &victim)) {
        assert_true(len <= 100);
        to_victim++;
    }
    return blocks_direct(from, tuple, datagram, len);
}

static void say(struct sim_node *from, const struct sim_node *to, const peergate_Control *message)
{
    struct gw_peer *peer = gw_gateway_find_peer(from->gateway, gw_gateway_public_key(to->gateway));
    assert_non_null(peer);
    gw_peer_send_message(peer, sim_now(from), message);
    sim_node_pump(from);
}

/* It says that a is where somebody else is, again and again, with all kinds of other addresses between: nobody is flooded, and what is nobody's is not asked at all. */
static void test_lies_about_addresses(void **state)
{
    (void)state;
    struct sim_client client;
    static const char *const lies[] = {"6.6.6.6:666",    "127.0.0.1:22", "224.0.0.1:53", "255.255.255.255:9",
                                       "[ff02::1]:5353", "[fe80::1]:1",  "[::1]:22"};
    three_nodes(52,
                &(struct sim_link_params){.rate_bps = 1000000, .delay_ns = DELAY, .buffer_bytes = 100000});
    sim_net_add(&net, "6.6.6.6:666");
    a->filter = b->filter = counts_victim;
    to_victim = 0;
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 100000000);
    for (unsigned i = 0; i < 600; i++) {
        peergate_Control message = {.which_body = peergate_Control_observed_address_tag};
        struct gw_candidate lie = {.kind = GW_CANDIDATE_OBSERVED};
        assert_int_equal(gw_addr_parse(&lie.addr, lies[i % 7]), 0);
        message.body.observed_address.has_address = true;
        gw_candidate_encode(&message.body.observed_address.address, &lie);
        say(anchor, a, &message);
        sim_net_run(&net, GW_MS(500));
    }
    print_message("five minutes of lies: %u small packets to somebody else\n", to_victim);
    assert_in_range(to_victim, 1, 5 * 2 * 20 * 5);
    struct gw_peer_status status = status_of(a_to_b);
    assert_true(gw_tuple_is_relay(&status.path));
    sim_net_fini(&net);
}

/* Channels that nobody asked for, with numbers of others, for tags of nobody, that end at once: nothing comes of them, and what there is stays. */
static void test_lies_about_channels(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(53, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(1));
    assert_true(sim_client_is_done(&client));
    for (unsigned i = 0; i < 1000; i++) {
        peergate_Control message = {.number = i % 3, .which_body = peergate_Control_channel_grant_tag};
        peergate_ChannelGrant *grant = &message.body.channel_grant;
        gw_random_fill(&a->random.random, grant->tag, sizeof grant->tag);
        grant->channel = gw_random_u32(&a->random.random) >> (i % 32);
        grant->lifetime_s = i % 2 ? 600 : 0;
        grant->refusal = i % 5 == 4 ? peergate_Refusal_REFUSAL_VOLUME : peergate_Refusal_REFUSAL_NONE;
        say(anchor, a, &message);
        if (i % 50 == 0)
            sim_net_run(&net, GW_MS(50));
    }
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 100000);
    sim_net_run(&net, GW_S(2));
    assert_true(sim_client_is_done(&client));
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
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_expires),
        cmocka_unit_test(test_observed_address_changes),
        cmocka_unit_test(test_relayed_stream),
        cmocka_unit_test(test_relayed_on_bad_links),
        cmocka_unit_test(test_both_ask),
        cmocka_unit_test(test_peer_comes_later),
        cmocka_unit_test(test_stranger),
        cmocka_unit_test(test_relay_outlives_lifetimes),
        cmocka_unit_test(test_after_silence),
        cmocka_unit_test(test_anchor_restarts_under_a_stream),
        cmocka_unit_test(test_anchor_restarts_under_one_way),
        cmocka_unit_test(test_anchor_restarted_before),
        cmocka_unit_test(test_peer_restarts),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_two_of_three_die),
        cmocka_unit_test(test_nearer_relay),
        cmocka_unit_test(test_all_anchors_die),
        cmocka_unit_test(test_chosen_anchors),
        cmocka_unit_test(test_stolen_channel),
        cmocka_unit_test(test_limits_of_a_channel),
        cmocka_unit_test(test_volume_of_a_channel),
        cmocka_unit_test(test_limit_of_all),
        cmocka_unit_test(test_limits_change),
        cmocka_unit_test(test_auto),
        cmocka_unit_test(test_lies_about_addresses),
        cmocka_unit_test(test_lies_about_channels),
        cmocka_unit_test(test_no_relay),
        cmocka_unit_test(test_idle_peers),
        cmocka_unit_test(test_open_stream_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
