/* SPDX-License-Identifier: MIT */
/* The engine's side of lanes as lanes.c and lane_records.c share it. */
#ifndef GATEWAY_LANES_PRIVATE_H
#define GATEWAY_LANES_PRIVATE_H

#include "gateway/gateway_private.h"
#include "gateway/lanes.h"

/* Things that are out of every table and wait for the lanes to look away, by kind. */
struct gw_limbo {
    struct gw_list keypairs, peers, snapshots, routes;
};

struct gw_lanes {
    struct gw_lane_hub hub; /* what the lanes see */
    struct gateway *gateway;
    unsigned count;
    void (*on_burst)(uint8_t *packet, size_t len, const struct gw_super_hint *hint, struct gw_mono now,
                     void *ctx);
    void *ctx;

    /* What the next snapshot is made of. */
    struct gw_lane_entry *entries; /* by the peers' numbers */
    uint32_t number_count;
    struct gw_prefix *sources;
    size_t source_count;
    struct gw_lane_routes *routes, *no_routes;
    struct gw_lane_snapshot *empty; /* when there is no memory for a true one */
    uint64_t routes_version;
    bool has_new_peer; /* routes are to be made anew */
    bool is_dirty;     /* the published snapshot is not true any more */

    struct gw_limbo waiting, closing;
    uint64_t closing_number; /* epoch */
    struct gw_deadline deadline;
    struct gw_keypair_keeper keeper;
    struct gw_lane lanes[GW_LANES_MAX];
};

#endif
