/* SPDX-License-Identifier: MIT */
/* Takes a name apart, asks the tiers in order, puts the answer together. */
#include "resolver/resolver.h"

#include "gateway/base/err.h"
#include "gateway/peer/address.h"
#include "gateway/wire/peer_id.h"
#include "resolver/name.h"
#include "resolver/peer_id_tier.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A gateway and what it is called. */
struct network {
    struct gateway *gateway;
    char name[GW_DNS_NAME_MAX + 1];
    char hostname[GW_DNS_LABEL_MAX + 1];
    struct network *next;
};

static_assert(GW_DNS_LABEL_MAX <= GW_SERVICE_NAME_MAX, "a label is room enough for a service");

struct gw_resolver {
    struct gw_resolver_tier *tiers;
    struct network *networks;
    const struct gw_vip_space *addresses; /* NULL: none */
};

/* A name's parts by their meaning. */
struct parts {
    const char *service; /* "" = none */
    const char *host;
    const char *network; /* "" = none */
};

struct gw_resolver *gw_resolver_new(void)
{
    return calloc(1, sizeof(struct gw_resolver));
}

void gw_resolver_free(struct gw_resolver *resolver)
{
    if (!resolver)
        return;
    while (resolver->networks)
        gw_resolver_remove_gateway(resolver, resolver->networks->gateway);
    free(resolver);
}

void gw_resolver_add_tier(struct gw_resolver *resolver, struct gw_resolver_tier *tier)
{
    struct gw_resolver_tier **end = &resolver->tiers;
    while (*end)
        end = &(*end)->next;
    tier->next = NULL;
    *end = tier;
}

int gw_resolver_add_gateway(struct gw_resolver *resolver, struct gateway *gateway, const char *network,
                            const char *own_hostname)
{
    struct network **end = &resolver->networks;
    struct network *added = calloc(1, sizeof *added);
    if (!added)
        return GW_E_NOMEM;
    if (strlen(network) >= sizeof added->name || strlen(own_hostname) >= sizeof added->hostname) {
        free(added);
        return GW_E_INVAL;
    }
    added->gateway = gateway;
    strcpy(added->name, network);
    strcpy(added->hostname, own_hostname);
    while (*end)
        end = &(*end)->next;
    *end = added;
    return 0;
}

void gw_resolver_remove_gateway(struct gw_resolver *resolver, struct gateway *gateway)
{
    for (struct network **at = &resolver->networks; *at; at = &(*at)->next) {
        struct network *found = *at;
        if (found->gateway != gateway)
            continue;
        *at = found->next;
        free(found);
        return;
    }
}

static bool is_network(const struct network *network, const char *name)
{
    return name[0] == '\0' || gw_dns_label_equal(network->name, name);
}

bool gw_resolver_find_key(struct gw_resolver *resolver, const char *network,
                          const uint8_t public_key[GW_KEY_LEN], struct gateway **gateway,
                          struct gw_peer **peer)
{
    for (struct network *at = resolver->networks; at; at = at->next) {
        *gateway = at->gateway;
        *peer = is_network(at, network) ? gw_gateway_find_peer(at->gateway, public_key) : NULL;
        if (*peer)
            return true;
    }
    return false;
}

bool gw_resolver_knows_network(const struct gw_resolver *resolver, const char *name)
{
    for (struct network *at = resolver->networks; at; at = at->next) {
        if (gw_dns_label_equal(at->name, name))
            return true;
    }
    return false;
}

/* ---- the tiers that are part of the resolver */

static bool find_self(struct gw_resolver *resolver, const struct parts *parts, struct gw_answer *answer)
{
    for (struct network *at = resolver->networks; at; at = at->next) {
        if (at->hostname[0] && is_network(at, parts->network) &&
            gw_dns_label_equal(at->hostname, parts->host)) {
            answer->gateway = at->gateway;
            answer->peer = NULL;
            answer->tier = "self";
            return true;
        }
    }
    return false;
}

static struct gw_peer *find_peer_named(struct gateway *gateway, const char *host)
{
    for (struct gw_peer *peer = gw_gateway_next_peer(gateway, NULL); peer;
         peer = gw_gateway_next_peer(gateway, peer)) {
        const char *name = gw_peer_config(peer)->name;
        if (name[0] && gw_dns_label_equal(name, host))
            return peer;
    }
    return NULL;
}

static bool find_configured(struct gw_resolver *resolver, const struct parts *parts, struct gw_answer *answer)
{
    for (struct network *at = resolver->networks; at; at = at->next) {
        struct gw_peer *peer =
            is_network(at, parts->network) ? find_peer_named(at->gateway, parts->host) : NULL;
        if (peer) {
            answer->gateway = at->gateway;
            answer->peer = peer;
            answer->tier = "peers";
            return true;
        }
    }
    return false;
}

static bool find_in_tiers(struct gw_resolver *resolver, const struct parts *parts, struct gw_answer *answer)
{
    for (struct gw_resolver_tier *tier = resolver->tiers; tier; tier = tier->next) {
        if (!tier->find(tier, parts->host, parts->network, &answer->gateway, &answer->peer))
            continue;
        const char *service = tier->service ? tier->service(tier, parts->host, parts->network) : NULL;
        if (service && !parts->service[0])
            snprintf(answer->service, sizeof answer->service, "%s", service);
        answer->tier = tier->name;
        return true;
    }
    return false;
}

/* ---- names */

/* host | host.network | service.host.network, and with a peer ID: peer | service.peer. */
static bool take_apart(const struct gw_dns_name *name, struct parts *out)
{
    unsigned count = name->count;
    *out = (struct parts){"", "", ""};
    if (count > (name->has_peer_id ? 2u : 3u))
        return false;
    if (name->has_peer_id) {
        out->host = name->label[count - 1];
        out->service = count == 2 ? name->label[0] : "";
        return true;
    }
    out->host = count == 3 ? name->label[1] : name->label[0];
    out->network = count >= 2 ? name->label[count - 1] : "";
    out->service = count == 3 ? name->label[0] : "";
    return true;
}

static const char *network_of(const struct gw_resolver *resolver, const struct gateway *gateway)
{
    for (struct network *at = resolver->networks; at; at = at->next) {
        if (at->gateway == gateway)
            return at->name;
    }
    return "";
}

/* host.network.p2p in lower case; a peer ID as it has to be written. */
static void set_canonical(const struct gw_resolver *resolver, const char *host, const char *network,
                          struct gw_answer *answer)
{
    if (!network[0])
        network = network_of(resolver, answer->gateway);
    snprintf(answer->canonical, sizeof answer->canonical, "%.63s%s%.180s.p2p", host, network[0] ? "." : "",
             network);
    gw_dns_lower(answer->canonical);
}

static void set_canonical_peer_id(const uint8_t ed25519[32], struct gw_answer *answer)
{
    char id[GW_PEER_ID_STRLEN];
    snprintf(answer->canonical, sizeof answer->canonical, "%s.p2p", gw_peer_id_format(ed25519, id));
}

static bool find_parts(struct gw_resolver *resolver, const struct parts *parts, struct gw_answer *answer)
{
    if (!find_in_tiers(resolver, parts, answer) && !find_self(resolver, parts, answer) &&
        !find_configured(resolver, parts, answer))
        return false;
    set_canonical(resolver, parts->host, parts->network, answer);
    return true;
}

static bool find(struct gw_resolver *resolver, const struct gw_dns_name *name, struct gw_answer *answer)
{
    struct parts parts;
    if (!take_apart(name, &parts))
        return false;
    strcpy(answer->service, parts.service);
    if (name->has_peer_id) {
        set_canonical_peer_id(name->ed25519, answer);
        return gw_peer_id_tier_find(resolver, name->ed25519, answer);
    }
    return find_parts(resolver, &parts, answer);
}

static bool has_our_ending(const struct gw_resolver *resolver, const struct gw_dns_name *name)
{
    if (name->has_p2p || name->has_peer_id)
        return true;
    return name->count >= 2 && name->count <= GW_DNS_LABELS_MAX &&
           gw_resolver_knows_network(resolver, name->label[name->count - 1]);
}

bool gw_resolver_is_ours(struct gw_resolver *resolver, const char *name)
{
    struct gw_dns_name parsed;
    struct gw_answer answer = {0};
    if (gw_dns_name_parse(&parsed, name) != 0)
        return false;
    return has_our_ending(resolver, &parsed) || find(resolver, &parsed, &answer);
}

void gw_resolver_lookup(struct gw_resolver *resolver, const char *name, gw_resolver_fn *fn, void *ctx)
{
    struct gw_dns_name parsed;
    struct gw_answer answer = {0};
    if (gw_dns_name_parse(&parsed, name) != 0)
        answer.err = GW_E_MALFORMED;
    else if (!find(resolver, &parsed, &answer))
        answer = (struct gw_answer){.err = GW_E_UNKNOWN};
    fn(&answer, ctx);
}

size_t gw_resolver_also(struct gw_resolver *resolver, const char *name, const struct gw_answer *answer,
                        char also[][256], size_t max)
{
    struct gw_dns_name parsed;
    struct parts parts;
    size_t count = 0;
    if (gw_dns_name_parse(&parsed, name) != 0 || !take_apart(&parsed, &parts) || parts.network[0] ||
        parsed.has_peer_id)
        return 0;
    for (struct network *at = resolver->networks; at && count < max; at = at->next) {
        struct gw_answer other = {0};
        parts.network = at->name;
        if (at->gateway == answer->gateway || !at->name[0] || !find_parts(resolver, &parts, &other) ||
            other.gateway == answer->gateway)
            continue;
        strcpy(also[count++], other.canonical);
    }
    return count;
}

void gw_resolver_set_addresses(struct gw_resolver *resolver, const struct gw_vip_space *addresses)
{
    resolver->addresses = addresses;
}

/* One that a table gave away, and that is still the peer's. */
static bool find_given(const struct gw_resolver *resolver, const struct gw_addr *ip, struct gw_answer *answer)
{
    const struct gw_vip *vip;
    const struct gw_vip_entry *entry =
        resolver->addresses ? gw_vip_space_find(resolver->addresses, ip, &vip) : NULL;
    answer->gateway = entry ? gw_vip_params(vip)->gateway : NULL;
    answer->peer = answer->gateway ? gw_gateway_find_peer(answer->gateway, entry->key) : NULL;
    return answer->peer != NULL;
}

bool gw_resolver_find_address(struct gw_resolver *resolver, const struct gw_addr *ip,
                              struct gw_answer *answer)
{
    *answer = (struct gw_answer){.tier = "address"};
    if (find_given(resolver, ip, answer)) {
        set_canonical(resolver, gw_peer_name(answer->peer), "", answer);
        return true;
    }
    for (struct network *at = resolver->networks; at; at = at->next) {
        answer->gateway = at->gateway;
        answer->peer = gw_gateway_route(at->gateway, ip);
        if (answer->peer) {
            answer->is_behind = !gw_peer_config_owns(gw_peer_config(answer->peer), ip);
            set_canonical(resolver, gw_peer_name(answer->peer), at->name, answer);
            return true;
        }
    }
    answer->err = GW_E_UNKNOWN;
    return false;
}
