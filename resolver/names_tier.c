/* SPDX-License-Identifier: MIT */
#include "resolver/names_tier.h"

#include "gateway/base/err.h"
#include "resolver/name.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    char host[GW_DNS_LABEL_MAX + 1];
    char network[GW_DNS_NAME_MAX + 1];
    char service[GW_SERVICE_NAME_MAX + 1];
    uint8_t public_key[GW_KEY_LEN];
};

struct gw_names_tier {
    struct gw_resolver_tier tier;
    struct gw_resolver *resolver;
    struct entry *entries;
    size_t count;
};

/* The entry of host in network: one that names the network goes before one for any (of ours: `laptop` must not take laptop.example away from
 * the world). A bare host finds an entry of any network, if it is the only one. */
static const struct entry *find_entry(const struct gw_names_tier *names, const char *host,
                                      const char *network)
{
    const struct entry *found = NULL, *elsewhere = NULL;
    size_t elsewhere_count = 0;
    bool is_ours = !network[0] || gw_resolver_knows_network(names->resolver, network);
    for (size_t i = 0; i < names->count; i++) {
        const struct entry *entry = &names->entries[i];
        if (!gw_dns_label_equal(entry->host, host))
            continue;
        if (gw_dns_label_equal(entry->network, network))
            return entry;
        if (!entry->network[0] && !found && is_ours)
            found = entry;
        if (entry->network[0] && elsewhere_count++ == 0)
            elsewhere = entry;
    }
    if (found || network[0])
        return found;
    return elsewhere_count == 1 ? elsewhere : NULL;
}

static bool find(struct gw_resolver_tier *tier, const char *host, const char *network,
                 struct gateway **gateway, struct gw_peer **peer)
{
    struct gw_names_tier *names = gw_container_of(tier, struct gw_names_tier, tier);
    const struct entry *entry = find_entry(names, host, network);
    if (!entry)
        return false;
    const char *where = entry->network[0] ? entry->network : network;
    if (gw_resolver_find_key(names->resolver, where, entry->public_key, gateway, peer))
        return true;
    /* The owner's word for a network of no node's, or for a peer of another one. */
    return entry->network[0] && gw_resolver_find_key(names->resolver, "", entry->public_key, gateway, peer);
}

static const char *service(struct gw_resolver_tier *tier, const char *host, const char *network)
{
    const struct entry *entry = find_entry(gw_container_of(tier, struct gw_names_tier, tier), host, network);
    return entry ? entry->service : NULL;
}

struct gw_names_tier *gw_names_tier_new(struct gw_resolver *resolver)
{
    struct gw_names_tier *names = calloc(1, sizeof *names);
    if (!names)
        return NULL;
    names->tier = (struct gw_resolver_tier){.name = "names.yaml", .find = find, .service = service};
    names->resolver = resolver;
    return names;
}

void gw_names_tier_free(struct gw_names_tier *names)
{
    if (!names)
        return;
    free(names->entries);
    free(names);
}

struct gw_resolver_tier *gw_names_tier_of(struct gw_names_tier *names)
{
    return &names->tier;
}

static bool copy_entry(struct entry *out, const struct gw_names_entry *in)
{
    const char *in_service = in->service ? in->service : "";
    const char *in_network = in->network ? in->network : "";
    if (!gw_dns_label_is_valid(in->host, strlen(in->host)))
        return false;
    if (in_network[0] && !gw_dns_label_is_valid(in_network, strlen(in_network)))
        return false;
    if (in_service[0] && !gw_dns_label_is_valid(in_service, strlen(in_service)))
        return false;
    strcpy(out->host, in->host);
    strcpy(out->network, in_network);
    strcpy(out->service, in_service);
    memcpy(out->public_key, in->public_key, sizeof out->public_key);
    return true;
}

int gw_names_tier_set(struct gw_names_tier *names, const struct gw_names_entry *entries, size_t count,
                      size_t *bad)
{
    struct entry *copies = calloc(count ? count : 1, sizeof *copies);
    if (!copies)
        return GW_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        if (!copy_entry(&copies[i], &entries[i])) {
            *bad = i;
            free(copies);
            return GW_E_INVAL;
        }
    }
    free(names->entries);
    names->entries = copies;
    names->count = count;
    return 0;
}
