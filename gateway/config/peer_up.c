/* SPDX-License-Identifier: MIT */
/* Only `identity`, `network`, `security` and `services` are of both; whether they are peer-up's is told by their shape. docs/CONFIG.md has the list of what
 * becomes what (reference.c). */
#include "gateway/config/peer_up.h"

#include "gateway/base/err.h"
#include "gateway/config/endpoint.h"
#include "gateway/config/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTEN_MAX 16u
#define MULTIADDR_MAX 128u

struct translation {
    struct gw_node *root;
    const char *path;
    struct gw_diag *diag;
};

#define note(t, line, ...) gw_diag_warning((t)->diag, (t)->path, line, __VA_ARGS__)
#define complain(t, line, ...) gw_diag_error((t)->diag, (t)->path, line, __VA_ARGS__)

static struct gw_node *get(struct gw_node *map, const char *key)
{
    return (struct gw_node *)(uintptr_t)gw_tree_get(map, key);
}

static struct gw_node *get_map(struct gw_node *map, const char *key)
{
    struct gw_node *node = get(map, key);
    return node && node->kind == GW_NODE_MAP ? node : NULL;
}

static bool says(const struct gw_node *node, const char *text)
{
    return node && node->kind == GW_NODE_SCALAR && strcmp(node->text, text) == 0;
}

/* ---- what is not here */

static const struct {
    const char *key, *why; /* NULL: nobody misses it */
} absent[] = {
    {"version", NULL},
    {"protocols", NULL},
    {"relay", "peers are reached by `peers[].endpoint`, or find each other through their `peers[].anchors`"},
    {"discovery",
     "there is no DHT; peers are reached by `peers[].endpoint`, or through their `peers[].anchors`"},
    {"resources", "it limits a relay, which this node is not"},
    {"health", "`peergate status --json` tells how the daemon is"},
};

static void take_absent(const struct translation *t)
{
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        struct gw_node *node = get(t->root, absent[i].key);
        /* `relay` is a mapping there, and yes or no here. */
        bool is_ours = gw_section_find(&gw_schema, absent[i].key) && node && node->kind != GW_NODE_MAP;
        if (!node || is_ours)
            continue;
        if (absent[i].why)
            note(t, node->key_line, "%s: not used here: %s", absent[i].key, absent[i].why);
        gw_tree_remove(t->root, node);
    }
}

/* What of a mapping neither peer-up nor we know stays wrong. */
static void complain_of_others(const struct translation *t, const struct gw_node *map, const char *a,
                               const char *b)
{
    for (const struct gw_node *child = map->first; child; child = child->next) {
        if (strcmp(child->key, a) != 0 && strcmp(child->key, b) != 0)
            complain(t, child->key_line, "%s.%s: unknown key", map->key, child->key);
    }
}

/* ---- identity: {key_file: PATH} */

static void take_identity(const struct translation *t)
{
    struct gw_node *map = get_map(t->root, "identity"), *file = map ? get(map, "key_file") : NULL;
    if (!map)
        return;
    complain_of_others(t, map, "key_file", "key_file");
    if (file && (file->kind != GW_NODE_SCALAR || (file->is_null && file->text[0]))) {
        complain(t, file->line, "identity.key_file: expected a path, found %s", gw_tree_kind_name(file));
    } else if (file && file->text[0]) {
        gw_tree_lift(map, file);
        return;
    } else if (file) {
        note(t, file->line,
             "identity.key_file: a new identity at each start is not to be had: it is kept in identity.key");
    }
    gw_tree_remove(t->root, map);
}

/* ---- network: {listen_addresses: [/ip4/0.0.0.0/udp/9100/quic-v1, ...]} */

struct multiaddr {
    struct gw_addr ip; /* with the port */
    bool is_udp;
};

/* "/ip4/0.0.0.0/tcp/9100", "/ip6/::/udp/9100/quic-v1": what follows the port says how libp2p speaks there. */
static bool parse_multiaddr(struct multiaddr *out, const char *text)
{
    char copy[MULTIADDR_MAX], *rest = copy;
    uint16_t port;
    size_t len = strlen(text);
    if (len >= sizeof copy || text[0] != '/')
        return false;
    memcpy(copy, text + 1, len);
    const char *family = strsep(&rest, "/"), *ip = strsep(&rest, "/"), *protocol = strsep(&rest, "/"),
               *number = strsep(&rest, "/");
    if (!number || gw_port_parse(&port, number, 0) != 0 || gw_addr_parse_ip(&out->ip, ip, port) != 0)
        return false;
    out->is_udp = strcmp(protocol, "udp") == 0;
    bool is_right_family = strcmp(family, out->ip.family == 6 ? "ip6" : "ip4") == 0;
    return is_right_family && (out->is_udp || strcmp(protocol, "tcp") == 0);
}

struct listening {
    struct gw_addr udp[LISTEN_MAX];
    size_t count;
    bool has_tcp;
};

static void take_address(const struct translation *t, struct listening *listening, const struct gw_node *node)
{
    struct multiaddr at;
    if (node->kind != GW_NODE_SCALAR || !parse_multiaddr(&at, node->text))
        complain(
            t, node->line,
            "network.listen_addresses: expected a multiaddr such as /ip4/0.0.0.0/udp/9100/quic-v1, found %s%.80s%s",
            node->kind == GW_NODE_SCALAR ? "\"" : "",
            node->kind == GW_NODE_SCALAR ? node->text : gw_tree_kind_name(node),
            node->kind == GW_NODE_SCALAR ? "\"" : "");
    else if (!at.is_udp)
        listening->has_tcp = true;
    else if (listening->count == LISTEN_MAX)
        complain(t, node->line, "network.listen_addresses: expected at most %u", LISTEN_MAX);
    else if (listening->count > 0 && at.ip.port != listening->udp[0].port)
        complain(t, node->line,
                 "network.listen_addresses: expected one UDP port for all addresses, found %u and %u",
                 listening->udp[0].port, at.ip.port);
    else
        listening->udp[listening->count++] = at.ip;
}

/* Our `listen` and `port`, unless the file has them. */
static int add_listening(const struct translation *t, const struct listening *listening, unsigned line)
{
    char text[GW_ADDR_STRLEN];
    struct gw_node *list = NULL;
    if (listening->count == 0)
        return 0;
    if (!get(t->root, "listen") && !(list = gw_tree_add(t->root, "listen", GW_NODE_LIST, NULL, line)))
        return GW_E_NOMEM;
    for (size_t i = 0; list && i < listening->count; i++) {
        gw_addr_format_ip(&listening->udp[i], text);
        if (!gw_tree_add(list, NULL, GW_NODE_SCALAR, text, line))
            return GW_E_NOMEM;
    }
    snprintf(text, sizeof text, "%u", listening->udp[0].port);
    bool has_port = get(t->root, "port") != NULL;
    return has_port || gw_tree_add(t->root, "port", GW_NODE_SCALAR, text, line) ? 0 : GW_E_NOMEM;
}

static int take_network(const struct translation *t)
{
    struct gw_node *map = get_map(t->root, "network"), *addresses = map ? get(map, "listen_addresses") : NULL;
    struct listening listening = {.count = 0};
    int err = 0;
    if (!map)
        return 0;
    complain_of_others(t, map, "listen_addresses", "force_private_reachability");
    if (addresses && addresses->kind == GW_NODE_LIST) {
        for (const struct gw_node *node = addresses->first; node; node = node->next)
            take_address(t, &listening, node);
    } else if (addresses && !addresses->is_null) {
        take_address(t, &listening, addresses);
    }
    if (listening.has_tcp)
        note(t, addresses->key_line, "network.listen_addresses: TCP is not listened on%s",
             listening.count > 0 ? "" : ", and no UDP address is there: `port` holds");
    if (addresses)
        err = add_listening(t, &listening, addresses->key_line);
    gw_tree_remove(t->root, map);
    return err;
}

/* ---- single keys */

static void take_gating(const struct translation *t)
{
    struct gw_node *map = get_map(t->root, "security"),
                   *gating = map ? get(map, "enable_connection_gating") : NULL;
    if (!gating)
        return;
    if (says(gating, "false"))
        note(
            t, gating->key_line,
            "security.enable_connection_gating: it cannot be turned off: only `peers` and authorized_keys may connect");
    gw_tree_remove(map, gating);
}

/* peer-up's protocol is libp2p's name for the service, ours is tcp or udp. */
static void take_protocols(const struct translation *t)
{
    struct gw_node *services = get_map(t->root, "services");
    for (struct gw_node *service = services ? services->first : NULL; service; service = service->next) {
        struct gw_node *protocol = service->kind == GW_NODE_MAP ? get(service, "protocol") : NULL;
        if (!protocol || protocol->kind != GW_NODE_SCALAR || protocol->text[0] != '/')
            continue;
        note(t, protocol->key_line, "services.%s.protocol: not used here: a service goes by its name",
             service->key);
        gw_tree_remove(service, protocol);
    }
}

int gw_peer_up_translate(struct gw_node *root, const char *path, struct gw_diag *diag)
{
    const struct translation t = {root, path, diag};
    if (!root || root->kind != GW_NODE_MAP)
        return 0;
    take_absent(&t);
    take_identity(&t);
    take_gating(&t);
    take_protocols(&t);
    return take_network(&t);
}
