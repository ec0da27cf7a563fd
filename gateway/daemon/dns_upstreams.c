/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/dns_upstreams.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/link/route_source.h"

#include <string.h>

static_assert(GW_SYSDNS_OLD_MAX <= GW_DNS_UPSTREAMS_MAX, "they have room");

static bool is_ours(const struct gw_dns_setup *setup, const struct gw_addr *server)
{
    struct gw_addr tun[GW_DNS_SETUP_TUN_MAX];
    size_t tun_count = gw_dns_setup_tun_servers(setup, tun);
    for (size_t i = 0; i < tun_count; i++) {
        if (gw_addr_equal(&tun[i], server))
            return true;
    }
    for (size_t i = 0; setup->server && i < setup->started.listen_count; i++) {
        const struct gw_addr *at = gw_dns_server_listen(setup->server, i);
        if (at->port == server->port &&
            (gw_addr_same_ip(at, server) || (gw_addr_is_unspecified(at) && gw_route_is_local(server))))
            return true;
    }
    return false;
}

static void log_old(const struct gw_dns_setup *setup)
{
    char text[GW_DNS_UPSTREAMS_MAX * GW_ADDR_STRLEN] = "", at[GW_ADDR_STRLEN];
    for (unsigned i = 0; i < setup->old_count; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%s", i ? ", " : "", gw_addr_log(&setup->old[i], at));
    }
    if (setup->old_count > 0)
        gw_log_info("DNS: names that are not ours go to %s, as this machine's did before", text);
}

void gw_dns_upstreams_apply(struct gw_dns_setup *setup)
{
    if (!setup->server || setup->started.upstream_count > 0)
        return;
    gw_dns_forward_set_upstreams(setup->forward, setup->old, setup->old_count);
    gw_dns_server_set_forwards(setup->server, setup->old_count > 0);
}

int gw_dns_upstreams_on_old(void *ctx, const struct gw_addr *servers, unsigned count)
{
    struct gw_dns_setup *setup = ctx;
    struct gw_addr kept[GW_DNS_UPSTREAMS_MAX] = {{.family = 0}};
    unsigned kept_count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!is_ours(setup, &servers[i]))
            kept[kept_count++] = servers[i];
    }
    if (count > 0 && kept_count == 0)
        return GW_E_INVAL;
    bool is_news = kept_count != setup->old_count || memcmp(kept, setup->old, sizeof kept) != 0;
    memcpy(setup->old, kept, sizeof kept);
    setup->old_count = kept_count;
    gw_dns_upstreams_apply(setup);
    if (is_news)
        log_old(setup);
    return 0;
}
