/* SPDX-License-Identifier: MIT */
/* Deadlines: a min-heap of deadlines embedded in the objects that own them. Every object has one deadline,
 * recomputed when its state changes; the loop sleeps to the earliest. Order is (time, order of arming), so
 * that a simulation is the same on every run. Not thread-safe; one heap an engine. */
#ifndef GATEWAY_BASE_DEADLINE_H
#define GATEWAY_BASE_DEADLINE_H

#include "gateway/base/mono.h"

#include <stddef.h>
#include <stdint.h>

struct gw_deadline;
struct gw_deadlines;

/* Called by gw_deadlines_expire with the deadline already disarmed; may arm it (or any other) again, disarm
 * others, and may free the object. */
typedef void gw_deadline_fn(struct gw_deadline *deadline, struct gw_mono now);

struct gw_deadline {
    struct gw_mono at;      /* GW_NEVER while disarmed */
    uint64_t seq;           /* order of arming, breaks ties */
    size_t slot;            /* place in the heap + 1; 0 while disarmed */
    gw_deadline_fn *expire; /* set by gw_deadline_init */
};

struct gw_deadlines {
    struct gw_deadline **heap;
    size_t len, cap;
    size_t reserved; /* gw_deadlines_reserve minus gw_deadlines_release; len <= reserved <= cap */
    uint64_t next_seq;
    struct gw_mono floor; /* while gw_deadlines_expire runs, its `now`: nothing is armed for earlier */
};

void gw_deadlines_init(struct gw_deadlines *heap);
/* Frees the heap's array; every deadline in it is disarmed. */
void gw_deadlines_fini(struct gw_deadlines *heap);

void gw_deadline_init(struct gw_deadline *deadline, gw_deadline_fn *expire);
/* Makes room for one more armed deadline, so that gw_deadline_arm cannot fail: call it once for each
 * gw_deadline_init (0, or GW_E_NOMEM), and gw_deadlines_release when the object dies, after
 * gw_deadline_disarm. */
int gw_deadlines_reserve(struct gw_deadlines *heap);
void gw_deadlines_release(struct gw_deadlines *heap);

/* (Re)arms for `at`; GW_NEVER disarms. O(log n); nothing happens if it is armed for `at` already. Called from
 * an expire callback for a time before that callback's `now`, it arms for `now`. */
void gw_deadline_arm(struct gw_deadlines *heap, struct gw_deadline *deadline, struct gw_mono at);
void gw_deadline_disarm(struct gw_deadlines *heap, struct gw_deadline *deadline);

/* The earliest, or GW_NEVER. */
struct gw_mono gw_deadlines_next(const struct gw_deadlines *heap);
/* Runs what is due at `now`, earliest first; what is armed for <= now meanwhile runs in the next call, so
 * this ends. Not called from a callback. */
void gw_deadlines_expire(struct gw_deadlines *heap, struct gw_mono now);

#endif
