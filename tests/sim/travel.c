/* SPDX-License-Identifier: MIT */
#include "tests/sim/travel.h"

#include "gateway/peer/peer_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SETTLE_NS GW_MS(20) /* gateway/link/netwatch_linux.c */

bool sim_travel_is_anchors(const struct sim_travel *at, const struct gw_addr *addr)
{
    for (unsigned i = 0; i < 2; i++) {
        struct gw_addr its = sim_behind_addr(at->anchors[i], addr->family);
        if (gw_addr_same_ip(addr, &its))
            return true;
    }
    return false;
}

static bool passes(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    struct sim_travel *at = gw_container_of(from->net, struct sim_travel, net);
    bool is_end = from == at->phone || from == at->home;
    (void)datagram, (void)len;
    if (at->is_direct_dead && is_end && !sim_travel_is_anchors(at, &tuple->remote))
        return false;
    return at->loss == 0 || sim_dice_unit(&at->dice) >= at->loss;
}

/* ---- who is there */

static void tell_addresses(struct sim_node *node)
{
    struct gw_candidate list[2];
    unsigned count = 0;
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct gw_addr addr = sim_behind_addr(node, family);
        if (gw_addr_is_set(&addr))
            list[count++] = (struct gw_candidate){addr, GW_CANDIDATE_HOST};
    }
    gw_gateway_set_candidates(node->gateway, sim_now(node), list, count);
}

static struct gw_peer *add(struct sim_node *node, const struct sim_node *other)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    struct gw_peer *peer;
    config.endpoint_count = 0;
    config.has_ed25519 = true;
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
    return peer;
}

static void add_anchor(struct sim_travel *at, struct sim_node *node, unsigned which)
{
    struct gw_peer_config config = sim_peer_config(node, at->anchors[which]);
    struct gw_peer *peer;
    config.endpoints[0] = sim_behind_addr(at->anchors[which], 4);
    config.endpoints[1] = sim_behind_addr(at->anchors[which], 6);
    config.endpoint_count = 2;
    config.is_anchor = config.is_eager = true;
    config.keepalive_ns = GW_S(25);
    snprintf(config.name, sizeof config.name, "anchor%u", which);
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
}

void sim_travel_start_anchor(struct sim_travel *at, unsigned which)
{
    struct sim_node *anchor = at->anchors[which];
    anchor->params.anchor.is_enabled = anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    add(anchor, at->phone);
    add(anchor, at->home);
}

void sim_travel_begin(struct sim_travel *at, uint64_t seed, enum nat_kind kind, int64_t delay_ns)
{
    memset(at, 0, sizeof *at);
    sim_net_init(&at->net, seed, NULL);
    sim_behind_init(&at->world, &at->net, &(struct sim_link_params){.delay_ns = delay_ns});
    at->dice.state = seed;
    struct sim_nat_net *nat = &at->world.nat;
    sim_nat_add_line(&at->lines[0], nat, &nat->internet, kind, 1, false);
    sim_nat_add_line(&at->lines[1], nat, &nat->internet, kind, 2, true);
    sim_nat_add_line(&at->lte, nat, &nat->internet, NAT_KIND_CGNAT_DOUBLE, 3, false);
    sim_nat_add_line(&at->v6, nat, &nat->internet, NAT_KIND_V6_ONLY, 4, false);
    at->anchors[0] = sim_behind_add_public(&at->world, "9.9.9.9", "2a00:ffff::9");
    at->anchors[1] = sim_behind_add_public(&at->world, "9.9.9.10", "2a00:ffff:1::a");
    at->phone = sim_behind_add(&at->world, &at->lines[0]);
    at->home = sim_behind_add(&at->world, &at->lines[1]);
    for (unsigned i = 0; i < at->net.node_count; i++)
        at->net.nodes[i]->filter = passes;
    sim_travel_start_anchor(at, 0);
    sim_travel_start_anchor(at, 1);
    for (unsigned i = 0; i < 2; i++) {
        add_anchor(at, at->phone, i);
        add_anchor(at, at->home, i);
    }
    at->to_home = add(at->phone, at->home);
    at->to_phone = add(at->home, at->phone);
    tell_addresses(at->phone);
    tell_addresses(at->home);
    sim_net_run(&at->net, GW_S(2));
}

void sim_travel_start(struct sim_travel *at, int64_t apart_ns, int64_t settle_ns)
{
    sim_stream_start(&at->up, at->phone, at->to_home, at->home);
    sim_net_run(&at->net, apart_ns);
    sim_stream_start(&at->down, at->home, at->to_phone, at->phone);
    sim_net_run(&at->net, settle_ns);
}

void sim_travel_end(struct sim_travel *at)
{
    assert_false(at->up.is_wrong || at->down.is_wrong || at->up.is_lost || at->down.is_lost);
    sim_behind_fini(&at->world);
    sim_net_fini(&at->net);
    sim_stream_forget();
}

/* ---- what happens to the phone */

/* As long as its loop does not run, it hears of nothing. */
static void hear(struct sim_travel *at)
{
    sim_net_run(&at->net, SETTLE_NS);
    while (at->phone->is_held)
        sim_net_run(&at->net, GW_MS(1));
}

void sim_travel_leave(struct sim_travel *at)
{
    sim_nat_leave(&at->phone->place->end);
    hear(at);
    gw_gateway_set_candidates(at->phone->gateway, sim_now(at->phone), NULL, 0);
    gw_gateway_kick(at->phone->gateway, sim_now(at->phone));
}

void sim_travel_move(struct sim_travel *at, struct sim_nat_line *line)
{
    line->hosts = 0; /* the same address as the last time */
    sim_behind_move(at->phone, line);
    hear(at);
    tell_addresses(at->phone);
    gw_gateway_kick(at->phone->gateway, sim_now(at->phone));
}

/* ---- what is seen */

bool sim_travel_is_direct(const struct sim_travel *at, const struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, at->net.clock.now, &status);
    return status.has_path && !status.is_relayed;
}

void sim_travel_watch(struct sim_travel *at)
{
    sim_stream_watch(&at->up);
    sim_stream_watch(&at->down);
}

int64_t sim_travel_gap(const struct sim_travel *at)
{
    int64_t a = sim_stream_gap(&at->up), b = sim_stream_gap(&at->down);
    return a > b ? a : b;
}
