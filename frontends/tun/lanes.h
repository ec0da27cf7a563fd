/* SPDX-License-Identifier: MIT */
/* The lanes of an interface: so many threads, each with a queue of the interface, for each network a socket of the port's group and a lane of the engine
 * (gateway/lane), and slabs of its own. The first takes over the sockets and the queue that link and device have, and they only send and
 * write meanwhile. Everything here is called on the loop; lane_linux.c is what the threads do. */
#ifndef FRONTENDS_TUN_LANES_H
#define FRONTENDS_TUN_LANES_H

#include "frontends/tun/device.h"
#include "gateway/lanes.h"
#include "gateway/link/link.h"

struct gw_tun_lanes;

struct gw_tun_lanes_network {
    struct gateway *gateway;
    struct gw_link *link;
    const struct gw_prefix *sources; /* what its packets from the interface may come from; copied */
    size_t source_count;
    struct gw_lane_flows *flows; /* as gw_lanes_params has it */
};

struct gw_tun_lanes_params {
    struct gw_loop *loop;
    struct gw_device *device;
    unsigned count; /* that are wanted, at most GW_LANES_MAX */
    unsigned mtu;
    const struct gw_tun_lanes_network *networks; /* at most GW_DEVICE_NETWORKS */
    unsigned network_count;
};

/* As many as the interface has queues for; 0, or an error, and everything is as it was. The threads have the rights of this one, so those that are to be given up
 * have to be by now. */
int gw_tun_lanes_new(struct gw_tun_lanes **out, const struct gw_tun_lanes_params *params);
/* The threads end, link and device do their work again. Before device, links and gateways go. NULL is fine. */
void gw_tun_lanes_free(struct gw_tun_lanes *lanes);
unsigned gw_tun_lanes_count(const struct gw_tun_lanes *lanes); /* NULL: 0 */
/* Do they carry this network's packets? NULL: no. Its sources change by gw_lanes_set_sources. */
bool gw_tun_lanes_have(const struct gw_tun_lanes *lanes, const struct gateway *gateway);
/* Of all networks together. */
void gw_tun_lanes_stats(const struct gw_tun_lanes *lanes, unsigned number, struct gw_lane_stats *out);

#endif
