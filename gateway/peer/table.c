/* SPDX-License-Identifier: MIT */
/* All peers of a gateway: by key, and by the addresses that are theirs (cryptokey routing, WireGuard paper 2). */
#include "gateway/peer/peer_private.h"

#include <string.h>

struct gw_peer *gw_peer_by_key(const struct gw_peer_host *host, const uint8_t public_key[GW_KEY_LEN])
{
    struct gw_map_node *node = gw_map_find(&host->peers, public_key);
    return node ? gw_map_entry(node, struct gw_peer, by_key) : NULL;
}

static bool prefix_contains(const struct gw_prefix *prefix, const struct gw_addr *ip)
{
    if (prefix->ip.family != ip->family)
        return false;
    unsigned bytes = prefix->bits / 8u, rest = prefix->bits % 8u;
    if (memcmp(prefix->ip.ip, ip->ip, bytes) != 0)
        return false;
    return rest == 0 || ((prefix->ip.ip[bytes] ^ ip->ip[bytes]) >> (8 - rest)) == 0;
}

/* The longest prefix of the peer's that contains ip; -1 = none. */
static int longest_match(const struct gw_peer *peer, const struct gw_addr *ip)
{
    int best = -1;
    for (unsigned i = 0; i < peer->config.allowed_ip_count; i++) {
        const struct gw_prefix *prefix = &peer->config.allowed_ips[i];
        if (prefix->bits > best && prefix_contains(prefix, ip))
            best = prefix->bits;
    }
    return best;
}

/* Linear in all prefixes: good for the few packets that travel without a TUN. */
struct gw_peer *gw_peer_by_address(const struct gw_peer_host *host, const struct gw_addr *ip)
{
    struct gw_peer *found = NULL;
    int best = -1;
    for (struct gw_map_node *node = gw_map_first(&host->peers); node; node = gw_map_next(&host->peers, node)) {
        struct gw_peer *peer = gw_map_entry(node, struct gw_peer, by_key);
        int match = longest_match(peer, ip);
        if (match > best) {
            best = match;
            found = peer;
        }
    }
    return found;
}

bool gw_peer_allows_source(const struct gw_peer *peer, const struct gw_addr *ip)
{
    return gw_peer_by_address(peer->host, ip) == peer;
}
