/* SPDX-License-Identifier: MIT */
/* Keys and who may use them: init, id, genkey, pubkey, authorize, deauthorize. None needs the daemon; it
 * sees the files when it is told to reload. */
#include "gateway/daemon/cmd.h"

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
#define TEMPLATE_LEN 4096

/* Prints and forgets; returns the status that follows. */
static int finish(struct gw_diag *diag, int err)
{
    gw_diag_print(diag, stderr);
    gw_diag_clear(diag);
    return err ? GW_EXIT_FAILED : GW_EXIT_OK;
}

/* ---- init */

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
};

/* 0 also when the file is there already, which *is_new then says. */
static int write_new(const struct init *init, const char *name, const char *text, bool *is_new)
{
    char path[GW_DIR_PATH_MAX];
    int err = gw_cmd_path(init->ctx, name, path, sizeof path) ? 0 : GW_E_TOO_BIG;
    if (!err)
        err = gw_atomic_write(NULL, path, text, strlen(text), GW_ATOMIC_NEW);
    *is_new = err == 0;
    if (err && err != -EEXIST)
        return gw_cmd_fail(init->ctx, "%s/%s: %s", init->ctx->dir, name, gw_strerror(err));
    return GW_EXIT_OK;
}

static int write_config(const struct init *init, bool *is_new)
{
    char text[TEMPLATE_LEN];
    int len = snprintf(text, sizeof text, config_template, init->hostname ? "" : "#",
                       init->hostname ? init->hostname : "home", init->network ? "" : "#",
                       init->network ? init->network : "mesh");
    if (len < 0 || (size_t)len >= sizeof text)
        return gw_cmd_fail(init->ctx, "the names are too long");
    return write_new(init, GW_FILE_CONFIG, text, is_new);
}

/* What the names would make of the configuration is checked before anything is written. */
static int check_template(const struct init *init)
{
    char text[TEMPLATE_LEN];
    struct gw_diag diag = {0};
    struct gw_config *config;
    int len = snprintf(text, sizeof text, "hostname: %s\nnetwork: %s\n",
                       init->hostname ? init->hostname : "home", init->network ? init->network : "mesh");
    if (len < 0 || (size_t)len >= sizeof text)
        return gw_cmd_usage_error(init->ctx, "the names are too long");
    int err = gw_config_parse(&config, text, (size_t)len, "", &diag);
    gw_config_free(config);
    finish(&diag, err);
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

static void print_next_step(const struct init *init, const char *peer_id, bool is_new)
{
    const char *dir = init->ctx->dir;
    if (init->ctx->json) {
        printf("{\"peer_id\": \"%s\", \"new\": %s}\n", peer_id, is_new ? "true" : "false");
        return;
    }
    printf("%s\n", peer_id);
    fprintf(stderr,
            "%s\n\n"
            "That is this node's peer ID. Next:\n"
            "  1. on the other machine: peergate init, then peergate authorize %s\n"
            "  2. here: peergate authorize with the peer ID that is printed there\n"
            "  3. name the peers in %s/%s, on both sides\n"
            "  4. peergate up\n",
            is_new ? "A new identity was made." : "The identity that was there stays.", peer_id, dir,
            GW_FILE_CONFIG);
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
    return finish(&diag, err);
}

static int init_folder(const struct init *init)
{
    char path[GW_DIR_PATH_MAX];
    bool is_new, is_new_file;
    int err = gw_dir_create(init->ctx->dir);
    if (err)
        return gw_cmd_fail(init->ctx, "%s: %s", init->ctx->dir, gw_strerror(err));
    if (!gw_cmd_path(init->ctx, GW_FILE_IDENTITY, path, sizeof path))
        return gw_cmd_fail(init->ctx, "the path of the folder is too long");
    int status = make_identity(init, path, &is_new);
    if (!status)
        status = write_config(init, &is_new_file);
    if (!status)
        status = write_new(init, GW_FILE_AUTHORIZED_KEYS, authorized_keys_template, &is_new_file);
    return status ? status : finish_init(init, path, is_new);
}

static int run_init(struct gw_cmd_context *ctx, int argc, char **argv)
{
    struct init init = {.ctx = ctx};
    const struct gw_cmd_option options[] = {
        {"--hostname", NULL, &init.hostname}, {"--network", NULL, &init.network}, {NULL, NULL, NULL}};
    int status = gw_cmd_options(ctx, &argc, argv, options, 0, 0);
    if (!status)
        status = check_template(&init);
    return status ? status : init_folder(&init);
}

const struct gw_command gw_cmd_init = {
    .name = "init",
    .summary = "make this node's folder, identity and configuration",
    .usage = "usage: peergate init [--hostname NAME] [--network NAME] [--json]\n\n"
             "Makes the folder (mode 0700), a new identity, a configuration with comments and\n"
             "an empty authorized_keys, and prints the peer ID. What is there already stays\n"
             "as it is.\n",
    .run = run_init,
};

/* ---- the files that the commands work on */

/* The configuration, if there is one (*out is NULL when not): it may name other files. */
static int load_config(struct gw_cmd_context *ctx, struct gw_config **out, struct gw_diag *diag)
{
    char path[GW_DIR_PATH_MAX];
    *out = NULL;
    if (!gw_cmd_path(ctx, GW_FILE_CONFIG, path, sizeof path))
        return gw_cmd_fail(ctx, "the path of the folder is too long");
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return GW_EXIT_OK;
    return gw_config_load(out, path, diag) == 0 ? GW_EXIT_OK : GW_EXIT_FAILED;
}

/* ---- id */

static void print_id(const struct gw_cmd_context *ctx, const char *peer_id, const uint8_t x25519[KEY_LEN])
{
    char key[GW_KEY_BASE64_STRLEN];
    gw_key_base64_format(x25519, key);
    if (ctx->json && peer_id)
        printf("{\"peer_id\": \"%s\", \"public_key\": \"%s\"}\n", peer_id, key);
    else if (ctx->json)
        printf("{\"peer_id\": null, \"public_key\": \"%s\"}\n", key);
    else
        printf("peer ID:    %s\npublic key: %s\n",
               peer_id ? peer_id : "none (the configuration has a private_key only)", key);
}

static int show_id(struct gw_cmd_context *ctx, const struct gw_config *config, struct gw_diag *diag)
{
    char path[GW_DIR_PATH_MAX], peer_id[GW_PEER_ID_STRLEN];
    struct gw_identity *identity;
    int err;
    if (!gw_cmd_path(ctx, GW_FILE_IDENTITY, path, sizeof path))
        return gw_cmd_fail(ctx, "the path of the folder is too long");
    err = config ? gw_config_load_identity(&identity, &config->top, diag)
                 : gw_identity_load(&identity, path, diag);
    if (err)
        return GW_EXIT_FAILED;
    print_id(ctx, identity->has_ed25519 ? gw_peer_id_format(identity->ed25519, peer_id) : NULL,
             identity->x25519);
    gw_identity_free(identity);
    return GW_EXIT_OK;
}

static int run_id(struct gw_cmd_context *ctx, int argc, char **argv)
{
    struct gw_diag diag = {0};
    struct gw_config *config;
    int status = gw_cmd_options(ctx, &argc, argv, NULL, 0, 0);
    if (status)
        return status;
    status = load_config(ctx, &config, &diag);
    if (!status)
        status = show_id(ctx, config, &diag);
    gw_config_free(config);
    finish(&diag, 0);
    return status;
}

const struct gw_command gw_cmd_id = {
    .name = "id",
    .summary = "print this node's peer ID and public key",
    .usage = "usage: peergate id [--json]\n\n"
             "Prints the peer ID, which other nodes of ours know this one by, and the public\n"
             "key, which stock WireGuard peers do. Neither is a secret.\n",
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
    puts(gw_key_base64_format(secret, text));
    gw_wipe(secret, sizeof secret);
    gw_wipe(text, sizeof text);
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_genkey = {
    .name = "genkey",
    .summary = "print a new X25519 private key, as WireGuard has them",
    .usage = "usage: peergate genkey\n\n"
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
    puts(gw_key_base64_format(public_key, text));
    gw_wipe(secret, sizeof secret);
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_pubkey = {
    .name = "pubkey",
    .summary = "print the public key of a private key on standard input",
    .usage = "usage: peergate pubkey < PRIVATE-KEY\n\n"
             "Reads a private key in base64, as genkey prints it, and prints its public key.\n",
    .run = run_pubkey,
};

/* ---- authorize and deauthorize */

/* The file that the configuration names, or DIR/authorized_keys. */
static int find_authorized_keys(struct gw_cmd_context *ctx, char out[GW_DIR_PATH_MAX], struct gw_diag *diag)
{
    struct gw_config *config;
    int status = load_config(ctx, &config, diag);
    if (status)
        return status;
    bool fits;
    if (config)
        fits =
            snprintf(out, GW_DIR_PATH_MAX, "%s", config->top.security.authorized_keys_file) < GW_DIR_PATH_MAX;
    else
        fits = gw_cmd_path(ctx, GW_FILE_AUTHORIZED_KEYS, out, GW_DIR_PATH_MAX);
    gw_config_free(config);
    return fits ? GW_EXIT_OK : gw_cmd_fail(ctx, "the path of authorized_keys is too long");
}

static int authorize(struct gw_cmd_context *ctx, const struct gw_authorize *what)
{
    char path[GW_DIR_PATH_MAX];
    struct gw_diag diag = {0};
    bool is_replaced = false;
    int status = find_authorized_keys(ctx, path, &diag);
    int err = status ? 0 : gw_authorized_keys_authorize(path, what, &is_replaced, &diag);
    if (!status && !err && ctx->json)
        printf("{\"authorized\": \"%s\", \"replaced\": %s}\n", what->peer, is_replaced ? "true" : "false");
    else if (!status && !err)
        printf("%s %s in %s\n", is_replaced ? "changed" : "authorized", what->peer, path);
    err = finish(&diag, err);
    return status ? status : err;
}

static int run_authorize(struct gw_cmd_context *ctx, int argc, char **argv)
{
    struct gw_authorize what = {0};
    const struct gw_cmd_option options[] = {{"--services", NULL, &what.services},
                                            {"--expires", NULL, &what.expires},
                                            {"--comment", NULL, &what.comment},
                                            {NULL, NULL, NULL}};
    int status = gw_cmd_options(ctx, &argc, argv, options, 1, 1);
    what.peer = argv[1];
    return status ? status : authorize(ctx, &what);
}

const struct gw_command gw_cmd_authorize = {
    .name = "authorize",
    .summary = "let a peer connect",
    .usage = "usage: peergate authorize PEER-ID [--services A,B] [--expires DATE] [--comment TEXT]\n\n"
             "Writes the peer's line in authorized_keys, or replaces the one that is there;\n"
             "everything else in the file stays. PEER-ID may be a base64 key as well.\n\n"
             "  --services A,B   only these services (default: all)\n"
             "  --expires DATE   until then: 2027-01-01 (UTC) or 2027-01-01T12:00:00Z\n"
             "  --comment TEXT   who it is (default: what was there)\n",
    .run = run_authorize,
};

/* The line of config.yaml that makes it one of `peers`, or 0. Without a line in authorized_keys those may use everything. */
static unsigned line_in_peers(struct gw_cmd_context *ctx, const char *peer)
{
    struct gw_diag ignored = {0};
    struct gw_config *config = NULL;
    struct gw_peer_key key;
    const char *why;
    unsigned line = 0;
    if (gw_peer_key_parse(&key, peer, &why) == 0 && load_config(ctx, &config, &ignored) == GW_EXIT_OK) {
        for (size_t i = 0; config && i < config->top.peers.count; i++) {
            if (memcmp(config->top.peers.items[i].public_key.bytes, key.x25519, KEY_LEN) == 0)
                line = (unsigned)config->top.peers.items[i].line;
        }
    }
    gw_config_free(config);
    gw_diag_clear(&ignored);
    return line;
}

static int deauthorize(struct gw_cmd_context *ctx, const char *peer)
{
    char path[GW_DIR_PATH_MAX];
    struct gw_diag diag = {0};
    int status = find_authorized_keys(ctx, path, &diag);
    int err = status ? 0 : gw_authorized_keys_deauthorize(path, peer, &diag);
    if (err == GW_E_UNKNOWN)
        gw_cmd_fail(ctx, "%s is not in %s", peer, path);
    else if (!status && !err && ctx->json)
        printf("{\"deauthorized\": \"%s\"}\n", peer);
    else if (!status && !err)
        printf("removed %s from %s\n", peer, path);
    err = finish(&diag, err);
    unsigned line = status ? 0 : line_in_peers(ctx, peer);
    if (line)
        err = gw_cmd_fail(
            ctx,
            "%s may still use every service: it is one of `peers` in %s/%s, line %u; remove it there too",
            peer, ctx->dir, GW_FILE_CONFIG, line);
    return status ? status : err;
}

static int run_deauthorize(struct gw_cmd_context *ctx, int argc, char **argv)
{
    int status = gw_cmd_options(ctx, &argc, argv, NULL, 1, 1);
    return status ? status : deauthorize(ctx, argv[1]);
}

const struct gw_command gw_cmd_deauthorize = {
    .name = "deauthorize",
    .summary = "no longer let a peer connect",
    .usage = "usage: peergate deauthorize PEER-ID\n\n"
             "Removes the peer's line from authorized_keys. PEER-ID may be a base64 key. One of\n"
             "`peers` in config.yaml has to be removed there as well: the exit status is then 1.\n",
    .run = run_deauthorize,
};
