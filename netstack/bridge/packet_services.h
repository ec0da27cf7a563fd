/* SPDX-License-Identifier: MIT */
/* This node's services for peers that send packets: an offer of the netstack is looked up by its port, the peer's right to it checked, the service dialled, and only
 * then the SYN answered; both are joined by a pump. What gateway/services/services.h is for flows, by the same registry and grants. */
#ifndef NETSTACK_BRIDGE_PACKET_SERVICES_H
#define NETSTACK_BRIDGE_PACKET_SERVICES_H

#include "gateway/local/dial.h"
#include "gateway/services/services.h"
#include "netstack/bridge/pump.h"
#include "netstack/netstack.h"

struct gw_packet_services;

/* What a peer may reach. */
struct gw_packet_grant {
    struct gw_target target;
    uint64_t serial; /* another one when the service has moved */
    char name[GW_SERVICE_NAME_MAX + 1];
};
/* May the peer (what gw_netstack_link_input was given) use this port? GW_REASON_NONE and *out, NOT_LISTED or REFUSED. local: the address it asked for. */
typedef enum gw_reason gw_packet_authorize_fn(void *ctx, void *peer, const struct gw_addr *local,
                                              const struct gw_open *open, struct gw_packet_grant *out);
/* By a registry: ctx is a struct gw_services, peers are struct gw_peer. */
enum gw_reason gw_packet_authorize_by_services(void *ctx, void *peer, const struct gw_addr *local,
                                               const struct gw_open *open, struct gw_packet_grant *out);

struct gw_packet_services_params {
    struct gw_loop *loop;
    struct gw_dialer *dialer;
    gw_packet_authorize_fn *authorize;
    void *authorize_ctx;
    uint32_t max_per_peer;   /* 0 = 1024 */
    int64_t dial_timeout_ns; /* 0 = 8 s: an offer lives for 10 */
};

/* 0 or GW_E_NOMEM. */
int gw_packet_services_new(struct gw_packet_services **out, const struct gw_packet_services_params *params);
/* Before the netstack. Connections are reset. NULL is fine. */
void gw_packet_services_free(struct gw_packet_services *services, struct gw_mono now);

/* For gw_netstack_link_params.on_connection, with the gw_packet_services as ctx (or called from the user's own). */
void gw_packet_services_on_connection(struct gw_netstack_link *link, struct gw_connection *offer,
                                      struct gw_mono now, void *services);
/* After a change of services or grants, and when some may have expired: ends what is not allowed any more. */
void gw_packet_services_recheck(struct gw_packet_services *services, struct gw_mono now);

struct gw_packet_services_stats {
    uint32_t open;
    uint64_t accepted, refused, not_listed, down, limited;
};
void gw_packet_services_stats(const struct gw_packet_services *services,
                              struct gw_packet_services_stats *out);

#endif
