/* SPDX-License-Identifier: MIT */
/* Peers that relay (GW_CAP_RELAY): `a` and `b` reach each other's addresses never, and `m`, whom both know, always. No anchor, or one that refuses, dies, comes back. */
#include "tests/sim/app.h"

#include "gateway/anchor/anchor_private.h"
#include "gateway/base/log.h"
#include "gateway/discovery/discovery_private.h"
#include "gateway/gateway_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)

static struct sim_net net;
static struct sim_node *a, *b, *m, *other, *anchor;
static struct gw_peer *a_to_b, *b_to_a, *a_to_m, *m_to_a;

/* The ends do not reach each other. */
static bool blocks_direct(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                          size_t len)
{
    (void)datagram, (void)len;
    return !sim_is_between(from, tuple, a, b);
}

/* With its address, and kept company as peers without anchors are. */
static struct gw_peer *know(struct sim_node *who, const struct sim_node *whom)
{
    struct gw_peer_config config = sim_peer_config(who, whom);
    struct gw_peer *peer;
    config.has_ed25519 = config.is_eager = config.is_listed = true;
    config.keepalive_ns = GW_S(20);
    assert_int_equal(gw_gateway_add_peer(who->gateway, sim_now(who), &config, &peer), 0);
    return peer;
}

/* Without an address. */
static struct gw_peer *know_of(struct sim_node *who, const struct sim_node *whom)
{
    struct gw_peer_config config = sim_peer_config(who, whom);
    struct gw_peer *peer;
    config.has_ed25519 = config.is_listed = true;
    config.endpoint_count = 0;
    assert_int_equal(gw_gateway_add_peer(who->gateway, sim_now(who), &config, &peer), 0);
    return peer;
}

static void offer(struct sim_node *node, bool offers)
{
    struct gw_anchor_params *params = &node->params.anchor;
    params->is_enabled = params->relays = params->offers = params->only_listed = offers;
    sim_node_restart(node);
    struct gw_peer *peer = know_of(node, a);
    know_of(node, b);
    if (node == m)
        m_to_a = peer;
}

static void three_nodes(uint64_t seed, bool offers)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    sim_net_init(&net, seed,
                 &(struct sim_link_params){.rate_bps = 50000000, .delay_ns = DELAY, .buffer_bytes = 200000});
    a = sim_net_add(&net, "10.0.0.2:7002");
    b = sim_net_add(&net, "10.0.0.3:7003");
    m = sim_net_add(&net, "10.0.0.4:7004");
    a->filter = b->filter = blocks_direct;
    sim_app_serve(a);
    sim_app_serve(b);
    sim_app_serve(m);
    offer(m, offers);
    a_to_m = know(a, m);
    know(b, m);
    a_to_b = know_of(a, b);
    b_to_a = know_of(b, a);
}

static void add_other(void)
{
    other = sim_net_add(&net, "10.0.0.5:7005");
    offer(other, true);
    know(a, other);
    know(b, other);
}

static void add_anchor(bool relays)
{
    anchor = sim_net_add(&net, "10.0.0.6:7006");
    anchor->params.anchor.is_enabled = true;
    anchor->params.anchor.relays = relays;
    sim_node_restart(anchor);
    know_of(anchor, a);
    know_of(anchor, b);
    sim_node_add_anchor(a, anchor);
    sim_node_add_anchor(b, anchor);
}

static void end(void)
{
    sim_net_fini(&net);
}

static struct gw_anchor_stats stats_of(struct sim_node *node)
{
    struct gw_anchor_stats stats;
    assert_true(gw_gateway_anchor_stats(node->gateway, &stats));
    return stats;
}

static unsigned neighbours_of(struct sim_node *node)
{
    struct gw_anchor_view view;
    unsigned count = 0;
    for (unsigned i = 0; gw_gateway_anchor_view(node->gateway, i, sim_now(node), &view); i++)
        count += view.is_neighbour;
    return count;
}

static bool echoes(struct gw_peer *peer, uint64_t bytes, int64_t within_ns)
{
    struct sim_client client;
    if (sim_client_start(&client, a, peer, "echo", bytes) != 0)
        return false;
    for (int64_t ns = 0; ns < within_ns && !sim_client_is_done(&client); ns += GW_MS(10))
        sim_net_run(&net, GW_MS(10));
    bool is_done = sim_client_is_done(&client);
    if (client.stream) /* it is this function's */
        gw_stream_reset(client.stream, sim_now(a), GW_REASON_CANCELLED);
    return is_done;
}

/* ---- what it is for */

static void test_relayed(void **state)
{
    (void)state;
    three_nodes(1, true);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(neighbours_of(a), 1);
    assert_int_equal(neighbours_of(m), 0);
    assert_int_equal(stats_of(m).registrations, 2);
    assert_true(echoes(a_to_b, 1000000, GW_S(10)));
    assert_true(stats_of(m).relayed_bytes > 2000000);
    assert_int_equal(stats_of(m).channels, 1);
    end();
}

/* An hour of nothing: the ends are still there for each other. */
static void test_idle(void **state)
{
    (void)state;
    three_nodes(2, true);
    sim_net_run(&net, GW_S(3600));
    uint64_t before = a->datagrams_out;
    sim_net_run(&net, GW_S(3600));
    print_message("idle: %llu datagrams an hour\n", (unsigned long long)(a->datagrams_out - before));
    assert_true(echoes(a_to_b, 1000, GW_S(3)));
    end();
}

static void test_not_offered(void **state)
{
    (void)state;
    three_nodes(3, false);
    m->params.anchor.is_enabled = m->params.anchor.relays = true; /* an anchor, of nobody here */
    sim_node_restart(m);
    know_of(m, a);
    know_of(m, b);
    sim_net_run(&net, GW_S(60));
    assert_int_equal(neighbours_of(a), 0);
    assert_false(echoes(a_to_b, 1000, GW_S(5)));
    assert_int_equal(stats_of(m).clients, 0);
    end();
}

/* It stops to offer, and begins again: what its HELLO says holds. */
static void test_withdrawn(void **state)
{
    (void)state;
    three_nodes(4, true);
    sim_net_run(&net, GW_S(1));
    assert_true(echoes(a_to_b, 1000, GW_S(3)));
    offer(m, false);
    sim_net_run(&net, GW_S(60));
    assert_int_equal(neighbours_of(a) + neighbours_of(b), 0);
    assert_false(echoes(a_to_b, 1000, GW_S(5)));
    offer(m, true);
    sim_net_run(&net, GW_S(60));
    assert_int_equal(neighbours_of(a), 1);
    assert_true(echoes(a_to_b, 1000, GW_S(5)));
    end();
}

/* Who does not know the asker is not there for it. */
static void test_unauthorized(void **state)
{
    (void)state;
    three_nodes(5, true);
    gw_gateway_remove_peer(b->gateway, sim_now(b), b_to_a);
    sim_net_run(&net, GW_S(1));
    assert_false(echoes(a_to_b, 1000, GW_S(5)));
    assert_true(stats_of(m).refused_unknown > 0);
    assert_int_equal(stats_of(m).channels, 0);
    end();
}

static void unlist(struct sim_node *who, struct gw_peer *whom)
{
    struct gw_peer_config config = *gw_peer_config(whom);
    config.is_listed = false;
    assert_int_equal(gw_gateway_update_peer(who->gateway, sim_now(who), whom, &config), 0);
}

/* Whom the owner has only let in is not relayed for, and does not relay: m does not list a, and then a does not list m. */
static void test_guests(void **state)
{
    (void)state;
    three_nodes(7, true);
    offer(m, true);
    unlist(m, m_to_a);
    sim_net_run(&net, GW_S(60));
    assert_int_equal(neighbours_of(a), 0);
    assert_int_equal(neighbours_of(b), 1);
    assert_int_equal(stats_of(m).clients, 1);
    /* It asks nevertheless. */
    peergate_Control message = {.number = 7, .which_body = peergate_Control_register_request_tag};
    message.body.register_request.lifetime_s = 600;
    message.body.register_request.tags_count = 1;
    gw_peer_send_message(a_to_m, sim_now(a), &message);
    sim_node_pump(a);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(stats_of(m).clients, 1);
    end();

    three_nodes(8, true);
    unlist(a, a_to_m);
    sim_net_run(&net, GW_S(60));
    assert_int_equal(neighbours_of(a), 0);
    assert_false(echoes(a_to_b, 1000, GW_S(5)));
    end();
}

/* Of two neighbours one dies. */
static void test_two(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(6, true);
    add_other();
    sim_net_run(&net, GW_S(1));
    assert_int_equal(neighbours_of(a), 2);
    sim_client_start(&client, a, a_to_b, "echo", 20000000);
    sim_net_run(&net, GW_S(1));
    struct sim_node *used = stats_of(m).relayed_bytes > stats_of(other).relayed_bytes ? m : other;
    used->is_down = true;
    uint64_t received = client.received;
    sim_net_run(&net, GW_S(3));
    assert_true(client.received > received + 1000000);
    sim_net_run(&net, GW_S(30));
    assert_true(sim_client_is_done(&client));
    end();
}

/* ---- beside anchors */

static void test_anchor_first(void **state)
{
    (void)state;
    three_nodes(10, true);
    add_anchor(true);
    sim_net_run(&net, GW_S(1));
    assert_true(echoes(a_to_b, 100000, GW_S(5)));
    assert_int_equal(stats_of(m).relayed_bytes, 0);
    /* The only anchor dies: the neighbour takes over, and is kept company with. */
    anchor->is_down = true;
    assert_true(echoes(a_to_b, 100000, GW_S(30)));
    assert_true(stats_of(m).relayed_bytes > 0);
    sim_net_run(&net, GW_S(1000));
    assert_true(echoes(a_to_b, 1000, GW_S(5)));
    /* It is back, and used again by who wants the other anew. */
    anchor->is_down = false;
    sim_net_run(&net, GW_S(1000));
    uint64_t before = stats_of(anchor).relayed_bytes;
    assert_true(echoes(a_to_b, 1000, GW_S(10)));
    assert_true(stats_of(anchor).relayed_bytes > before);
    end();
}

static void test_anchor_refuses(void **state)
{
    (void)state;
    three_nodes(11, true);
    add_anchor(false);
    sim_net_run(&net, GW_S(1));
    assert_true(echoes(a_to_b, 100000, GW_S(5)));
    assert_true(stats_of(m).relayed_bytes > 0);
    assert_int_equal(stats_of(anchor).relayed_bytes, 0);
    end();
}

/* Both channels are neighbours' when the anchor comes. */
static void test_anchor_comes(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(12, true);
    add_other();
    add_anchor(true);
    anchor->is_down = true;
    sim_net_run(&net, GW_S(5));
    sim_client_start(&client, a, a_to_b, "echo", 100000000);
    sim_net_run(&net, GW_S(3));
    assert_true(client.received > 0);
    anchor->is_down = false;
    uint64_t out = a->datagrams_out;
    sim_net_run(&net, GW_S(60));
    assert_true(a->datagrams_out - out < 200000);
    assert_true(sim_client_is_done(&client));
    end();
}

/* Many offer: few are used, and an anchor that is configured then has its place. */
static void test_many(void **state)
{
    (void)state;
    three_nodes(13, true);
    for (unsigned i = 0; i < 7; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.0.1.%u:7000", i + 1);
        struct sim_node *node = sim_net_add(&net, text);
        offer(node, true);
        know(a, node);
    }
    sim_net_run(&net, GW_S(2));
    assert_int_equal(neighbours_of(a), GW_NEIGHBOURS_MAX);
    for (unsigned i = 0; i < GW_ANCHORS_MAX; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.0.2.%u:7000", i + 1);
        anchor = sim_net_add(&net, text);
        sim_node_add_anchor(a, anchor);
    }
    sim_net_run(&net, GW_S(1));
    assert_int_equal(neighbours_of(a), 0);
    end();
}

/* ---- bad input */

static bool is_offered(const struct sim_node *node, const struct gw_addr *addr)
{
    peergate_Address list[GW_CANDIDATES_MAX];
    unsigned count = gw_discovery_offer(node->gateway->discovery, list);
    for (unsigned i = 0; i < count; i++) {
        struct gw_candidate one;
        if (gw_candidate_decode(&one, &list[i]) == 0 && gw_addr_equal(&one.addr, addr))
            return true;
    }
    return false;
}

/* One neighbour's word about where we are counts only where there is no anchor to ask. */
static void test_lies(void **state)
{
    (void)state;
    struct gw_candidate lie = {.kind = GW_CANDIDATE_OBSERVED};
    peergate_Control message = {.which_body = peergate_Control_observed_address_tag};
    gw_addr_parse(&lie.addr, "66.6.6.6:666");
    message.body.observed_address.has_address = true;
    gw_candidate_encode(&message.body.observed_address.address, &lie);
    for (unsigned with_anchor = 0; with_anchor < 2; with_anchor++) {
        three_nodes(20 + with_anchor, true);
        if (with_anchor)
            add_anchor(true);
        sim_net_run(&net, GW_S(1));
        gw_peer_send_message(m_to_a, sim_now(m), &message);
        sim_node_pump(m);
        sim_net_run(&net, GW_S(1));
        assert_int_equal(is_offered(a, &lie.addr), !with_anchor);
        assert_false(gw_discovery_is_public(a->gateway->discovery));
        end();
    }
}

/* a reaches m by another neighbour only: nothing goes by a relay behind a relay. */
static bool only_other(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                       size_t len)
{
    (void)from, (void)datagram, (void)len;
    return gw_addr_equal(&tuple->remote, &other->addr);
}

static void test_behind_a_relay(void **state)
{
    (void)state;
    three_nodes(22, true);
    other = sim_net_add(&net, "10.0.0.5:7005");
    offer(other, true);
    know_of(other, m);
    know(a, other);
    know(m, other);
    a->filter = only_other;
    sim_net_run(&net, GW_S(5));
    assert_true(echoes(a_to_m, 1000, GW_S(30)));
    assert_true(stats_of(other).relayed_bytes > 0);
    assert_false(echoes(a_to_b, 1000, GW_S(10)));
    assert_int_equal(stats_of(m).relayed_datagrams, 0);
    end();
}

static unsigned lines;
static void counts_lines(void *ctx, enum gw_log_level level, const char *line)
{
    (void)ctx, (void)level, (void)line;
    lines++;
}

/* It says in one HELLO that it relays, and in the next that it does not: each time all tags would be computed and registered, and the log told. */
static void test_in_and_out(void **state)
{
    (void)state;
    unsigned changes = 0, before = 0;
    three_nodes(220, true);
    sim_net_run(&net, GW_S(2));
    assert_int_equal(neighbours_of(a), 1);
    lines = 0;
    enum gw_log_level level = gw_log_level();
    gw_log_set_level(GW_LOG_INFO);
    gw_log_set_sink(counts_lines, NULL);
    for (unsigned i = 0; i < 2000; i++) {
        m->gateway->host.offers_relay = i % 2 == 1;
        gw_peer_hello_again(m_to_a);
        sim_node_pump(m);
        sim_net_run(&net, GW_MS(25));
        changes += neighbours_of(a) != before;
        before = neighbours_of(a);
    }
    gw_log_set_sink(NULL, NULL);
    gw_log_set_level(level);
    print_message("2000 changes of mind in 50 s: heeded %u times, %u lines\n", changes, lines);
    assert_in_range(changes, 2, 20);
    assert_true(lines <= 40);
    sim_net_run(&net, GW_S(120)); /* its last word holds */
    assert_int_equal(neighbours_of(a), 1);
    end();
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relayed),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_not_offered),
        cmocka_unit_test(test_withdrawn),
        cmocka_unit_test(test_unauthorized),
        cmocka_unit_test(test_guests),
        cmocka_unit_test(test_two),
        cmocka_unit_test(test_anchor_first),
        cmocka_unit_test(test_anchor_refuses),
        cmocka_unit_test(test_anchor_comes),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_behind_a_relay),
        cmocka_unit_test(test_in_and_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
