/* SPDX-License-Identifier: MIT */
/* Two engines behind two NATs; see pairs.h. */
#include "tests/sim/pairs.h"

#include <stdlib.h>

static struct sim_net net;
static struct sim_behind world;

static void must(bool is_right)
{
    if (!is_right)
        abort();
}

static void add_anchor(struct sim_node *node, const struct sim_node *anchor)
{
    struct gw_peer_config config = sim_peer_config(node, anchor);
    struct gw_peer *peer;
    config.endpoint_count = 0;
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct gw_addr own = sim_behind_addr(node, family);
        if (gw_addr_is_set(&own))
            config.endpoints[config.endpoint_count++] = sim_behind_addr(anchor, family);
    }
    config.is_anchor = config.is_eager = true;
    config.keepalive_ns = GW_S(25);
    must(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer) == 0);
}

static void add_public(struct sim_node *nodes[2], unsigned which)
{
    static const char *const v4[2] = {"9.9.9.9", "9.9.9.10"}, *const v6[2] = {"2a00:ffff::9",
                                                                              "2a00:ffff:1::a"};
    struct sim_node *anchor = sim_behind_add_public(&world, v4[which], v6[which]);
    anchor->params.anchor.is_enabled = anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    for (unsigned i = 0; i < 2; i++) {
        sim_node_add_unlocated(anchor, nodes[i]);
        add_anchor(nodes[i], anchor);
    }
}

static bool is_direct(struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, net.clock.now, &status);
    return status.has_path && !status.is_relayed;
}

/* The next attempt is behind the limit. */
static bool is_hopeless(struct gw_peer *peer, struct gw_mono limit)
{
    struct gw_reach_view view;
    gw_peer_reach_view(peer, &view);
    return !view.is_punching && view.failures > 0 && gw_mono_before(limit, view.next_attempt);
}

static void run(struct sim_pair_outcome *out, const struct sim_pair_params *params, struct sim_node *nodes[2],
                struct gw_peer *peers[2])
{
    const struct gw_mono began = net.clock.now, limit = gw_mono_add(began, params->limit_ns);
    static struct sim_client client;
    struct gw_mono next = began;
    while (out->direct_ns < 0 && gw_mono_before(net.clock.now, limit)) {
        /* A little, again and again: it is in use. */
        if (gw_mono_due(next, net.clock.now) && (next.ns == began.ns || sim_client_is_done(&client))) {
            must(sim_client_start(&client, nodes[0], peers[0], "echo", 500) == 0);
            next = gw_mono_add(net.clock.now, GW_S(1));
        }
        sim_net_run(&net, GW_MS(20));
        if (out->connected_ns < 0 && client.is_accepted)
            out->connected_ns = gw_mono_sub(client.accepted_at, began);
        if (is_direct(peers[0]) && is_direct(peers[1]))
            out->direct_ns = gw_mono_sub(net.clock.now, began);
        if (params->stops_when_hopeless && out->connected_ns >= 0 && is_hopeless(peers[0], limit) &&
            is_hopeless(peers[1], limit))
            break;
    }
    gw_peer_reach_view(peers[0], &out->why);
}

void sim_pair_meet(struct sim_pair_outcome *out, const struct sim_pair_params *params)
{
    struct sim_nat_line lines[2];
    struct sim_node *nodes[2];
    struct gw_peer *peers[2];
    *out = (struct sim_pair_outcome){.connected_ns = -1, .direct_ns = -1};
    sim_net_init(&net, params->seed, NULL);
    sim_behind_init(&world, &net, &(struct sim_link_params){.delay_ns = params->delay_ns});
    for (unsigned i = 0; i < 2; i++) {
        sim_nat_add_line(&lines[i], &world.nat, &world.nat.internet, params->kinds[i], i + 1,
                         params->with_v6[i]);
        nodes[i] = sim_behind_add(&world, &lines[i]);
        sim_behind_tell_addresses(nodes[i]);
    }
    for (unsigned i = 0; i < params->anchors; i++)
        add_public(nodes, i);
    sim_app_serve(nodes[1]);
    for (unsigned i = 0; i < 2; i++)
        peers[i] = sim_node_add_unlocated(nodes[i], nodes[!i]);
    run(out, params, nodes, peers);
    for (unsigned i = 0; i < 2; i++) {
        gw_gateway_nat_view(nodes[i]->gateway, &out->nats[i]);
        out->datagrams += nodes[i]->datagrams_out;
        out->most_links =
            nodes[i]->place->most_links > out->most_links ? nodes[i]->place->most_links : out->most_links;
    }
    sim_behind_fini(&world);
    sim_net_fini(&net);
}
