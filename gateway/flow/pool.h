/* SPDX-License-Identifier: MIT */
/* Where flows get the memory for bytes: blocks of two sizes, counted against the daemon's budget while in use.
 * Free blocks are kept for the next use, a few of each, until gw_pool_trim. */
#ifndef GATEWAY_FLOW_POOL_H
#define GATEWAY_FLOW_POOL_H

#include "gateway/base/list.h"

#include <stddef.h>
#include <stdint.h>

#define GW_POOL_SMALL 4096u
#define GW_POOL_LARGE 65536u

/* One budget of buffered bytes for the whole daemon, shared by every mux of every gateway (DATAPATH: 64 MB, phones
 * 4). */
struct gw_flow_budget {
    uint64_t limit, used;
    struct gw_mux *first; /* the muxes' own list; starts as NULL */
};

struct gw_pool_block {
    struct gw_pool_block *next;
};

struct gw_pool {
    struct gw_flow_budget *budget;
    struct gw_pool_block *small, *large;
    unsigned small_count, large_count;
};

void gw_pool_init(struct gw_pool *pool, struct gw_flow_budget *budget);
void gw_pool_fini(struct gw_pool *pool);
/* size: GW_POOL_SMALL or GW_POOL_LARGE. NULL without memory, or when the budget would pass `limit`. Not zeroed. */
void *gw_pool_get(struct gw_pool *pool, size_t size, uint64_t limit);
void gw_pool_put(struct gw_pool *pool, void *block, size_t size);
/* Gives free blocks back to the system. */
void gw_pool_trim(struct gw_pool *pool);

#endif
