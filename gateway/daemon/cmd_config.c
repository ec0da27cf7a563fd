/* SPDX-License-Identifier: MIT */
/* `peergate config check` and `peergate config reference`. */
#include "gateway/daemon/cmd.h"

#include "gateway/base/err.h"
#include "gateway/config/authorized_keys.h"
#include "gateway/config/config.h"
#include "gateway/config/dir.h"
#include "gateway/config/identity.h"
#include "gateway/config/names.h"
#include "gateway/config/print.h"
#include "gateway/daemon/carrier_certificate.h"
#include "gateway/daemon/client.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The other files that a configuration leads to. Those that are not there yet are none of this command's
 * business. */
static void check_network(const struct gw_config *config, const struct gw_config_network *network,
                          struct gw_diag *diag)
{
    struct gw_authorized_keys *keys;
    struct gw_identity *identity = NULL;
    struct gw_names *names;
    if (network != &config->top) {
        gw_names_load(&names, network->names_file, diag);
        gw_names_free(names);
    }
    gw_authorized_keys_load(&keys, network->security.authorized_keys_file, diag);
    gw_authorized_keys_free(keys);
    gw_config_check_service_files(config, network, diag);
    gw_carrier_certificate_use(NULL, network, diag);
    for (size_t i = 0; i < network->services.count; i++) {
        if (!network->services.items[i].authorized_keys)
            continue;
        gw_authorized_keys_load(&keys, network->services.items[i].authorized_keys, diag);
        gw_authorized_keys_free(keys);
    }
    bool has_identity = network->private_key.is_set || access(network->identity, F_OK) == 0;
    if (has_identity && gw_config_load_identity(&identity, network, diag) == 0)
        gw_config_check_self(config, network, identity->x25519, diag);
    gw_identity_free(identity);
}

static void check_others(const struct gw_config *config, const char *names_path, struct gw_diag *diag)
{
    struct gw_names *names;
    for (const struct gw_config_network *network = gw_config_next_network(config, NULL); network;
         network = gw_config_next_network(config, network))
        check_network(config, network, diag);
    gw_names_load(&names, names_path, diag);
    gw_names_free(names);
}

static void check_folder(const struct gw_config *config, struct gw_diag *diag)
{
    char dir[GW_DIR_PATH_MAX], names[GW_DIR_PATH_MAX];
    if (gw_dir_of_file(dir, config->path) == 0 && gw_dir_resolve(names, dir, GW_FILE_NAMES) == 0)
        check_others(config, names, diag);
}

/* What is wrong, for a program. */
static void print_json(const struct gw_cmd_context *ctx, const struct gw_diag *diag)
{
    json_t *errors = json_array(), *warnings = json_array();
    for (size_t i = 0; i < diag->count; i++) {
        const struct gw_diag_entry *entry = &diag->entries[i];
        json_t *text = json_string(entry->text), *one = json_object();
        json_object_set_new(one, "line", entry->line ? json_integer(entry->line) : json_null());
        json_object_set_new(one, "text", text ? text : json_string("(not UTF-8)"));
        json_array_append_new(entry->severity == GW_DIAG_ERROR ? errors : warnings, one);
    }
    json_t *all =
        json_pack("{s:b,s:s,s:o,s:o}", "ok", 0, "code", "bad-files", "errors", errors, "warnings", warnings);
    gw_client_print_json(ctx, all);
    json_decref(all);
}

static int check(struct gw_cmd_context *ctx, const char *path)
{
    struct gw_diag diag = {0};
    struct gw_config *config;
    gw_config_load(&config, path, &diag);
    if (config)
        check_folder(config, &diag);
    gw_diag_print(&diag, stderr);
    if (config && diag.errors == 0)
        gw_config_print(stdout, config, ctx->json ? GW_PRINT_JSON : GW_PRINT_YAML, false);
    else if (ctx->json)
        print_json(ctx, &diag);
    int status = diag.errors || !config ? GW_EXIT_FAILED : GW_EXIT_OK;
    gw_config_free(config);
    gw_diag_clear(&diag);
    return status;
}

static int run(struct gw_cmd_context *ctx, int argc, char **argv)
{
    char path[GW_DIR_PATH_MAX];
    int status = gw_cmd_options(ctx, &argc, argv, NULL, 1, 2);
    if (status)
        return status;
    if (strcmp(argv[1], "reference") == 0 && argc == 2) {
        gw_config_print_reference(stdout);
        return GW_EXIT_OK;
    }
    if (strcmp(argv[1], "check") != 0)
        return gw_cmd_usage_error(ctx, "expected check or reference, found \"%s\"", argv[argc > 2 ? 2 : 1]);
    if (argc == 3)
        return check(ctx, argv[2]);
    if (!gw_cmd_path(ctx, GW_FILE_CONFIG, path, sizeof path))
        return gw_cmd_fail(ctx, "the path of the folder is too long");
    return check(ctx, path);
}

const struct gw_command gw_cmd_config = {
    .name = "config",
    .summary = "check the configuration, or print all keys there are",
    .usage = "usage: peergate config check [FILE] [--json]\n"
             "       peergate config reference\n\n"
             "check      Says everything that is wrong with FILE (default: config.yaml in the\n"
             "           folder) and with the files it leads to, by file and line; if nothing\n"
             "           is, prints what holds, defaults included, secrets as \"(set)\". With --json\n"
             "           what is wrong is printed, too: `ok` is false, and `errors` has the lines.\n"
             "reference  Prints every key with its type, range, default and meaning.\n",
    .run = run,
};
