/* SPDX-License-Identifier: MIT */
/* A peer that acknowledges packets which were never sent, by a fault or on purpose: its own flows end at once and with a reason, what they held is free, and those that follow, on new keys, are
 * as ever. Nobody else notices. */
#include "tests/sim/app.h"

#include "gateway/base/log.h"
#include "gateway/flow/mux_private.h"
#include "gateway/peer/peer_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)
#define NEVER_SENT 1000000u

static struct sim_net net;
static struct sim_node *a, *b, *c;
static struct gw_peer *a_to_b, *b_to_a, *c_to_a;

static void three_nodes(uint64_t seed)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    sim_net_init(&net, seed,
                 &(struct sim_link_params){.delay_ns = DELAY, .rate_bps = 10000000, .buffer_bytes = 100000});
    a = sim_net_add(&net, "10.0.0.1:7001");
    b = sim_net_add(&net, "10.0.0.2:7002");
    c = sim_net_add(&net, "10.0.0.3:7003");
    sim_app_serve(a);
    sim_app_serve(b);
    a_to_b = sim_node_add_peer(a, b);
    b_to_a = sim_node_add_peer(b, a);
    c_to_a = sim_node_add_peer(c, a);
    sim_node_add_peer(a, c);
}

static uint64_t false_acks(const struct sim_node *node)
{
    struct gw_gateway_stats stats;
    gw_gateway_stats(node->gateway, &stats);
    return stats.false_acks;
}

/* b's next ACK names a number that a has not come to. */
static void make_false(void)
{
    if (b_to_a->mux)
        assert_int_equal(gw_acker_add(&b_to_a->mux->acker, sim_now(b), NEVER_SENT, false), 0);
}

static void test_once(void **state)
{
    (void)state;
    struct sim_client running, of_b, other, later;
    three_nodes(1);
    assert_int_equal(sim_client_start(&running, a, a_to_b, "echo", 50000000), 0);
    assert_int_equal(sim_client_start(&of_b, b, b_to_a, "echo", 50000000), 0);
    assert_int_equal(sim_client_start(&other, c, c_to_a, "echo", 3000000), 0);
    sim_net_run(&net, GW_S(1));
    assert_true(running.is_accepted && of_b.is_accepted && other.is_accepted);
    make_false();
    sim_net_run(
        &net, GW_S(3)); /* what b has on its way fills the line, and the handshake may have to be repeated */
    assert_int_equal(false_acks(a), 1);
    assert_true(running.is_closed);
    assert_int_equal(running.reason, GW_REASON_PROTOCOL);
    assert_true(of_b.is_closed); /* it has heard it, too */
    assert_int_equal(of_b.reason, GW_REASON_PEER_RESTARTED);
    assert_int_equal(b->budget.used, 0);
    assert_int_equal(sim_client_start(&later, a, a_to_b, "echo", 1000000), 0);
    sim_net_run(&net, GW_S(10));
    assert_true(sim_client_is_done(&later));
    assert_true(sim_client_is_done(&other));
    assert_int_equal(a->budget.used, 0);
    assert_int_equal(false_acks(a), 1);
    sim_net_fini(&net);
}

#define HELD_MAX 64u
static struct {
    uint8_t bytes[1600];
    size_t len;
} held[HELD_MAX];
static unsigned held_count;

static bool holds(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)from;
    if (!gw_addr_equal(&tuple->remote, &a->addr) || datagram[0] < 4 || held_count == HELD_MAX ||
        len > sizeof held[0].bytes)
        return true;
    memcpy(held[held_count].bytes, datagram, len);
    held[held_count++].len = len;
    return held_count <= 2; /* the first ones arrive */
}

/* What was on its way meanwhile, and comes when the next flows are there, does not end them. */
static void test_late(void **state)
{
    (void)state;
    struct sim_client running, later;
    three_nodes(2);
    assert_int_equal(sim_client_start(&running, a, a_to_b, "echo", 50000000), 0);
    sim_net_run(&net, GW_S(1));
    held_count = 0;
    make_false();
    b->filter = holds;
    sim_net_run(&net, GW_MS(40));
    b->filter = NULL;
    assert_true(held_count > 2);
    sim_net_run(&net, GW_S(1));
    assert_true(running.is_closed);
    assert_int_equal(sim_client_start(&later, a, a_to_b, "echo", 1000000), 0);
    sim_net_run(&net, GW_MS(200));
    assert_true(later.is_accepted);
    for (unsigned i = 2; i < held_count; i++)
        sim_node_receive(a, &(struct gw_tuple){.local = a->addr, .remote = b->addr}, held[i].bytes,
                         held[i].len, 0);
    sim_net_run(&net, GW_S(10));
    assert_true(sim_client_is_done(&later));
    assert_int_equal(false_acks(a), 1);
    sim_net_fini(&net);
}

/* Again and again: each time its flows end, and no more is spent on it than a handshake. */
static void test_again_and_again(void **state)
{
    (void)state;
    struct sim_client client, other;
    unsigned ended = 0;
    three_nodes(3);
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 50000000), 0);
    assert_int_equal(sim_client_start(&other, c, c_to_a, "echo", 3000000), 0);
    for (unsigned i = 0; i < 200; i++) {
        sim_net_run(&net, GW_MS(50));
        make_false();
        if (!client.is_closed)
            continue;
        ended++;
        assert_true(client.reason == GW_REASON_PROTOCOL);
        assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 50000000), 0);
    }
    struct gw_peer_status status;
    gw_peer_status(a_to_b, sim_now(a), &status);
    print_message("in 10 s %llu false acks, %u streams ended, %llu handshakes asked for\n",
                  (unsigned long long)false_acks(a), ended,
                  (unsigned long long)status.session.handshakes_sent);
    assert_true(ended > 10);
    assert_true(false_acks(a) <= ended + 1); /* not one for each packet under way */
    assert_true(status.session.handshakes_sent <= 2 * false_acks(a) + 2);
    assert_true(sim_client_is_done(&other));
    sim_net_run(&net, GW_S(1));
    if (client.is_closed)
        assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 50000000), 0);
    sim_net_run(&net, GW_S(2));
    assert_true(client.is_accepted && !client.is_closed);
    sim_net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_again_and_again),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
