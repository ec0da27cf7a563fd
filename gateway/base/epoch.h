/* SPDX-License-Identifier: MIT */
/* Quiescent-state reclamation: one writer publishes, a few readers look without locks, and what was taken out of sight is freed when every
 * reader has been away from it. A reader is inside from gw_epoch_enter to gw_epoch_leave; it may enter again and again without leaving, which is
 * the quiet point of a busy one. What it keeps pointers to across that must not be out of sight: so it asks for the number (gw_epoch_number), lets go of
 * what the writer took away before it counted up to that, and enters with it.
 *
 * Why it holds: the writer first takes a thing out of sight, then counts the epoch up to T, then looks at the readers. A reader first writes down the number it
 * read, then looks for things. All four are sequentially consistent, so either the writer sees that the reader is inside with a number below T, and
 * waits, or the reader's look comes after the writer took the thing away. */
#ifndef GATEWAY_BASE_EPOCH_H
#define GATEWAY_BASE_EPOCH_H

#include "gateway/base/list.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#define GW_EPOCH_READERS_MAX 16u
#define GW_EPOCH_AWAY UINT64_MAX

struct gw_epoch_reader {
    alignas(64) _Atomic uint64_t seen; /* the epoch it entered in; GW_EPOCH_AWAY outside */
};

struct gw_epoch {
    _Atomic uint64_t now; /* the writer's */
    unsigned count;
    struct gw_epoch_reader readers[GW_EPOCH_READERS_MAX];
};

static inline void gw_epoch_init(struct gw_epoch *epoch, unsigned count)
{
    atomic_init(&epoch->now, 1);
    epoch->count = count;
    for (unsigned i = 0; i < GW_EPOCH_READERS_MAX; i++)
        atomic_init(&epoch->readers[i].seen, GW_EPOCH_AWAY);
}

/* ---- readers */
static inline uint64_t gw_epoch_number(const struct gw_epoch *epoch)
{
    return atomic_load(&epoch->now);
}
static inline void gw_epoch_enter(struct gw_epoch *epoch, unsigned reader, uint64_t number)
{
    atomic_store(&epoch->readers[reader].seen, number);
}
static inline void gw_epoch_leave(struct gw_epoch *epoch, unsigned reader)
{
    atomic_store_explicit(&epoch->readers[reader].seen, GW_EPOCH_AWAY, memory_order_release);
}

/* ---- the writer */
/* What is out of sight by now may be freed once gw_epoch_is_over(the number that this gives). */
static inline uint64_t gw_epoch_advance(struct gw_epoch *epoch)
{
    return atomic_fetch_add(&epoch->now, 1) + 1;
}
static inline bool gw_epoch_is_over(const struct gw_epoch *epoch, uint64_t number)
{
    for (unsigned i = 0; i < epoch->count; i++) {
        if (atomic_load(&epoch->readers[i].seen) < number)
            return false;
    }
    return true;
}

#endif
