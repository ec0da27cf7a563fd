/* SPDX-License-Identifier: MIT */
/* What the values of a network mean together. As check.c: anything that has no default may be missing here. */
#include "gateway/config/load.h"

#include "gateway/base/err.h"
#include "gateway/config/dir.h"
#include "gateway/config/endpoint.h"

#include <ctype.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HOSTNAME_LEN 64

#define warn(loading, line, ...) gw_diag_warning((loading)->diag, (loading)->path, line, __VA_ARGS__)

__attribute__((format(printf, 3, 4))) static void complain(const struct gw_loading *loading, unsigned line,
                                                           const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gw_diag_error(loading->diag, loading->path, line, "%s%s", loading->place ? loading->place : "", text);
}

/* ---- this node */

/* The machine's name up to its first dot, as a label. */
static void machine_name(char out[HOSTNAME_LEN])
{
    size_t len = 0;
    if (gethostname(out, HOSTNAME_LEN) != 0)
        *out = '\0';
    out[HOSTNAME_LEN - 1] = '\0';
    for (const char *at = out; *at && *at != '.'; at++) {
        bool is_alnum = isascii((unsigned char)*at) && isalnum((unsigned char)*at);
        if (is_alnum || (len > 0 && *at == '-'))
            out[len++] = (char)tolower((unsigned char)*at);
    }
    while (len > 0 && out[len - 1] == '-')
        len--;
    out[len] = '\0';
    if (len == 0)
        strcpy(out, "node");
}

/* The top level's, which was looked at before the others. */
static int default_hostname(const struct gw_loading *loading, struct gw_config_network *network)
{
    const char *top = loading->config->top.hostname;
    char name[HOSTNAME_LEN];
    if (network->hostname)
        return 0;
    if (!top)
        machine_name(name);
    network->hostname = strdup(top ? top : name);
    return network->hostname ? 0 : GW_E_NOMEM;
}

/* ---- its files */

static int set_path(char **out, const char *dir, const char *name)
{
    char path[GW_DIR_PATH_MAX];
    if (*out)
        return 0;
    int err = gw_dir_resolve(path, dir, name);
    if (err)
        return err;
    *out = strdup(path);
    return *out ? 0 : GW_E_NOMEM;
}

static int default_files(const struct gw_loading *loading, struct gw_config_network *network)
{
    bool is_top = network == &loading->config->top;
    char folder[sizeof GW_DIR_NETWORKS + 64];
    if (!is_top && !network->name) {
        complain(loading, network->line, "network: expected the network's name, found nothing");
        return 0;
    }
    snprintf(folder, sizeof folder, "%s/%s", GW_DIR_NETWORKS, network->name ? network->name : "");
    int err = is_top ? 0 : set_path(&network->dir, loading->dir, folder);
    if (is_top && !(network->dir = strdup(loading->dir)))
        err = GW_E_NOMEM;
    if (!err)
        err = set_path(&network->names_file, network->dir, GW_FILE_NAMES);
    if (!err)
        err = set_path(&network->identity, network->dir, GW_FILE_IDENTITY);
    if (!err)
        err = set_path(&network->security.authorized_keys_file, network->dir, GW_FILE_AUTHORIZED_KEYS);
    return err;
}

static void check_addresses(const struct gw_loading *loading, const struct gw_config_network *network)
{
    if (network->listen.count == 2 && network->listen.items[0].family == network->listen.items[1].family)
        complain(loading, network->line,
                 "listen: expected at most one address of each family, found two of one");
    if (network->addresses.count == 2 &&
        network->addresses.items[0].ip.family == network->addresses.items[1].ip.family)
        complain(loading, network->line,
                 "address: expected at most one address of each family, found two of one");
}

static void check_range(const struct gw_loading *loading, const struct gw_config_network *network)
{
    const struct gw_prefix *range = &network->address_range, *alias = &network->alias_range;
    char text[GW_ADDR_STRLEN];
    if (alias->ip.family != 0 &&
        (alias->ip.family != 4 || alias->bits != range->bits || gw_addr_is_loopback(&alias->ip)))
        complain(loading, network->line,
                 "alias_range: expected an IPv4 prefix of as many bits as address_range, %u, found %s",
                 range->bits, gw_prefix_format(alias, text, sizeof text));
    if (range->ip.family != 4 || range->bits < 8 || range->bits > 28 || gw_addr_is_loopback(&range->ip))
        complain(loading, network->line,
                 "address_range: expected an IPv4 prefix of 8 to 28 bits, such as 10.64.0.0/16, found %s",
                 gw_prefix_format(range, text, sizeof text));
}

/* ---- peers */

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

static void check_peer(const struct gw_loading *loading, struct gw_config_peer *peer)
{
    check_peer_key(loading, peer);
    check_endpoints(loading, peer);
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

static int check_peers(const struct gw_loading *loading, const struct gw_config_network *network)
{
    for (size_t i = 0; i < network->peers.count; i++)
        check_peer(loading, &network->peers.items[i]);
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
    for (size_t i = 0; i < network->peers.count; i++) {
        const struct gw_config_peer *peer = &network->peers.items[i];
        if (!peer->public_key.is_set || memcmp(peer->public_key.bytes, x25519, GW_KEY_LEN) != 0)
            continue;
        gw_diag_error(diag, config->path, peer->line, "peers[]: %s has this node's own key", name_of(peer));
        return false;
    }
    return true;
}

/* ---- services */

static void check_service(const struct gw_loading *loading, struct gw_config_service *service)
{
    const char *name = service->name ? service->name : "?";
    if (service->port < 0)
        service->port = service->local_address.port;
    if (service->protocol == GW_CONFIG_UDP && service->local_address.kind == GW_CONFIG_ENDPOINT_UNIX)
        complain(loading, service->line,
                 "services.%s.local_address: expected HOST:PORT for a UDP service, found a unix socket",
                 name);
}

static int compare_ports(const void *a, const void *b)
{
    const struct gw_config_service *const *x = a, *const *y = b;
    if ((*x)->protocol != (*y)->protocol)
        return (*x)->protocol < (*y)->protocol ? -1 : 1;
    if ((*x)->port != (*y)->port)
        return (*x)->port < (*y)->port ? -1 : 1;
    return ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

static void check_same_port(const struct gw_loading *loading, const struct gw_config_service *a,
                            const struct gw_config_service *b)
{
    if (a->port > 0 && a->port == b->port && a->protocol == b->protocol)
        complain(
            loading, b->line,
            "services.%s.port: %lld is the port of %s in line %u already; give one of them another, or 0",
            b->name ? b->name : "?", (long long)b->port, a->name ? a->name : "?", a->line);
}

/* One that is disabled keeps its port, so that enabling it never breaks another. */
static int check_services(const struct gw_loading *loading, const struct gw_config_network *network)
{
    size_t count = network->services.count;
    const struct gw_config_service **sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted)
        return GW_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        check_service(loading, &network->services.items[i]);
        sorted[i] = &network->services.items[i];
    }
    qsort(sorted, count, sizeof *sorted, compare_ports);
    for (size_t i = 1; i < count; i++)
        check_same_port(loading, sorted[i - 1], sorted[i]);
    free(sorted);
    return 0;
}

int gw_check_network(const struct gw_loading *loading, struct gw_config_network *network)
{
    check_addresses(loading, network);
    check_range(loading, network);
    int err = default_hostname(loading, network);
    if (!err)
        err = default_files(loading, network);
    if (!err)
        err = check_peers(loading, network);
    return err ? err : check_services(loading, network);
}
