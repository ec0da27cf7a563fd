/* SPDX-License-Identifier: MIT */
/* Flows that lanes carry; see flows.h. */
#include "gateway/lane/flows.h"

#include <stdlib.h>
#include <string.h>

/* Clocks of two threads: one may be ahead. */
static bool is_stale(uint32_t used_s, uint32_t now_s)
{
    return (int32_t)(now_s - used_s) > GW_LANE_FLOW_KEPT_S;
}

static uint32_t seconds(struct gw_mono now)
{
    return (uint32_t)((uint64_t)now.ns / (uint64_t)GW_S(1));
}

/* Both directions of a flow stand in one set. */
#define INBOUND 2u

static uint64_t make_tag(const struct gw_lane_flows *flows, const struct gw_flow_key *key, bool is_inbound)
{
    return gw_flow_tag(key, flows->seed) | (is_inbound ? INBOUND : 0);
}

static uint64_t tag_of(const struct gw_lane_flow *flow)
{
    return atomic_load_explicit(&flow->tag, memory_order_relaxed);
}

static uint32_t used_s_of(const struct gw_lane_flow *flow)
{
    return atomic_load_explicit(&flow->used_s, memory_order_relaxed);
}

static struct gw_lane_flow *set_of(struct gw_lane_flows *flows, uint64_t tag)
{
    return flows->flows[(tag >> 32) % GW_LANE_FLOW_SETS];
}

static struct gw_lane_flow *find(struct gw_lane_flows *flows, uint64_t tag)
{
    struct gw_lane_flow *set = set_of(flows, tag);
    for (unsigned i = 0; i < GW_LANE_FLOW_WAYS; i++) {
        if (tag_of(&set[i]) == tag)
            return &set[i];
    }
    return NULL;
}

/* ---- life */

struct gw_lane_flows *gw_lane_flows_new(const uint8_t seed[GW_FLOW_SEED_LEN])
{
    struct gw_lane_flows *flows = calloc(1, sizeof *flows);
    if (flows)
        memcpy(flows->seed, seed, sizeof flows->seed);
    return flows;
}

void gw_lane_flows_free(struct gw_lane_flows *flows)
{
    free(flows);
}

/* ---- the engine's thread */

static struct gw_lane_flow *place_for(struct gw_lane_flows *flows, uint64_t tag, uint32_t now_s)
{
    struct gw_lane_flow *set = set_of(flows, tag), *oldest = set;
    for (unsigned i = 0; i < GW_LANE_FLOW_WAYS; i++) {
        if (tag_of(&set[i]) == 0)
            return &set[i];
        if ((int32_t)(now_s - used_s_of(&set[i])) > (int32_t)(now_s - used_s_of(oldest)))
            oldest = &set[i];
    }
    return oldest;
}

void gw_lane_flows_admit(struct gw_lane_flows *flows, const struct gw_flow_key *key, bool is_inbound,
                         struct gw_mono now)
{
    uint64_t tag = make_tag(flows, key, is_inbound);
    uint32_t now_s = seconds(now);
    struct gw_lane_flow *flow = find(flows, tag);
    if (!flow)
        flow = place_for(flows, tag, now_s);
    atomic_store_explicit(&flow->used_s, now_s, memory_order_relaxed);
    atomic_store_explicit(&flow->tag, tag, memory_order_release); /* after when it was used */
}

void gw_lane_flows_remove(struct gw_lane_flows *flows, const struct gw_flow_key *key, bool is_inbound)
{
    struct gw_lane_flow *flow = find(flows, make_tag(flows, key, is_inbound));
    if (flow)
        atomic_store_explicit(&flow->tag, 0, memory_order_relaxed);
}

void gw_lane_flows_clear(struct gw_lane_flows *flows)
{
    for (unsigned set = 0; set < GW_LANE_FLOW_SETS; set++) {
        for (unsigned i = 0; i < GW_LANE_FLOW_WAYS; i++)
            atomic_store_explicit(&flows->flows[set][i].tag, 0, memory_order_relaxed);
    }
}

void gw_lane_flows_each(const struct gw_lane_flows *flows,
                        void (*used)(uint64_t tag, uint32_t used_s, void *ctx), void *ctx)
{
    for (unsigned set = 0; set < GW_LANE_FLOW_SETS; set++) {
        for (unsigned i = 0; i < GW_LANE_FLOW_WAYS; i++) {
            uint64_t tag = tag_of(&flows->flows[set][i]);
            if (tag != 0)
                used(tag & ~(uint64_t)INBOUND, used_s_of(&flows->flows[set][i]), ctx);
        }
    }
}

/* ---- lanes */

bool gw_lane_flows_have(struct gw_lane_flows *flows, struct gw_lane_flow_last *last,
                        const struct gw_flow_key *key, bool is_inbound, struct gw_mono now)
{
    uint32_t now_s = seconds(now);
    if (!last->flow || is_inbound != last->is_inbound || memcmp(key, &last->key, sizeof *key) != 0) {
        last->key = *key;
        last->is_inbound = is_inbound;
        last->tag = make_tag(flows, key, is_inbound);
        last->flow = NULL;
    }
    if (!last->flow || atomic_load_explicit(&last->flow->tag, memory_order_acquire) != last->tag)
        last->flow = find(flows, last->tag);
    if (!last->flow)
        return false;
    uint32_t used_s = used_s_of(last->flow);
    if (is_stale(used_s, now_s))
        return false;
    if (used_s != now_s)
        atomic_store_explicit(&last->flow->used_s, now_s, memory_order_relaxed);
    return true;
}
