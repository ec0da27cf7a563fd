/* SPDX-License-Identifier: MIT */
/* An anchor and two nodes that reach each other only by it: every datagram between their addresses is dropped. What the tests of anchors begin with; each has it for itself. */
#ifndef TESTS_SIM_ANCHORED_H
#define TESTS_SIM_ANCHORED_H

#include "tests/sim/app.h"

#include "gateway/anchor/anchor.h"
#include "gateway/peer/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)

static struct sim_net net;
static struct sim_node *anchor, *a, *b;
static struct gw_peer *a_to_b, *b_to_a, *a_to_anchor, *b_to_anchor;

static inline bool blocks_direct(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                                 size_t len)
{
    (void)datagram, (void)len;
    return !sim_is_between(from, tuple, a, b);
}

/* Starts it, or starts it again without memory, with both as its clients. */
static inline void make_anchor(void)
{
    anchor->params.anchor.is_enabled = true;
    anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    sim_node_add_unlocated(anchor, a);
    sim_node_add_unlocated(anchor, b);
}

/* The clients ask at once; neither has a session with the other. Ended by sim_net_fini(&net). */
static inline void three_nodes(uint64_t seed, const struct sim_link_params *params)
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

/* Of the first anchor of the node's. */
static inline struct gw_anchor_view view_of(const struct sim_node *node)
{
    struct gw_anchor_view view;
    assert_true(gw_gateway_anchor_view(node->gateway, 0, net.clock.now, &view));
    return view;
}

static inline struct gw_anchor_stats stats_of(const struct sim_node *node)
{
    struct gw_anchor_stats stats;
    assert_true(gw_gateway_anchor_stats(node->gateway, &stats));
    return stats;
}

static inline struct gw_peer_status status_of(struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, net.clock.now, &status);
    return status;
}

static inline void feed(struct sim_node *node, const char *from, const uint8_t *datagram, size_t len)
{
    static uint8_t slab[GW_TRAIN_SLAB];
    struct gw_train train = {.slab = slab, .stride = (uint16_t)len, .last_len = (uint16_t)len, .count = 1};
    memcpy(slab, datagram, len);
    train.tuple.local = node->addr;
    assert_int_equal(gw_addr_parse(&train.tuple.remote, from), 0);
    gw_gateway_input(node->gateway, sim_now(node), &train);
    sim_node_pump(node);
}

static inline void say(struct sim_node *from, const struct sim_node *to, const peergate_Control *message)
{
    struct gw_peer *peer = gw_gateway_find_peer(from->gateway, gw_gateway_public_key(to->gateway));
    assert_non_null(peer);
    gw_peer_send_message(peer, sim_now(from), message);
    sim_node_pump(from);
}

#endif
