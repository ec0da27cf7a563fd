/* SPDX-License-Identifier: MIT */
/* The carriers of one network as its configuration wants them: where this node is an anchor, it takes TLS connections as `anchor.tls` says; those to anchors of its own are link/carrier_calls.h's. */
#ifndef GATEWAY_DAEMON_CARRIER_SETUP_H
#define GATEWAY_DAEMON_CARRIER_SETUP_H

#include "gateway/config/config.h"
#include "gateway/config/diag.h"
#include "gateway/config/proxy_url.h"
#include "gateway/daemon/endpoints.h"
#include "gateway/gateway.h"
#include "gateway/link/carrier_calls.h"
#include "gateway/link/link.h"
#include "gateway/local/listener.h"

#define GW_CARRIER_LISTEN_MAX 4u

struct gw_carrier_setup {
    struct gw_loop *loop;
    struct gw_link *const *link; /* the network's; NULL in there while another one still has the port */
    struct gw_carrier_calls calls;
    struct gw_endpoints *endpoints;
    struct gw_proxy_url proxy; /* at.kind: as long as `has_proxy` */
    bool has_proxy, is_from_environment;
    bool has_owners_certificate; /* in use: not the self-made one */
    struct gw_lookup *lookup;    /* of its name */
    struct gw_listener *listeners[GW_CARRIER_LISTEN_MAX];
    struct gw_addr listening[GW_CARRIER_LISTEN_MAX]; /* where those are */
};

/* Listens, if the configuration says so. gateway, link and endpoints are borrowed until _fini. 0, or an error, with the reason in diag. */
int gw_carrier_setup_init(struct gw_carrier_setup *setup, struct gw_loop *loop, struct gateway *gateway,
                          struct gw_link *const *link, struct gw_endpoints *endpoints,
                          const struct gw_config *config, const struct gw_config_network *network,
                          struct gw_diag *diag);
/* Shows the certificate, and listens, as this configuration says: what is in it already stays open, what is new is opened, then the rest closed; connections that were taken there go on. An error, with the reason in
 * diag: it is to be called again with what was in force before, which opens again what had to make room. */
int gw_carrier_setup_listen(struct gw_carrier_setup *setup, const struct gw_config *config,
                            const struct gw_config_network *network, struct gw_diag *diag);
/* The proxy that the files, or the environment, name from now on. */
void gw_carrier_setup_use(struct gw_carrier_setup *setup, const struct gw_config_network *network);
/* The network has its link now. */
void gw_carrier_setup_linked(struct gw_carrier_setup *setup);
/* Before the gateway goes; safe on one that is zeroed. */
void gw_carrier_setup_fini(struct gw_carrier_setup *setup);

/* false: there were none so far. */
bool gw_carrier_setup_stats(const struct gw_carrier_setup *setup, struct gw_carriers_stats *out);

#endif
