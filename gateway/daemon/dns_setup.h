/* SPDX-License-Identifier: MIT */
/* Names and addresses of the peers of all networks, as the configuration asks for them: the DNS server, and without a TUN the virtual IP router that listens on
 * the addresses of its answers. Off unless `dns.enabled` or `virtual_router.enabled`. */
#ifndef GATEWAY_DAEMON_DNS_SETUP_H
#define GATEWAY_DAEMON_DNS_SETUP_H

#include "frontends/dns/access.h"
#include "frontends/dns/listener.h"
#include "gateway/daemon/dns_system.h"
#include "gateway/daemon/network.h"
#include "gateway/daemon/router_setup.h"

struct gw_dns_setup_params {
    struct gw_loop *loop;
    const struct gw_list *networks; /* borrowed for life; struct gw_network.node */
    const struct gw_files *files;   /* borrowed for life; a reload changes what is in it */
    const char *dir;                /* the daemon's folder */
    bool has_tun;
    const struct gw_endpoints *endpoints; /* the names that the node itself looks up */
    /* Where the TUN's server is that this machine's programs get to now: at most max. NULL: nowhere. */
    size_t (*tun_servers)(void *ctx, struct gw_addr *out, size_t max);
    void *ctx;
};

#define GW_DNS_SETUP_TUN_MAX 16u

/* What the server was started with, to see whether a reload changes it. */
struct gw_dns_setup_server {
    struct gw_addr listen[GW_DNS_LISTEN_MAX], upstreams[GW_DNS_UPSTREAMS_MAX];
    struct gw_prefix allowed[GW_DNS_ALLOWED_MAX];
    size_t listen_count, upstream_count, allowed_count;
    int64_t rate;
};

struct gw_dns_setup { /* zero: not there */
    struct gw_dns_setup_params params;
    struct event *tick; /* NULL: not there */
    bool is_stale;      /* the table is to be filled again in this turn or the next */

    struct gw_dns_table *table;
    struct gw_dns_forward *forward; /* as long as there is a server; maybe without upstreams */
    struct gw_dns_server *server;   /* NULL: none is asked for */
    struct gw_dns_setup_server started;

    struct gw_router_setup router;
    struct gw_sysdns *system;                 /* what the machine is told of the server */
    struct gw_addr old[GW_DNS_UPSTREAMS_MAX]; /* whom it asked before, for every name; dns_upstreams.c */
    unsigned old_count;
    bool has_exit; /* everything of this machine goes to a peer */

    void (*on_server_gone)(void *ctx); /* may be NULL */
    void *ctx;
};

/* 0 or GW_E_NOMEM. */
int gw_dns_setup_init(struct gw_dns_setup *setup, const struct gw_dns_setup_params *params);
/* Before the networks are ended. */
void gw_dns_setup_fini(struct gw_dns_setup *setup, struct gw_mono now);

/* Starts, changes or ends the server as the configuration says. 0, or an error with the reason in diag: then there is no server. */
int gw_dns_setup_listen(struct gw_dns_setup *setup, const struct gw_config *config, struct gw_diag *diag);
/* The networks, their peers or the files changed: addresses, names and the router follow. */
void gw_dns_setup_refresh(struct gw_dns_setup *setup, struct gw_mono now);
/* The machine is told where to ask now: after gw_dns_setup_refresh where the TUN's addresses or routes have changed. */
void gw_dns_setup_tell_system(struct gw_dns_setup *setup);
/* Do names that are not ours go to somebody? */
bool gw_dns_setup_forwards(const struct gw_dns_setup *setup);
/* out: GW_DNS_SETUP_TUN_MAX. Returns how many. */
size_t gw_dns_setup_tun_servers(const struct gw_dns_setup *setup, struct gw_addr *out);
/* fn: the server and what it forwards by are about to go. One at a time; NULL: none. */
void gw_dns_setup_watch(struct gw_dns_setup *setup, void (*fn)(void *ctx), void *ctx);
/* For gw_gateway_events.on_peer. */
void gw_dns_setup_on_peer(struct gw_dns_setup *setup, struct gw_network *network, struct gw_peer *peer,
                          struct gw_mono now);

#endif
