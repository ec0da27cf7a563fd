/* SPDX-License-Identifier: MIT */
/* Between the daemon and discovery, STUN and the anchor: what it tells them of the machine, and what it may see of them. */
#include "gateway/gateway_private.h"

void gw_gateway_set_candidates(struct gateway *gateway, struct gw_mono now, const struct gw_candidate *list,
                               unsigned count)
{
    gateway->host.now = now;
    gw_discovery_set_addresses(gateway->discovery, now, list, count);
}

void gw_gateway_set_stun(struct gateway *gateway, struct gw_mono now, const struct gw_addr *servers,
                         unsigned count)
{
    gateway->host.now = now;
    gw_stun_set_servers(gateway->stun, now, servers, count);
}

void gw_gateway_ask_stun(struct gateway *gateway, struct gw_mono now)
{
    gateway->host.now = now;
    gw_stun_ask(gateway->stun, now);
}

const struct gw_stun *gw_gateway_stun(const struct gateway *gateway)
{
    return gateway->stun;
}

bool gw_gateway_anchor_view(const struct gateway *gateway, unsigned index, struct gw_mono now,
                            struct gw_anchor_view *out)
{
    const struct gw_anchor_use *use = NULL;
    do
        use = gw_discovery_next_anchor(gateway->discovery, use);
    while (use && index-- > 0);
    if (use)
        gw_anchor_use_view(use, now, out);
    return use != NULL;
}

void gw_gateway_public_view(const struct gateway *gateway, struct gw_public_view *out)
{
    gw_discovery_public_view(gateway->discovery, out);
}

void gw_gateway_try_inbound(struct gateway *gateway, struct gw_mono now)
{
    gw_discovery_try_inbound(gateway->discovery, now);
}

void gw_gateway_nat_view(const struct gateway *gateway, struct gw_nat_behaviour *out)
{
    *out = *gw_discovery_nat(gateway->discovery);
    gw_discovery_nat_lifetime(gateway->discovery, out);
}

void gw_peer_reach_view(const struct gw_peer *peer, struct gw_reach_view *out)
{
    gw_discovery_reach_view(peer, out);
}

struct gw_peer *gw_gateway_relay_of(const struct gateway *gateway, const struct gw_tuple *tuple)
{
    return gw_discovery_relay_of(gateway->discovery, tuple);
}

bool gw_gateway_client_place(const struct gateway *gateway, const struct gw_peer *peer, struct gw_addr *out)
{
    return gateway->anchor && gw_anchor_client_place(peer, out);
}

bool gw_gateway_anchor_stats(const struct gateway *gateway, struct gw_anchor_stats *out)
{
    if (gateway->anchor)
        gw_anchor_stats(gateway->anchor, out);
    return gw_hooks_is_anchor(gateway);
}

struct gw_anchor *gw_gateway_anchor(const struct gateway *gateway)
{
    return gateway->anchor;
}
