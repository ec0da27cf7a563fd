/* SPDX-License-Identifier: MIT */
/* The heap behind gateway/base/deadline.h: a binary min-heap of pointers, each deadline knowing its place, so
 * that re-arming and disarming need no search. */
#include "gateway/base/deadline.h"

#include "gateway/base/err.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_CAP 8

/* While nothing expires: every time may be armed. */
#define NO_FLOOR ((struct gw_mono){INT64_MIN})

static bool is_armed(const struct gw_deadline *deadline)
{
    return deadline->slot != 0;
}

static bool is_earlier(const struct gw_deadline *a, const struct gw_deadline *b)
{
    return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->seq < b->seq;
}

static void put(struct gw_deadlines *heap, size_t i, struct gw_deadline *deadline)
{
    heap->heap[i] = deadline;
    deadline->slot = i + 1;
}

/* Both sifts move a hole, not the deadline: one write a level. */
static void sift_up(struct gw_deadlines *heap, size_t i, struct gw_deadline *deadline)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!is_earlier(deadline, heap->heap[parent]))
            break;
        put(heap, i, heap->heap[parent]);
        i = parent;
    }
    put(heap, i, deadline);
}

static void sift_down(struct gw_deadlines *heap, size_t i, struct gw_deadline *deadline)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->len)
            break;
        if (child + 1 < heap->len && is_earlier(heap->heap[child + 1], heap->heap[child]))
            child++;
        if (!is_earlier(heap->heap[child], deadline))
            break;
        put(heap, i, heap->heap[child]);
        i = child;
    }
    put(heap, i, deadline);
}

/* Puts a deadline whose time changed, or which takes another's place, where it belongs. */
static void settle(struct gw_deadlines *heap, size_t i, struct gw_deadline *deadline)
{
    if (i > 0 && is_earlier(deadline, heap->heap[(i - 1) / 2]))
        sift_up(heap, i, deadline);
    else
        sift_down(heap, i, deadline);
}

void gw_deadlines_init(struct gw_deadlines *heap)
{
    *heap = (struct gw_deadlines){.floor = NO_FLOOR};
}

void gw_deadlines_fini(struct gw_deadlines *heap)
{
    for (size_t i = 0; i < heap->len; i++) {
        heap->heap[i]->slot = 0;
        heap->heap[i]->at = GW_NEVER;
    }
    free(heap->heap);
    gw_deadlines_init(heap);
}

void gw_deadline_init(struct gw_deadline *deadline, gw_deadline_fn *expire)
{
    *deadline = (struct gw_deadline){.at = GW_NEVER, .expire = expire};
}

int gw_deadlines_reserve(struct gw_deadlines *heap)
{
    if (heap->reserved == heap->cap) {
        size_t cap = heap->cap == 0 ? FIRST_CAP : 2 * heap->cap;
        struct gw_deadline **grown = realloc(heap->heap, cap * sizeof *grown);
        if (grown == NULL)
            return GW_E_NOMEM;
        heap->heap = grown;
        heap->cap = cap;
    }
    heap->reserved++;
    return 0;
}

void gw_deadlines_release(struct gw_deadlines *heap)
{
    assert(heap->reserved > heap->len || heap->len == 0); /* disarm first */
    assert(heap->reserved > 0);
    heap->reserved--;
}

void gw_deadline_arm(struct gw_deadlines *heap, struct gw_deadline *deadline, struct gw_mono at)
{
    if (gw_mono_is_never(at)) {
        gw_deadline_disarm(heap, deadline);
        return;
    }
    at = gw_mono_max(at, heap->floor);
    if (is_armed(deadline) && deadline->at.ns == at.ns)
        return;
    deadline->at = at;
    deadline->seq = heap->next_seq++;
    if (is_armed(deadline)) {
        settle(heap, deadline->slot - 1, deadline);
        return;
    }
    assert(heap->len < heap->reserved);
    sift_up(heap, heap->len++, deadline);
}

void gw_deadline_disarm(struct gw_deadlines *heap, struct gw_deadline *deadline)
{
    if (!is_armed(deadline))
        return;
    size_t hole = deadline->slot - 1;
    assert(hole < heap->len && heap->heap[hole] == deadline);
    deadline->slot = 0;
    deadline->at = GW_NEVER;
    struct gw_deadline *last = heap->heap[--heap->len];
    if (last != deadline)
        settle(heap, hole, last);
}

struct gw_mono gw_deadlines_next(const struct gw_deadlines *heap)
{
    return heap->len > 0 ? heap->heap[0]->at : GW_NEVER;
}

void gw_deadlines_expire(struct gw_deadlines *heap, struct gw_mono now)
{
    /* What a callback arms gets a later seq and, through the floor, no earlier time than what is due already:
     * it sorts behind all of that, and meeting it means that this round is over. */
    uint64_t first_new = heap->next_seq;
    assert(heap->floor.ns == INT64_MIN); /* callbacks do not call this */
    heap->floor = now;
    while (heap->len > 0) {
        struct gw_deadline *deadline = heap->heap[0];
        if (!gw_mono_due(deadline->at, now) || deadline->seq >= first_new)
            break;
        gw_deadline_disarm(heap, deadline);
        deadline->expire(deadline, now);
    }
    heap->floor = NO_FLOOR;
}
