/* SPDX-License-Identifier: MIT */
/* Peers that may have no session any more, in virtual time: they are told, once, and nobody else can say so. */
#include "tests/sim/two_nodes.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What `from` says as it removes the peer, kept. */
static struct gw_train kept_train;
static uint8_t kept_slab[GW_TRAIN_BYTES];
static void dismiss(struct sim_node *from, struct gw_peer *peer)
{
    kept_train = (struct gw_train){.slab = kept_slab};
    assert_true(gw_gateway_dismiss(from->gateway, sim_now(from), peer, &kept_train));
    assert_int_equal(kept_train.count, 1);
    gw_gateway_remove_peer(from->gateway, sim_now(from), peer);
}

static void deliver_kept(struct sim_node *to, const struct sim_node *from)
{
    uint8_t copy[128];
    assert_true(kept_train.last_len <= sizeof copy);
    memcpy(copy, kept_slab, kept_train.last_len); /* it is opened in place */
    sim_node_receive(to, &(struct gw_tuple){.local = to->addr, .remote = from->addr}, copy,
                     kept_train.last_len, 0);
}

static void test_dismissed(void **state)
{
    (void)state;
    struct sim_client running, later;
    two_nodes(60, &(struct sim_link_params){.delay_ns = DELAY, .rate_bps = 10000000, .buffer_bytes = 100000});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = sim_node_add_peer(b, a);
    assert_int_equal(sim_client_start(&running, a, to_b, "echo", 50000000), 0);
    sim_net_run(&net, GW_S(1));
    assert_true(running.is_accepted && !running.is_closed);
    dismiss(b, to_a);
    deliver_kept(a, b);
    sim_net_run(&net, GW_MS(1));
    assert_true(running.is_closed);
    assert_int_equal(running.reason, GW_REASON_SHUT_OUT);
    assert_int_equal(status_of(to_b).session.state, GW_SESSION_FAILED);
    assert_false(gw_mono_is_never(status_of(to_b).shut_out_at));

    /* Nobody waits; but each one asks, and hears nothing, as a stranger. */
    uint64_t sent = b->datagrams_out, asked = status_of(to_b).session.handshakes_sent;
    assert_int_equal(sim_client_start(&later, a, to_b, "echo", 1), GW_E_SHUT_OUT);
    sim_net_run(&net, GW_S(5));
    assert_true(status_of(to_b).session.handshakes_sent > asked);
    assert_int_equal(b->datagrams_out, sent);
    /* The second copy comes to nobody. */
    deliver_kept(a, b);
    sim_net_run(&net, GW_S(1));

    /* After a minute one waits again, in vain. */
    sim_net_run(&net, GW_S(60));
    assert_int_equal(sim_client_start(&later, a, to_b, "echo", 1), 0);
    sim_net_run(&net, GW_S(100));
    assert_true(later.is_closed);
    assert_int_equal(later.reason, GW_REASON_SHUT_OUT);
    assert_int_equal(b->datagrams_out, sent);

    /* Let in again: as ever. */
    to_a = sim_node_add_peer(b, a);
    gw_peer_connect(to_a, sim_now(b));
    sim_node_pump(b);
    sim_net_run(&net, GW_S(2));
    assert_true(gw_mono_is_never(status_of(to_b).shut_out_at));
    assert_int_equal(sim_client_start(&later, a, to_b, "echo", 1000), 0);
    sim_net_run(&net, GW_S(2));
    assert_true(sim_client_is_done(&later));
    sim_net_fini(&net);
}

/* What was said to end an older session does not end the one that followed. */
static void test_late_dismissal(void **state)
{
    (void)state;
    struct sim_client client;
    two_nodes(61, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = sim_node_add_peer(b, a);
    sim_client_start(&client, a, to_b, "echo", 1000);
    sim_net_run(&net, GW_S(8));
    assert_true(sim_client_is_done(&client));
    dismiss(b, to_a);
    to_a = sim_node_add_peer(b, a);
    gw_peer_connect(to_a, sim_now(b));
    sim_node_pump(b);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(status_of(to_a).session.state, GW_SESSION_ESTABLISHED);
    deliver_kept(a, b);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(status_of(to_b).session.state, GW_SESSION_ESTABLISHED);
    assert_true(gw_mono_is_never(status_of(to_b).shut_out_at));
    sim_client_start(&client, a, to_b, "echo", 1000);
    sim_net_run(&net, GW_S(1));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* Nothing is said to who would not understand it, or is not there. */
static void test_nobody_to_dismiss(void **state)
{
    (void)state;
    struct gw_train train = {.slab = kept_slab};
    two_nodes(62, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a;
    struct gw_peer_config stock = sim_peer_config(b, a);
    stock.hello = GW_HELLO_NEVER;
    assert_int_equal(gw_gateway_add_peer(b->gateway, sim_now(b), &stock, &to_a), 0);
    assert_false(gw_gateway_dismiss(a->gateway, sim_now(a), to_b, &train));
    gw_peer_connect(to_b, sim_now(a));
    sim_node_pump(a);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(status_of(to_b).session.state, GW_SESSION_ESTABLISHED);
    assert_false(gw_gateway_dismiss(b->gateway, sim_now(b), to_a, &train));
    sim_net_fini(&net);
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dismissed),
        cmocka_unit_test(test_late_dismissal),
        cmocka_unit_test(test_nobody_to_dismiss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
