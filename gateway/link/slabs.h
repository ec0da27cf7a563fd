/* SPDX-License-Identifier: MIT */
/* The memory that trains travel in: a few slabs of 64 KB for receiving, one for sending. They are mapped once, cost nothing
 * until they are written to, and give their pages back to the kernel when a link was quiet for GW_SLABS_IDLE. */
#ifndef GATEWAY_LINK_SLABS_H
#define GATEWAY_LINK_SLABS_H

#include "gateway/base/mono.h"
#include "gateway/wire/train.h"

#define GW_SLABS_RECEIVE 4u
#define GW_SLABS_IDLE GW_S(5)

struct gw_slabs {
    uint8_t *receive; /* GW_SLABS_RECEIVE slabs in a row */
    uint8_t *send;    /* one */
    struct gw_mono used;
    bool is_resident; /* written to since they were given back */
};

/* 0, or GW_E_NOMEM. */
int gw_slabs_init(struct gw_slabs *slabs);
void gw_slabs_fini(struct gw_slabs *slabs);

static inline void gw_slabs_touch(struct gw_slabs *slabs, struct gw_mono now)
{
    slabs->used = now;
    slabs->is_resident = true;
}
/* When gw_slabs_expire wants to be called; GW_NEVER when there is nothing to give back. */
struct gw_mono gw_slabs_deadline(const struct gw_slabs *slabs);
/* Their contents are gone afterwards, if it was time: not called while a train waits in the send slab. */
void gw_slabs_expire(struct gw_slabs *slabs, struct gw_mono now);

#endif
