/* SPDX-License-Identifier: MIT */
/* From files to a running daemon, at the start and again at each reload. A reload loads into fresh structs; the parts that can refuse
 * (services, names, proxy) either take the new all or keep the old. */
#include "gateway/daemon/daemon.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/notify.h"

#include <stdlib.h>
#include <string.h>

void gw_daemon_log_diag(const struct gw_diag *diag)
{
    for (size_t i = 0; i < diag->count; i++) {
        if (diag->entries[i].severity == GW_DIAG_ERROR)
            gw_log_error("%s", diag->entries[i].text);
        else
            gw_log_warn("%s", diag->entries[i].text);
    }
}

void gw_daemon_apply_log(struct gw_daemon *daemon, const struct gw_files *files)
{
    int level = (int)files->config->log.level + daemon->verbose;
    gw_log_set_level(level > GW_LOG_DEBUG ? GW_LOG_DEBUG : (enum gw_log_level)level);
    gw_log_set_hide_addresses(files->config->log.hide_addresses);
}

/* --- services --- */

static int target_of(struct gw_target *out, const struct gw_config_endpoint *endpoint)
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

static int fill_service(struct gw_service_config *out, const struct gw_config_service *service,
                        const struct gw_authorized_keys *keys)
{
    *out = (struct gw_service_config){.name = service->name,
                                      .is_enabled = service->enabled,
                                      .is_udp = service->protocol == GW_CONFIG_UDP,
                                      .port = (uint16_t)service->port,
                                      .class_ = service->class};
    if (keys && !(out->grants = gw_grants_of_keys(keys)))
        return GW_E_NOMEM;
    return target_of(&out->target, &service->local_address);
}

static int replace_services(struct gw_daemon *daemon, const struct gw_files *files,
                            struct gw_service_config *list, struct gw_diag *diag)
{
    const struct gw_config *config = files->config;
    size_t bad = 0;
    int err = 0;
    for (size_t i = 0; i < config->services.count && err == 0; i++) {
        bad = i;
        err = fill_service(&list[i], &config->services.items[i], files->service_keys[i]);
    }
    if (err == 0)
        err = gw_services_replace(daemon->services, list, config->services.count, gw_loop_now(daemon->loop),
                                  &bad);
    if (err != 0 && bad < config->services.count)
        gw_diag_error(diag, config->path, config->services.items[bad].line, "service \"%s\" is refused: %s",
                      config->services.items[bad].name,
                      err == -EEXIST ? "another enabled service has its port and protocol"
                                     : gw_strerror(err));
    return err;
}

int gw_daemon_apply_services(struct gw_daemon *daemon, const struct gw_files *files, struct gw_diag *diag)
{
    size_t count = files->config->services.count;
    struct gw_service_config *list = calloc(count + 1, sizeof *list);
    struct gw_grants *grants = gw_files_grants(files);
    int err = list && grants ? replace_services(daemon, files, list, diag) : GW_E_NOMEM;
    if (err == 0)
        err = gw_services_set_grants(daemon->services, grants, gw_loop_now(daemon->loop));
    for (size_t i = 0; list && i < count; i++)
        gw_grants_free((struct gw_grants *)(uintptr_t)list[i].grants);
    gw_grants_free(grants);
    free(list);
    return err;
}

/* --- names --- */

int gw_daemon_apply_names(struct gw_daemon *daemon, const struct gw_files *files, struct gw_diag *diag)
{
    size_t count = files->names->count, bad = 0;
    struct gw_names_entry *list = calloc(count + 1, sizeof *list);
    if (!list)
        return GW_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct gw_name *name = &files->names->names[i];
        list[i] =
            (struct gw_names_entry){.host = name->host, .network = name->network, .service = name->service};
        memcpy(list[i].public_key, name->x25519, GW_KEY_LEN);
    }
    int err = gw_names_tier_set(daemon->names, list, count, &bad);
    if (err == GW_E_INVAL)
        gw_diag_error(diag, GW_FILE_NAMES, files->names->names[bad].line, "\"%s\" is no host name",
                      files->names->names[bad].host);
    free(list);
    return err;
}

/* --- the proxy --- */

static void fill_rules(struct gw_rule *out, const struct gw_config_rule *rules, size_t count)
{
    static const enum gw_rule_kind kinds[] = {
        [GW_CONFIG_RULE_HOST] = GW_RULE_HOST,
        [GW_CONFIG_RULE_SUFFIX] = GW_RULE_SUFFIX,
        [GW_CONFIG_RULE_PREFIX] = GW_RULE_PREFIX,
    };
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct gw_rule){.kind = kinds[rules[i].kind],
                                  .ip = rules[i].prefix.ip,
                                  .bits = rules[i].prefix.bits,
                                  .port_min = rules[i].port,
                                  .port_max = rules[i].port};
        strcpy(out[i].host, rules[i].host);
    }
}

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
                             struct gw_target *listen, struct gw_socks5_user *users, struct gw_rule *rules,
                             struct gw_diag *diag)
{
    const size_t listen_count = config->socks.listen.count, allow_count = config->socks.allow.count;
    for (size_t i = 0; i < listen_count; i++) {
        int err = target_of(&listen[i], &config->socks.listen.items[i]);
        if (err != 0)
            return err;
    }
    for (size_t i = 0; i < config->socks.users.count; i++)
        users[i] =
            (struct gw_socks5_user){config->socks.users.items[i].name, config->socks.users.items[i].password};
    fill_rules(rules, config->socks.allow.items, allow_count);
    fill_rules(rules + allow_count, config->socks.deny.items, config->socks.deny.count);
    const struct gw_policy policy = {.is_direct = config->socks.others == GW_CONFIG_OTHERS_DIRECT,
                                     .allow = rules,
                                     .allow_count = allow_count,
                                     .deny = rules + allow_count,
                                     .deny_count = config->socks.deny.count};
    const struct gw_socks5_params params = {.frontend = &daemon->frontend,
                                            .listen = listen,
                                            .listen_count = listen_count,
                                            .mode = (unsigned)config->socks.mode,
                                            .users = users,
                                            .user_count = config->socks.users.count,
                                            .policy = &policy,
                                            .no_http = !config->socks.http,
                                            .dial_timeout_ns = config->socks.timeout_ns};
    return apply_socks_params(daemon, config, &params, diag);
}

int gw_daemon_apply_socks(struct gw_daemon *daemon, const struct gw_files *files, struct gw_diag *diag)
{
    const struct gw_config *config = files->config;
    if (config->socks.listen.count == 0) {
        if (daemon->socks5)
            gw_socks5_free(daemon->socks5, gw_loop_now(daemon->loop));
        daemon->socks5 = NULL;
        return 0;
    }
    struct gw_target *listen = calloc(config->socks.listen.count, sizeof *listen);
    struct gw_socks5_user *users = calloc(config->socks.users.count + 1, sizeof *users);
    struct gw_rule *rules = calloc(config->socks.allow.count + config->socks.deny.count + 1, sizeof *rules);
    int err =
        listen && users && rules ? make_socks_params(daemon, config, listen, users, rules, diag) : GW_E_NOMEM;
    free(listen);
    free(users);
    free(rules);
    return err;
}

/* --- reload --- */

static bool differs(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") != 0;
}

static bool have_other_addresses(const struct gw_config *old, const struct gw_config *fresh)
{
    if (old->listen.count != fresh->listen.count)
        return true;
    for (size_t i = 0; i < old->listen.count; i++) {
        if (!gw_addr_equal(&old->listen.items[i], &fresh->listen.items[i]))
            return true;
    }
    return false;
}

/* What a running daemon cannot change. */
static void warn_of_restart(const struct gw_config *old, const struct gw_config *fresh, struct gw_diag *diag)
{
    const struct {
        const char *key;
        bool has_changed;
    } keys[] = {
        {"port", old->port != fresh->port},
        {"listen", have_other_addresses(old, fresh)},
        {"hostname", differs(old->hostname, fresh->hostname)},
        {"network", differs(old->network, fresh->network)},
        {"identity", differs(old->identity, fresh->identity)},
        {"private_key", memcmp(&old->private_key, &fresh->private_key, sizeof old->private_key) != 0},
        {"tun.enabled", old->tun.enabled != fresh->tun.enabled},
        {"tun.mtu", old->tun.mtu != fresh->tun.mtu},
        {"control.socket", differs(old->control.socket, fresh->control.socket)},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i].has_changed)
            gw_diag_warning(diag, fresh->path, 0, "`%s` has changed: that takes a restart", keys[i].key);
    }
}

static int apply(struct gw_daemon *daemon, const struct gw_files *fresh, struct gw_diag *diag)
{
    int err = gw_daemon_apply_services(daemon, fresh, diag);
    if (err == 0)
        err = gw_daemon_apply_names(daemon, fresh, diag);
    if (err == 0)
        err = gw_daemon_apply_socks(daemon, fresh, diag);
    if (err == 0)
        err = gw_dns_setup_listen(&daemon->dns, fresh->config, diag);
    return err;
}

static int reload(struct gw_daemon *daemon, struct gw_diag *diag)
{
    struct gw_diag ignored = {0};
    struct gw_files fresh;
    struct gw_peers_change change;
    int err = gw_files_load(&fresh, daemon->dir, diag);
    if (err != 0)
        return err;
    warn_of_restart(daemon->files.config, fresh.config, diag);
    err = apply(daemon, &fresh, diag);
    if (err != 0) {
        /* What was there worked: put it back where it changed already. */
        apply(daemon, &daemon->files, &ignored);
        gw_diag_clear(&ignored);
        gw_files_fini(&fresh);
        return err;
    }
    gw_daemon_apply_log(daemon, &fresh);
    daemon->budget.limit = (uint64_t)fresh.config->memory;
    gw_peers_apply(&daemon->peers, &fresh, gw_daemon_wall(), gw_loop_now(daemon->loop), &change);
    gw_files_fini(&daemon->files);
    daemon->files = fresh;
    gw_tun_setup_apply(&daemon->tun, daemon->files.config);
    gw_dns_setup_refresh(&daemon->dns, gw_loop_now(daemon->loop));
    gw_daemon_watch_expiry(daemon);
    gw_log_info("reloaded: peers %u added, %u changed, %u removed; %zu services", change.added,
                change.changed, change.removed, daemon->files.config->services.count);
    return 0;
}

int gw_daemon_reload(struct gw_daemon *daemon, struct gw_diag *diag)
{
    gw_notify_reloading();
    int err = reload(daemon, diag);
    if (err != 0 && diag->errors == 0)
        gw_diag_error(diag, "", 0, "cannot reload: %s", gw_strerror(err));
    if (err != 0)
        gw_log_error("the new files are not used, the old ones stay in force:");
    gw_notify_ready(err == 0 ? "reloaded" : "running with the old configuration: the new one has errors");
    return err;
}
