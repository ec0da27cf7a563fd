/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/cmd_network.h"

#include "gateway/config/dir.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int gw_cmd_load_config(struct gw_cmd_context *ctx, struct gw_config **out, struct gw_diag *diag)
{
    char path[GW_DIR_PATH_MAX];
    *out = NULL;
    if (!gw_cmd_path(ctx, GW_FILE_CONFIG, path, sizeof path))
        return gw_cmd_fail(ctx, "the path of the folder is too long");
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return GW_EXIT_OK;
    return gw_config_load(out, path, diag) == 0 ? GW_EXIT_OK : GW_EXIT_FAILED;
}

/* "home, work" */
static void list_networks(const struct gw_config *config, char *out, size_t out_len)
{
    const struct gw_config_network *network = NULL;
    size_t len = 0;
    *out = '\0';
    while (len < out_len && (network = gw_config_next_network(config, network)))
        len += (size_t)snprintf(out + len, out_len - len, "%s%s", len ? ", " : "", network->name);
}

int gw_cmd_choose_network(struct gw_cmd_context *ctx, const struct gw_config *config, const char *name,
                          const struct gw_config_network **out)
{
    char all[512];
    *out = NULL;
    if (!config)
        return name ? gw_cmd_fail(ctx, "there is no %s in %s that says which networks there are",
                                  GW_FILE_CONFIG, ctx->dir)
                    : GW_EXIT_OK;
    *out = name ? gw_config_find_network(config, name) : gw_config_next_network(config, NULL);
    list_networks(config, all, sizeof all);
    if (!*out)
        return gw_cmd_fail(ctx, "this node is in no network \"%s\"; %s names %s", name, GW_FILE_CONFIG, all);
    if (!name && gw_config_next_network(config, *out))
        return gw_cmd_usage_error(ctx, "this node is in several networks: say which with --network (%s)",
                                  all);
    return GW_EXIT_OK;
}

int gw_cmd_finish(const struct gw_cmd_context *ctx, struct gw_diag *diag, int err)
{
    gw_cmd_print_diag(ctx, diag);
    gw_diag_clear(diag);
    return err ? GW_EXIT_FAILED : GW_EXIT_OK;
}
