/* SPDX-License-Identifier: MIT */
/* tun.accelerate: TCP that this machine's kernel begins with a peer of ours ends in the netstack and goes on as a flow to the peer's service of that port. The far node asks its registry
 * and its rights as for every flow. Whatever it does not list, which it is asked once a minute, and whoever has no flows, is reached by packets as without it. */
#ifndef GATEWAY_DAEMON_ACCELERATE_H
#define GATEWAY_DAEMON_ACCELERATE_H

#include "frontends/tun/device.h"
#include "netstack/netstack.h"

struct gw_accelerate;

/* Over this TUN, which outlives it. mtu: the interface's. 0, GW_E_NOMEM or GW_E_LIMIT. */
int gw_accelerate_new(struct gw_accelerate **out, struct gw_netstack *stack, struct gw_device *device,
                      uint16_t mtu, struct gw_mono now);
/* Its connections end: the kernel gets resets, the peers too. NULL is fine. */
void gw_accelerate_free(struct gw_accelerate *all, struct gw_mono now);
/* Off: nothing new begins; what is open goes on. Off to begin with. */
void gw_accelerate_set(struct gw_accelerate *all, bool is_on);

/* As gw_device_tap_fn, for TCP to a peer. */
bool gw_accelerate_input(struct gw_accelerate *all, struct gw_peer *peer, uint8_t *packet,
                         const struct gw_ip *ip, const struct gw_super_hint *hint, struct gw_mono now);
/* Before the peer is removed. */
void gw_accelerate_drop_peer(struct gw_accelerate *all, const struct gw_peer *peer, struct gw_mono now);

struct gw_accelerate_stats {
    bool is_on;
    uint32_t open;
    uint64_t flows;      /* that the far service accepted */
    uint64_t by_packets; /* not listed there: the SYN went on as a packet */
    uint64_t refused;    /* the service is down, or there was no room: reset */
    uint64_t unanswered; /* the peer or its service was not reached: the kernel tries again */
};
void gw_accelerate_stats(const struct gw_accelerate *all, struct gw_accelerate_stats *out);

#endif
