/* SPDX-License-Identifier: MIT */
/* From the relay to a direct path and back, in virtual time: two nodes behind boxes that let a datagram in only from where one went out to, an anchor that both reach.
 * Streams run over every change, and not a byte of them is lost. */
#include "tests/sim/app.h"

#include "gateway/anchor/anchor.h"
#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)
#define OPEN_NS GW_S(30) /* so long a box remembers what went out */

static struct sim_net net;
static struct sim_node *anchor, *a, *b;
static struct gw_peer *a_to_b, *b_to_a;

/* What went out of a box, and when. */
static struct {
    const struct sim_node *from;
    struct gw_addr to;
    struct gw_mono at;
} holes[256];
static unsigned hole_count;
static bool is_direct_dead;
static uint64_t to_third, third_bytes_max;

static void remember(const struct sim_node *from, const struct gw_addr *to)
{
    for (unsigned i = 0; i < hole_count; i++) {
        if (holes[i].from == from && gw_addr_equal(&holes[i].to, to)) {
            holes[i].at = net.clock.now;
            return;
        }
    }
    assert_true(hole_count < sizeof holes / sizeof holes[0]);
    holes[hole_count].from = from;
    holes[hole_count].to = *to;
    holes[hole_count++].at = net.clock.now;
}

static bool has_hole(const struct sim_node *from, const struct gw_addr *to)
{
    for (unsigned i = 0; i < hole_count; i++) {
        if (holes[i].from == from && gw_addr_equal(&holes[i].to, to))
            return gw_mono_sub(net.clock.now, holes[i].at) < OPEN_NS;
    }
    return false;
}

/* Both nodes are behind a box; the anchor is not. */
static bool boxes(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    struct sim_node *to = from == a ? b : a;
    (void)datagram;
    remember(from, &tuple->remote);
    if (!gw_addr_equal(&tuple->remote, &a->addr) && !gw_addr_equal(&tuple->remote, &b->addr)) {
        if (!gw_addr_equal(&tuple->remote, &anchor->addr)) {
            to_third++;
            third_bytes_max = len > third_bytes_max ? len : third_bytes_max;
        }
        return true;
    }
    return !is_direct_dead && has_hole(to, &from->addr);
}

static void begin(uint64_t seed, const struct sim_link_params *params)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    hole_count = 0;
    is_direct_dead = false;
    to_third = third_bytes_max = 0;
    sim_net_init(&net, seed, params);
    anchor = sim_net_add(&net, "10.0.0.1:7001");
    a = sim_net_add(&net, "10.0.0.2:7002");
    b = sim_net_add(&net, "10.0.0.3:7003");
    a->filter = b->filter = boxes;
    anchor->params.anchor.is_enabled = anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    sim_node_add_unlocated(anchor, a);
    sim_node_add_unlocated(anchor, b);
    sim_node_add_anchor(a, anchor);
    sim_node_add_anchor(b, anchor);
    sim_app_serve(a);
    sim_app_serve(b);
    a_to_b = sim_node_add_unlocated(a, b);
    b_to_a = sim_node_add_unlocated(b, a);
    sim_net_run(&net, GW_S(1));
}

static bool is_relayed(struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, net.clock.now, &status);
    return status.is_relayed;
}

static bool is_direct(struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, net.clock.now, &status);
    return status.has_path && !status.is_relayed;
}

/* Runs until both are direct (or not), in steps of a millisecond; how long it took. */
static int64_t time_until(bool (*is)(struct gw_peer *), int64_t limit_ns)
{
    int64_t ns = 0;
    for (; ns < limit_ns && !(is(a_to_b) && is(b_to_a)); ns += GW_MS(1))
        sim_net_run(&net, GW_MS(1));
    return ns;
}

static uint64_t relayed_bytes(void)
{
    struct gw_anchor_stats stats;
    assert_true(gw_gateway_anchor_stats(anchor->gateway, &stats));
    return stats.relayed_bytes;
}

static void set_policy(struct sim_node *node, struct gw_peer *peer, enum gw_path_policy policy)
{
    struct gw_peer_config config = *gw_peer_config(peer);
    config.path = policy;
    assert_int_equal(gw_gateway_update_peer(node->gateway, sim_now(node), peer, &config), 0);
}

/* One side says `relay`: never direct, whatever the other tries, and no address of it is told. Then it may, and it does. */
static void test_relay_only(void **state)
{
    (void)state;
    struct sim_client client;
    struct gw_reach_view view;
    begin(40, &(struct sim_link_params){.rate_bps = 50000000, .delay_ns = DELAY, .buffer_bytes = 200000});
    struct gw_candidate at = {.addr = a->addr, .kind = GW_CANDIDATE_HOST};
    gw_gateway_set_candidates(a->gateway, sim_now(a), &at, 1);
    set_policy(a, a_to_b, GW_PATH_RELAY);
    sim_client_start(&client, b, b_to_a, "echo", 1000000);
    sim_net_run(&net, GW_S(60));
    assert_true(sim_client_is_done(&client));
    assert_true(is_relayed(a_to_b));
    assert_true(is_relayed(b_to_a));
    gw_peer_reach_view(b_to_a, &view);
    assert_int_equal(view.candidate_count, 0);
    gw_peer_reach_view(a_to_b, &view);
    assert_int_equal(view.path_count, 1);

    set_policy(a, a_to_b, GW_PATH_AUTO);
    sim_client_start(&client, a, a_to_b, "echo", 1000000);
    assert_true(time_until(is_direct, GW_S(5)) < GW_S(5));
    /* And back, under a session that is direct. */
    sim_net_run(&net, GW_S(30));
    set_policy(a, a_to_b, GW_PATH_RELAY);
    sim_client_start(&client, a, a_to_b, "echo", 1000000);
    sim_net_run(&net, GW_S(30));
    assert_true(sim_client_is_done(&client));
    assert_true(is_relayed(a_to_b));
    assert_true(is_relayed(b_to_a));
    sim_net_fini(&net);
}

/* `direct`: the session is made through the relay, and nothing else goes there; where there is no direct way, nothing at all. */
static void test_direct_only(void **state)
{
    (void)state;
    struct sim_client client, back;
    begin(41, &(struct sim_link_params){.rate_bps = 50000000, .delay_ns = DELAY, .buffer_bytes = 200000});
    set_policy(a, a_to_b, GW_PATH_DIRECT);
    is_direct_dead = true;
    sim_client_start(&client, a, a_to_b, "echo", 1000000);
    sim_net_run(&net, GW_S(4));
    sim_client_start(&back, b, b_to_a, "echo", 100000);
    sim_net_run(&net, GW_S(4));
    assert_false(client.is_accepted);
    assert_false(back.is_accepted);
    assert_true(is_relayed(a_to_b));
    is_direct_dead = false;
    sim_net_run(&net, GW_S(60));
    assert_true(is_direct(a_to_b));
    assert_true(sim_client_is_done(&client));
    assert_true(sim_client_is_done(&back));
    assert_true(relayed_bytes() < 60000); /* of 2 MB */
    sim_net_fini(&net);
}

static void test_upgrade_under_a_stream(void **state)
{
    (void)state;
    struct sim_client client;
    begin(1, &(struct sim_link_params){.rate_bps = 50000000, .delay_ns = DELAY, .buffer_bytes = 200000});
    sim_client_start(&client, a, a_to_b, "echo", 20000000);
    int64_t took = time_until(is_direct, GW_S(5));
    print_message("direct after %lld ms\n", (long long)(took / GW_MS(1)));
    assert_true(took < GW_S(1));
    sim_net_run(&net, GW_MS(200));
    uint64_t before = relayed_bytes();
    sim_net_run(&net, GW_S(30));
    assert_true(sim_client_is_done(&client));
    assert_true(relayed_bytes() - before < 2000); /* it is asked now and then */
    assert_true(is_direct(a_to_b));
    sim_net_fini(&net);
}

static void test_many_bad_links(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 120; seed++) {
        struct sim_client client;
        begin(seed, &(struct sim_link_params){.rate_bps = 20000000,
                                              .delay_ns = DELAY,
                                              .buffer_bytes = 200000,
                                              .loss = 0.1,
                                              .jitter_ns = GW_MS(5),
                                              .duplicate = 0.02});
        sim_net_run(&net, GW_S(5));
        sim_client_start(&client, a, a_to_b, "echo", 2000000);
        int64_t took = time_until(is_direct, GW_S(20));
        assert_true(took < GW_S(20));
        sim_net_run(&net, GW_S(30));
        assert_true(sim_client_is_done(&client));
        sim_net_fini(&net);
    }
}

/* The direct path dies without a word: data flows by the relay within a second, and directly again when it is back. */
static void test_direct_path_dies(void **state)
{
    (void)state;
    struct sim_client client;
    begin(2, &(struct sim_link_params){.rate_bps = 20000000, .delay_ns = DELAY, .buffer_bytes = 200000});
    sim_client_start(&client, a, a_to_b, "echo", 60000000);
    time_until(is_direct, GW_S(5));
    sim_net_run(&net, GW_S(2));
    is_direct_dead = true;
    uint64_t before = client.received;
    int64_t took = 0;
    sim_net_run(&net, GW_MS(150)); /* what is on its way still arrives, through full queues */
    before = client.received;
    for (; took < GW_S(5) && client.received == before; took += GW_MS(1))
        sim_net_run(&net, GW_MS(1));
    print_message("data again after %lld ms\n", (long long)(took / GW_MS(1)) + 150);
    assert_true(took < GW_S(1));
    assert_true(is_relayed(a_to_b));
    is_direct_dead = false;
    took = time_until(is_direct, GW_S(40));
    print_message("direct again after %lld ms\n", (long long)(took / GW_MS(1)));
    assert_true(took < GW_S(20));
    sim_net_run(&net, GW_S(60));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* The direct path comes and goes for ten minutes under a stream. */
static void test_flapping(void **state)
{
    (void)state;
    struct sim_client client;
    begin(3, &(struct sim_link_params){.rate_bps = 4000000, .delay_ns = DELAY, .buffer_bytes = 100000});
    sim_client_start(&client, a, a_to_b, "echo", 40000000);
    unsigned switches = 0, changes = 0;
    bool was_direct = false;
    for (unsigned ms = 0; ms < 600000; ms += 10) {
        if (ms % 7000 == 0) {
            is_direct_dead = !is_direct_dead;
            changes++;
        }
        sim_net_run(&net, GW_MS(10));
        switches += is_direct(a_to_b) != was_direct;
        was_direct = is_direct(a_to_b);
    }
    print_message("%u changes of the link, %u switches\n", changes, switches);
    assert_true(switches <= changes + 2);
    is_direct_dead = false;
    sim_net_run(&net, GW_S(120));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* No direct path at all: attempts end, and the relay carries on. */
static void test_never_direct(void **state)
{
    (void)state;
    struct sim_client client;
    begin(4, &(struct sim_link_params){.rate_bps = 1000000, .delay_ns = DELAY, .buffer_bytes = 50000});
    const struct gw_mono began = net.clock.now;
    is_direct_dead = true;
    sim_client_start(&client, a, a_to_b, "echo", 60000000); /* 8 minutes and more */
    int64_t sent = 0;
    sim_net_run(&net, GW_S(300));
    assert_true(is_relayed(a_to_b));
    for (unsigned i = 0; i < hole_count; i++) {
        if (holes[i].from == a && gw_addr_equal(&holes[i].to, &b->addr))
            sent = gw_mono_sub(holes[i].at, began);
    }
    print_message("last check after %lld s\n", (long long)(sent / GW_S(1)));
    assert_in_range(sent, GW_S(100), GW_S(280)); /* not for ever */
    sim_net_run(&net, GW_S(600));
    assert_true(sim_client_is_done(&client));
    /* Something changes: tried again. */
    is_direct_dead = false;
    struct gw_candidate own = {b->addr, GW_CANDIDATE_CONFIGURED};
    sim_client_start(&client, a, a_to_b, "echo", 1000000);
    sim_net_run(&net, GW_S(1));
    gw_gateway_set_candidates(b->gateway, sim_now(b), &own, 1);
    sim_node_pump(b);
    assert_true(time_until(is_direct, GW_S(10)) < GW_S(3));
    sim_net_fini(&net);
}

/* A peer says that it is where others are: few and small packets go there, and it stays relayed. */
static void test_candidates_of_third_parties(void **state)
{
    (void)state;
    struct sim_client client;
    begin(5, &(struct sim_link_params){.delay_ns = DELAY, .rate_bps = 1000000, .buffer_bytes = 50000});
    is_direct_dead = true;
    struct gw_candidate victims[GW_CANDIDATES_MAX];
    for (unsigned i = 0; i < GW_CANDIDATES_MAX; i++) {
        victims[i] = (struct gw_candidate){{.family = 4, .ip = {6, 6, 6, 6}, .port = (uint16_t)(100 + i)},
                                           GW_CANDIDATE_HOST};
        char text[GW_ADDR_STRLEN];
        sim_net_add(&net, gw_addr_format(&victims[i].addr, text));
    }
    gw_gateway_set_candidates(b->gateway, sim_now(b), victims, GW_CANDIDATES_MAX);
    sim_client_start(&client, a, a_to_b, "echo", 60000000);
    sim_net_run(&net, GW_S(12));
    print_message("%llu packets to third parties, %llu bytes at most\n", (unsigned long long)to_third,
                  (unsigned long long)third_bytes_max);
    assert_true(to_third > 0);
    assert_true(to_third <= 6 * 20); /* 6 of them, 20 each in an attempt */
    assert_true(third_bytes_max <= 64);
    assert_true(is_relayed(a_to_b));
    sim_net_fini(&net);
}

/* The node is at another address from now on (its box forgot it): the stream goes on within a second. */
static void test_rebinding(void **state)
{
    (void)state;
    struct sim_client client;
    begin(6, &(struct sim_link_params){.rate_bps = 20000000, .delay_ns = DELAY, .buffer_bytes = 200000});
    sim_client_start(&client, a, a_to_b, "echo", 60000000);
    time_until(is_direct, GW_S(5));
    sim_net_run(&net, GW_S(2));
    sim_node_move(a, "10.0.0.9:9009");
    sim_net_run(&net, GW_MS(30));
    uint64_t before = client.received;
    int64_t took = 0;
    for (; took < GW_S(20) && client.received == before; took += GW_MS(1))
        sim_net_run(&net, GW_MS(1));
    print_message("data again after %lld ms\n", (long long)(took / GW_MS(1)) + 30);
    assert_true(took < GW_S(2));
    assert_true(time_until(is_direct, GW_S(30)) < GW_S(30));
    sim_net_run(&net, GW_S(60));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relay_only),
        cmocka_unit_test(test_direct_only),
        cmocka_unit_test(test_upgrade_under_a_stream),
        cmocka_unit_test(test_many_bad_links),
        cmocka_unit_test(test_direct_path_dies),
        cmocka_unit_test(test_flapping),
        cmocka_unit_test(test_never_direct),
        cmocka_unit_test(test_candidates_of_third_parties),
        cmocka_unit_test(test_rebinding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
