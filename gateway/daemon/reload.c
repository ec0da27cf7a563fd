/* SPDX-License-Identifier: MIT */
/* From files to a running daemon, at the start and again at each reload. A reload loads into fresh structs; the parts that can refuse
 * (services, names, proxy) either take the new all or keep the old. */
#include "gateway/daemon/daemon.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/config/keep.h"
#include "gateway/daemon/notify.h"

#include <stdlib.h>
#include <string.h>

void gw_daemon_log_diag(const struct gw_diag *diag)
{
    char hidden[1024];
    for (size_t i = 0; i < diag->count; i++) {
        const char *text = gw_addr_log_text(diag->entries[i].text, hidden, sizeof hidden);
        if (diag->entries[i].severity == GW_DIAG_ERROR)
            gw_log_error("%s", text);
        else
            gw_log_warn("%s", text);
    }
}

void gw_daemon_apply_log(struct gw_daemon *daemon, const struct gw_files *files)
{
    int level = (int)files->config->log.level + daemon->verbose;
    gw_log_set_level(level > GW_LOG_DEBUG ? GW_LOG_DEBUG : (enum gw_log_level)level);
    gw_log_set_hide_addresses(files->config->log.hide_addresses);
}

/* --- names --- */

static size_t add_names(struct gw_names_entry *list, const struct gw_names *names)
{
    for (size_t i = 0; names && i < names->count; i++) {
        const struct gw_name *name = &names->names[i];
        list[i] =
            (struct gw_names_entry){.host = name->host, .network = name->network, .service = name->service};
        memcpy(list[i].public_key, name->x25519, GW_KEY_LEN);
    }
    return names ? names->count : 0;
}

/* Which line it is, of which file. */
static void tell_bad_name(const struct gw_files *files, size_t bad, struct gw_diag *diag)
{
    const struct gw_names *names = files->names;
    const char *path = GW_FILE_NAMES;
    for (size_t i = 0; bad >= names->count && i < files->network_count; i++) {
        if (!files->networks[i].names)
            continue;
        bad -= names->count;
        names = files->networks[i].names;
        path = files->networks[i].config->names_file;
    }
    gw_diag_error(diag, path, names->names[bad].line, "\"%s\" is no host name", names->names[bad].host);
}

int gw_daemon_apply_names(struct gw_daemon *daemon, const struct gw_files *files, struct gw_diag *diag)
{
    size_t count = files->names->count, bad = 0;
    for (size_t i = 0; i < files->network_count; i++)
        count += files->networks[i].names ? files->networks[i].names->count : 0;
    struct gw_names_entry *list = calloc(count + 1, sizeof *list), *at = list;
    if (!list)
        return GW_E_NOMEM;
    at += add_names(at, files->names);
    for (size_t i = 0; i < files->network_count; i++)
        at += add_names(at, files->networks[i].names);
    int err = gw_names_tier_set(daemon->names, list, count, &bad);
    if (err == GW_E_INVAL)
        tell_bad_name(files, bad, diag);
    free(list);
    return err;
}

/* --- reload --- */

/* Both are the daemon's own. */
static struct gw_config_network *to_change(const struct gw_network_files *files)
{
    return (struct gw_config_network *)(uintptr_t)files->config;
}

/* What it cannot change while it runs stays as it is, in `fresh` too. Done again, with diag NULL, it is undone. */
static void keep_running(struct gw_daemon *daemon, const struct gw_files *fresh, struct gw_diag *diag)
{
    gw_config_keep(daemon->files.config, fresh->config, diag);
    gw_list_for_each (node, &daemon->networks) {
        const struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (network->fresh)
            gw_config_keep_network(to_change(network->files), to_change(network->fresh), fresh->config->path,
                                   diag);
    }
    if (diag)
        gw_tun_setup_warn(&daemon->tun, fresh->config, diag);
}

static int apply_networks(struct gw_daemon *daemon, const struct gw_files *files, bool is_fresh,
                          struct gw_diag *diag)
{
    gw_list_for_each (node, &daemon->networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        const struct gw_network_files *its = is_fresh ? network->fresh : network->files;
        int err = its ? gw_network_apply_services(network, files->config, its, diag) : 0;
        if (its && err == 0)
            err = gw_carrier_setup_listen(&network->carriers, files->config, its->config, diag);
        if (err != 0)
            return err;
    }
    return 0;
}

static int apply(struct gw_daemon *daemon, const struct gw_files *files, bool is_fresh, struct gw_diag *diag)
{
    int err = apply_networks(daemon, files, is_fresh, diag);
    if (err == 0)
        err = gw_daemon_apply_names(daemon, files, diag);
    if (err == 0)
        err = gw_daemon_apply_socks(daemon, files, diag);
    if (err == 0)
        err = gw_dns_setup_listen(&daemon->dns, files->config, diag);
    return err;
}

/* The old files go when nobody has them any more. */
static void use(struct gw_daemon *daemon, const struct gw_files *fresh, struct gw_list *made)
{
    struct gw_files old = daemon->files;
    struct gw_peers_change change = {0};
    size_t services = 0;
    daemon->files = *fresh;
    gw_netstack_setup_note(&daemon->netstack);
    gw_daemon_change_networks(daemon, made, &change);
    for (size_t i = 0; i < fresh->network_count; i++)
        services += fresh->networks[i].config->services.count;
    if (gw_netstack_setup_will_end(&daemon->netstack))
        gw_tun_setup_end_lanes(&daemon->tun); /* they are made again with the routes */
    /* Before the routes to peers that are gone go: the kernel's connections with those are ended. */
    gw_netstack_setup_apply(&daemon->netstack, daemon->files.config, gw_loop_now(daemon->loop));
    gw_tun_setup_apply(&daemon->tun, daemon->files.config);
    gw_dns_setup_refresh(&daemon->dns, gw_loop_now(daemon->loop));
    gw_files_fini(&old);
    gw_log_info("reloaded: peers %u added, %u changed, %u removed; %zu services", change.added,
                change.changed, change.removed, services);
}

static int try_files(struct gw_daemon *daemon, const struct gw_files *fresh, struct gw_list *made,
                     struct gw_diag *diag)
{
    struct gw_diag ignored = {0};
    int err = gw_daemon_prepare_networks(daemon, fresh, made, diag);
    if (err != 0)
        return err;
    keep_running(daemon, fresh, diag);
    err = apply(daemon, fresh, true, diag);
    if (err == 0)
        return 0;
    /* What was there worked: put it back where it changed already. */
    keep_running(daemon, fresh, NULL);
    apply(daemon, &daemon->files, false, &ignored);
    gw_diag_clear(&ignored);
    gw_daemon_free_networks(daemon, made, gw_loop_now(daemon->loop));
    return err;
}

static int reload(struct gw_daemon *daemon, struct gw_diag *diag)
{
    struct gw_files fresh;
    struct gw_list made;
    gw_list_init(&made);
    int err = gw_files_load(&fresh, daemon->dir, diag);
    if (err != 0)
        return err;
    err = try_files(daemon, &fresh, &made, diag);
    if (err != 0) {
        gw_files_fini(&fresh);
        return err;
    }
    gw_daemon_apply_log(daemon, &fresh);
    daemon->budget.limit = (uint64_t)fresh.config->memory;
    gw_loop_set_busy_poll(daemon->loop, fresh.config->busy_poll_ns);
    use(daemon, &fresh, &made);
    gw_daemon_watch_expiry(daemon);
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
