/* SPDX-License-Identifier: MIT */
/* The flows whose packets lanes take straight to the kernel, and from it. Who else they might be for (the netstack's connections, services, nobody) only the
 * engine's thread knows; it is asked with a flow's first packets, and where the answer is "the kernel's" the flow is admitted here, each direction for itself. What is not in the table goes to the engine's thread: a flow that is missing, or that another one displaced, costs time and nothing else.
 *
 * The engine's thread writes tags, lanes look for them and note when. All of it is atomic and nothing is ordered: a tag means something by itself alone. */
#ifndef GATEWAY_LANE_FLOWS_H
#define GATEWAY_LANE_FLOWS_H

#include "gateway/base/mono.h"
#include "gateway/packet/flow.h"

#include <stdatomic.h>

#define GW_LANE_FLOW_SETS 1024u
#define GW_LANE_FLOW_WAYS 4u
#define GW_LANE_FLOW_KEPT_S 120 /* after its last packet */

struct gw_lane_flow {
    _Atomic uint64_t tag; /* 0 = free */
    _Atomic uint32_t used_s;
};

struct gw_lane_flows {
    uint8_t seed[GW_FLOW_SEED_LEN];
    struct gw_lane_flow flows[GW_LANE_FLOW_SETS][GW_LANE_FLOW_WAYS];
};

/* NULL without memory. */
struct gw_lane_flows *gw_lane_flows_new(const uint8_t seed[GW_FLOW_SEED_LEN]);
/* No lane uses it any more. NULL is fine. */
void gw_lane_flows_free(struct gw_lane_flows *flows);

/* ---- the engine's thread. The least recently used of a set makes room. */
void gw_lane_flows_admit(struct gw_lane_flows *flows, const struct gw_flow_key *key, bool is_inbound,
                         struct gw_mono now);
void gw_lane_flows_remove(struct gw_lane_flows *flows, const struct gw_flow_key *key, bool is_inbound);
void gw_lane_flows_clear(struct gw_lane_flows *flows);
/* Calls back for each with its gw_flow_tag and the second in which it was last used (of gw_mono). */
void gw_lane_flows_each(const struct gw_lane_flows *flows,
                        void (*used)(uint64_t tag, uint32_t used_s, void *ctx), void *ctx);

/* ---- lanes. Is it admitted? Then it is in use. last: what the lane asked before, so that a burst is hashed once; zeroed at first. */
struct gw_lane_flow_last {
    struct gw_flow_key key;
    bool is_inbound;
    uint64_t tag;
    struct gw_lane_flow *flow;
};
bool gw_lane_flows_have(struct gw_lane_flows *flows, struct gw_lane_flow_last *last,
                        const struct gw_flow_key *key, bool is_inbound, struct gw_mono now);

#endif
