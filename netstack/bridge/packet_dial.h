/* SPDX-License-Identifier: MIT */
/* Connections out, by packets: to a peer that has only those (a stock WireGuard peer), and to what lies behind a peer (a subnet, an exit node). What gateway/local/dial.h is
 * for the machine's own network; front-ends join the result with their client by pump.h. */
#ifndef NETSTACK_BRIDGE_PACKET_DIAL_H
#define NETSTACK_BRIDGE_PACKET_DIAL_H

#include "gateway/gateway.h"
#include "gateway/link/loop.h"
#include "netstack/netstack.h"

struct gw_packet_dialer; /* which link is whose */
struct gw_packet_dial;

/* NULL without memory. */
struct gw_packet_dialer *gw_packet_dialer_new(struct gw_loop *loop);
/* No dial may be under way. NULL is fine. */
void gw_packet_dialer_free(struct gw_packet_dialer *dialer);
/* Packets of that gateway's peers go through this link from now on; NULL ends it. 0 or GW_E_NOMEM. */
int gw_packet_dialer_set(struct gw_packet_dialer *dialer, const struct gateway *gateway,
                         struct gw_netstack_link *link);

/* connection: open, and the callee's: gw_connection_set_user, or gw_pump_join. NULL: `reason` says why not (SERVICE_DOWN, TIMED_OUT, UNREACHABLE, LIMIT, ...).
 * The gw_packet_dial is gone when it is called. */
typedef void gw_packet_dial_fn(struct gw_connection *connection, enum gw_reason reason, struct gw_mono now,
                               void *user);

struct gw_packet_dial_params {
    struct gw_peer *peer;
    struct gw_addr to; /* family 0: the peer's own address, of a family that both have */
    bool is_datagrams;
    int64_t timeout_ns; /* 0 = 20 s */
    gw_packet_dial_fn *on_done;
    void *user;
};

/* 0: *out is valid until on_done, which is never called from within. -EADDRNOTAVAIL: this node has no virtual address of that family, or the peer none; -EHOSTUNREACH: no link for
 * that gateway; else gw_netstack_connect's. */
int gw_packet_dial(struct gw_packet_dialer *dialer, const struct gw_packet_dial_params *params,
                   struct gw_mono now, struct gw_packet_dial **out);
/* on_done will not be called. */
void gw_packet_dial_cancel(struct gw_packet_dial *dial);

/* Has it turned out to have only packets? (A stock WireGuard peer.) */
bool gw_packet_is_needed(const struct gw_peer *peer, struct gw_mono now);
/* The longest packet that is worth sending to the peer now, for gw_netstack_link_input and gw_netstack_connect_params; 0 = not known. */
uint16_t gw_packet_mtu(const struct gw_peer *peer);

#endif
