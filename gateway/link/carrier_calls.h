/* SPDX-License-Identifier: MIT */
/* The carriers of one network, and which of them we make: to anchors of ours that do not answer by UDP, one at a time for each, ended when UDP has
 * worked for a while. Those that an anchor takes are handed in. */
#ifndef GATEWAY_LINK_CARRIER_CALLS_H
#define GATEWAY_LINK_CARRIER_CALLS_H

#include "gateway/base/list.h"
#include "gateway/gateway.h"
#include "gateway/link/carriers.h"

#define GW_CARRIER_UDP_WORKS_NS GW_S(10) /* then the connection is not needed any more */

struct gw_carrier_calls_params {
    struct gw_loop *loop;
    struct gateway *gateway; /* borrowed until _fini */
    /* A train came; lent for the call. */
    void (*on_train)(struct gw_train *train, void *ctx);
    /* There are carriers now: trains to them go there. */
    void (*on_made)(struct gw_carriers *carriers, void *ctx);
    /* Is this address spared the proxy? NULL: none is. */
    bool (*is_spared)(const struct gw_addr *to, void *ctx);
    void *ctx;
};

#define GW_CARRIER_PROXY_ADDRS 8u

struct gw_carrier_calls {
    bool is_proxied; /* everything goes through a proxy, also while none of its addresses is known */
    struct gw_addr proxies[GW_CARRIER_PROXY_ADDRS];
    unsigned proxy_count, proxy_next;
    char credentials[GW_HTTP_CREDENTIALS_MAX + 1];
    struct gw_carrier_calls_params params;
    struct gw_carriers *carriers; /* NULL: none was needed so far */
    struct gw_list anchors;       /* struct anchor (carrier_calls.c) */
    struct event *timer;          /* looks whether UDP works again, while a connection of ours stands */
    bool is_told;                 /* that there is no TLS in this build */
};

/* 0, or GW_E_NOMEM. */
int gw_carrier_calls_init(struct gw_carrier_calls *calls, const struct gw_carrier_calls_params *params);
/* Before the gateway goes; closes all. Safe on one that is zeroed. */
void gw_carrier_calls_fini(struct gw_carrier_calls *calls);
/* Makes the carriers if there are none yet: they cost a certificate. 0, or as gw_carriers_new. */
int gw_carrier_calls_make(struct gw_carrier_calls *calls);

/* Connections that are made from now on go through an HTTP proxy, at the addresses in turn; credentials "": it asks for none. */
void gw_carrier_calls_set_proxy(struct gw_carrier_calls *calls, const struct gw_addr *addrs, unsigned count,
                                const char *credentials);
/* No longer. */
void gw_carrier_calls_unset_proxy(struct gw_carrier_calls *calls);

/* As gw_gateway_events.on_carrier_wanted. */
void gw_carrier_calls_wanted(struct gw_carrier_calls *calls, struct gw_peer *peer, struct gw_mono now);
/* The network is another one: no waiting. */
void gw_carrier_calls_kick(struct gw_carrier_calls *calls);
/* Before a peer is removed. */
void gw_carrier_calls_peer_gone(struct gw_carrier_calls *calls, const struct gw_peer *peer);

#endif
