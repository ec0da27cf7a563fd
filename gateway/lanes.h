/* SPDX-License-Identifier: MIT */
/* The engine's side of lanes: it publishes what they may know, frees what none of them looks at any more, and takes in what they tell. All of this is the
 * engine's thread's; a lane itself (gateway/lane) is its own thread's from gw_lanes_start to gw_lanes_stop. */
#ifndef GATEWAY_LANES_H
#define GATEWAY_LANES_H

#include "gateway/gateway.h"
#include "gateway/lane/lane.h"

struct gw_lanes_params {
    unsigned count; /* 1 to GW_LANES_MAX */
    uint32_t mtu;   /* of the interface: a path that is narrower stays the engine's */
    /* What packets from the interface may come from: our own addresses and what lies behind us. Copied. */
    const struct gw_prefix *sources;
    size_t source_count;
    struct gw_lane_flows
        *flows;              /* borrowed; NULL: there is no gate, and all that peers send is the kernel's */
    void (*wake)(void *ctx); /* called by lanes' threads: gw_lanes_drain is to be called soon */
    /* A packet from the interface that no lane could send. */
    void (*on_burst)(uint8_t *packet, size_t len, const struct gw_super_hint *hint, struct gw_mono now,
                     void *ctx);
    void *ctx;
};

/* 0, GW_E_NOMEM, GW_E_INVAL (count), -EALREADY. */
int gw_lanes_start(struct gateway *gateway, const struct gw_lanes_params *params, struct gw_mono now);
/* Every lane's thread is gone, after gw_lane_stop. What they told last is taken in. Nothing happens without lanes. */
void gw_lanes_stop(struct gateway *gateway, struct gw_mono now);
unsigned gw_lanes_count(const struct gateway *gateway); /* 0: none */
struct gw_lane *gw_lanes_get(struct gateway *gateway, unsigned number);
/* 0 or GW_E_NOMEM: the old ones stay. */
int gw_lanes_set_sources(struct gateway *gateway, const struct gw_prefix *sources, size_t count);
/* Works through what the lanes told, for one turn's worth; true: there is more. */
bool gw_lanes_drain(struct gateway *gateway, struct gw_mono now);
/* The engine sent a ping of its own as an IP packet: for a while its answers come to on_packet. */
void gw_lanes_expect_icmp(struct gateway *gateway, struct gw_mono now);

#endif
