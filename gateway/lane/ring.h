/* SPDX-License-Identifier: MIT */
/* A bounded ring of records of any length from one thread to another: one writes, one reads, nobody waits. A record lies in one piece and stays where it is
 * until the reader lets go of it, so that it can be worked on in place, together with those behind it. */
#ifndef GATEWAY_LANE_RING_H
#define GATEWAY_LANE_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_RING_ALIGN 16u

struct gw_ring {
    uint8_t *bytes;
    uint32_t size; /* a power of two */
    /* Bytes ever read, and ever written: the places are their remainders. Each is written by one side only. */
    alignas(64) _Atomic uint32_t head; /* the reader's */
    uint32_t seen; /* where the reader goes on; what is between head and it is still his */
    alignas(64) _Atomic uint32_t tail; /* the writer's */
    uint32_t begun, writing;           /* where the reserved record starts, and its length */
};

/* size: a power of two. 0 or GW_E_NOMEM. */
int gw_ring_init(struct gw_ring *ring, uint32_t size);
void gw_ring_fini(struct gw_ring *ring);

/* ---- the writer. Room for a record of len bytes, aligned to GW_RING_ALIGN; NULL: the ring is too full. */
void *gw_ring_reserve(struct gw_ring *ring, size_t len);
/* What was reserved is there to be read. */
void gw_ring_commit(struct gw_ring *ring);
/* Is no more than half of it taken? */
bool gw_ring_is_half_empty(const struct gw_ring *ring);

/* ---- the reader. The oldest record that it has not been given yet, or NULL. */
void *gw_ring_next(struct gw_ring *ring, size_t *len);
/* It is through with all that it was given. */
void gw_ring_release(struct gw_ring *ring);

#endif
