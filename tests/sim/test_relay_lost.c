/* SPDX-License-Identifier: MIT */
/* Relays in use that forget, fall silent or die, in virtual time: how soon data flow again. */
#include "tests/sim/anchored.h"

#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* Until it is more than now. */
static int64_t time_until_more(const uint64_t *count, int64_t limit_ns)
{
    uint64_t before = *count;
    int64_t ns = 0;
    for (; ns < limit_ns && *count == before; ns += GW_MS(1))
        sim_net_run(&net, GW_MS(1));
    return ns;
}

/* ---- restarts */

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

/* ---- deaths */

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

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_anchor_restarts_under_a_stream),
        cmocka_unit_test(test_anchor_restarts_under_one_way),
        cmocka_unit_test(test_anchor_restarted_before),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_two_of_three_die),
        cmocka_unit_test(test_all_anchors_die),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
