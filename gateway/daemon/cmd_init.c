/* SPDX-License-Identifier: MIT */
/* `init`: a node's folder with its identity and configuration, or a further network of it. */
#include "gateway/daemon/cmd.h"
#include "gateway/daemon/cmd_network.h"

#include "gateway/base/err.h"
#include "gateway/base/random.h"
#include "gateway/config/atomic_file.h"
#include "gateway/config/dir.h"
#include "gateway/config/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define TEMPLATE_LEN 4096
#define DEFAULT_PORT 51820

static const char config_template[] =
    "# peergate's configuration. `peergate config check` says what is wrong with it;\n"
    "# `peergate config reference` lists every key.\n"
    "\n"
    "%shostname: %s                 # this node is HOSTNAME.NETWORK.p2p\n"
    "%snetwork: %s\n"
    "#port: 51820                     # UDP, IPv4 and IPv6\n"
    "\n"
    "#peers:\n"
    "#  - name: laptop\n"
    "#    peer_id: 12D3KooW...         # what `peergate id` prints there; or public_key: base64\n"
    "#    endpoint: laptop.example.org:51820\n"
    "\n"
    "# What peers may reach here; nothing else is reachable.\n"
    "#services:\n"
    "#  ssh: {local_address: \"localhost:22\"}\n"
    "#  web: {local_address: \"localhost:80\"}\n"
    "\n"
    "# A proxy for the programs on this machine (SOCKS5 and HTTP).\n"
    "#socks: {listen: \"127.0.0.1:1080\"}\n";

static const char authorized_keys_template[] =
    "# Who may connect to this node, one peer a line (`peergate authorize` adds them):\n"
    "#   12D3KooW... my laptop\n"
    "#   services=\"ssh,web\",expires=\"2027-01-01\" 12D3KooW... a friend\n";

struct init {
    struct gw_cmd_context *ctx;
    const char *hostname, *network;
    char name[64]; /* network, as it is a name of a folder */
};

/* 0 also when the file is there already. */
static int write_new(const struct init *init, const char *path, const char *text)
{
    int err = gw_atomic_write(NULL, path, text, strlen(text), GW_ATOMIC_NEW);
    if (err && err != -EEXIST)
        return gw_cmd_fail(init->ctx, "%s: %s", path, gw_strerror(err));
    return GW_EXIT_OK;
}

static int write_into_folder(const struct init *init, const char *name, const char *text)
{
    char path[GW_DIR_PATH_MAX];
    if (!gw_cmd_path(init->ctx, name, path, sizeof path))
        return gw_cmd_fail(init->ctx, "the path of the folder is too long");
    return write_new(init, path, text);
}

static int write_config(const struct init *init)
{
    char text[TEMPLATE_LEN];
    int len = snprintf(text, sizeof text, config_template, init->hostname ? "" : "#",
                       init->hostname ? init->hostname : "home", init->network ? "" : "#",
                       init->network ? init->network : "mesh");
    if (len < 0 || (size_t)len >= sizeof text)
        return gw_cmd_fail(init->ctx, "the names are too long");
    return write_into_folder(init, GW_FILE_CONFIG, text);
}

/* What the names would make of the configuration is checked before anything is written. */
static int check_template(struct init *init)
{
    char text[TEMPLATE_LEN];
    struct gw_diag diag = {0};
    struct gw_config *config;
    int len = snprintf(text, sizeof text, "hostname: %s\nnetwork: %s\n",
                       init->hostname ? init->hostname : "home", init->network ? init->network : "mesh");
    if (len < 0 || (size_t)len >= sizeof text)
        return gw_cmd_usage_error(init->ctx, "the names are too long");
    int err = gw_config_parse(&config, text, (size_t)len, "", &diag);
    if (!err)
        snprintf(init->name, sizeof init->name, "%s", config->top.name);
    gw_config_free(config);
    gw_cmd_finish(init->ctx, &diag, err);
    return err ? GW_EXIT_USAGE : GW_EXIT_OK;
}

static int make_identity(const struct init *init, const char *path, bool *is_new)
{
    struct gw_identity *identity;
    int err = gw_identity_generate(&identity, gw_random_system());
    if (!err)
        err = gw_identity_save_new(identity, path);
    gw_identity_free(identity);
    *is_new = err == 0;
    if (err && err != -EEXIST)
        return gw_cmd_fail(init->ctx, "%s: %s", path, gw_strerror(err));
    return GW_EXIT_OK;
}

/* "" where the folder is the one that goes without saying. */
static void say_dir(const struct gw_cmd_context *ctx, char out[GW_DIR_PATH_MAX + 8])
{
    char usual[GW_DIR_PATH_MAX];
    bool is_usual = gw_dir_choose(usual, NULL) == 0 && strcmp(usual, ctx->dir) == 0;
    snprintf(out, GW_DIR_PATH_MAX + 8, "%s%s", is_usual ? "" : " --dir ", is_usual ? "" : ctx->dir);
}

static void print_next_step(const struct init *init, const char *peer_id, bool is_new)
{
    const char *dir = init->ctx->dir;
    char option[GW_DIR_PATH_MAX + 8];
    if (init->ctx->json) {
        printf("{\"peer_id\": \"%s\", \"new\": %s}\n", peer_id, is_new ? "true" : "false");
        return;
    }
    printf("%s\n", peer_id);
    fflush(stdout);
    say_dir(init->ctx, option);
    fprintf(stderr,
            "%s\n\n"
            "That is this node's peer ID. Next:\n"
            "  1. on the other machine: peergate init\n"
            "  2. on both: write the other one's peer ID under `peers` in config.yaml, which is here\n"
            "     %s/%s\n"
            "     (`peergate%s authorize PEER-ID` lets in who is not written there)\n"
            "  3. on both: start it, here by `peergate%s up`\n",
            is_new ? "A new identity was made." : "The identity that was there stays.", dir, GW_FILE_CONFIG,
            option, option);
}

static int finish_init(const struct init *init, const char *path, bool is_new)
{
    struct gw_diag diag = {0};
    struct gw_identity *identity;
    char peer_id[GW_PEER_ID_STRLEN];
    int err = gw_identity_load(&identity, path, &diag);
    if (!err)
        print_next_step(init, gw_peer_id_format(identity->ed25519, peer_id), is_new);
    gw_identity_free(identity);
    return gw_cmd_finish(init->ctx, &diag, err);
}

static int init_folder(const struct init *init)
{
    char path[GW_DIR_PATH_MAX];
    bool is_new;
    int err = gw_dir_create(init->ctx->dir);
    if (err)
        return gw_cmd_fail(init->ctx, "%s: %s", init->ctx->dir, gw_strerror(err));
    if (!gw_cmd_path(init->ctx, GW_FILE_IDENTITY, path, sizeof path))
        return gw_cmd_fail(init->ctx, "the path of the folder is too long");
    int status = make_identity(init, path, &is_new);
    if (!status)
        status = write_config(init);
    if (!status)
        status = write_into_folder(init, GW_FILE_AUTHORIZED_KEYS, authorized_keys_template);
    return status ? status : finish_init(init, path, is_new);
}

/* ---- a further network */

struct further {
    const struct init *init;
    char identity[GW_DIR_PATH_MAX], authorized_keys[GW_DIR_PATH_MAX];
    bool is_configured; /* in config.yaml already */
    int64_t port;       /* one that no other network has */
};

/* Where its files are: as the configuration says, if that knows it. */
static int find_files(struct further *further, const struct gw_config *config)
{
    const struct init *init = further->init;
    const struct gw_config_network *network = gw_config_find_network(config, init->name), *other = NULL;
    char folder[GW_DIR_PATH_MAX], in_it[128];
    int err = 0;
    snprintf(in_it, sizeof in_it, "%s/%s", GW_DIR_NETWORKS, init->name);
    further->is_configured = network != NULL;
    further->port = DEFAULT_PORT;
    while ((other = gw_config_next_network(config, other)))
        further->port = other->port >= further->port && other->port < 65535 ? other->port + 1 : further->port;
    if (!gw_cmd_path(init->ctx, in_it, folder, sizeof folder))
        return GW_E_TOO_BIG;
    err = gw_dir_resolve(further->identity, folder, network ? network->identity : GW_FILE_IDENTITY);
    if (!err)
        err = gw_dir_resolve(further->authorized_keys, folder,
                             network ? network->security.authorized_keys_file : GW_FILE_AUTHORIZED_KEYS);
    return err ? err : gw_dir_create(folder);
}

static void print_next_of_further(const struct further *further, const char *peer_id, bool is_new)
{
    const struct init *init = further->init;
    if (init->ctx->json) {
        printf("{\"network\": \"%s\", \"peer_id\": \"%s\", \"new\": %s}\n", init->name, peer_id,
               is_new ? "true" : "false");
        return;
    }
    printf("%s\n", peer_id);
    fprintf(stderr, "%s\n\nThat is this node's peer ID in the network %s.",
            is_new ? "A new identity was made." : "The identity that was there stays.", init->name);
    if (further->is_configured) {
        fprintf(stderr, " `peergate reload`, if the daemon is running.\n");
        return;
    }
    fprintf(
        stderr,
        " Next, in %s/%s, under\n`networks` (at the end; and the network that is there needs a `network: NAME`):\n\n"
        "networks:\n"
        "  - network: %s\n"
        "    port: %lld\n"
        "    peers:\n"
        "      - name: friend\n"
        "        peer_id: 12D3KooW...\n"
        "        endpoint: friend.example.org:51820\n\n"
        "and then `peergate reload`, if the daemon is running.\n",
        init->ctx->dir, GW_FILE_CONFIG, init->name, (long long)further->port);
}

static int make_further(struct further *further)
{
    struct gw_diag diag = {0};
    struct gw_identity *identity;
    char peer_id[GW_PEER_ID_STRLEN];
    bool is_new;
    int status = make_identity(further->init, further->identity, &is_new);
    if (!status)
        status = write_new(further->init, further->authorized_keys, authorized_keys_template);
    if (status)
        return status;
    int err = gw_identity_load(&identity, further->identity, &diag);
    if (!err)
        print_next_of_further(further, gw_peer_id_format(identity->ed25519, peer_id), is_new);
    gw_identity_free(identity);
    return gw_cmd_finish(further->init->ctx, &diag, err);
}

/* There is a node already: is it in this network, or is it to be? */
static int init_network(const struct init *init, const struct gw_config *config)
{
    struct further further = {.init = init};
    const struct gw_config_network *network = gw_config_find_network(config, init->name);
    if (network && network == &config->top)
        return init_folder(init);
    int err = find_files(&further, config);
    if (err)
        return gw_cmd_fail(init->ctx, "%s/%s/%s: %s", init->ctx->dir, GW_DIR_NETWORKS, init->name,
                           gw_strerror(err));
    return make_further(&further);
}

static int run_init(struct gw_cmd_context *ctx, int argc, char **argv)
{
    struct init init = {.ctx = ctx};
    struct gw_config *config = NULL;
    struct gw_diag diag = {0};
    const struct gw_cmd_option options[] = {
        {"--hostname", NULL, &init.hostname}, {"--network", NULL, &init.network}, {NULL, NULL, NULL}};
    int status = gw_cmd_options(ctx, &argc, argv, options, 0, 0);
    if (!status)
        status = check_template(&init);
    if (!status && init.network)
        status = gw_cmd_load_config(ctx, &config, &diag);
    gw_cmd_finish(ctx, &diag, 0);
    if (!status)
        status = config ? init_network(&init, config) : init_folder(&init);
    gw_config_free(config);
    return status;
}

const struct gw_command gw_cmd_init = {
    .name = "init",
    .summary = "make this node's folder, identity and configuration",
    .usage = "usage: peergate init [--hostname NAME] [--network NAME] [--json]\n\n"
             "Makes the folder (mode 0700), a new identity, a configuration with comments and\n"
             "an empty authorized_keys, and prints the peer ID. What is there already stays\n"
             "as it is. With --network and a name that the configuration does not have yet,\n"
             "makes what a further network needs: an identity of its own, in networks/NAME.\n",
    .run = run_init,
};
