/* SPDX-License-Identifier: MIT */
/* Each record has a header of GW_RING_ALIGN bytes: its length, or SKIP where the rest of the bytes up to the end is too short and the record
 * stands at the beginning again. The writer's release of `tail` hands the bytes over; the reader's release of `head` gives the room back. */
#include "gateway/lane/ring.h"

#include "gateway/base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SKIP UINT32_MAX

int gw_ring_init(struct gw_ring *ring, uint32_t size)
{
    assert((size & (size - 1)) == 0);
    memset(ring, 0, sizeof *ring);
    ring->bytes = aligned_alloc(64, size);
    ring->size = size;
    return ring->bytes ? 0 : GW_E_NOMEM;
}

void gw_ring_fini(struct gw_ring *ring)
{
    free(ring->bytes);
    ring->bytes = NULL;
}

static uint8_t *place(const struct gw_ring *ring, uint32_t at)
{
    return ring->bytes + (at & (ring->size - 1));
}

static uint32_t whole_len(size_t len)
{
    return (uint32_t)((len + GW_RING_ALIGN + GW_RING_ALIGN - 1) & ~(size_t)(GW_RING_ALIGN - 1));
}

static void set_header(const struct gw_ring *ring, uint32_t at, uint32_t value)
{
    memcpy(place(ring, at), &value, sizeof value);
}

void *gw_ring_reserve(struct gw_ring *ring, size_t len)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t whole = whole_len(len), to_end = ring->size - (tail & (ring->size - 1)), skipped = 0;
    if (len > ring->size / 2)
        return NULL;
    if (to_end < whole)
        skipped = to_end;
    if (tail - head + skipped + whole > ring->size)
        return NULL;
    if (skipped)
        set_header(ring, tail, SKIP);
    ring->begun = tail + skipped;
    ring->writing = whole;
    set_header(ring, ring->begun, (uint32_t)len);
    return place(ring, ring->begun) + GW_RING_ALIGN;
}

void gw_ring_commit(struct gw_ring *ring)
{
    atomic_store_explicit(&ring->tail, ring->begun + ring->writing, memory_order_release);
}

bool gw_ring_is_half_empty(const struct gw_ring *ring)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    return tail - atomic_load_explicit(&ring->head, memory_order_relaxed) <= ring->size / 2;
}

void *gw_ring_next(struct gw_ring *ring, size_t *len)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire), value;
    if (ring->seen == tail)
        return NULL;
    memcpy(&value, place(ring, ring->seen), sizeof value);
    if (value == SKIP) { /* a record always follows: both became visible at once */
        ring->seen += ring->size - (ring->seen & (ring->size - 1));
        memcpy(&value, place(ring, ring->seen), sizeof value);
    }
    uint8_t *record = place(ring, ring->seen) + GW_RING_ALIGN;
    ring->seen += whole_len(value);
    *len = value;
    return record;
}

void gw_ring_release(struct gw_ring *ring)
{
    atomic_store_explicit(&ring->head, ring->seen, memory_order_release);
}
