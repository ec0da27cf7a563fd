/* SPDX-License-Identifier: MIT */
/* Which networks there are: those of the files, at the start and after each reload. */
#include "gateway/daemon/daemon.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <strings.h>

/* ---- questions */

struct gw_network *gw_daemon_first_network(const struct gw_daemon *daemon)
{
    return gw_list_entry(daemon->networks.next, struct gw_network, node);
}

struct gw_network *gw_daemon_find_network(const struct gw_daemon *daemon, const char *name)
{
    gw_list_for_each (node, &daemon->networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (strcasecmp(network->name, name) == 0)
            return network;
    }
    return NULL;
}

/* ---- coming and going */

/* Its own list, and nobody knows it yet. */
static int make(struct gw_daemon *daemon, const struct gw_config *config,
                const struct gw_network_files *files, struct gw_network *predecessor, struct gw_list *made,
                struct gw_diag *diag)
{
    const struct gw_network_params params = {.loop = daemon->loop,
                                             .budget = &daemon->budget,
                                             .dialer = daemon->dialer,
                                             .endpoints = daemon->endpoints,
                                             .networks = &daemon->networks,
                                             .addresses = daemon->addresses,
                                             .connected = &daemon->connected,
                                             .events = &daemon->events,
                                             .predecessor = predecessor,
                                             .is_check = daemon->is_check,
                                             .takes_partial = !daemon->tun.device ||
                                                              gw_tun_setup_takes_partial(&daemon->tun)};
    struct gw_network *network;
    int err = gw_network_new(&network, &params, config, files, diag);
    if (err != 0)
        return err;
    gw_list_push_back(made, &network->node);
    return gw_netstack_setup_add(&daemon->netstack, network, daemon->dialer, daemon->tun.device);
}

void gw_daemon_free_networks(struct gw_daemon *daemon, struct gw_list *networks, struct gw_mono now)
{
    gw_list_for_each (node, networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        gw_tun_setup_forget(&daemon->tun,
                            network->gateway); /* while there is a gate for what lanes still hold */
        gw_netstack_setup_remove(&daemon->netstack, network, now);
        gw_network_end_services(network, now);
        gw_resolver_remove_gateway(daemon->resolver, network->gateway);
        gw_network_free(network, now);
    }
}

/* A name without its network is the first one's that has it. */
static int publish(struct gw_daemon *daemon)
{
    bool are_several = daemon->networks.next != daemon->networks.prev;
    gw_list_for_each (node, &daemon->networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        network->peers.suffix = are_several ? network->name : NULL;
        gw_gateway_set_log_suffix(network->gateway, network->peers.suffix);
        gw_resolver_remove_gateway(daemon->resolver, network->gateway);
        int err =
            gw_resolver_add_gateway(daemon->resolver, network->gateway, network->name, network->hostname);
        if (err != 0)
            return err;
    }
    return 0;
}

int gw_daemon_make_networks(struct gw_daemon *daemon, struct gw_diag *diag)
{
    struct gw_peers_change change;
    for (size_t i = 0; i < daemon->files.network_count; i++) {
        int err =
            make(daemon, daemon->files.config, &daemon->files.networks[i], NULL, &daemon->networks, diag);
        if (err != 0)
            return err;
    }
    int err = publish(daemon);
    if (err != 0)
        return err;
    gw_list_for_each (node, &daemon->networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        gw_network_use(network, network->files);
    }
    gw_list_for_each (node, &daemon->networks)
        gw_network_apply_peers(gw_list_entry(node, struct gw_network, node), &change);
    gw_netstack_setup_apply(&daemon->netstack, daemon->files.config, gw_loop_now(daemon->loop));
    return gw_daemon_apply_names(daemon, &daemon->files, diag);
}

/* ---- a reload */

static void match(struct gw_network *running, struct gw_network_files *files)
{
    running->fresh = files;
    files->is_running = true;
}

/* Which running network the files are of: that of the name; else both at the top level, where another name takes a restart. */
static void match_all(struct gw_daemon *daemon, const struct gw_files *fresh)
{
    struct gw_network_files *top = fresh->config->has_top ? &fresh->networks[0] : NULL;
    gw_list_for_each (node, &daemon->networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        network->fresh = NULL;
        network->heir = NULL;
    }
    for (size_t i = 0; i < fresh->network_count; i++) {
        struct gw_network_files *files = &fresh->networks[i];
        struct gw_network *running = gw_daemon_find_network(daemon, files->config->name);
        if (running)
            match(running, files);
    }
    gw_list_for_each (node, &daemon->networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (network->is_top && !network->fresh && top && !top->is_running)
            match(network, top);
    }
}

static bool have_same_listen(const struct gw_config_network *a, const struct gw_config_network *b)
{
    if (a->listen.count != b->listen.count)
        return false;
    for (size_t i = 0; i < a->listen.count; i++) {
        if (!gw_addr_equal(&a->listen.items[i], &b->listen.items[i]))
            return false;
    }
    return true;
}

/* The one that goes and whose port this one is to have. */
static struct gw_network *find_predecessor(const struct gw_daemon *daemon,
                                           const struct gw_config_network *added)
{
    gw_list_for_each (node, &daemon->networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (!network->fresh && added->port != 0 && gw_link_port(network->link) == added->port)
            return network;
    }
    return NULL;
}

/* Its sockets are handed on as they are: with other addresses there would have to be others, whose port is free only when it has gone. */
static bool is_port_left(const struct gw_config *config, const struct gw_config_network *added,
                         const struct gw_network *predecessor, struct gw_diag *diag)
{
    if (!predecessor || have_same_listen(predecessor->files->config, added))
        return true;
    gw_diag_error(
        diag, config->path, added->line,
        "networks[].port: %u is still that of %s, which is not in this file any more and has another `listen`: "
        "take it out, reload, and add %s then",
        gw_link_port(predecessor->link), predecessor->name, added->name);
    return false;
}

int gw_daemon_prepare_networks(struct gw_daemon *daemon, const struct gw_files *fresh, struct gw_list *made,
                               struct gw_diag *diag)
{
    int err = 0;
    match_all(daemon, fresh);
    for (size_t i = 0; i < fresh->network_count && err == 0; i++) {
        if (fresh->networks[i].is_running)
            continue;
        const struct gw_config_network *added = fresh->networks[i].config;
        struct gw_network *predecessor = find_predecessor(daemon, added);
        err = is_port_left(fresh->config, added, predecessor, diag)
                  ? make(daemon, fresh->config, &fresh->networks[i], predecessor, made, diag)
                  : -EADDRINUSE;
    }
    if (err != 0)
        gw_daemon_free_networks(daemon, made, gw_loop_now(daemon->loop));
    return err;
}

static struct gw_network *with_files(struct gw_list *list, const struct gw_network_files *files)
{
    gw_list_for_each (node, list) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (network->fresh == files || network->files == files)
            return network;
    }
    return NULL;
}

void gw_daemon_change_networks(struct gw_daemon *daemon, struct gw_list *made, struct gw_peers_change *change)
{
    struct gw_list gone;
    gw_list_init(&gone);
    gw_list_for_each (node, &daemon->networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (network->fresh)
            continue;
        gw_log_info("network %s: removed", network->name);
        gw_tun_setup_leave_lanes(&daemon->tun, network->gateway);
        gw_netstack_setup_end(&daemon->netstack, network, gw_loop_now(daemon->loop));
        gw_list_remove(&network->node);
        gw_list_push_back(&gone, &network->node);
    }
    gw_daemon_free_networks(daemon, &gone, gw_loop_now(daemon->loop));
    for (size_t i = 0; i < daemon->files.network_count; i++) {
        const struct gw_network_files *files = &daemon->files.networks[i];
        struct gw_network *network = with_files(&daemon->networks, files);
        if (!network) {
            network = with_files(made, files);
            gw_log_info("network %s: added, on UDP port %u", network->name, gw_link_port(network->link));
        }
        gw_list_remove(&network->node);
        gw_list_push_back(&daemon->networks, &network->node);
        network->is_top = files->config == &daemon->files.config->top;
        gw_network_use(network, files);
    }
    gw_list_for_each (node, &daemon->networks) {
        struct gw_peers_change its;
        gw_network_apply_peers(gw_list_entry(node, struct gw_network, node), &its);
        change->added += its.added;
        change->changed += its.changed;
        change->removed += its.removed;
    }
    if (publish(daemon) != 0)
        gw_log_error("no memory for the names of networks");
}
