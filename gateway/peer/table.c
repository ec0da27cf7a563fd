/* SPDX-License-Identifier: MIT */
/* All peers of a gateway: by key, and by the addresses that are theirs (cryptokey routing, WireGuard paper 2). */
#include "gateway/peer/peer_private.h"

#include <string.h>

struct gw_peer *gw_peer_by_key(const struct gw_peer_host *host, const uint8_t public_key[GW_KEY_LEN])
{
    struct gw_map_node *node = gw_map_find(&host->peers, public_key);
    return node ? gw_map_entry(node, struct gw_peer, by_key) : NULL;
}

int gw_peer_route_added(struct gw_peer *peer)
{
    struct gw_peer_host *host = peer->host;
    int err = 0;
    host->routes_version++;
    for (unsigned i = 0; i < peer->config.allowed_ip_count && !err; i++)
        err = gw_allowedips_insert(&host->allowedips, &peer->config.allowed_ips[i], peer);
    return err;
}

int gw_peer_route_all(struct gw_peer_host *host)
{
    int err = 0;
    gw_allowedips_clear(&host->allowedips);
    host->routes_version++;
    for (struct gw_map_node *node = gw_map_first(&host->peers); node && !err;
         node = gw_map_next(&host->peers, node)) {
        struct gw_peer *peer = gw_map_entry(node, struct gw_peer, by_key);
        for (unsigned i = 0; i < peer->config.allowed_ip_count && !err; i++)
            err = gw_allowedips_insert(&host->allowedips, &peer->config.allowed_ips[i], peer);
    }
    return err;
}

struct gw_peer *gw_peer_by_address(const struct gw_peer_host *host, const struct gw_addr *ip)
{
    return gw_allowedips_find(&host->allowedips, ip);
}

bool gw_peer_allows_source(const struct gw_peer *peer, const struct gw_addr *ip)
{
    return gw_peer_by_address(peer->host, ip) == peer;
}
