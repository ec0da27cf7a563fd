/* SPDX-License-Identifier: MIT */
/* Flows that were seen lately, by their tags: a fixed number, of each set the least recently used makes room. Zeroed, it is empty. Seconds are of a 32-bit clock that goes round. */
#ifndef NETSTACK_GATE_TABLE_H
#define NETSTACK_GATE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define GW_GATE_SETS 1024u
#define GW_GATE_WAYS 4u

struct gw_gate_flow {
    uint64_t tag; /* 0 = free */
    uint32_t used_s;
};

struct gw_gate_table {
    struct gw_gate_flow flows[GW_GATE_SETS][GW_GATE_WAYS];
};

/* Was it there, and used within kept_s? Then it is used now. */
bool gw_gate_table_find(struct gw_gate_table *table, uint64_t tag, uint32_t now_s, uint32_t kept_s);
void gw_gate_table_put(struct gw_gate_table *table, uint64_t tag, uint32_t now_s);
/* It was used then, if it is there. */
void gw_gate_table_use(struct gw_gate_table *table, uint64_t tag, uint32_t used_s);
void gw_gate_table_remove(struct gw_gate_table *table, uint64_t tag);

#endif
