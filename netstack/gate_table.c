/* SPDX-License-Identifier: MIT */
#include "netstack/gate_table.h"

static struct gw_gate_flow *set_of(struct gw_gate_table *table, uint64_t tag)
{
    return table->flows[(tag >> 32) % GW_GATE_SETS];
}

bool gw_gate_table_find(struct gw_gate_table *table, uint64_t tag, uint32_t now_s, uint32_t kept_s)
{
    struct gw_gate_flow *set = set_of(table, tag);
    for (unsigned i = 0; i < GW_GATE_WAYS; i++) {
        if (set[i].tag != tag || now_s - set[i].used_s > kept_s)
            continue;
        set[i].used_s = now_s;
        return true;
    }
    return false;
}

void gw_gate_table_put(struct gw_gate_table *table, uint64_t tag, uint32_t now_s)
{
    struct gw_gate_flow *set = set_of(table, tag), *oldest = set;
    for (unsigned i = 0; i < GW_GATE_WAYS; i++) {
        if (set[i].tag == tag || set[i].tag == 0) {
            oldest = &set[i];
            break;
        }
        if (now_s - set[i].used_s > now_s - oldest->used_s)
            oldest = &set[i];
    }
    *oldest = (struct gw_gate_flow){tag, now_s};
}

void gw_gate_table_use(struct gw_gate_table *table, uint64_t tag, uint32_t used_s)
{
    struct gw_gate_flow *set = set_of(table, tag);
    for (unsigned i = 0; i < GW_GATE_WAYS; i++) {
        if (set[i].tag == tag && (int32_t)(used_s - set[i].used_s) > 0)
            set[i].used_s = used_s;
    }
}

void gw_gate_table_remove(struct gw_gate_table *table, uint64_t tag)
{
    struct gw_gate_flow *set = set_of(table, tag);
    for (unsigned i = 0; i < GW_GATE_WAYS; i++) {
        if (set[i].tag == tag)
            set[i] = (struct gw_gate_flow){0};
    }
}
