/* SPDX-License-Identifier: MIT */
/* OBSERVED_ADDRESS: what a node believes of where others see it, how often it is told, and what it offers of it. */
#include "tests/sim/app.h"

#include "gateway/anchor/anchor.h"
#include "gateway/peer/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PEERS 4u

static struct sim_net net;
static struct sim_node *a, *others[PEERS], *anchor;
static struct gw_peer *to[PEERS], *from[PEERS], *a_at_anchor;

static const struct sim_link_params params = {.delay_ns = GW_MS(10)};

/* a knows some peers, whose addresses are configured; each has a session. */
static void setup_peers(uint64_t seed, bool has_anchor)
{
    sim_net_init(&net, seed, &params);
    a = sim_net_add(&net, "11.0.0.1:7001");
    sim_app_serve(a);
    for (unsigned i = 0; i < PEERS; i++) {
        char text[32];
        snprintf(text, sizeof text, "11.0.1.%u:7000", i + 1);
        others[i] = sim_net_add(&net, text);
        sim_app_serve(others[i]);
        to[i] = sim_node_add_peer(a, others[i]);
        from[i] = sim_node_add_peer(others[i], a);
    }
    if (has_anchor) {
        anchor = sim_net_add(&net, "9.9.9.9:7001");
        anchor->params.anchor.is_enabled = true;
        sim_node_restart(anchor);
        a_at_anchor = sim_node_add_peer(anchor, a);
        sim_node_add_anchor(a, anchor);
    }
}

static void meet(unsigned first, unsigned count)
{
    uint32_t id;
    for (unsigned i = first; i < first + count; i++)
        assert_int_equal(gw_peer_ping(to[i], sim_now(a), &id), 0);
    sim_node_pump(a);
    sim_net_run(&net, GW_S(2));
}

/* Who tells a, by the hand of a program that lies. */
static void say(struct sim_node *who, struct gw_peer *a_there, const char *text)
{
    struct gw_candidate seen = {.kind = GW_CANDIDATE_OBSERVED};
    peergate_Control message = {.which_body = peergate_Control_observed_address_tag};
    assert_int_equal(gw_addr_parse(&seen.addr, text), 0);
    message.body.observed_address.has_address = true;
    gw_candidate_encode(&message.body.observed_address.address, &seen);
    assert_int_equal(gw_peer_send_message(a_there, sim_now(who), &message), 0);
    sim_node_pump(who);
}

/* What others[i] was offered of a: how many, and is `text` among it? */
static unsigned offered(unsigned i, const char *text, bool *is_there)
{
    struct gw_reach_view view;
    struct gw_addr addr;
    unsigned count = 0;
    *is_there = false;
    assert_int_equal(gw_addr_parse(&addr, text), 0);
    gw_peer_reach_view(from[i], &view);
    for (unsigned k = 0; k < view.candidate_count; k++) {
        if (view.candidates[k].is_reflexive || view.candidates[k].is_predicted)
            continue;
        count++;
        *is_there |= gw_addr_equal(&view.candidates[k].candidate.addr, &addr);
    }
    return count;
}

static bool is_offered(unsigned i, const char *text)
{
    bool is_there;
    offered(i, text, &is_there);
    return is_there;
}

/* Two peers say where they see us: the third is offered that. */
static void test_by_peers(void **state)
{
    (void)state;
    setup_peers(1, false);
    meet(0, 1);
    meet(2, 1);
    sim_net_run(&net, GW_S(1));
    assert_true(is_offered(0, "11.0.0.1:7001")); /* others[0] and others[2] agree */
    assert_true(is_offered(2, "11.0.0.1:7001"));
    sim_net_fini(&net);
}

/* One says it alone, and two say different things. */
static void test_alone(void **state)
{
    (void)state;
    setup_peers(2, false);
    meet(0, 1);
    assert_false(is_offered(0, "11.0.0.1:7001"));
    meet(1, 3);
    say(others[0], from[0], "8.8.8.8:53");
    say(others[1], from[1], "8.8.8.8:54");
    sim_net_run(&net, GW_S(2));
    for (unsigned i = 0; i < PEERS; i++) {
        assert_false(is_offered(i, "8.8.8.8:53"));
        assert_false(is_offered(i, "8.8.8.8:54"));
    }
    sim_net_fini(&net);
}

/* Nothing that nobody should be sent to, whoever agrees on it. */
static void test_unusable(void **state)
{
    static const char *const bad[] = {"127.0.0.1:7001", "224.0.0.1:7001", "0.0.0.0:7001",
                                      "255.255.255.255:7001"};
    (void)state;
    setup_peers(3, false);
    meet(0, 4);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        say(others[0], from[0], bad[i]);
        say(others[1], from[1], bad[i]);
        sim_net_run(&net, GW_S(1));
        assert_false(is_offered(2, bad[i]));
    }
    sim_net_fini(&net);
}

/* A peer that says something else all the time is heard ten times a second, and so are the others told at most; two that agree on it likewise. */
static void test_flood(void **state)
{
    (void)state;
    setup_peers(4, false);
    meet(0, 4);
    uint64_t before = a->datagrams_out;
    char text[32];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "8.8.%u.%u:53", i / 200, 1 + i % 200);
        say(others[0], from[0], text);
        say(others[1], from[1], text);
        sim_net_run(&net, GW_MS(2));
    }
    print_message("2000 observations in 2 s: %u datagrams\n", (unsigned)(a->datagrams_out - before));
    /* Two seconds: a burst of ten and twenty more, by two peers; ADD_ADDRESS, its ACK and checks for each to four. */
    assert_in_range(a->datagrams_out - before, 1, 1000);
    sim_net_run(&net, GW_S(5));
    struct gw_reach_view view;
    gw_peer_reach_view(from[2], &view);
    assert_true(view.candidate_count <= GW_VIEW_CANDIDATES_MAX);
    sim_net_fini(&net);
}

static unsigned changes_heard(unsigned moves, int64_t every_ns)
{
    struct gw_anchor_view view;
    struct gw_addr last = {.family = 0};
    unsigned changes = 0;
    for (unsigned i = 0; i < moves; i++) {
        char text[32];
        snprintf(text, sizeof text, "8.9.%u.%u:7001", i / 200, 1 + i % 200);
        say(anchor, a_at_anchor, text);
        sim_net_run(&net, every_ns);
        assert_true(gw_gateway_anchor_view(a->gateway, 0, sim_now(a), &view));
        changes += !gw_addr_equal(&view.observed, &last);
        last = view.observed;
    }
    return changes;
}

/* An anchor that lies all the time moves us ten times a second; with the next keepalive's answer it is as it is. */
static void test_anchor_floods(void **state)
{
    struct gw_anchor_view view;
    (void)state;
    setup_peers(5, true);
    sim_net_run(&net, GW_S(2));
    assert_true(gw_gateway_anchor_view(a->gateway, 0, sim_now(a), &view));
    assert_true(view.is_registered && gw_addr_equal(&view.observed, &a->addr));
    assert_in_range(changes_heard(1000, GW_MS(2)), 10, 32);
    sim_net_run(&net, GW_S(60));
    assert_true(gw_gateway_anchor_view(a->gateway, 0, sim_now(a), &view));
    assert_true(gw_addr_equal(&view.observed, &a->addr));
    sim_net_fini(&net);
}

/* A client that asks all the time, where it is seen among other things, is told 63 times a second. */
static void test_anchor_tells(void **state)
{
    struct gw_anchor_stats before, after;
    peergate_Control ask = {.which_body = peergate_Control_register_request_tag};
    (void)state;
    setup_peers(6, true);
    sim_net_run(&net, GW_S(2));
    struct gw_peer *to_anchor = gw_gateway_find_peer(a->gateway, gw_gateway_public_key(anchor->gateway));
    assert_non_null(to_anchor);
    assert_true(gw_gateway_anchor_stats(anchor->gateway, &before));
    for (unsigned i = 0; i < 1000; i++) {
        ask.number = i + 1;
        assert_int_equal(gw_peer_send_message(to_anchor, sim_now(a), &ask), 0);
        sim_node_pump(a);
        sim_net_run(&net, GW_MS(2));
    }
    sim_net_run(&net, GW_MS(100));
    assert_true(gw_gateway_anchor_stats(anchor->gateway, &after));
    uint64_t asked = after.requests - before.requests, refused = after.refused_rate - before.refused_rate;
    assert_int_equal(asked, 1000);
    assert_in_range(asked - refused, 3 * 63 - 3, 3 * 63 + 3); /* a burst of a second's, and two seconds */
    sim_net_fini(&net);
}

/* However many there are: eight. The owner's and the interfaces' six first, then what others see. */
static void test_eight(void **state)
{
    struct gw_candidate own[20];
    bool is_there;
    (void)state;
    setup_peers(7, true);
    meet(0, 4);
    for (unsigned i = 0; i < 20; i++)
        own[i] = (struct gw_candidate){{.family = 4, .ip = {10, 0, 0, (uint8_t)(i + 1)}, .port = 7001},
                                       GW_CANDIDATE_HOST};
    gw_gateway_set_candidates(a->gateway, sim_now(a), own, 20);
    sim_node_pump(a);
    sim_net_run(&net, GW_S(2));
    assert_in_range(offered(0, "10.0.0.6:7001", &is_there), 7, 8);
    assert_true(is_there);
    assert_true(is_offered(0, "11.0.0.1:7001"));
    assert_false(is_offered(0, "10.0.0.7:7001"));
    /* Fewer of its own now: what it does not offer any more is taken back. */
    gw_gateway_set_candidates(a->gateway, sim_now(a), own, 1);
    sim_node_pump(a);
    sim_net_run(&net, GW_S(1));
    assert_false(is_offered(0, "10.0.0.6:7001"));
    assert_true(is_offered(0, "10.0.0.1:7001"));
    sim_net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_peers),      cmocka_unit_test(test_alone),
        cmocka_unit_test(test_unusable),      cmocka_unit_test(test_flood),
        cmocka_unit_test(test_anchor_floods), cmocka_unit_test(test_anchor_tells),
        cmocka_unit_test(test_eight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
