/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/dns_setup.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/random.h"
#include "gateway/daemon/dns_names.h"
#include "gateway/daemon/dns_upstreams.h"

#include <string.h>

/* Of peers that are due to be asked, this many in each second: a thousand are not connected to at once. */
#define ASKS_A_TICK 16u
#define TICK_S 1

/* ---- the server */

void gw_dns_setup_watch(struct gw_dns_setup *setup, void (*fn)(void *ctx), void *ctx)
{
    setup->on_server_gone = fn;
    setup->ctx = ctx;
}

static void free_server(struct gw_dns_setup *setup)
{
    if (setup->on_server_gone)
        setup->on_server_gone(setup->ctx);
    if (setup->server)
        gw_dns_server_free(setup->server);
    if (setup->forward)
        gw_dns_forward_free(setup->forward);
    gw_dns_table_free(setup->table);
    setup->server = NULL;
    setup->forward = NULL;
    setup->table = NULL;
}

/* Zeroed to the last byte, as it is compared. */
static void take_config(struct gw_dns_setup_server *out, const struct gw_config *config)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < config->dns.listen.count && i < GW_DNS_LISTEN_MAX; i++)
        out->listen[out->listen_count++] = config->dns.listen.items[i].addr;
    for (size_t i = 0; i < config->dns.upstreams.count && i < GW_DNS_UPSTREAMS_MAX; i++)
        out->upstreams[out->upstream_count++] = config->dns.upstreams.items[i].addr;
    for (size_t i = 0; i < config->dns.allowed.count && i < GW_DNS_ALLOWED_MAX; i++) {
        struct gw_prefix *to = &out->allowed[out->allowed_count++];
        to->ip = config->dns.allowed.items[i].ip;
        to->bits = config->dns.allowed.items[i].bits;
    }
    out->rate = config->dns.rate;
}

/* Where ns.p2p is. */
static void set_servers(struct gw_dns_setup *setup)
{
    struct gw_dns_zone *zone = gw_dns_table_zone(setup->table);
    memset(zone->servers, 0, sizeof zone->servers);
    for (size_t i = 0; i < setup->started.listen_count; i++) {
        const struct gw_addr *at = &setup->started.listen[i];
        struct gw_addr *server = &zone->servers[at->family == 6];
        if (gw_addr_is_set(server) || gw_addr_is_unspecified(at))
            continue;
        *server = *at;
        server->port = 0;
    }
}

/* "anchor.example.org" of a name in wire form; one with bytes that no host name has is left out. */
static bool is_endpoints(const uint8_t *name, void *ctx)
{
    const struct gw_dns_setup *setup = ctx;
    char host[GW_DNS_WIRE_NAME_MAX + 1];
    size_t len = 0;
    for (size_t at = 0; name[at] > 0; at += 1u + name[at]) {
        if (memchr(name + at + 1, '\0', name[at]) || memchr(name + at + 1, '.', name[at]))
            return false;
        memcpy(host + len, name + at + 1, name[at]);
        len += name[at];
        host[len++] = '.';
    }
    host[len > 0 ? len - 1 : 0] = '\0';
    return gw_endpoints_has_name(setup->params.endpoints, host);
}

static int make_forward(struct gw_dns_setup *setup)
{
    const struct gw_dns_setup_server *started = &setup->started;
    struct gw_dns_forward_params params = {.loop = setup->params.loop,
                                           .random = gw_random_system(),
                                           .upstream_count = (unsigned)started->upstream_count,
                                           .is_outside = is_endpoints,
                                           .ctx = setup};
    memcpy(params.upstreams, started->upstreams, sizeof params.upstreams);
    return gw_dns_forward_new(&setup->forward, &params);
}

static int make_server(struct gw_dns_setup *setup, const struct gw_config *config, struct gw_diag *diag)
{
    const struct gw_dns_setup_server *started = &setup->started;
    size_t bad = started->listen_count;
    char at[GW_ADDR_STRLEN];
    int err = GW_E_NOMEM;
    setup->table = gw_dns_table_new();
    if (setup->table)
        err = make_forward(setup);
    if (err == 0) {
        const struct gw_dns_server_params params = {.loop = setup->params.loop,
                                                    .zone = gw_dns_table_zone(setup->table),
                                                    .forward = setup->forward,
                                                    .listen = started->listen,
                                                    .listen_count = started->listen_count,
                                                    .allowed = started->allowed,
                                                    .allowed_count = started->allowed_count,
                                                    .rate = (double)started->rate,
                                                    .burst = 2 * (double)started->rate};
        err = gw_dns_server_new(&setup->server, &params, &bad);
    }
    if (err != 0)
        gw_diag_error(diag, config->path, 0, "the DNS server cannot listen on %s: %s%s",
                      bad < started->listen_count ? gw_addr_format(&started->listen[bad], at)
                                                  : "its addresses",
                      gw_strerror(err),
                      err == -EADDRINUSE ? "; choose another port for `dns.listen`"
                      : err == -EACCES   ? "; ports below 1024 are for root only"
                                         : "");
    return err;
}

static void fill_table(struct gw_dns_setup *setup)
{
    const struct gw_dns_names names = {.table = setup->table,
                                       .networks = setup->params.networks,
                                       .names = setup->params.files->names,
                                       .has_tun = setup->params.has_tun};
    setup->is_stale = false;
    if (setup->table)
        gw_dns_names_fill(&names);
}

/* Is nothing else wanted than what the server was started with, but for whom it asks? */
static bool is_started(const struct gw_dns_setup *setup, const struct gw_dns_setup_server *wanted)
{
    struct gw_dns_setup_server there;
    if (!setup->server)
        return false;
    memcpy(&there, &setup->started, sizeof there);
    memcpy(there.upstreams, wanted->upstreams, sizeof there.upstreams);
    there.upstream_count = wanted->upstream_count;
    return memcmp(wanted, &there, sizeof there) == 0;
}

/* Where it listens stays as it is: to listen at port 53 again may take a right that was given up. */
static void set_upstreams(struct gw_dns_setup *setup, const struct gw_dns_setup_server *wanted)
{
    if (memcmp(wanted, &setup->started, sizeof *wanted) == 0)
        return;
    memcpy(&setup->started, wanted, sizeof *wanted);
    gw_dns_forward_set_upstreams(setup->forward, wanted->upstreams, (unsigned)wanted->upstream_count);
    gw_dns_server_set_forwards(setup->server, wanted->upstream_count > 0);
    gw_dns_upstreams_apply(setup);
}

int gw_dns_setup_listen(struct gw_dns_setup *setup, const struct gw_config *config, struct gw_diag *diag)
{
    struct gw_dns_setup_server wanted;
    char at[GW_ADDR_STRLEN];
    take_config(&wanted, config);
    if (config->dns.enabled && is_started(setup, &wanted)) {
        set_upstreams(setup, &wanted);
        return 0;
    }
    free_server(setup);
    if (!config->dns.enabled)
        return 0;
    memcpy(&setup->started, &wanted, sizeof wanted);
    int err = make_server(setup, config, diag);
    if (err != 0) {
        free_server(setup);
        return err;
    }
    set_servers(setup);
    fill_table(setup);
    gw_dns_upstreams_apply(setup);
    for (size_t i = 0; i < wanted.listen_count; i++)
        gw_log_info("DNS server on %s", gw_addr_log(gw_dns_server_listen(setup->server, i), at));
    return 0;
}

/* ---- what changes */

static void on_services(struct gw_guest *guest, struct gw_mono now, void *ctx)
{
    struct gw_dns_setup *setup = ctx;
    gw_router_setup_services(guest, now);
    setup->is_stale = true;
    event_active(setup->tick, EV_TIMEOUT, 0);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct gw_dns_setup *setup = arg;
    struct gw_mono now = gw_loop_now(setup->params.loop);
    unsigned room = ASKS_A_TICK;
    (void)fd, (void)what;
    gw_list_for_each (node, setup->params.networks) {
        struct gw_guests *guests = &gw_list_entry(node, struct gw_network, node)->guests;
        /* The router can listen for a peer only when it knows its services. */
        room -= gw_guests_ask(guests, setup->router.router != NULL, room, now);
    }
    if (setup->is_stale)
        fill_table(setup);
}

void gw_dns_setup_on_peer(struct gw_dns_setup *setup, struct gw_network *network, struct gw_peer *peer,
                          struct gw_mono now)
{
    if (setup->tick && gw_guests_on_peer(&network->guests, peer, now))
        event_active(setup->tick, EV_TIMEOUT, 0);
}

/* ---- all of it */

int gw_dns_setup_init(struct gw_dns_setup *setup, const struct gw_dns_setup_params *params)
{
    setup->params = *params;
    setup->system = gw_dns_system_new(params->loop, params->dir);
    if (setup->system)
        gw_sysdns_on_old(setup->system, gw_dns_upstreams_on_old, setup);
    setup->tick = event_new(gw_loop_base(params->loop), -1, EV_PERSIST, on_tick, setup);
    return setup->tick ? 0 : GW_E_NOMEM;
}

static void end(struct gw_dns_setup *setup, struct gw_mono now)
{
    event_del(setup->tick);
    gw_list_for_each (node, setup->params.networks)
        gw_guests_close(&gw_list_entry(node, struct gw_network, node)->guests, now);
    gw_router_setup_apply(&setup->router, setup->params.loop, setup->params.networks, false, now);
}

void gw_dns_setup_fini(struct gw_dns_setup *setup, struct gw_mono now)
{
    gw_sysdns_free(setup->system); /* while the server still answers */
    if (setup->tick) {
        end(setup, now);
        free_server(setup);
        event_free(setup->tick);
    }
    memset(setup, 0, sizeof *setup);
}

static void open_guests(struct gw_dns_setup *setup, struct gw_network *network, struct gw_mono now)
{
    network->guests.on_services = on_services;
    network->guests.ctx = setup;
    int err = gw_guests_open(&network->guests, now);
    if (err != 0)
        gw_log_error("%s: no virtual addresses: %s", network->name, gw_strerror(err));
}

static void refresh_guests(struct gw_network *network, struct gw_mono now)
{
    gw_guests_refresh(&network->guests, network->files->config, now);
}

size_t gw_dns_setup_tun_servers(const struct gw_dns_setup *setup, struct gw_addr *out)
{
    return setup->params.tun_servers && setup->server
               ? setup->params.tun_servers(setup->params.ctx, out, GW_DNS_SETUP_TUN_MAX)
               : 0;
}

bool gw_dns_setup_forwards(const struct gw_dns_setup *setup)
{
    unsigned count = 0;
    if (setup->forward)
        gw_dns_forward_upstreams(setup->forward, &count);
    return count > 0;
}

static bool is_exit(const struct gw_peer *peer)
{
    const struct gw_peer_config *config = gw_peer_config(peer);
    for (unsigned i = 0; i < config->allowed_ip_count; i++) {
        /* Halves of everything are said by who does not want to touch the default route. */
        if (config->allowed_ips[i].bits <= 1)
            return true;
    }
    return false;
}

/* Does everything of this machine go to a peer? */
static bool has_exit(const struct gw_dns_setup *setup)
{
    if (!setup->params.has_tun || !setup->params.files->config->tun.routes)
        return false;
    gw_list_for_each (node, setup->params.networks) {
        const struct gateway *gateway = gw_list_entry(node, struct gw_network, node)->gateway;
        for (struct gw_peer *peer = gw_gateway_next_peer(gateway, NULL); peer;
             peer = gw_gateway_next_peer(gateway, peer)) {
            if (is_exit(peer))
                return true;
        }
    }
    return false;
}

void gw_dns_setup_tell_system(struct gw_dns_setup *setup)
{
    struct gw_addr listen[GW_DNS_SETUP_TUN_MAX + GW_DNS_LISTEN_MAX];
    struct gw_dns_system_source source = {.config = setup->params.files->config,
                                          .listen = listen,
                                          .has_tun = setup->params.has_tun,
                                          .has_exit = has_exit(setup)};
    const struct gw_dns_zone *zone = setup->server ? gw_dns_table_zone(setup->table) : NULL;
    source.listen_count = gw_dns_setup_tun_servers(setup, listen);
    for (size_t i = 0; zone && i < setup->started.listen_count; i++)
        listen[source.listen_count++] = *gw_dns_server_listen(setup->server, i);
    if (zone) {
        source.ranges = zone->ranges;
        source.range_count = zone->range_count;
    }
    if (source.has_exit && !setup->has_exit)
        gw_dns_system_warn_of_exit(source.config);
    setup->has_exit = source.has_exit;
    gw_dns_system_update(setup->system, &source);
}

static void refresh(struct gw_dns_setup *setup, struct gw_mono now)
{
    const struct timeval every = {.tv_sec = TICK_S};
    bool wants_router = setup->params.files->config->virtual_router.enabled && !setup->params.has_tun;
    if (!setup->server && !wants_router) {
        end(setup, now);
        return;
    }
    gw_list_for_each (node, setup->params.networks)
        open_guests(setup, gw_list_entry(node, struct gw_network, node), now);
    gw_list_for_each (node, setup->params.networks)
        refresh_guests(gw_list_entry(node, struct gw_network, node), now);
    gw_router_setup_apply(&setup->router, setup->params.loop, setup->params.networks, wants_router, now);
    fill_table(setup);
    event_add(setup->tick, &every);
}

void gw_dns_setup_refresh(struct gw_dns_setup *setup, struct gw_mono now)
{
    if (!setup->tick)
        return;
    refresh(setup, now);
    gw_dns_setup_tell_system(setup);
}
