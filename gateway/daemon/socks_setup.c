/* SPDX-License-Identifier: MIT */
/* The proxy as the configuration asks for it. */
#include "gateway/daemon/daemon.h"

#include "gateway/base/err.h"

#include <stdlib.h>

static int apply_socks_params(struct gw_daemon *daemon, const struct gw_config *config,
                              const struct gw_socks5_params *params, struct gw_diag *diag)
{
    size_t bad = 0;
    int err = daemon->socks5 ? gw_socks5_update(daemon->socks5, params, &bad)
                             : gw_socks5_new(&daemon->socks5, params, &bad);
    if (err != 0 && bad < params->listen_count) {
        char at[GW_TARGET_STRLEN];
        gw_diag_error(diag, config->path, 0, "the proxy cannot listen on %s: %s%s",
                      gw_target_format(&params->listen[bad], at), gw_strerror(err),
                      err == -EADDRINUSE ? "; choose another port for `socks.listen`" : "");
    }
    return err;
}

static int make_socks_params(struct gw_daemon *daemon, const struct gw_config *config,
                             struct gw_target *listen, struct gw_socks5_user *users, struct gw_diag *diag)
{
    const size_t listen_count = config->socks.listen.count;
    for (size_t i = 0; i < listen_count; i++) {
        int err = gw_target_of_endpoint(&listen[i], &config->socks.listen.items[i]);
        if (err != 0)
            return err;
    }
    for (size_t i = 0; i < config->socks.users.count; i++)
        users[i] =
            (struct gw_socks5_user){config->socks.users.items[i].name, config->socks.users.items[i].password};
    const struct gw_policy policy = {.is_direct = config->socks.others == GW_CONFIG_OTHERS_DIRECT,
                                     .allow = config->socks.allow.items,
                                     .allow_count = config->socks.allow.count,
                                     .deny = config->socks.deny.items,
                                     .deny_count = config->socks.deny.count};
    const struct gw_socks5_params params = {.frontend = &daemon->frontend,
                                            .listen = listen,
                                            .listen_count = listen_count,
                                            .mode = (unsigned)config->socks.mode,
                                            .users = users,
                                            .user_count = config->socks.users.count,
                                            .policy = &policy,
                                            .no_http = !config->socks.http};
    return apply_socks_params(daemon, config, &params, diag);
}

int gw_daemon_apply_socks(struct gw_daemon *daemon, const struct gw_files *files, struct gw_diag *diag)
{
    const struct gw_config *config = files->config;
    daemon->frontend.opening_timeout_ns = config->socks.timeout_ns;
    if (config->socks.listen.count == 0) {
        if (daemon->socks5)
            gw_socks5_free(daemon->socks5, gw_loop_now(daemon->loop));
        daemon->socks5 = NULL;
        return 0;
    }
    struct gw_target *listen = calloc(config->socks.listen.count, sizeof *listen);
    struct gw_socks5_user *users = calloc(config->socks.users.count + 1, sizeof *users);
    int err = listen && users ? make_socks_params(daemon, config, listen, users, diag) : GW_E_NOMEM;
    free(listen);
    free(users);
    return err;
}
