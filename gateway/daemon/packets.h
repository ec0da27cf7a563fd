/* SPDX-License-Identifier: MIT */
/* The IP packets of one network that are no kernel's business: they end in the netstack at this node's services, each by the right to it, and connections to peers that have only
 * packets begin there. With a TUN this says which packets the kernel gets. */
#ifndef GATEWAY_DAEMON_PACKETS_H
#define GATEWAY_DAEMON_PACKETS_H

#include "frontends/tun/device.h"
#include "gateway/daemon/network.h"
#include "gateway/daemon/severed.h"
#include "netstack/bridge/packet_services.h"
#include "netstack/gate.h"

struct gw_packets {
    struct gw_list node; /* in gw_netstack_setup.list */
    struct gw_network *network;
    struct gw_netstack_link *link;
    struct gw_packet_services *services;
    struct gw_gate *gate;       /* NULL: there is no TUN */
    struct gw_device *device;   /* the same */
    struct gw_mono asked_lanes; /* when the gate last heard what they use */
    struct gw_severed severed;  /* what the kernel had with peers before the change that is going on */
    bool is_host_exposed;
    bool is_ending;                  /* the network goes: nobody may anything */
    const struct gw_prefix *subnets; /* behind this machine; borrowed until the next apply */
    size_t subnet_count;
    uint64_t unroutable; /* packets out without a peer */
};

struct gw_packets_params {
    struct gw_netstack *stack;
    struct gw_loop *loop;
    struct gw_dialer *dialer;
    struct gw_network *network;
    struct gw_device *device; /* NULL: there is no TUN */
};

/* 0, GW_E_NOMEM or GW_E_LIMIT. */
int gw_packets_new(struct gw_packets **out, const struct gw_packets_params *params);
/* Connections end, with resets that still have to reach the peers. NULL is fine. */
void gw_packets_free(struct gw_packets *packets, struct gw_mono now);
/* Addresses, services, rights, peers or the configuration are about to change. */
void gw_packets_note(struct gw_packets *packets);
/* They have changed: does gw_packets_apply end connections of the kernel's for that? It does so best while no lane reads. */
bool gw_packets_will_end(const struct gw_packets *packets);
/* They have changed; their routes are still there. */
void gw_packets_apply(struct gw_packets *packets, const struct gw_config *config, struct gw_mono now);

/* The network is about to go, while its addresses, routes and sessions are still there: the kernel's TCP connections with its peers are ended at both
 * ends. After gw_packets_note. The peers' resets wait in their queues (one that just then misses bytes does not believe it). Lanes have
 * been ended. */
void gw_packets_end(struct gw_packets *packets, struct gw_mono now);

/* As gw_gateway_events.on_packet; false: it is the kernel's. Then gw_netstack_flush, once for a train. */
bool gw_packets_input(struct gw_packets *packets, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now);
/* The kernel sends this to a peer of the network; true: it must not go, and that is seen to. */
bool gw_packets_outbound(struct gw_packets *packets, struct gw_peer *peer, const uint8_t *packet,
                         const struct gw_ip *ip, struct gw_mono now);
/* The kernel sends this from one of the network's addresses to nobody: true if it was to a peer that is gone, as above. */
bool gw_packets_orphan(struct gw_packets *packets, const uint8_t *packet, const struct gw_ip *ip,
                       struct gw_mono now);
/* Something about the peer has changed: maybe what its path carries. */
void gw_packets_on_peer(struct gw_packets *packets, const struct gw_peer *peer);
/* Before the peer is removed. */
void gw_packets_on_peer_gone(struct gw_packets *packets, const struct gw_peer *peer, struct gw_mono now);

#endif
