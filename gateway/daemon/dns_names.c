/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/dns_names.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/wire/peer_id.h"
#include "resolver/name.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct gw_prefix ula_range = {.ip = {.family = 6, .ip = {0xfd, GW_VIP_NETWORK}}, .bits = 48};

/* Where one network's hosts are put. */
struct filling {
    struct gw_dns_table *table;
    const struct gw_network *network;
    const char *name; /* the network's */
    bool has_tun;
};

/* ---- whose reverse names are ours */

static void add_range(struct gw_dns_zone *zone, const struct gw_prefix *range)
{
    for (size_t i = 0; i < zone->range_count; i++) {
        if (zone->ranges[i].bits == range->bits && gw_addr_equal(&zone->ranges[i].ip, &range->ip))
            return;
    }
    if (zone->range_count < GW_DNS_RANGES_MAX)
        zone->ranges[zone->range_count++] = *range;
}

static void fill_ranges(const struct gw_dns_names *names)
{
    struct gw_dns_zone *zone = gw_dns_table_zone(names->table);
    zone->range_count = 0;
    add_range(zone, &gw_addresses_local_range);
    add_range(zone, &ula_range);
    gw_list_for_each (node, names->networks) {
        const struct gw_config_network *config = gw_list_entry(node, struct gw_network, node)->files->config;
        add_range(zone, config->alias_range.ip.family ? &config->alias_range : &config->address_range);
        for (size_t i = 0; names->has_tun && i < config->addresses.count && i < 2; i++)
            add_range(zone, &config->addresses.items[i]);
    }
}

/* ---- one host */

/* "home.demo", lower case. false: no host name, or too long. */
static bool set_name(struct gw_dns_host *host, const char *name, const char *network)
{
    if (!gw_dns_label_is_valid(name, strlen(name)))
        return false;
    int len = snprintf(host->name, sizeof host->name, "%s%s%s", name, *network ? "." : "", network);
    gw_dns_lower(host->name);
    return len > 0 && (size_t)len < sizeof host->name;
}

static void put_host(const struct filling *filling, struct gw_dns_host *host, const char *name,
                     const char *network, bool is_canonical)
{
    if (!set_name(host, name, network))
        return;
    int err = gw_dns_table_put(filling->table, host, is_canonical);
    if (err != 0)
        gw_log_warn("%s.p2p is left out of DNS: %s", host->name, gw_strerror(err));
}

static bool has_host(const struct filling *filling, const char *name, const char *network)
{
    struct gw_dns_zone *zone = gw_dns_table_zone(filling->table);
    struct gw_dns_host host;
    if (!set_name(&host, name, network))
        return false;
    return zone->lookup(zone, (struct gw_view){(const uint8_t *)host.name, strlen(name)},
                        (struct gw_view){(const uint8_t *)network, strlen(network)}) != NULL;
}

static void set_peer_id(struct gw_dns_host *host, bool has_ed25519, const uint8_t ed25519[32])
{
    if (has_ed25519)
        gw_peer_id_format(ed25519, host->peer_id);
}

/* With a TUN an address is told only if packets to it go to that peer. */
static struct gw_addr routed(const struct filling *filling, const struct gw_peer *peer,
                             const struct gw_addr *address)
{
    return gw_gateway_route(filling->network->gateway, address) == peer ? *address : (struct gw_addr){0};
}

static void describe_peer(const struct filling *filling, struct gw_dns_host *host, struct gw_peer *peer,
                          const struct gw_guest *guest)
{
    const struct gw_peer_config *config = gw_peer_config(peer);
    const struct gw_vip_entry *entry = guest->entry;
    *host = (struct gw_dns_host){.ipv4 = entry->local,
                                 .is_ipv4_derived = true,
                                 .services = guest->services,
                                 .service_count = guest->service_count};
    if (filling->has_tun) {
        host->ipv4 = routed(filling, peer, &entry->ipv4);
        host->ipv6 = routed(filling, peer, gw_addr_is_set(&guest->ipv6) ? &guest->ipv6 : &entry->ipv6);
        host->is_ipv4_derived = !entry->is_configured;
    }
    set_peer_id(host, config->has_ed25519, config->ed25519);
}

static size_t own_services(const struct filling *filling, struct gw_dns_service out[GW_DNS_HOST_SERVICES_MAX])
{
    const struct gw_registry *registry = gw_services_registry(filling->network->services);
    size_t count = 0;
    for (size_t i = 0; i < registry->count && count < GW_DNS_HOST_SERVICES_MAX; i++) {
        const struct gw_service *service = registry->services[i];
        if (!service->is_enabled)
            continue;
        struct gw_dns_service *to = &out[count++];
        *to = (struct gw_dns_service){.port = service->port, .is_udp = service->is_udp};
        snprintf(to->name, sizeof to->name, "%s", service->name);
        gw_dns_lower(to->name);
    }
    return count;
}

/* services: GW_DNS_HOST_SERVICES_MAX of room. */
static void describe_self(const struct filling *filling, struct gw_dns_host *host,
                          struct gw_dns_service *services)
{
    const struct gw_vip_entry *own = gw_vip_own(filling->network->addresses.vip);
    const struct gw_config_network *config = filling->network->files->config;
    *host = (struct gw_dns_host){.ipv4 = own->local,
                                 .is_ipv4_derived = true,
                                 .services = services,
                                 .service_count = own_services(filling, services)};
    if (!filling->has_tun)
        return;
    host->ipv4 = own->ipv4;
    host->ipv6 = own->ipv6;
    for (size_t i = 0; i < config->addresses.count; i++) {
        if (config->addresses.items[i].ip.family == 6)
            host->ipv6 = config->addresses.items[i].ip;
        else
            host->is_ipv4_derived = false;
    }
}

/* ---- all of them */

/* What the key is in this network; false: nobody. services: GW_DNS_HOST_SERVICES_MAX of room. */
static bool describe_key(const struct filling *filling, const uint8_t key[GW_KEY_LEN],
                         struct gw_dns_host *host, struct gw_dns_service *services)
{
    struct gateway *gateway = filling->network->gateway;
    struct gw_peer *peer = gw_gateway_find_peer(gateway, key);
    struct gw_guest *guest = gw_guests_find(&filling->network->guests, key);
    bool is_self = memcmp(key, gw_gateway_public_key(gateway), GW_KEY_LEN) == 0;
    if (peer && guest)
        describe_peer(filling, host, peer, guest);
    else if (is_self)
        describe_self(filling, host, services);
    return (peer && guest) || is_self;
}

static void put_peers(const struct filling *filling)
{
    struct gateway *gateway = filling->network->gateway;
    for (struct gw_peer *peer = gw_gateway_next_peer(gateway, NULL); peer;
         peer = gw_gateway_next_peer(gateway, peer)) {
        const struct gw_peer_config *config = gw_peer_config(peer);
        const struct gw_guest *guest = gw_guests_find(&filling->network->guests, config->public_key);
        struct gw_dns_host host;
        if (!guest || !config->name[0] || has_host(filling, config->name, filling->name))
            continue; /* the first of a name has it, as in the resolver */
        describe_peer(filling, &host, peer, guest);
        put_host(filling, &host, config->name, filling->name, true);
    }
}

static void put_network(const struct filling *filling)
{
    struct gw_dns_service services[GW_DNS_HOST_SERVICES_MAX];
    const char *hostname = filling->network->hostname;
    struct gw_dns_host self;
    if (*filling->name)
        gw_dns_table_put_network(filling->table, filling->name);
    describe_self(filling, &self, services);
    if (*hostname)
        put_host(filling, &self, hostname, filling->name, true);
    put_peers(filling);
}

/* ---- the owner's names: before all others, and in every network that has the peer, if they name none */

static struct filling filling_of(const struct gw_dns_names *names, const struct gw_network *network)
{
    return (struct filling){names->table, network, network->name, names->has_tun};
}

/* One that names a network: of the peer there, else of the first that has it, as in the resolver. */
static void put_in_network(const struct gw_dns_names *names, const struct gw_name *name)
{
    struct gw_dns_service services[GW_DNS_HOST_SERVICES_MAX];
    struct gw_dns_host host;
    bool has_found = false;
    gw_list_for_each (node, names->networks) {
        const struct filling filling = filling_of(names, gw_list_entry(node, struct gw_network, node));
        bool is_it = strcasecmp(filling.name, name->network) == 0;
        if ((has_found && !is_it) || !gw_guests_is_open(&filling.network->guests) ||
            !describe_key(&filling, name->x25519, &host, services))
            continue;
        has_found = true;
        put_host(&filling, &host, name->host, name->network, false);
    }
}

static void put_in_all(const struct gw_dns_names *names, const struct gw_name *name)
{
    struct gw_dns_service services[GW_DNS_HOST_SERVICES_MAX];
    struct gw_dns_host host;
    bool has_bare = false;
    gw_list_for_each (node, names->networks) {
        const struct filling filling = filling_of(names, gw_list_entry(node, struct gw_network, node));
        if (!gw_guests_is_open(&filling.network->guests) ||
            !describe_key(&filling, name->x25519, &host, services))
            continue;
        put_host(&filling, &host, name->host, filling.name, false);
        if (!has_bare)
            put_host(&filling, &host, name->host, "", false);
        has_bare = true;
    }
}

static void put_names(const struct gw_dns_names *names, const struct gw_names *list)
{
    for (size_t i = 0; list && i < list->count; i++) {
        const struct gw_name *name = &list->names[i];
        if (name->network[0])
            put_in_network(names, name);
        else
            put_in_all(names, name);
    }
}

void gw_dns_names_fill(const struct gw_dns_names *names)
{
    gw_dns_table_clear(names->table);
    fill_ranges(names);
    gw_list_for_each (node, names->networks) {
        const struct filling filling = filling_of(names, gw_list_entry(node, struct gw_network, node));
        if (gw_guests_is_open(&filling.network->guests))
            put_network(&filling);
    }
    put_names(names, names->names);
    gw_list_for_each (node, names->networks)
        put_names(names, gw_list_entry(node, struct gw_network, node)->files->names);
    gw_dns_table_zone(names->table)->serial++;
}
