/* SPDX-License-Identifier: MIT */
/* Loads, frees and asks a configuration. */
#include "gateway/config/config.h"
#include "gateway/config/peer_key.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/config/dir.h"
#include "gateway/config/file.h"
#include "gateway/config/load.h"
#include "gateway/config/peer_up.h"
#include "gateway/config/value.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- loading */

static int fill(struct gw_config *config, const struct gw_node *root, const char *path, struct gw_diag *diag)
{
    char dir[GW_DIR_PATH_MAX];
    const struct gw_loading loading = {config, path, dir, diag, NULL};
    int err = gw_dir_of_file(dir, path);
    if (err) {
        gw_diag_error(diag, "", 0, "the path of the configuration is too long");
        return err;
    }
    config->path = strdup(path);
    if (!config->path)
        return GW_E_NOMEM;
    err = gw_load_tree(&loading, root);
    return err ? err : gw_load_check(&loading);
}

int gw_config_parse(struct gw_config **out, const char *text, size_t len, const char *path,
                    struct gw_diag *diag)
{
    struct gw_node *root;
    size_t errors = diag->errors, first = diag->count;
    *out = NULL;
    int err = gw_tree_parse(&root, text, len, path, diag);
    if (err)
        return err;
    struct gw_config *config = calloc(1, sizeof *config);
    err = config ? gw_peer_up_translate(root, path, diag) : GW_E_NOMEM;
    if (!err)
        err = fill(config, root, path, diag);
    gw_tree_free(root);
    gw_diag_sort(diag, first);
    if (err && diag->errors == errors)
        gw_diag_error(diag, path, 0, "%s", gw_strerror(err));
    if (!err && diag->errors > errors)
        err = GW_E_CONFIG;
    if (err)
        gw_config_free(config);
    else
        *out = config;
    return err;
}

static int check_permissions(const struct gw_config *config, const struct gw_file *file, struct gw_diag *diag)
{
    int err = gw_file_check_mode(config->path, file->mode, gw_config_has_secret(config), diag);
    return err ? err : gw_file_check_folder(config->path, diag);
}

int gw_config_load(struct gw_config **out, const char *path, struct gw_diag *diag)
{
    struct gw_file file;
    *out = NULL;
    int err = gw_file_read(&file, path, GW_TREE_BYTES_MAX, diag);
    if (err == -ENOENT)
        gw_diag_error(diag, path, 0, "there is no such file; `peergate init` makes one");
    if (err)
        return err;
    err = gw_config_parse(out, file.data, file.len, path, diag);
    if (!err && (err = check_permissions(*out, &file, diag)) != 0) {
        gw_config_free(*out);
        *out = NULL;
    }
    gw_file_free(&file);
    return err;
}

/* ---- freeing */

static void free_section(const struct gw_section *section, char *base);

static void free_item(const struct gw_key *key, char *item)
{
    if (key->type == GW_TYPE_SECTION)
        free_section(key->section, item);
    else
        gw_value_free(key, item);
}

static void free_list(const struct gw_key *key, char *base)
{
    struct gw_any_list *list = (struct gw_any_list *)(void *)(base + key->offset);
    size_t size = gw_type_size(key);
    for (size_t i = 0; i < list->count; i++)
        free_item(key, list->items + i * size);
    free(list->items);
}

static void free_section(const struct gw_section *section, char *base)
{
    for (const struct gw_key *key = section->keys; key->name; key++) {
        if (key->shape == GW_INLINE)
            free_section(key->section, base + key->offset);
        else if (key->shape != GW_ONE)
            free_list(key, base);
        else if (key->type == GW_TYPE_SECTION)
            free_section(key->section, base); /* its keys have offsets of the same struct */
        else
            gw_value_free(key, base + key->offset);
    }
}

/* What follows from the network's name, and is no key. */
static void free_paths(struct gw_config_network *network)
{
    free(network->names_file);
    free(network->dir);
}

void gw_config_free(struct gw_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->networks.count; i++)
        free_paths(&config->networks.items[i]);
    free_paths(&config->top);
    free_section(&gw_schema, (char *)config);
    free(config->path);
    free(config);
}

/* ---- questions */

static bool is_absent(const char *path)
{
    struct stat st;
    return stat(path, &st) != 0 && errno == ENOENT;
}

const struct gw_config_network *gw_config_next_network(const struct gw_config *config,
                                                       const struct gw_config_network *network)
{
    size_t next = network && network != &config->top ? (size_t)(network - config->networks.items) + 1 : 0;
    if (!network && config->has_top)
        return &config->top;
    return next < config->networks.count ? &config->networks.items[next] : NULL;
}

const struct gw_config_network *gw_config_find_network(const struct gw_config *config, const char *name)
{
    const struct gw_config_network *network = NULL;
    while ((network = gw_config_next_network(config, network))) {
        if (strcasecmp(network->name, name) == 0)
            break;
    }
    return network;
}

int gw_config_load_identity(struct gw_identity **out, const struct gw_config_network *network,
                            struct gw_diag *diag)
{
    if (network->private_key.is_set && is_absent(network->identity))
        return gw_identity_from_x25519(out, network->private_key.bytes);
    if (network->line > 0 && is_absent(network->identity)) {
        *out = NULL;
        gw_diag_error(diag, network->identity, 0,
                      "there is no identity for the network %s yet; `peergate init --network %s` makes one",
                      network->name, network->name);
        return -ENOENT;
    }
    int err = gw_identity_load(out, network->identity, diag);
    if (!err && network->private_key.is_set)
        gw_identity_replace_x25519(*out, network->private_key.bytes);
    return err;
}

static bool network_has_secret(const struct gw_config_network *network)
{
    if (network->private_key.is_set)
        return true;
    for (size_t i = 0; i < network->anchors.count; i++) {
        if (network->anchors.items[i].preshared_keys.count > 0)
            return true;
    }
    for (size_t i = 0; i < network->peers.count; i++) {
        if (network->peers.items[i].preshared_keys.count > 0)
            return true;
    }
    return false;
}

bool gw_config_has_secret(const struct gw_config *config)
{
    const struct gw_config_network *network = NULL;
    if (config->socks.users.count > 0)
        return true;
    while ((network = gw_config_next_network(config, network))) {
        if (network_has_secret(network))
            return true;
    }
    return false;
}

const struct gw_config_service *gw_config_find_service(const struct gw_config_network *network,
                                                       const char *name)
{
    for (size_t i = 0; i < network->services.count; i++) {
        if (strcasecmp(network->services.items[i].name, name) == 0)
            return &network->services.items[i];
    }
    return NULL;
}

const struct gw_config_service *gw_config_find_port(const struct gw_config_network *network,
                                                    enum gw_config_protocol protocol, uint16_t port)
{
    for (size_t i = 0; i < network->services.count; i++) {
        const struct gw_config_service *service = &network->services.items[i];
        if (service->port == port && port != 0 && service->protocol == protocol)
            return service;
    }
    return NULL;
}

/* ---- for the engine */

static void add_allowed(struct gw_peer_config *out, const struct gw_prefix *prefix)
{
    assert(out->allowed_ip_count < GW_PEER_ALLOWED_IPS_MAX);
    out->allowed_ips[out->allowed_ip_count++] = *prefix;
}

static void copy_addresses(struct gw_peer_config *out, const struct gw_config_peer *peer)
{
    for (size_t i = 0; i < peer->endpoints.count; i++) {
        if (peer->endpoints.items[i].kind == GW_CONFIG_ENDPOINT_IP)
            out->endpoints[out->endpoint_count++] = peer->endpoints.items[i].addr;
    }
    for (size_t i = 0; i < peer->tunnel_ips.count; i++) {
        const struct gw_addr *ip = &peer->tunnel_ips.items[i];
        add_allowed(out, &(struct gw_prefix){.ip = *ip, .bits = ip->family == 4 ? 32 : 128});
    }
    for (size_t i = 0; i < peer->allowed_ips.count; i++)
        add_allowed(out, &peer->allowed_ips.items[i]);
}

static void copy_keys(struct gw_peer_config *out, const struct gw_config_peer *peer)
{
    memcpy(out->public_key, peer->public_key.bytes, sizeof out->public_key);
    out->has_ed25519 = peer->peer_id.is_set;
    memcpy(out->ed25519, peer->peer_id.ed25519, sizeof out->ed25519);
    for (size_t i = 0; i < peer->preshared_keys.count; i++)
        memcpy(out->psks[out->psk_count++], peer->preshared_keys.items[i].bytes, GW_KEY_LEN);
}

static bool is_named(const struct gw_config_peer *anchor, const char *text)
{
    struct gw_peer_key key;
    const char *why;
    if (anchor->name && strcmp(anchor->name, text) == 0)
        return true;
    return gw_peer_key_parse(&key, text, &why) == 0 &&
           memcmp(key.x25519, anchor->public_key.bytes, GW_KEY_LEN) == 0;
}

const struct gw_config_peer *gw_config_find_anchor(const struct gw_config_network *network, const char *text)
{
    for (size_t i = 0; i < network->anchors.count; i++) {
        if (is_named(&network->anchors.items[i], text))
            return &network->anchors.items[i];
    }
    for (size_t i = 0; i < network->peers.count; i++) {
        const struct gw_config_peer *peer = &network->peers.items[i];
        if (peer->role == GW_CONFIG_ROLE_ANCHOR && peer->endpoints.count > 0 && is_named(peer, text))
            return peer;
    }
    return NULL;
}

static void copy_anchors(struct gw_peer_config *out, const struct gw_config_network *network,
                         const struct gw_config_peer *peer)
{
    out->has_anchors = peer->anchors.count > 0;
    for (size_t i = 0; i < peer->anchors.count && out->anchor_count < GW_PEER_ANCHORS_MAX; i++) {
        const struct gw_config_peer *anchor = gw_config_find_anchor(network, peer->anchors.items[i]);
        if (anchor)
            memcpy(out->anchors[out->anchor_count++], anchor->public_key.bytes, GW_KEY_LEN);
    }
}

/* Without a dot at the end, as TLS has it. */
static void copy_carrier_name(struct gw_peer_config *out, const struct gw_config_peer *peer)
{
    const char *name = peer->tls_name;
    for (size_t i = 0; !name && i < peer->endpoints.count; i++) {
        if (peer->endpoints.items[i].kind == GW_CONFIG_ENDPOINT_NAME)
            name = peer->endpoints.items[i].name;
    }
    size_t len = name && out->is_anchor ? strlen(name) : 0;
    len -= len > 0 && name[len - 1] == '.';
    if (len > 0 && len <= GW_CARRIER_NAME_MAX)
        memcpy(out->carrier_name, name, len); /* zeroed before */
}

void gw_config_to_peer(struct gw_peer_config *out, const struct gw_config_network *network,
                       const struct gw_config_peer *peer)
{
    memset(out, 0, sizeof *out);
    if (peer->name)
        memcpy(out->name, peer->name, strlen(peer->name) + 1); /* the schema bounds it */
    copy_keys(out, peer);
    copy_addresses(out, peer);
    out->keepalive_ns = peer->keepalive_ns;
    out->keeps_idle = peer->keepalive_ns != network->protocol.keepalive_ns;
    out->connection_timeout_ns = network->protocol.connection_timeout_ns;
    out->punch_timeout_ns = network->protocol.punch_timeout_ns;
    out->punch_attempts = network->protocol.max_punch_attempts > 0
                              ? (unsigned)network->protocol.max_punch_attempts
                              : GW_PUNCH_NEVER;
    out->seal = peer->seal;
    out->hello = peer->hello;
    out->path = peer->path;
    out->cc = peer->congestion;
    copy_anchors(out, network, peer);
    out->is_anchor = peer->role == GW_CONFIG_ROLE_ANCHOR && peer->endpoints.count > 0;
    out->carrier_port = out->is_anchor ? (uint16_t)peer->tls_port : 0;
    copy_carrier_name(out, peer);
    out->is_eager = peer->eager || out->is_anchor;
    out->is_listed = true;
}
