/* SPDX-License-Identifier: MIT */
/* Building the TUN front-end; see tun_setup.h. */
#include "gateway/daemon/tun_setup.h"

#include "frontends/tun/overlap.h"
#include "frontends/tun/privileges.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/config/dir.h"
#include "gateway/config/endpoint.h"
#include "gateway/daemon/addresses.h"
#include "gateway/daemon/tun_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REOPEN_MAX_S 60u

/* ---- opening */

/* What an accelerated interface sends goes through the netstack, which is the main thread's; and so it is for connections that still are when that was
 * switched off. Two lanes do not pay on two processors: the programs that they serve want some as well. */
static unsigned wanted_lanes(struct gw_tun_setup *setup)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    setup->was_accelerated |= setup->config->tun.accelerate;
    if (setup->was_accelerated)
        return 0;
    if (setup->config->lanes != GW_CONFIG_LANES_AUTO)
        return (unsigned)setup->config->lanes;
    return processors >= 4 ? 2 : 0;
}

static int open_tun(struct gw_tun *tun, const struct gw_config *config, char *why, size_t why_len)
{
    if (config->tun.fd > 0)
        return gw_tun_adopt(tun, (int)config->tun.fd, why, why_len);
    return gw_tun_open(tun, config->interface, config->lanes > 0, why, why_len);
}

static void arm_reopen(struct gw_tun_setup *setup)
{
    const struct timeval after = {.tv_sec = setup->reopen_s};
    evtimer_add(setup->reopen, &after);
    setup->reopen_s = 2 * setup->reopen_s < REOPEN_MAX_S ? 2 * setup->reopen_s : REOPEN_MAX_S;
}

static void on_lost(void *ctx)
{
    struct gw_tun_setup *setup = ctx;
    if (gw_device_tun(setup->device)->is_adopted) {
        gw_log_error(
            "tun: the interface was handed over, so it cannot be made again: packets stop until a restart");
        return;
    }
    if (!evtimer_pending(setup->reopen, NULL)) {
        setup->reopen_s = 1;
        arm_reopen(setup);
    }
}

static void on_reopen(evutil_socket_t fd, short what, void *arg)
{
    struct gw_tun_setup *setup = arg;
    struct gw_tun tun;
    char why[256];
    (void)fd, (void)what;
    if (open_tun(&tun, setup->config, why, sizeof why) != 0) {
        gw_log_warn("tun: %s", why);
        arm_reopen(setup);
        return;
    }
    gw_tun_setup_end_lanes(setup); /* their queues are gone with the old one */
    if (gw_device_replace(setup->device, &tun) != 0)
        return;
    gw_log_info("tun: %s is there again", tun.name);
    gw_tun_setup_apply(setup, setup->config);
}

static void log_tun(const struct gw_tun *tun)
{
    const char *offload = tun->offload & GW_TUN_UDP   ? "TCP and UDP bursts"
                          : tun->offload & GW_TUN_TCP ? "TCP bursts"
                                                      : "single packets";
    gw_log_info("tun: interface %s%s, %s", tun->name, tun->is_adopted ? " (handed over)" : "", offload);
}

int gw_tun_setup_open(struct gw_tun_setup *setup, struct gw_loop *loop, const struct gw_config *config,
                      const char *dir, struct gw_diag *diag)
{
    struct gw_device_params params = {
        .loop = loop, .mtu = (unsigned)config->tun.mtu, .on_lost = on_lost, .ctx = setup};
    char why[256] = "";
    if (!config->tun.enabled)
        return 0;
    setup->loop = loop;
    setup->config = config;
    snprintf(setup->dir, sizeof setup->dir, "%s", dir);
    int err = open_tun(&params.tun, config, why, sizeof why);
    if (err != 0) {
        gw_diag_error(diag, config->path, 0, "tun: %s", why);
        return err;
    }
    log_tun(&params.tun);
    setup->reopen = evtimer_new(gw_loop_base(loop), on_reopen, setup);
    err = gw_device_new(&setup->device, &params);
    return err == 0 && !setup->reopen ? GW_E_NOMEM : err;
}

/* ---- setting up */

static int apply_netconf(struct gw_tun_setup *setup)
{
    struct gw_tun_plan plan;
    int err = gw_tun_plan_make(&plan, gw_device_tun(setup->device)->name, setup->networks,
                               setup->config->tun.routes);
    if (err == 0)
        err = gw_netconf_apply(setup->netconf, &plan.input);
    gw_tun_plan_fini(&plan);
    return err;
}

void gw_tun_setup_replan(struct gw_tun_setup *setup)
{
    if (setup->netconf && setup->networks)
        apply_netconf(setup);
}

static void apply_network(struct gw_tun_setup *setup, const struct gw_network *network)
{
    struct gw_device_network on_device = {.gateway = network->gateway,
                                          .subnets = setup->config->tun.subnets.items,
                                          .subnet_count = setup->config->tun.subnets.count};
    struct gw_prefix own[GW_ADDRESSES_OWN_MAX];
    size_t count = gw_tun_own_prefixes(network, own);
    for (size_t i = 0; i < count && i < GW_DEVICE_ADDRESSES; i++)
        on_device.addresses[i] = own[i].ip;
    if (gw_device_set_network(setup->device, &on_device) != 0)
        gw_log_error("tun: too many networks: the packets of %s stay out", network->name);
}

static void apply_networks(struct gw_tun_setup *setup)
{
    gw_list_for_each (node, setup->networks)
        apply_network(setup, gw_list_entry(node, struct gw_network, node));
}

/* ---- lanes */

struct sources {
    struct gw_prefix prefixes[GW_ADDRESSES_OWN_MAX + GW_CONFIG_SUBNETS_MAX];
};

/* What gw_device takes from the interface, for the lanes. */
static void fill_lanes_network(const struct gw_tun_setup *setup, const struct gw_network *network,
                               struct sources *sources, struct gw_tun_lanes_network *out)
{
    const struct gw_config *config = setup->config;
    size_t count = gw_tun_own_prefixes(network, sources->prefixes);
    for (size_t i = 0; i < count; i++)
        sources->prefixes[i].bits = sources->prefixes[i].ip.family == 6 ? 128 : 32;
    for (size_t i = 0; i < config->tun.subnets.count && i < GW_CONFIG_SUBNETS_MAX; i++)
        sources->prefixes[count++] = config->tun.subnets.items[i];
    *out = (struct gw_tun_lanes_network){.gateway = network->gateway,
                                         .link = network->link,
                                         .sources = sources->prefixes,
                                         .source_count = count,
                                         .flows = network->lane_flows};
}

static bool make_flows(struct gw_network *network)
{
    if (!network->lane_flows)
        network->lane_flows = gw_lane_flows_new(network->flow_seed);
    return network->lane_flows != NULL;
}

static void start_lanes(struct gw_tun_setup *setup, unsigned count)
{
    struct gw_tun_lanes_network networks[GW_DEVICE_NETWORKS];
    struct sources sources[GW_DEVICE_NETWORKS];
    struct gw_tun_lanes_params params = {.loop = setup->loop,
                                         .device = setup->device,
                                         .count = count,
                                         .mtu = (unsigned)setup->config->tun.mtu,
                                         .networks = networks};
    int err = 0;
    gw_list_for_each (node, setup->networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        unsigned i = params.network_count;
        if (i == GW_DEVICE_NETWORKS || (err = make_flows(network) ? 0 : GW_E_NOMEM) != 0)
            break;
        fill_lanes_network(setup, network, &sources[i], &networks[i]);
        params.network_count++;
    }
    if (err == 0)
        err = gw_tun_lanes_new(&setup->lanes, &params);
    if (err != 0)
        gw_log_warn("tun: no lanes (%s): the main thread carries the packets", gw_strerror(err));
    else
        gw_log_info("tun: %u lanes", gw_tun_lanes_count(setup->lanes));
}

static void update_lanes(struct gw_tun_setup *setup)
{
    gw_list_for_each (node, setup->networks) {
        struct gw_tun_lanes_network network;
        struct sources sources;
        fill_lanes_network(setup, gw_list_entry(node, struct gw_network, node), &sources, &network);
        if (gw_lanes_set_sources(network.gateway, network.sources, network.source_count) != 0)
            gw_log_warn("tun: out of memory: the lanes keep the old addresses");
    }
}

static bool have_all_networks(const struct gw_tun_setup *setup)
{
    gw_list_for_each (node, setup->networks) {
        if (!gw_tun_lanes_have(setup->lanes, gw_list_entry(node, struct gw_network, node)->gateway))
            return false;
    }
    return true;
}

static void apply_lanes(struct gw_tun_setup *setup)
{
    unsigned wanted = wanted_lanes(setup);
    if (setup->lanes && wanted == setup->lanes_wanted && have_all_networks(setup)) {
        update_lanes(setup);
        return;
    }
    gw_tun_setup_end_lanes(setup);
    setup->lanes_wanted = wanted;
    if (wanted == 0 && setup->config->lanes > 0 && setup->was_accelerated)
        gw_log_info("tun: no lanes beside `accelerate`, until the next start");
    if (wanted > 0 && !evtimer_pending(setup->reopen, NULL)) /* else there is no interface now */
        start_lanes(setup, wanted);
}

void gw_tun_setup_apply(struct gw_tun_setup *setup, const struct gw_config *config)
{
    setup->config = config;
    if (!setup->device)
        return;
    apply_networks(setup);
    if (setup->netconf)
        apply_netconf(setup);
    apply_lanes(setup);
}

void gw_tun_setup_warn(const struct gw_tun_setup *setup, const struct gw_config *fresh, struct gw_diag *diag)
{
    if (!setup->device || fresh->lanes == 0 || fresh->tun.accelerate ||
        (fresh->lanes == setup->config->lanes && !setup->config->tun.accelerate))
        return;
    if (setup->was_accelerated)
        gw_diag_warning(diag, fresh->path, 0,
                        "`lanes`: none until a restart, since `tun.accelerate` was on before");
    else if (fresh->lanes > 1 && !gw_device_tun(setup->device)->has_queues)
        gw_diag_warning(
            diag, fresh->path, 0,
            "`lanes` has changed: that takes a restart, as the interface was made with one queue; until then there is one lane");
}

static void give_up_privileges(const struct gw_tun_setup *setup)
{
    struct stat folder;
    unsigned keep = setup->netconf ? GW_PRIVILEGE_NET_ADMIN : 0;
    if (stat(setup->dir, &folder) == 0 && folder.st_uid != geteuid())
        keep |= GW_PRIVILEGE_FILES;
    int err = gw_privileges_drop(keep);
    if (err != 0)
        gw_log_warn("cannot give up privileges: %s", gw_strerror(err));
}

/* ---- the machine's own networks */

static int tell_overlap(const struct gw_tun_setup *setup, const struct gw_known_routes *routes,
                        const struct gw_prefix *range, const char *key, struct gw_diag *diag)
{
    const struct gw_known_route *which;
    char ours[GW_ADDR_STRLEN + 4], theirs[GW_ADDR_STRLEN + 4], free_one[GW_ADDR_STRLEN + 4], advice[160] = "";
    struct gw_prefix suggested;
    enum gw_overlap overlap = gw_overlap_find(routes, range, &which);
    if (overlap == GW_OVERLAP_NONE)
        return 0;
    gw_prefix_format(range, ours, sizeof ours);
    gw_prefix_format(&which->prefix, theirs, sizeof theirs);
    if (gw_overlap_suggest(routes, range->bits, &suggested))
        snprintf(advice, sizeof advice, "; %s is free here",
                 gw_prefix_format(&suggested, free_one, sizeof free_one));
    if (overlap == GW_OVERLAP_SAME) {
        gw_diag_error(diag, setup->config->path, 0,
                      "tun: %s is the network of %s already: set another `%s`%s", ours, which->device, key,
                      advice);
        return -EADDRINUSE;
    }
    gw_diag_warning(diag, setup->config->path, 0, "tun: %s %s %s of %s: %s; set another `%s`%s", ours,
                    overlap == GW_OVERLAP_INSIDE ? "has in it" : "is a part of", theirs, which->device,
                    overlap == GW_OVERLAP_INSIDE ? "peers with an address there are not reached"
                                                 : "what is there now is not reached any more",
                    key, advice);
    return 0;
}

/* The range of the network's virtual addresses, and our own address' network, where that is another one. */
static int check_network(const struct gw_tun_setup *setup, const struct gw_network *network,
                         const struct gw_known_routes *routes, struct gw_diag *diag)
{
    struct gw_prefix own[GW_ADDRESSES_OWN_MAX];
    const struct gw_prefix *range = gw_addresses_range(network->files->config);
    int err = 0;
    gw_tun_own_prefixes(network, own);
    if (setup->config->tun.routes || gw_prefix_covers(&own[0], range))
        err = tell_overlap(setup, routes, range,
                           network->files->config->alias_range.ip.family ? "alias_range" : "address_range",
                           diag);
    if (err == 0 && !gw_prefix_covers(range, &own[0]) && own[0].bits < 32)
        err = tell_overlap(setup, routes, &own[0], "address", diag);
    return err;
}

static int check_overlaps(const struct gw_tun_setup *setup, struct gw_diag *diag)
{
    struct gw_known_routes routes;
    int err = gw_known_routes_read(&routes, gw_device_tun(setup->device)->name);
    if (err != 0) {
        gw_log_warn("tun: cannot look at the machine's routes: %s", gw_strerror(err));
        return 0;
    }
    gw_list_for_each (node, setup->networks) {
        if (err == 0)
            err = check_network(setup, gw_list_entry(node, struct gw_network, node), &routes, diag);
    }
    gw_known_routes_free(&routes);
    return err;
}

int gw_tun_setup_start(struct gw_tun_setup *setup, const struct gw_list *networks, struct gw_diag *diag)
{
    char journal[GW_DIR_PATH_MAX + 32];
    if (!setup->device)
        return 0;
    setup->networks = networks;
    snprintf(journal, sizeof journal, "%s/%s/tun.journal", setup->dir, GW_DIR_STATE);
    int err = check_overlaps(setup, diag);
    if (err != 0)
        return err;
    apply_networks(setup);
    if (gw_privileges_held() & GW_PRIVILEGE_NET_ADMIN) {
        const struct gw_netconf_params params = {.loop = setup->loop,
                                                 .journal = journal,
                                                 .mtu = (unsigned)setup->config->tun.mtu,
                                                 .on_lost = on_lost,
                                                 .ctx = setup};
        err = gw_netconf_new(&setup->netconf, &params);
        if (err == 0)
            err = apply_netconf(setup);
        if (err != 0)
            gw_diag_warning(diag, setup->config->path, 0, "tun: %s is not all set up: %s",
                            gw_device_tun(setup->device)->name, gw_strerror(err));
    } else {
        gw_log_info("tun: no right to change addresses and routes: that is left to the owner of %s",
                    gw_device_tun(setup->device)->name);
    }
    give_up_privileges(setup);
    apply_lanes(setup); /* with no more rights than we have now */
    return 0;
}

void gw_tun_setup_end_lanes(struct gw_tun_setup *setup)
{
    gw_tun_lanes_free(setup->lanes);
    setup->lanes = NULL;
}

void gw_tun_setup_leave_lanes(struct gw_tun_setup *setup, const struct gateway *gateway)
{
    if (gw_tun_lanes_have(setup->lanes, gateway))
        gw_tun_setup_end_lanes(setup);
}

void gw_tun_setup_forget(struct gw_tun_setup *setup, const struct gateway *gateway)
{
    gw_tun_setup_leave_lanes(setup, gateway);
    if (setup->device)
        gw_device_remove_network(setup->device, gateway);
}

void gw_tun_setup_fini(struct gw_tun_setup *setup)
{
    if (setup->reopen)
        event_free(setup->reopen);
    gw_tun_lanes_free(setup->lanes);
    gw_netconf_free(setup->netconf);
    gw_device_free(setup->device);
    *setup = (struct gw_tun_setup){0};
}
