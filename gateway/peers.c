/* SPDX-License-Identifier: MIT */
/* The peers that there are: they come, change and go, are found by key or address, and hear of what changed with us. */
#include "gateway/base/err.h"
#include "gateway/gateway_private.h"

#include <string.h>

/* Makes room among provisional peers: the one that was added first goes. */
static bool evict_provisional(struct gateway *gateway, struct gw_mono now)
{
    for (struct gw_map_node *node = gw_map_first(&gateway->host.peers); node;
         node = gw_map_next(&gateway->host.peers, node)) {
        struct gw_peer *peer = gw_map_entry(node, struct gw_peer, by_key);
        if (peer->config.is_provisional) {
            gw_peer_free(peer, now, GW_REASON_LIMIT);
            return true;
        }
    }
    return false;
}

int gw_gateway_add_peer(struct gateway *gateway, struct gw_mono now, const struct gw_peer_config *config,
                        struct gw_peer **out)
{
    gateway->host.now = now;
    if (gateway->host.peers.len >= gateway->host.max_peers &&
        (config->is_provisional || !evict_provisional(gateway, now)))
        return GW_E_LIMIT;
    return gw_peer_new(out, &gateway->host, config, now);
}

int gw_gateway_update_peer(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                           const struct gw_peer_config *config)
{
    gateway->host.now = now;
    return gw_peer_update(peer, config, now);
}

void gw_gateway_remove_peer(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer)
{
    gateway->host.now = now;
    gw_peer_free(peer, now, GW_REASON_UNREACHABLE);
}

struct gw_peer *gw_gateway_find_peer(struct gateway *gateway, const uint8_t public_key[GW_KEY_LEN])
{
    return gw_peer_by_key(&gateway->host, public_key);
}

struct gw_peer *gw_gateway_next_peer(const struct gateway *gateway, const struct gw_peer *peer)
{
    struct gw_map_node *node =
        peer ? gw_map_next(&gateway->host.peers, &peer->by_key) : gw_map_first(&gateway->host.peers);
    return node ? gw_map_entry(node, struct gw_peer, by_key) : NULL;
}

struct gw_peer *gw_gateway_route(const struct gateway *gateway, const struct gw_addr *ip)
{
    return gw_peer_by_address(&gateway->host, ip);
}

void gw_gateway_set_log_suffix(struct gateway *gateway, const char *suffix)
{
    gateway->host.log_suffix = suffix;
}

void gw_gateway_call(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                     const struct gw_addr *place)
{
    gateway->host.now = now;
    gw_peer_call(peer, now, place);
}

void gw_gateway_kick(struct gateway *gateway, struct gw_mono now)
{
    if (gateway->kicked.ns == now.ns) /* by whoever else noticed it in this turn */
        return;
    gateway->host.now = gateway->kicked = now;
    for (struct gw_map_node *node = gw_map_first(&gateway->host.peers); node;
         node = gw_map_next(&gateway->host.peers, node)) {
        struct gw_peer *peer = gw_map_entry(node, struct gw_peer, by_key);
        gw_peer_mtu_look_again(peer, now);
        gw_peer_kick(peer, now);
    }
    gw_stun_ask(gateway->stun, now);
    gw_discovery_look_again(gateway->discovery, now);
}

/* ---- ourselves */

/* What they know of every peer depends on our own address, too. */
static void tell_lanes(struct gateway *gateway)
{
    struct gw_peer_host *host = &gateway->host;
    for (struct gw_map_node *node = gw_map_first(&host->peers); node && host->has_lanes;
         node = gw_map_next(&host->peers, node))
        gw_peer_mark_ready(gw_map_entry(node, struct gw_peer, by_key));
}

void gw_gateway_set_addresses(struct gateway *gateway, const struct gw_addr addresses[2])
{
    struct gw_peer_host *host = &gateway->host;
    if (memcmp(host->addresses, addresses, sizeof host->addresses) == 0)
        return;
    memcpy(host->addresses, addresses, sizeof host->addresses);
    tell_lanes(gateway);
    for (struct gw_map_node *node = gw_map_first(&host->peers); node; node = gw_map_next(&host->peers, node))
        gw_peer_hello_again(gw_map_entry(node, struct gw_peer, by_key));
}

void gw_gateway_set_own_alias(struct gateway *gateway, const struct gw_addr *alias)
{
    gateway->host.own_alias = *alias;
    tell_lanes(gateway);
}

/* ---- carriers */

void gw_gateway_carrier_up(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                           const struct gw_tuple *tuple)
{
    gateway->host.now = now;
    gw_peer_add_carrier(peer, now, tuple);
}

void gw_gateway_carrier_down(struct gateway *gateway, struct gw_mono now, const struct gw_tuple *tuple)
{
    gateway->host.now = now;
    for (struct gw_peer *peer = NULL; (peer = gw_gateway_next_peer(gateway, peer)) != NULL;)
        gw_peer_remove_place(peer, now, tuple);
}

bool gw_gateway_carrier_is_used(const struct gateway *gateway, const struct gw_tuple *tuple)
{
    for (struct gw_peer *peer = NULL; (peer = gw_gateway_next_peer(gateway, peer)) != NULL;) {
        const struct gw_path *path = gw_paths_find(&peer->paths, tuple);
        if (path && path->is_validated)
            return true;
    }
    return false;
}
