/* SPDX-License-Identifier: MIT */
/* The netstack of the daemon: one for the process, with the packets of every network on it, and the dialer that front-ends reach peers by that have only packets. */
#ifndef GATEWAY_DAEMON_NETSTACK_SETUP_H
#define GATEWAY_DAEMON_NETSTACK_SETUP_H

#include "frontends/tun/device.h"
#include "gateway/daemon/accelerate.h"
#include "gateway/daemon/dns_address.h"
#include "gateway/daemon/packets.h"
#include "netstack/bridge/packet_dial.h"

struct gw_netstack_setup { /* zero: not there */
    struct gw_loop *loop;
    struct gw_loop_hook hook;
    struct gw_netstack *stack;
    struct gw_packet_dialer *dialer;
    struct gw_list list;                /* struct gw_packets.node */
    struct gw_accelerate *accelerate;   /* NULL: there is no TUN */
    struct gw_dns_address *dns_address; /* the same */
};

/* 0 or GW_E_NOMEM. config: for the limits. */
int gw_netstack_setup_init(struct gw_netstack_setup *setup, struct gw_loop *loop,
                           const struct gw_config *config);
/* Before the networks' services end: resets still go out. Front-ends have ended. */
void gw_netstack_setup_fini(struct gw_netstack_setup *setup, struct gw_mono now);

/* A network that was made, with its services; gw_netstack_setup_apply follows. device: NULL without a TUN; outlives it. 0, GW_E_NOMEM or GW_E_LIMIT. */
int gw_netstack_setup_add(struct gw_netstack_setup *setup, struct gw_network *network,
                          struct gw_dialer *dialer, struct gw_device *device);
/* Before the network loses anything: what its peers have with the kernel ends (gw_packets_end). One that was not added is fine. */
void gw_netstack_setup_end(struct gw_netstack_setup *setup, const struct gw_network *network,
                           struct gw_mono now);
/* Before its services end. One that was not added is fine. */
void gw_netstack_setup_remove(struct gw_netstack_setup *setup, const struct gw_network *network,
                              struct gw_mono now);
/* The files change, or somebody's right may have expired: before anything of it is done, and when it has, but for routes. */
void gw_netstack_setup_note(struct gw_netstack_setup *setup);
/* As gw_packets_will_end, of any network. */
bool gw_netstack_setup_will_end(const struct gw_netstack_setup *setup);
void gw_netstack_setup_apply(struct gw_netstack_setup *setup, const struct gw_config *config,
                             struct gw_mono now);
struct gw_netstack_tun {
    struct gw_device *device;
    struct gw_dialer *dialer;
    struct gw_dns_setup *dns;
    const struct gw_list *networks;
};
/* Packets of this TUN are looked at from now on, until gw_netstack_setup_fini. 0, GW_E_NOMEM or GW_E_LIMIT. */
int gw_netstack_setup_watch(struct gw_netstack_setup *setup, const struct gw_netstack_tun *tun,
                            const struct gw_config *config);
/* Before the peer is removed. */
void gw_netstack_setup_on_peer_gone(struct gw_netstack_setup *setup, const struct gw_network *network,
                                    const struct gw_peer *peer, struct gw_mono now);
/* NULL for a network that was not added. */
struct gw_packets *gw_netstack_setup_of(const struct gw_netstack_setup *setup,
                                        const struct gw_network *network);

#endif
