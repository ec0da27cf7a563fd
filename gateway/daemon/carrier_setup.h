/* SPDX-License-Identifier: MIT */
/* The carriers of one network: where this node is an anchor, it takes TLS connections as `anchor.tls` says; to anchors of its own that do not answer by UDP it makes some, one at a time for each anchor, and ends
 * them when UDP has worked for a while. */
#ifndef GATEWAY_DAEMON_CARRIER_SETUP_H
#define GATEWAY_DAEMON_CARRIER_SETUP_H

#include "gateway/config/config.h"
#include "gateway/config/diag.h"
#include "gateway/gateway.h"
#include "gateway/link/link.h"
#include "gateway/local/listener.h"

#define GW_CARRIER_LISTEN_MAX 4u

struct gw_carrier_setup {
    struct gw_loop *loop;
    struct gateway *gateway;
    struct gw_link *const *link;  /* the network's; NULL in there while another one still has the port */
    struct gw_carriers *carriers; /* NULL: none was needed so far */
    struct gw_listener *listeners[GW_CARRIER_LISTEN_MAX];
    struct gw_list anchors; /* struct anchor (carrier_setup.c) */
    struct event *timer;    /* looks whether UDP works again, while a connection of ours stands */
    bool is_told;           /* that there is no TLS in this build */
};

/* Listens, if the configuration says so. gateway and link are borrowed until _fini. 0, or an error, with the reason in diag. */
int gw_carrier_setup_init(struct gw_carrier_setup *setup, struct gw_loop *loop, struct gateway *gateway,
                          struct gw_link *const *link, const struct gw_config *config,
                          const struct gw_config_network *network, struct gw_diag *diag);
/* The network has its link now. */
void gw_carrier_setup_linked(struct gw_carrier_setup *setup);
/* Before the gateway goes; safe on one that is zeroed. */
void gw_carrier_setup_fini(struct gw_carrier_setup *setup);

/* As gw_gateway_events.on_carrier_wanted. */
void gw_carrier_setup_wanted(struct gw_carrier_setup *setup, struct gw_peer *peer, struct gw_mono now);
/* The network is another one: no waiting. */
void gw_carrier_setup_kick(struct gw_carrier_setup *setup);
/* Before a peer is removed. */
void gw_carrier_setup_peer_gone(struct gw_carrier_setup *setup, const struct gw_peer *peer);
/* false: there were none so far. */
bool gw_carrier_setup_stats(const struct gw_carrier_setup *setup, struct gw_carriers_stats *out);

#endif
