/* SPDX-License-Identifier: MIT */
/* Keys and who may use them: id, genkey, pubkey, authorize, deauthorize. None needs the daemon; it sees the files when it is told to reload. */
#include "gateway/daemon/client.h"
#include "gateway/daemon/cmd.h"
#include "gateway/daemon/cmd_network.h"
#include "gateway/daemon/wall.h"

#include "gateway/base/err.h"
#include "gateway/base/random.h"
#include "gateway/base/secret.h"
#include "gateway/config/atomic_file.h"
#include "gateway/config/authorized_keys.h"
#include "gateway/config/config.h"
#include "gateway/config/dir.h"
#include "gateway/config/file.h"
#include "gateway/config/identity.h"
#include "gateway/config/peer_key.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_LEN 32

/* ---- id */

static void print_id(const struct gw_cmd_context *ctx, const char *network,
                     const struct gw_identity *identity, bool is_first)
{
    char key[GW_KEY_BASE64_STRLEN], peer_id[GW_PEER_ID_STRLEN];
    gw_key_base64_format(identity->x25519, key);
    if (identity->has_ed25519)
        gw_peer_id_format(identity->ed25519, peer_id);
    if (ctx->json) {
        printf("%s{", is_first ? "" : ", ");
        if (network)
            printf("\"network\": \"%s\", ", network);
        printf(identity->has_ed25519 ? "\"peer_id\": \"%s\", " : "\"peer_id\": null, ", peer_id);
        printf("\"public_key\": \"%s\"}", key);
        return;
    }
    if (network)
        printf("%snetwork:    %s\n", is_first ? "" : "\n", network);
    printf("peer ID:    %s\npublic key: %s\n",
           identity->has_ed25519 ? peer_id : "none (the configuration has a private_key only)", key);
}

/* of: NULL = what is in the folder without a configuration. */
static int show_id(struct gw_cmd_context *ctx, const struct gw_config_network *of, const char *name,
                   bool is_first, struct gw_diag *diag)
{
    char path[GW_DIR_PATH_MAX];
    struct gw_identity *identity;
    if (!gw_cmd_path(ctx, GW_FILE_IDENTITY, path, sizeof path))
        return gw_cmd_fail(ctx, "the path of the folder is too long");
    int err = of ? gw_config_load_identity(&identity, of, diag) : gw_identity_load(&identity, path, diag);
    if (err)
        return GW_EXIT_FAILED;
    print_id(ctx, name, identity, is_first);
    gw_identity_free(identity);
    return GW_EXIT_OK;
}

static int show_ids(struct gw_cmd_context *ctx, const struct gw_config *config, struct gw_diag *diag)
{
    const struct gw_config_network *network = NULL;
    int status = GW_EXIT_OK;
    if (ctx->json) {
        printf("{\"networks\": [");
        gw_cmd_json_printed(ctx);
    }
    for (bool is_first = true; (network = gw_config_next_network(config, network)); is_first = false)
        status |= show_id(ctx, network, network->name, is_first, diag);
    if (ctx->json)
        printf("]}\n");
    return status;
}

static int run_id(struct gw_cmd_context *ctx, int argc, char **argv)
{
    const char *name = NULL;
    const struct gw_cmd_option options[] = {{"--network", NULL, &name}, {NULL, NULL, NULL}};
    const struct gw_config_network *network = NULL;
    struct gw_diag diag = {0};
    struct gw_config *config;
    int status = gw_cmd_options(ctx, &argc, argv, options, 0, 0);
    if (status)
        return status;
    status = gw_cmd_load_config(ctx, &config, &diag);
    if (!status && !name && config && gw_config_next_network(config, gw_config_next_network(config, NULL))) {
        status = show_ids(ctx, config, &diag);
    } else if (!status) {
        status = gw_cmd_choose_network(ctx, config, name, &network);
        if (!status)
            status = show_id(ctx, network, NULL, true, &diag);
        if (!status && ctx->json)
            putchar('\n');
    }
    gw_config_free(config);
    gw_cmd_finish(ctx, &diag, 0);
    return status;
}

const struct gw_command gw_cmd_id = {
    .name = "id",
    .summary = "print this node's peer ID and public key",
    .usage = "usage: peergate id [--network NAME] [--json]\n\n"
             "Prints the peer ID, which other nodes of ours know this one by, and the public\n"
             "key, which stock WireGuard peers do. Neither is a secret. A node in several\n"
             "networks has one of each in every network.\n",
    .run = run_id,
};

/* ---- genkey and pubkey: what `wg genkey` and `wg pubkey` do, to the byte */

static void warn_of_open_file(void)
{
    struct stat st;
    if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & S_IRWXO)
        fputs(
            "Warning: writing to world accessible file.\nConsider setting the umask to 077 and trying again.\n",
            stderr);
}

static int run_genkey(struct gw_cmd_context *ctx, int argc, char **argv)
{
    uint8_t secret[KEY_LEN];
    char text[GW_KEY_BASE64_STRLEN];
    int status = gw_cmd_options(ctx, &argc, argv, NULL, 0, 0);
    if (status)
        return status;
    warn_of_open_file();
    gw_random_fill(gw_random_system(), secret, sizeof secret);
    secret[0] &= 248; /* clamped, as X25519 would */
    secret[31] = (secret[31] & 127) | 64;
    printf(ctx->json ? "{\"private_key\": \"%s\"}\n" : "%s\n", gw_key_base64_format(secret, text));
    gw_wipe(secret, sizeof secret);
    gw_wipe(text, sizeof text);
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_genkey = {
    .name = "genkey",
    .summary = "print a new X25519 private key, as WireGuard has them",
    .usage = "usage: peergate genkey [--json]\n\n"
             "Prints a new private key in base64, for `private_key` in a configuration or for\n"
             "a stock WireGuard peer. It is stored nowhere.\n",
    .run = run_genkey,
};

/* The key of 44 characters on stdin; only white space may follow. NULL, or what is wrong. */
static const char *read_key(uint8_t key[KEY_LEN])
{
    char text[GW_KEY_BASE64_STRLEN] = "";
    const char *wrong = NULL;
    if (fread(text, 1, sizeof text - 1, stdin) != sizeof text - 1)
        wrong = "Key is not the correct length or format";
    for (int c; !wrong && (c = getchar()) != EOF;) {
        if (!strchr(" \t\n\r\v\f", c) || c == '\0')
            wrong = "Trailing characters found after key";
    }
    if (!wrong && gw_key_base64_parse(key, text) != 0)
        wrong = "Key is not the correct length or format";
    gw_wipe(text, sizeof text);
    return wrong;
}

static int run_pubkey(struct gw_cmd_context *ctx, int argc, char **argv)
{
    uint8_t secret[KEY_LEN], public_key[KEY_LEN];
    char text[GW_KEY_BASE64_STRLEN];
    int status = gw_cmd_options(ctx, &argc, argv, NULL, 0, 0);
    if (status)
        return status;
    const char *wrong = read_key(secret);
    if (wrong)
        return gw_cmd_fail(ctx, "%s", wrong);
    crypto_scalarmult_base(public_key, secret);
    printf(ctx->json ? "{\"public_key\": \"%s\"}\n" : "%s\n", gw_key_base64_format(public_key, text));
    gw_wipe(secret, sizeof secret);
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_pubkey = {
    .name = "pubkey",
    .summary = "print the public key of a private key on standard input",
    .usage = "usage: peergate pubkey [--json] < PRIVATE-KEY\n\n"
             "Reads a private key in base64, as genkey prints it, and prints its public key.\n",
    .run = run_pubkey,
};

/* ---- authorize and deauthorize */

/* The daemon reads the file again only when it is told to, and who has just shut somebody out has to know that. */
static void tell_of_reload(const struct gw_cmd_context *ctx)
{
    if (gw_client_is_running(ctx))
        fprintf(stderr, "The running daemon goes by that after `peergate --dir %s reload`.\n", ctx->dir);
}

/* The file that the configuration names for the network, or DIR/authorized_keys. */
static int find_authorized_keys(struct gw_cmd_context *ctx, const char *name, char out[GW_DIR_PATH_MAX],
                                struct gw_diag *diag)
{
    const struct gw_config_network *network;
    struct gw_config *config;
    int status = gw_cmd_load_config(ctx, &config, diag);
    if (!status)
        status = gw_cmd_choose_network(ctx, config, name, &network);
    bool fits = true;
    if (!status && network)
        fits = snprintf(out, GW_DIR_PATH_MAX, "%s", network->security.authorized_keys_file) < GW_DIR_PATH_MAX;
    else if (!status)
        fits = gw_cmd_path(ctx, GW_FILE_AUTHORIZED_KEYS, out, GW_DIR_PATH_MAX);
    gw_config_free(config);
    return fits ? status : gw_cmd_fail(ctx, "the path of authorized_keys is too long");
}

/* A date of the past, a mistyped year say, lets nobody in. */
static void warn_of_past(const char *path, const char *peer)
{
    struct gw_authorized_keys *keys = NULL;
    struct gw_diag ignored = {0};
    struct gw_peer_key key;
    const char *why;
    if (gw_peer_key_parse(&key, peer, &why) == 0 && gw_authorized_keys_load(&keys, path, &ignored) == 0) {
        const struct gw_authorized_key *found = gw_authorized_keys_find(keys, key.x25519);
        if (found && gw_authorized_key_is_expired(found, gw_wall_now()))
            fprintf(stderr, "warning: its `expires` is in the past: it may not connect.\n");
    }
    gw_authorized_keys_free(keys);
    gw_diag_clear(&ignored);
}

static int authorize(struct gw_cmd_context *ctx, const char *network, const struct gw_authorize *what)
{
    char path[GW_DIR_PATH_MAX];
    struct gw_diag diag = {0};
    bool is_replaced = false;
    int status = find_authorized_keys(ctx, network, path, &diag);
    int err = status ? 0 : gw_authorized_keys_authorize(path, what, &is_replaced, &diag);
    if (!status && !err && ctx->json)
        printf("{\"authorized\": \"%s\", \"replaced\": %s}\n", what->peer, is_replaced ? "true" : "false");
    else if (!status && !err)
        printf("%s %s in %s\n", is_replaced ? "changed" : "authorized", what->peer, path);
    if (!status && !err) {
        warn_of_past(path, what->peer);
        tell_of_reload(ctx);
    }
    err = gw_cmd_finish(ctx, &diag, err);
    return status ? status : err;
}

static int run_authorize(struct gw_cmd_context *ctx, int argc, char **argv)
{
    struct gw_authorize what = {0};
    const char *network = NULL;
    const struct gw_cmd_option options[] = {{"--network", NULL, &network},
                                            {"--services", NULL, &what.services},
                                            {"--expires", NULL, &what.expires},
                                            {"--comment", NULL, &what.comment},
                                            {NULL, NULL, NULL}};
    int status = gw_cmd_options(ctx, &argc, argv, options, 1, 1);
    what.peer = argv[1];
    return status ? status : authorize(ctx, network, &what);
}

const struct gw_command gw_cmd_authorize = {
    .name = "authorize",
    .summary = "let a peer connect",
    .usage = "usage: peergate authorize PEER-ID [--network NAME] [--services A,B]\n"
             "                          [--expires DATE] [--comment TEXT] [--json]\n\n"
             "Writes the peer's line in authorized_keys, or replaces the one that is there;\n"
             "everything else in the file stays. PEER-ID may be a base64 key as well. A running\n"
             "daemon lets the peer in from the next `peergate reload` on.\n\n"
             "  --network NAME   in which network, when this node is in several\n"
             "  --services A,B   only these services (default: all)\n"
             "  --expires DATE   until then: 2027-01-01 (UTC) or 2027-01-01T12:00:00Z\n"
             "  --comment TEXT   who it is (default: what was there)\n",
    .run = run_authorize,
};

/* The line of config.yaml that makes it one of `peers`, or 0. */
static unsigned line_in_peers(struct gw_cmd_context *ctx, const char *name, const char *peer)
{
    struct gw_diag ignored = {0};
    const struct gw_config_network *network = NULL;
    struct gw_config *config = NULL;
    struct gw_peer_key key;
    const char *why;
    unsigned line = 0;
    if (gw_peer_key_parse(&key, peer, &why) == 0 &&
        gw_cmd_load_config(ctx, &config, &ignored) == GW_EXIT_OK &&
        gw_cmd_choose_network(ctx, config, name, &network) == GW_EXIT_OK) {
        for (size_t i = 0; network && i < network->peers.count; i++) {
            if (memcmp(network->peers.items[i].public_key.bytes, key.x25519, KEY_LEN) == 0)
                line = (unsigned)network->peers.items[i].line;
        }
    }
    gw_config_free(config);
    gw_diag_clear(&ignored);
    return line;
}

/* One of `peers` needs a line that says no: without any it may do everything. line: where it is in config.yaml. */
static int say_no(struct gw_cmd_context *ctx, const char *path, const char *peer, unsigned line,
                  struct gw_diag *diag)
{
    int err = gw_authorized_keys_revoke(path, peer, NULL, diag);
    if (!err && ctx->json)
        printf("{\"deauthorized\": \"%s\", \"revoked\": true}\n", peer);
    else if (!err)
        printf("revoked %s in %s\n"
               "It is one of `peers` in %s/%s, line %u: while it is there, the line that says no stays.\n",
               peer, path, ctx->dir, GW_FILE_CONFIG, line);
    return err;
}

static int take_out(struct gw_cmd_context *ctx, const char *path, const char *peer, struct gw_diag *diag)
{
    int err = gw_authorized_keys_deauthorize(path, peer, diag);
    if (err == GW_E_UNKNOWN)
        gw_cmd_fail(ctx, "%s is not in %s", peer, path);
    else if (!err && ctx->json)
        printf("{\"deauthorized\": \"%s\", \"revoked\": false}\n", peer);
    else if (!err)
        printf("removed %s from %s\n", peer, path);
    return err;
}

static int deauthorize(struct gw_cmd_context *ctx, const char *network, const char *peer)
{
    char path[GW_DIR_PATH_MAX];
    struct gw_diag diag = {0};
    int status = find_authorized_keys(ctx, network, path, &diag);
    unsigned line = status ? 0 : line_in_peers(ctx, network, peer);
    int err = status ? 0 : line ? say_no(ctx, path, peer, line, &diag) : take_out(ctx, path, peer, &diag);
    if (!status && !err)
        tell_of_reload(ctx);
    err = gw_cmd_finish(ctx, &diag, err);
    return status ? status : err;
}

static int run_deauthorize(struct gw_cmd_context *ctx, int argc, char **argv)
{
    const char *network = NULL;
    const struct gw_cmd_option options[] = {{"--network", NULL, &network}, {NULL, NULL, NULL}};
    int status = gw_cmd_options(ctx, &argc, argv, options, 1, 1);
    return status ? status : deauthorize(ctx, network, argv[1]);
}

const struct gw_command gw_cmd_deauthorize = {
    .name = "deauthorize",
    .summary = "no longer let a peer connect",
    .usage = "usage: peergate deauthorize PEER-ID [--network NAME] [--json]\n\n"
             "Removes the peer's line from authorized_keys. PEER-ID may be a base64 key. One of\n"
             "`peers` in config.yaml gets a line that says no instead, since without any it may\n"
             "use everything. A running daemon ends its session at the next `peergate reload`.\n"
             "A node in several networks needs --network.\n",
    .run = run_deauthorize,
};
