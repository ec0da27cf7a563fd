/* SPDX-License-Identifier: MIT */
/* Slabs are one anonymous mapping, so that giving their pages back is one madvise. */
#include "gateway/link/slabs.h"

#include "gateway/base/err.h"

#include <malloc.h>
#include <stddef.h>
#include <sys/mman.h>

#define MAP_LEN ((size_t)GW_TRAIN_SLAB * (GW_SLABS_RECEIVE + 1))

int gw_slabs_init(struct gw_slabs *slabs)
{
    *slabs = (struct gw_slabs){.used = GW_NEVER};
    void *map = mmap(NULL, MAP_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return GW_E_NOMEM;
    /* A huge page would make the first byte cost 2 MB. */
    madvise(map, MAP_LEN, MADV_NOHUGEPAGE);
    slabs->receive = map;
    slabs->send = slabs->receive + (size_t)GW_TRAIN_SLAB * GW_SLABS_RECEIVE;
    return 0;
}

void gw_slabs_fini(struct gw_slabs *slabs)
{
    if (slabs->receive)
        munmap(slabs->receive, MAP_LEN);
    *slabs = (struct gw_slabs){.used = GW_NEVER};
}

struct gw_mono gw_slabs_deadline(const struct gw_slabs *slabs)
{
    return slabs->is_resident ? gw_mono_add(slabs->used, GW_SLABS_IDLE) : GW_NEVER;
}

void gw_slabs_expire(struct gw_slabs *slabs, struct gw_mono now)
{
    if (!gw_mono_due(gw_slabs_deadline(slabs), now))
        return;
    madvise(slabs->receive, MAP_LEN, MADV_DONTNEED);
#ifdef __GLIBC__
    /* What the heap kept of busier times goes too. */
    malloc_trim(0);
#endif
    slabs->is_resident = false;
}
