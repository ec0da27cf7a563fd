/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/dns_system.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/config/dir.h"

#include <stdio.h>
#include <string.h>

static const enum gw_sysdns_kind kinds[] = {
    [GW_CONFIG_DNS_OFF] = GW_SYSDNS_OFF,
    [GW_CONFIG_DNS_AUTO] = GW_SYSDNS_OFF,
    [GW_CONFIG_DNS_RESOLVED] = GW_SYSDNS_RESOLVED,
    [GW_CONFIG_DNS_NETWORKMANAGER] = GW_SYSDNS_NETWORKMANAGER,
    [GW_CONFIG_DNS_RESOLVCONF] = GW_SYSDNS_RESOLVCONF,
    [GW_CONFIG_DNS_RESOLV_CONF] = GW_SYSDNS_RESOLV_CONF,
};

struct gw_sysdns *gw_dns_system_new(struct gw_loop *loop, const char *dir)
{
    char journal[GW_DIR_PATH_MAX];
    struct gw_sysdns *sysdns = NULL;
    int len = snprintf(journal, sizeof journal, "%s/" GW_DIR_STATE, dir);
    int err = (size_t)len < sizeof journal ? gw_dir_create(journal) : GW_E_TOO_BIG;
    len = snprintf(journal, sizeof journal, "%s/" GW_DIR_STATE "/" GW_DNS_SYSTEM_JOURNAL, dir);
    if (err == 0)
        err = (size_t)len < sizeof journal ? gw_sysdns_new(&sysdns, loop, journal) : GW_E_TOO_BIG;
    if (err != 0)
        gw_log_error("DNS: what an earlier run changed in this machine cannot be looked at: %s",
                     gw_strerror(err));
    return sysdns;
}

/* Those at port 53: some mechanisms know no other, and all of them take few. Without one, the others. */
static void add_servers(struct gw_sysdns_wish *wish, const struct gw_dns_system_source *source, bool at_53)
{
    for (size_t i = 0; i < source->listen_count && wish->server_count < GW_SYSDNS_SERVERS_MAX; i++) {
        struct gw_addr server = source->listen[i];
        if ((server.port == 53) != at_53)
            continue;
        if (gw_addr_is_unspecified(&server))
            gw_addr_parse_ip(&server, server.family == 4 ? "127.0.0.1" : "::1", server.port);
        wish->servers[wish->server_count++] = server;
    }
}

/* Every network's names may be said without it. */
static void add_search(struct gw_sysdns_wish *wish, const struct gw_config *config)
{
    char search[GW_SYSDNS_NAME_MAX];
    for (const struct gw_config_network *network = gw_config_next_network(config, NULL); network;
         network = gw_config_next_network(config, network)) {
        if (!network->name)
            continue;
        snprintf(search, sizeof search, "%s.p2p", network->name);
        gw_sysdns_add_search(wish, search);
    }
}

static void fill(struct gw_sysdns_wish *wish, const struct gw_dns_system_source *source)
{
    const struct gw_config *config = source->config;
    memset(wish, 0, sizeof *wish);
    add_servers(wish, source, true);
    if (wish->server_count == 0)
        add_servers(wish, source, false);
    gw_sysdns_add_domain(wish, "p2p");
    for (size_t i = 0; i < source->range_count; i++)
        gw_sysdns_add_range(wish, &source->ranges[i]);
    if (config->dns.search)
        add_search(wish, config);
    strncpy(wish->device, config->interface, sizeof wish->device - 1);
    wish->has_device = source->has_tun;
    wish->answers_all = config->dns.upstreams.count > 0;
    wish->is_all_ours = source->has_exit && wish->answers_all;
    wish->is_auto = config->dns.system == GW_CONFIG_DNS_AUTO;
}

void gw_dns_system_update(struct gw_sysdns *sysdns, const struct gw_dns_system_source *source)
{
    struct gw_sysdns_wish wish;
    if (!sysdns)
        return;
    if (source->listen_count == 0 || source->config->dns.system == GW_CONFIG_DNS_OFF) {
        gw_sysdns_set(sysdns, GW_SYSDNS_OFF, NULL);
        return;
    }
    fill(&wish, source);
    gw_sysdns_set(sysdns, kinds[source->config->dns.system], &wish);
}

void gw_dns_system_warn_of_exit(const struct gw_config *config)
{
    struct gw_sysdns_facts facts;
    char why[GW_SYSDNS_TEXT_MAX];
    gw_sysdns_look(&facts, "");
    enum gw_sysdns_kind kind = gw_sysdns_choose(&facts, why, sizeof why);
    bool are_ours =
        config->dns.enabled && config->dns.upstreams.count > 0 &&
        (config->dns.system == GW_CONFIG_DNS_AUTO || config->dns.system == GW_CONFIG_DNS_RESOLVED);
    if (facts.is_elsewhere)
        return;
    if (kind == GW_SYSDNS_RESOLVED && !are_ours)
        gw_log_warn(
            "DNS: systemd-resolved asks the servers of each interface by that interface, so outside of the exit node's tunnel: with `dns` enabled, `dns.system: auto` and "
            "`dns.upstreams` it asks through it");
    else if (kind == GW_SYSDNS_NETWORKMANAGER)
        gw_log_warn(
            "DNS: NetworkManager's dnsmasq asks the servers of each interface by that interface, so outside of the exit node's tunnel: let it have servers of no "
            "interface, or systemd-resolved do its work");
}
