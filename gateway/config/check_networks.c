/* SPDX-License-Identifier: MIT */
/* What several networks of one node mean together: names and ports that only one may have, and addresses that two may. */
#include "gateway/config/load.h"

#include "gateway/config/endpoint.h"
#include "gateway/wire/cursor.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define complain gw_load_complain

typedef void check_pair_fn(const struct gw_loading *loading, const struct gw_config_network *first,
                           const struct gw_config_network *second);

static void check_pairs(const struct gw_loading *loading, check_pair_fn *check)
{
    const struct gw_config_network *first = NULL, *second;
    while ((first = gw_config_next_network(loading->config, first))) {
        for (second = gw_config_next_network(loading->config, first); second;
             second = gw_config_next_network(loading->config, second))
            check(loading, first, second);
    }
}

/* "home (line 3)", or "home" of the top level. */
static const char *describe(const struct gw_config_network *network, char out[96])
{
    if (network->line)
        snprintf(out, 96, "%.63s in line %u", network->name ? network->name : "?", network->line);
    else
        snprintf(out, 96, "%.63s, the top level's", network->name ? network->name : "?");
    return out;
}

/* ---- names, files, ports */

static void check_names(const struct gw_loading *loading, const struct gw_config_network *first,
                        const struct gw_config_network *second)
{
    char text[96];
    if (first->name && second->name && strcasecmp(first->name, second->name) == 0)
        complain(loading, second->line, "networks[].network: there is one of this name already: %s",
                 describe(first, text));
}

/* Who has the same key in both would make sessions of one in the other. */
static void check_identities(const struct gw_loading *loading, const struct gw_config_network *first,
                             const struct gw_config_network *second)
{
    char text[96];
    if (!first->name || !second->name)
        return;
    bool is_same_file = !first->private_key.is_set && !second->private_key.is_set && first->identity &&
                        second->identity && strcmp(first->identity, second->identity) == 0;
    bool is_same_key =
        first->private_key.is_set && second->private_key.is_set &&
        memcmp(first->private_key.bytes, second->private_key.bytes, sizeof first->private_key.bytes) == 0;
    if ((is_same_file || is_same_key) && strcasecmp(first->name, second->name) != 0)
        complain(loading, second->line, "networks[].%s: is that of %s already; each network has its own",
                 is_same_file ? "identity" : "private_key", describe(first, text));
}

static uint16_t port_of(const struct gw_config_network *network, const struct gw_addr *listen)
{
    return listen->port ? listen->port : (uint16_t)network->port;
}

static bool is_one_socket(const struct gw_addr *a, const struct gw_addr *b)
{
    return a->family == b->family &&
           (gw_addr_is_unspecified(a) || gw_addr_is_unspecified(b) || gw_addr_same_ip(a, b));
}

static void check_ports(const struct gw_loading *loading, const struct gw_config_network *first,
                        const struct gw_config_network *second)
{
    char text[96];
    for (size_t i = 0; i < first->listen.count; i++) {
        for (size_t j = 0; j < second->listen.count; j++) {
            const struct gw_addr *a = &first->listen.items[i], *b = &second->listen.items[j];
            uint16_t port = port_of(first, a);
            if (port == 0 || port != port_of(second, b) || !is_one_socket(a, b))
                continue;
            complain(loading, second->line, "networks[].port: %u is the port of %s already; give it another",
                     port, describe(first, text));
            return;
        }
    }
}

/* ---- ranges of addresses */

static uint32_t mask_of(unsigned bits)
{
    return bits == 0 ? 0 : ~UINT32_C(0) << (32 - bits);
}

static bool overlap(const struct gw_prefix *a, const struct gw_prefix *b)
{
    uint32_t mask = mask_of(a->bits < b->bits ? a->bits : b->bits);
    return a->ip.family == 4 && b->ip.family == 4 &&
           ((gw_load32_be(a->ip.ip) ^ gw_load32_be(b->ip.ip)) & mask) == 0;
}

/* Where its addresses are on this machine, as far as that is settled; family 0: not yet. */
struct place {
    struct gw_config_network *network;
    struct gw_prefix range;
};

static bool is_free(const struct place *places, size_t count, const struct gw_prefix *range)
{
    for (size_t i = 0; i < count; i++) {
        if (overlap(&places[i].range, range))
            return false;
    }
    return true;
}

/* Does a peer have an address there, or something behind it? */
static bool is_routed(const struct gw_config_network *network, const struct gw_prefix *range)
{
    for (size_t i = 0; i < network->peers.count; i++) {
        const struct gw_config_peer *peer = &network->peers.items[i];
        for (size_t j = 0; j < peer->tunnel_ips.count; j++) {
            const struct gw_prefix ip = {.ip = peer->tunnel_ips.items[j], .bits = 32};
            if (overlap(&ip, range))
                return true;
        }
        for (size_t j = 0; j < peer->allowed_ips.count; j++) {
            const struct gw_prefix *prefix = &peer->allowed_ips.items[j];
            if (prefix->bits >= range->bits && overlap(prefix, range))
                return true;
        }
    }
    for (size_t i = 0; i < network->addresses.count; i++) {
        if (overlap(&network->addresses.items[i], range))
            return true;
    }
    return false;
}

static bool is_routed_anywhere(const struct gw_config *config, const struct gw_prefix *range)
{
    const struct gw_config_network *network = NULL;
    while ((network = gw_config_next_network(config, network))) {
        if (is_routed(network, range))
            return true;
    }
    return false;
}

/* What is nobody's on the internet around the range; else its /8. */
static struct gw_prefix pool_of(const struct gw_prefix *range)
{
    static const struct gw_prefix pools[] = {
        {.ip = {.family = 4, .ip = {10}}, .bits = 8},
        {.ip = {.family = 4, .ip = {172, 16}}, .bits = 12},
        {.ip = {.family = 4, .ip = {192, 168}}, .bits = 16},
        {.ip = {.family = 4, .ip = {100, 64}}, .bits = 10},
    };
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        if (pools[i].bits <= range->bits && overlap(&pools[i], range))
            return pools[i];
    }
    return (struct gw_prefix){.ip = {.family = 4, .ip = {range->ip.ip[0]}}, .bits = 8};
}

/* The next one after its own that is nobody's. */
static bool find_range(const struct gw_config *config, const struct place *places, size_t count,
                       const struct gw_prefix *range, struct gw_prefix *out)
{
    struct gw_prefix pool = pool_of(range);
    uint32_t size = UINT32_C(1) << (32 - range->bits), pool_size = UINT32_C(1) << (32 - pool.bits);
    uint32_t base = gw_load32_be(pool.ip.ip), offset = gw_load32_be(range->ip.ip) - base;
    *out = *range;
    for (uint32_t tried = 1; tried < pool_size / size; tried++) {
        offset = (offset + size) % pool_size;
        gw_store32_be(out->ip.ip, base + offset);
        if (is_free(places, count, out) && !is_routed_anywhere(config, out))
            return true;
    }
    return false;
}

static bool is_good(const struct gw_prefix *range)
{
    return range->ip.family == 4 && range->bits >= 8 && range->bits <= 28;
}

/* Told where the owner says so; else kept where it is alone; else another one. */
static void settle(const struct gw_loading *loading, struct place *places, size_t count)
{
    char text[96];
    for (size_t i = 0; i < count; i++) {
        if (!is_good(&places[i].network->alias_range))
            continue;
        if (!is_free(places, count, &places[i].network->alias_range))
            complain(loading, places[i].network->line, "alias_range: another network's overlaps it");
        places[i].range = places[i].network->alias_range;
    }
    for (size_t i = 0; i < count; i++) {
        const struct gw_prefix *range = &places[i].network->address_range;
        if (!gw_addr_is_set(&places[i].range.ip) && is_good(range) && is_free(places, count, range))
            places[i].range = *range;
    }
    for (size_t i = 0; i < count; i++) {
        struct gw_config_network *network = places[i].network;
        if (gw_addr_is_set(&places[i].range.ip) || !is_good(&network->address_range))
            continue;
        if (find_range(loading->config, places, count, &network->address_range, &network->alias_range))
            places[i].range = network->alias_range;
        else
            complain(loading, network->line, "alias_range: none is left for %s; choose one",
                     describe(network, text));
    }
}

static void place_ranges(const struct gw_loading *loading)
{
    struct place places[16]; /* the schema allows 15 beside the top level's */
    struct gw_config *config = loading->config;
    size_t count = 0;
    memset(places, 0, sizeof places);
    if (config->has_top)
        places[count++].network = &config->top;
    for (size_t i = 0; i < config->networks.count; i++)
        places[count++].network = &config->networks.items[i];
    settle(loading, places, count);
}

void gw_check_networks(const struct gw_loading *loading)
{
    check_pairs(loading, check_names);
    check_pairs(loading, check_identities);
    check_pairs(loading, check_ports);
    place_ranges(loading);
}
