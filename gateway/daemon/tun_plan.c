/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/tun_plan.h"

#include "gateway/base/err.h"

#include <stdlib.h>

#define RANGES_MAX 2u /* of the virtual addresses of a network, IPv4 and IPv6 */

size_t gw_tun_own_prefixes(const struct gw_network *network, struct gw_prefix out[GW_ADDRESSES_OWN_MAX])
{
    return gw_addresses_own(network->files->config, gw_gateway_public_key(network->gateway), out);
}

/* One network's part. */
struct part {
    struct gw_tun_plan *plan;
    const struct gw_prefix *own; /* ours there */
    size_t own_count;
    struct gw_prefix ranges[RANGES_MAX]; /* what lies in them has no route of its own */
    size_t range_count;
    bool with_routes;
};

/* Comes from our address there: to what follows from a key, from what follows from ours, which the peers know without being told. */
static void add_route(const struct part *part, const struct gw_prefix *prefix)
{
    struct gw_plan_route *route = &part->plan->routes[part->plan->input.route_count++];
    const struct gw_prefix ula = gw_addresses_ula();
    *route = (struct gw_plan_route){.prefix = *prefix};
    for (size_t i = 0; i < part->own_count; i++) {
        const struct gw_addr *own = &part->own[i].ip;
        bool is_better = gw_prefix_covers(&ula, prefix) && gw_prefix_has(&ula, own);
        if (own->family == prefix->ip.family && (is_better || !gw_addr_is_set(&route->source)))
            route->source = *own;
    }
}

static bool is_in_ranges(const struct part *part, const struct gw_prefix *prefix)
{
    for (size_t i = 0; i < part->range_count; i++) {
        if (gw_prefix_covers(&part->ranges[i], prefix))
            return true;
    }
    return false;
}

static void add_peer(const struct part *part, const struct gw_peer_config *peer)
{
    struct gw_tun_plan *plan = part->plan;
    for (unsigned i = 0; part->with_routes && i < peer->allowed_ip_count; i++) {
        if (!is_in_ranges(part, &peer->allowed_ips[i]))
            add_route(part, &peer->allowed_ips[i]);
    }
    for (unsigned i = 0; i < peer->endpoint_count; i++)
        plan->endpoints[plan->input.endpoint_count++] = peer->endpoints[i];
    for (unsigned i = 0; peer->carrier_port != 0 && i < peer->endpoint_count; i++) {
        struct gw_addr *to = &plan->carriers[plan->input.carrier_count++];
        *to = peer->endpoints[i];
        to->port = peer->carrier_port;
    }
    if (peer->endpoint_count == 0)
        plan->input.has_unknown_endpoints = true;
}

/* The IPv6 addresses of all networks are in one range: its route is the first network's, those of the others' peers are one by one. */
static void add_network(struct gw_tun_plan *plan, const struct gw_network *network, bool with_routes)
{
    struct gw_prefix *own = plan->addresses + plan->input.address_count;
    bool is_first = plan->input.port_count == 0;
    struct part part = {.plan = plan,
                        .own = own,
                        .own_count = gw_tun_own_prefixes(network, own),
                        .ranges = {*gw_addresses_range(network->files->config), gw_addresses_ula()},
                        .range_count = is_first ? 2 : 1,
                        .with_routes = with_routes};
    for (size_t i = 0; i < part.own_count; i++) {
        if (!is_first && gw_prefix_covers(&part.ranges[1], &own[i]))
            own[i].bits = 128;
    }
    plan->input.address_count += part.own_count;
    plan->ports[plan->input.port_count++] = gw_link_port(network->link);
    for (size_t i = 0; with_routes && i < part.range_count; i++)
        add_route(&part, &part.ranges[i]);
    for (unsigned i = 0; i < network->carriers.calls.proxy_count; i++)
        plan->carriers[plan->input.carrier_count++] = network->carriers.calls.proxies[i];
    for (struct gw_peer *peer = gw_gateway_next_peer(network->gateway, NULL); peer;
         peer = gw_gateway_next_peer(network->gateway, peer))
        add_peer(&part, gw_peer_config(peer));
}

static void count_all(const struct gw_list *networks, size_t *network_count, size_t *peer_count)
{
    gw_list_for_each (node, networks) {
        struct gateway *gateway = gw_list_entry(node, struct gw_network, node)->gateway;
        ++*network_count;
        for (struct gw_peer *peer = gw_gateway_next_peer(gateway, NULL); peer;
             peer = gw_gateway_next_peer(gateway, peer))
            ++*peer_count;
    }
}

int gw_tun_plan_make(struct gw_tun_plan *plan, const char *device, const struct gw_list *networks,
                     bool with_routes)
{
    size_t network_count = 0, peer_count = 0;
    count_all(networks, &network_count, &peer_count);
    *plan = (struct gw_tun_plan){.input = {.device = device}};
    plan->addresses = calloc(network_count + 1, GW_ADDRESSES_OWN_MAX * sizeof *plan->addresses);
    plan->routes =
        calloc(GW_PEER_ALLOWED_IPS_MAX * peer_count + RANGES_MAX * network_count + 1, sizeof *plan->routes);
    plan->endpoints = calloc(peer_count + 1, GW_PEER_ENDPOINTS_MAX * sizeof *plan->endpoints);
    plan->carriers = calloc(GW_PEER_ENDPOINTS_MAX * peer_count + GW_CARRIER_PROXY_ADDRS * network_count + 1,
                            sizeof *plan->carriers);
    plan->ports = calloc(network_count + 1, sizeof *plan->ports);
    if (!plan->addresses || !plan->routes || !plan->endpoints || !plan->carriers || !plan->ports)
        return GW_E_NOMEM;
    gw_list_for_each (node, networks)
        add_network(plan, gw_list_entry(node, struct gw_network, node), with_routes);
    plan->input.addresses = plan->addresses;
    plan->input.routes = plan->routes;
    plan->input.endpoints = plan->endpoints;
    plan->input.carriers = plan->carriers;
    plan->input.ports = plan->ports;
    return 0;
}

void gw_tun_plan_fini(struct gw_tun_plan *plan)
{
    free(plan->addresses);
    free(plan->routes);
    free(plan->endpoints);
    free(plan->carriers);
    free(plan->ports);
    *plan = (struct gw_tun_plan){0};
}
