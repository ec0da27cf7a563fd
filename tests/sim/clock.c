/* SPDX-License-Identifier: MIT */
/* A binary heap of embedded events ordered by (time, sequence). */
#include "tests/sim/clock.h"

#include <stdlib.h>

void sim_clock_init(struct sim_clock *clock)
{
    *clock = (struct sim_clock){.now = {GW_S(3600)}};
}

void sim_clock_fini(struct sim_clock *clock)
{
    free(clock->heap);
    *clock = (struct sim_clock){.now = clock->now};
}

static bool is_earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->sequence < b->sequence;
}

static void put(struct sim_clock *clock, size_t i, struct sim_event *event)
{
    clock->heap[i] = event;
    event->slot = i + 1;
}

static void sift_up(struct sim_clock *clock, size_t i, struct sim_event *event)
{
    while (i > 0 && is_earlier(event, clock->heap[(i - 1) / 2])) {
        put(clock, i, clock->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(clock, i, event);
}

static void sift_down(struct sim_clock *clock, size_t i, struct sim_event *event)
{
    for (size_t child; (child = 2 * i + 1) < clock->len; i = child) {
        if (child + 1 < clock->len && is_earlier(clock->heap[child + 1], clock->heap[child]))
            child++;
        if (!is_earlier(clock->heap[child], event))
            break;
        put(clock, i, clock->heap[child]);
    }
    put(clock, i, event);
}

void sim_clock_cancel(struct sim_clock *clock, struct sim_event *event)
{
    if (event->slot == 0)
        return;
    size_t i = event->slot - 1;
    event->slot = 0;
    struct sim_event *last = clock->heap[--clock->len];
    if (last == event)
        return;
    if (i > 0 && is_earlier(last, clock->heap[(i - 1) / 2]))
        sift_up(clock, i, last);
    else
        sift_down(clock, i, last);
}

void sim_clock_at(struct sim_clock *clock, struct sim_event *event, struct gw_mono at)
{
    sim_clock_cancel(clock, event);
    if (gw_mono_is_never(at))
        return;
    if (clock->len == clock->cap) {
        clock->cap = clock->cap ? clock->cap * 2 : 64;
        clock->heap = realloc(clock->heap, clock->cap * sizeof *clock->heap);
        if (!clock->heap)
            abort();
    }
    event->at = gw_mono_max(at, clock->now);
    event->sequence = clock->sequence++;
    sift_up(clock, clock->len++, event);
}

bool sim_clock_step(struct sim_clock *clock, struct gw_mono until)
{
    if (clock->len == 0 || gw_mono_before(until, clock->heap[0]->at)) {
        clock->now = gw_mono_max(clock->now, until);
        return false;
    }
    struct sim_event *event = clock->heap[0];
    sim_clock_cancel(clock, event);
    clock->now = event->at;
    event->fire(clock, event);
    return true;
}

void sim_clock_run(struct sim_clock *clock, struct gw_mono until)
{
    while (sim_clock_step(clock, until))
        ;
}
