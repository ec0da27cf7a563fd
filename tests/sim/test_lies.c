/* SPDX-License-Identifier: MIT */
/* What a peer of ours that lies can do to us: engines in virtual time, one of which says what makes no sense. */
#include "tests/sim/app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)
#define START 1200u

static struct sim_net net;
static struct sim_node *anchor, *a, *b;
static struct gw_peer *a_to_b;
static size_t longest;

static bool blocks_direct(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                          size_t len)
{
    (void)datagram;
    longest = len > longest ? len : longest;
    return !gw_addr_equal(&tuple->remote, from == a ? &b->addr : &a->addr);
}

static struct gw_peer *add(struct sim_node *node, const struct sim_node *other, bool is_anchor)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    struct gw_peer *peer;
    config.is_anchor = config.is_eager = is_anchor;
    config.endpoint_count = is_anchor ? 1 : 0;
    config.has_ed25519 = true;
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
    return peer;
}

/* a and b reach each other by the anchor's relay only; b says in its HELLO that it takes datagrams of `mtu` bytes. */
static void begin(uint64_t seed, uint16_t mtu)
{
    sim_net_init(&net, seed, &(struct sim_link_params){.delay_ns = DELAY, .mtu = 70000});
    anchor = sim_net_add(&net, "10.0.0.1:7001");
    a = sim_net_add(&net, "10.0.0.2:7002");
    b = sim_net_add(&net, "10.0.0.3:7003");
    anchor->params.anchor.is_enabled = anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    b->params.mtu_v4 = b->params.mtu_v6 = mtu;
    sim_node_restart(b);
    a->filter = b->filter = blocks_direct;
    add(anchor, a, false);
    add(anchor, b, false);
    add(a, anchor, true);
    add(b, anchor, true);
    sim_app_serve(b);
    a_to_b = add(a, b, false);
    add(b, a, false);
    longest = 0;
    sim_net_run(&net, GW_S(1));
}

/* Less than what a relay's header takes, and less than any datagram has: it gets what everybody gets, no probe of a size that came from counting below zero. */
static void test_takes_next_to_nothing(void **state)
{
    (void)state;
    static const uint16_t mtus[] = {1, 14, 15, 16, 17, 48, 600, START - 1, START};
    for (size_t i = 0; i < sizeof mtus / sizeof *mtus; i++) {
        struct sim_client client;
        begin(1 + i, mtus[i]);
        assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 100000), 0);
        sim_net_run(&net, GW_S(5));
        struct gw_peer_status status;
        gw_peer_status(a_to_b, net.clock.now, &status);
        assert_true(sim_client_is_done(&client));
        assert_true(gw_tuple_is_relay(&status.path));
        assert_in_range(status.payload_len, 1, START);
        assert_in_range(longest, START, 1472);
        sim_net_fini(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_next_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
