/* SPDX-License-Identifier: MIT */
/* What the values of one network's peers mean together: keys, names and addresses that only one may have. */
#include "gateway/config/load.h"

#include "gateway/base/err.h"
#include "gateway/config/endpoint.h"

#include <ctype.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define complain gw_load_complain
#define warn(loading, line, ...) gw_diag_warning((loading)->diag, (loading)->path, line, __VA_ARGS__)

static void check_peer_key(const struct gw_loading *loading, struct gw_config_peer *peer)
{
    if (!peer->peer_id.is_set)
        return;
    if (!peer->public_key.is_set) {
        memcpy(peer->public_key.bytes, peer->peer_id.x25519, sizeof peer->public_key.bytes);
        peer->public_key.is_set = true;
    } else if (memcmp(peer->public_key.bytes, peer->peer_id.x25519, sizeof peer->public_key.bytes) != 0) {
        complain(loading, peer->line, "peers[].public_key: is not the peer_id's; one of the two is enough");
    }
}

static void check_endpoints(const struct gw_loading *loading, const struct gw_config_peer *peer)
{
    for (size_t i = 0; i < peer->endpoints.count; i++) {
        const struct gw_config_endpoint *endpoint = &peer->endpoints.items[i];
        char text[GW_ADDR_STRLEN];
        if (endpoint->kind != GW_CONFIG_ENDPOINT_IP)
            continue;
        if (gw_addr_is_unspecified(&endpoint->addr) || gw_addr_is_multicast(&endpoint->addr))
            complain(loading, peer->line, "peers[].endpoint: expected an address that one peer has, found %s",
                     gw_addr_format(&endpoint->addr, text));
    }
}

static bool may_be_host(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        if (!isascii((unsigned char)name[i]) ||
            !(isalnum((unsigned char)name[i]) || name[i] == '-' || name[i] == '_'))
            return false;
    }
    return len > 0 && name[0] != '-' && name[len - 1] != '-';
}

static void check_tls_name(const struct gw_loading *loading, const struct gw_config_peer *peer)
{
    if (peer->tls_name && !gw_host_name_is_valid(peer->tls_name))
        complain(loading, peer->line, "tls_name: expected a host name, found \"%s\"", peer->tls_name);
}

static void check_peer(const struct gw_loading *loading, struct gw_config_peer *peer)
{
    check_peer_key(loading, peer);
    check_endpoints(loading, peer);
    check_tls_name(loading, peer);
    if (peer->name && !may_be_host(peer->name))
        warn(loading, peer->line,
             "peers[].name: \"%s\" cannot be used as a host name, which has letters, digits and - only",
             peer->name);
    if (peer->hello == GW_HELLO_NEVER && peer->seal == GW_SEAL_REQUIRED)
        warn(
            loading, peer->line,
            "peers[].seal: with `hello: never` no seal can be agreed on, and `required` then lets nothing pass");
}

static const char *name_of(const struct gw_config_peer *peer)
{
    return peer->name ? peer->name : "a peer without a name";
}

static int by_line(const struct gw_config_peer *a, const struct gw_config_peer *b)
{
    return (a->line > b->line) - (a->line < b->line);
}

static int compare_by_key(const void *a, const void *b)
{
    const struct gw_config_peer *const *x = a, *const *y = b;
    int order = memcmp((*x)->public_key.bytes, (*y)->public_key.bytes, sizeof(*x)->public_key.bytes);
    return order ? order : by_line(*x, *y);
}

static int compare_by_name(const void *a, const void *b)
{
    const struct gw_config_peer *const *x = a, *const *y = b;
    int order = strcasecmp((*x)->name ? (*x)->name : "", (*y)->name ? (*y)->name : "");
    return order ? order : by_line(*x, *y);
}

static void check_same_key(const struct gw_loading *loading, const struct gw_config_peer *first,
                           const struct gw_config_peer *second)
{
    bool is_flipped =
        first->peer_id.is_set && second->peer_id.is_set &&
        memcmp(first->peer_id.ed25519, second->peer_id.ed25519, sizeof first->peer_id.ed25519) != 0;
    if (!first->public_key.is_set ||
        memcmp(first->public_key.bytes, second->public_key.bytes, sizeof first->public_key.bytes) != 0)
        return;
    complain(loading, second->line, "peers[]: %s has the same key as %s in line %u%s", name_of(second),
             name_of(first), first->line, is_flipped ? " (two peer IDs of one X25519 key)" : "");
}

static void check_same_name(const struct gw_loading *loading, const struct gw_config_peer *first,
                            const struct gw_config_peer *second)
{
    if (first->name && second->name && strcasecmp(first->name, second->name) == 0)
        complain(loading, second->line, "peers[].name: \"%s\" is there already, in line %u", second->name,
                 first->line);
}

/* Sorted, equal ones are neighbours. */
static int check_neighbours(const struct gw_loading *loading, const struct gw_config_network *network,
                            int (*compare)(const void *, const void *),
                            void (*check)(const struct gw_loading *, const struct gw_config_peer *,
                                          const struct gw_config_peer *))
{
    size_t count = network->peers.count;
    const struct gw_config_peer **sorted = malloc((count ? count : 1) * sizeof *sorted);
    if (!sorted)
        return GW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &network->peers.items[i];
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 1; i < count; i++)
        check(loading, sorted[i - 1], sorted[i]);
    free(sorted);
    return 0;
}

struct route {
    struct gw_prefix prefix;
    const struct gw_config_peer *peer;
};

static int compare_routes(const void *a, const void *b)
{
    const struct route *x = a, *y = b;
    int order = memcmp(&x->prefix, &y->prefix, sizeof x->prefix);
    return order ? order : by_line(x->peer, y->peer);
}

static size_t collect_routes(const struct gw_config_peer *peer, struct route *out)
{
    size_t count = 0;
    for (size_t i = 0; i < peer->tunnel_ips.count; i++) {
        const struct gw_addr *ip = &peer->tunnel_ips.items[i];
        out[count++] = (struct route){{.ip = *ip, .bits = ip->family == 4 ? 32 : 128}, peer};
    }
    for (size_t i = 0; i < peer->allowed_ips.count; i++)
        out[count++] = (struct route){peer->allowed_ips.items[i], peer};
    return count;
}

static size_t count_routes(const struct gw_config_network *network)
{
    size_t count = 0;
    for (size_t i = 0; i < network->peers.count; i++)
        count += network->peers.items[i].tunnel_ips.count + network->peers.items[i].allowed_ips.count;
    return count;
}

/* Packets to one prefix go to one peer. */
static int check_routes(const struct gw_loading *loading, const struct gw_config_network *network)
{
    struct route *routes = calloc(count_routes(network) + 1, sizeof *routes);
    size_t count = 0;
    char text[GW_ADDR_STRLEN];
    if (!routes)
        return GW_E_NOMEM;
    for (size_t i = 0; i < network->peers.count; i++)
        count += collect_routes(&network->peers.items[i], routes + count);
    qsort(routes, count, sizeof *routes, compare_routes);
    for (size_t i = 1; i < count; i++) {
        const struct route *a = &routes[i - 1], *b = &routes[i];
        if (a->prefix.ip.family && a->peer != b->peer &&
            memcmp(&a->prefix, &b->prefix, sizeof a->prefix) == 0)
            complain(loading, b->peer->line, "peers[].allowed_ips: %s belongs to the peer in line %u already",
                     gw_prefix_format(&a->prefix, text, sizeof text), a->peer->line);
    }
    free(routes);
    return 0;
}

/* The anchors that a peer is to be found through are among this node's. */
static void check_peers_anchors(const struct gw_loading *loading, const struct gw_config_network *network)
{
    for (size_t i = 0; i < network->peers.count; i++) {
        const struct gw_config_peer *peer = &network->peers.items[i];
        for (size_t j = 0; j < peer->anchors.count; j++) {
            if (!gw_config_find_anchor(network, peer->anchors.items[j]))
                warn(
                    loading, peer->line,
                    "peers[].anchors: \"%.80s\" is none of this node's `anchors`, so %s is not found through it",
                    peer->anchors.items[j], name_of(peer));
        }
    }
}

static void check_anchors(const struct gw_loading *loading, const struct gw_config_network *network)
{
    for (size_t i = 0; i < network->anchors.count; i++) {
        struct gw_config_peer *anchor = &network->anchors.items[i];
        check_peer_key(loading, anchor);
        check_endpoints(loading, anchor);
        check_tls_name(loading, anchor);
        anchor->role = GW_CONFIG_ROLE_ANCHOR;
        anchor->eager = true;
        anchor->seal = network->seal;
        anchor->congestion = network->congestion;
        for (size_t j = 0; j < i; j++)
            check_same_key(loading, &network->anchors.items[j], anchor);
    }
    for (size_t i = 0; i < network->anchor.tls.count; i++) {
        if (network->anchor.tls.items[i].kind != GW_CONFIG_ENDPOINT_IP)
            complain(loading, network->line, "anchor.tls: expected IP:PORT, found a name");
    }
    for (size_t i = 0; i < network->advertise.count; i++) {
        const struct gw_config_endpoint *at = &network->advertise.items[i];
        if (at->kind != GW_CONFIG_ENDPOINT_IP || gw_addr_is_unspecified(&at->addr))
            complain(loading, network->line, "advertise: expected IP:PORT, found a %s",
                     at->kind == GW_CONFIG_ENDPOINT_IP ? "wildcard" : "name");
    }
}

int gw_check_peers(const struct gw_loading *loading, const struct gw_config_network *network)
{
    for (size_t i = 0; i < network->peers.count; i++)
        check_peer(loading, &network->peers.items[i]);
    check_anchors(loading, network);
    check_peers_anchors(loading, network);
    if (network->private_key.is_set) {
        uint8_t own[GW_KEY_LEN];
        crypto_scalarmult_base(own, network->private_key.bytes);
        gw_config_check_self(loading->config, network, own, loading->diag);
    }
    int err = check_neighbours(loading, network, compare_by_key, check_same_key);
    if (!err)
        err = check_neighbours(loading, network, compare_by_name, check_same_name);
    return err ? err : check_routes(loading, network);
}

bool gw_config_check_self(const struct gw_config *config, const struct gw_config_network *network,
                          const uint8_t x25519[GW_KEY_LEN], struct gw_diag *diag)
{
    for (size_t i = 0; i < network->anchors.count; i++) {
        const struct gw_config_peer *anchor = &network->anchors.items[i];
        if (!anchor->public_key.is_set || memcmp(anchor->public_key.bytes, x25519, GW_KEY_LEN) != 0)
            continue;
        gw_diag_error(diag, config->path, anchor->line, "anchors[]: %s has this node's own key",
                      name_of(anchor));
        return false;
    }
    for (size_t i = 0; i < network->peers.count; i++) {
        const struct gw_config_peer *peer = &network->peers.items[i];
        if (!peer->public_key.is_set || memcmp(peer->public_key.bytes, x25519, GW_KEY_LEN) != 0)
            continue;
        gw_diag_error(diag, config->path, peer->line, "peers[]: %s has this node's own key", name_of(peer));
        return false;
    }
    return true;
}
