/* SPDX-License-Identifier: MIT */
/* A sorted set of disjoint half-open ranges of 64-bit numbers, bounded: which packet numbers were received, which
 * stream bytes are there or acked. Small sets lie in the struct, larger ones on the heap. */
#ifndef GATEWAY_FLOW_RANGES_H
#define GATEWAY_FLOW_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_range {
    uint64_t start, end; /* [start, end) */
};

#define GW_RANGES_INLINE 2

struct gw_ranges {
    struct gw_range *list; /* ascending; inline_list or heap */
    uint32_t len, cap;
    struct gw_range inline_list[GW_RANGES_INLINE];
};

void gw_ranges_init(struct gw_ranges *ranges);
void gw_ranges_fini(struct gw_ranges *ranges);
/* Adds, merging neighbours. 0, GW_E_NOMEM, or GW_E_LIMIT when it would need more than `max` ranges (nothing
 * changed). */
int gw_ranges_add(struct gw_ranges *ranges, uint64_t start, uint64_t end, uint32_t max);
/* Takes [start, end) out; may split one. 0 or GW_E_NOMEM. */
int gw_ranges_subtract(struct gw_ranges *ranges, uint64_t start, uint64_t end);
bool gw_ranges_contains(const struct gw_ranges *ranges, uint64_t value);
/* Forgets everything below value. */
void gw_ranges_drop_below(struct gw_ranges *ranges, uint64_t value);
/* Forgets the lowest range. */
void gw_ranges_drop_first(struct gw_ranges *ranges);

#endif
