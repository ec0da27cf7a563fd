/* SPDX-License-Identifier: MIT */
/* Loads the owner's files, and makes of them what the services want to know. */
#include "gateway/daemon/files.h"

#include "gateway/base/err.h"
#include "gateway/config/dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int path_in(char out[GW_DIR_PATH_MAX], const char *dir, const char *name)
{
    int len = snprintf(out, GW_DIR_PATH_MAX, "%s/%s", dir, name);
    return len > 0 && len < GW_DIR_PATH_MAX ? 0 : GW_E_TOO_BIG;
}

/* ---- loading */

static int load_service_keys(struct gw_network_files *files, struct gw_diag *diag)
{
    const struct gw_config_network *config = files->config;
    files->service_keys = calloc(config->services.count + 1, sizeof *files->service_keys);
    if (!files->service_keys)
        return GW_E_NOMEM;
    for (size_t i = 0; i < config->services.count; i++) {
        const char *path = config->services.items[i].authorized_keys;
        int err = path ? gw_authorized_keys_load(&files->service_keys[i], path, diag) : 0;
        if (err != 0)
            return err;
    }
    return 0;
}

/* Names there are in that network; an entry that says another one is in the wrong file. */
static int load_names(struct gw_network_files *files, struct gw_diag *diag)
{
    const struct gw_config_network *config = files->config;
    int err = gw_names_load(&files->names, config->names_file, diag);
    for (size_t i = 0; err == 0 && i < files->names->count; i++) {
        struct gw_name *name = &files->names->names[i];
        if (name->network[0] && strcasecmp(name->network, config->name) != 0) {
            gw_diag_error(diag, config->names_file, name->line,
                          "%s.%s is in another network than this file's, %s: it belongs into " GW_FILE_NAMES
                          " of the folder above",
                          name->host, name->network, config->name);
            return GW_E_CONFIG;
        }
        snprintf(name->network, sizeof name->network, "%s", config->name);
    }
    return err;
}

/* The names of config.yaml behind those of names.yaml, which count where both have one. */
static int add_names(struct gw_files *files)
{
    const struct gw_config *config = files->config;
    struct gw_names *names = files->names;
    const size_t before = names->count;
    struct gw_name *grown = realloc(names->names, (before + config->names.count + 1) * sizeof *grown);
    if (!grown)
        return GW_E_NOMEM;
    names->names = grown;
    for (size_t i = 0; i < config->names.count; i++) {
        const struct gw_config_name *from = &config->names.items[i];
        struct gw_name name = {.line = from->line, .has_ed25519 = true};
        bool is_there = false;
        snprintf(name.host, sizeof name.host, "%s", from->name);
        memcpy(name.x25519, from->peer_id.x25519, sizeof name.x25519);
        memcpy(name.ed25519, from->peer_id.ed25519, sizeof name.ed25519);
        for (size_t j = 0; j < names->count; j++)
            is_there |= strcmp(grown[j].host, name.host) == 0 && !grown[j].network[0];
        if (!is_there)
            grown[names->count++] = name;
    }
    return 0;
}

static int load_networks(struct gw_files *files, struct gw_diag *diag)
{
    const struct gw_config_network *network = NULL;
    size_t count = 0;
    while ((network = gw_config_next_network(files->config, network)))
        count++;
    files->networks = calloc(count, sizeof *files->networks);
    if (!files->networks)
        return GW_E_NOMEM;
    while ((network = gw_config_next_network(files->config, network))) {
        struct gw_network_files *of = &files->networks[files->network_count++];
        of->config = network;
        int err = gw_authorized_keys_load(&of->keys, network->security.authorized_keys_file, diag);
        if (err == 0)
            err = load_service_keys(of, diag);
        gw_config_check_service_files(files->config, network, diag);
        if (err == 0 && network != &files->config->top)
            err = load_names(of, diag);
        if (err != 0)
            return err;
    }
    return 0;
}

int gw_files_load(struct gw_files *files, const char *dir, struct gw_diag *diag)
{
    char path[GW_DIR_PATH_MAX];
    *files = (struct gw_files){0};
    int err = path_in(path, dir, GW_FILE_CONFIG);
    if (err == 0)
        err = gw_config_load(&files->config, path, diag);
    if (err == 0)
        err = load_networks(files, diag);
    if (err == 0)
        err = path_in(path, dir, GW_FILE_NAMES);
    if (err == 0)
        err = gw_names_load(&files->names, path, diag);
    if (err == 0)
        err = add_names(files);
    if (err != 0)
        gw_files_fini(files);
    return err;
}

static void free_network(struct gw_network_files *files)
{
    for (size_t i = 0; files->service_keys && i < files->config->services.count; i++)
        gw_authorized_keys_free(files->service_keys[i]);
    free(files->service_keys);
    gw_authorized_keys_free(files->keys);
    gw_names_free(files->names);
}

void gw_files_fini(struct gw_files *files)
{
    for (size_t i = 0; i < files->network_count; i++)
        free_network(&files->networks[i]);
    free(files->networks);
    gw_names_free(files->names);
    gw_config_free(files->config);
    *files = (struct gw_files){0};
}

/* ---- what the services want to know */

static void grant_of_key(struct gw_grant *grant, const struct gw_authorized_key *key)
{
    *grant = (struct gw_grant){.services = (const char *const *)(void *)key->services,
                               .has_expiry = key->has_expiry,
                               .expires = key->expires,
                               .is_revoked = key->is_revoked && !key->is_void,
                               .is_void = key->is_void};
    memcpy(grant->public_key, key->x25519, GW_KEY_LEN);
}

static struct gw_grants *make_grants(const struct gw_config_network *config,
                                     const struct gw_authorized_keys *keys)
{
    size_t peers = config ? config->peers.count : 0, count = 0;
    struct gw_grant *list = calloc(peers + keys->count + 1, sizeof *list);
    if (!list)
        return NULL;
    for (size_t i = 0; i < peers; i++) {
        list[count].is_peer = true;
        memcpy(list[count++].public_key, config->peers.items[i].public_key.bytes, GW_KEY_LEN);
    }
    for (size_t i = 0; i < keys->count; i++)
        grant_of_key(&list[count++], &keys->keys[i]);
    struct gw_grants *grants = gw_grants_new(list, count);
    free(list);
    return grants;
}

struct gw_grants *gw_files_grants(const struct gw_network_files *files)
{
    return make_grants(files->config, files->keys);
}

struct gw_grants *gw_grants_of_keys(const struct gw_authorized_keys *keys)
{
    return make_grants(NULL, keys);
}

int gw_target_of_endpoint(struct gw_target *out, const struct gw_config_endpoint *endpoint)
{
    switch (endpoint->kind) {
    case GW_CONFIG_ENDPOINT_IP:
        *out =
            (struct gw_target){.kind = GW_TARGET_ADDR, .addr = endpoint->addr, .port = endpoint->addr.port};
        return 0;
    case GW_CONFIG_ENDPOINT_NAME:
        return gw_target_set_host(out, endpoint->name, endpoint->port);
    case GW_CONFIG_ENDPOINT_UNIX:
        if (strlen(endpoint->name) > GW_TARGET_UNIX_MAX)
            return GW_E_TOO_BIG;
        *out = (struct gw_target){.kind = GW_TARGET_UNIX};
        strcpy(out->name, endpoint->name);
        return 0;
    case GW_CONFIG_ENDPOINT_NONE:
        break;
    }
    return GW_E_INVAL;
}
