/* SPDX-License-Identifier: MIT */
/* Virtual time for tests: a clock that stands still but for its events, which fire in the order (time, the order in which they
 * were scheduled). Nothing depends on addresses or on the machine, so a run is repeated exactly by repeating its seed. */
#ifndef TESTS_SIM_CLOCK_H
#define TESTS_SIM_CLOCK_H

#include "gateway/base/mono.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_clock;

/* Embedded in its owner; zeroed means not scheduled. */
struct sim_event {
    struct gw_mono at;
    uint64_t sequence;
    size_t slot; /* place in the heap + 1; 0 = not scheduled */
    void (*fire)(struct sim_clock *clock,
                 struct sim_event *event); /* may schedule, cancel or free the event */
};

struct sim_clock {
    struct gw_mono now;
    uint64_t sequence;
    struct sim_event **heap;
    size_t len, cap;
};

/* Starts at one hour, so that nothing works only because an instant is 0. */
void sim_clock_init(struct sim_clock *clock);
/* Frees the queue, never the events. */
void sim_clock_fini(struct sim_clock *clock);
/* Fires `event` at `at`, or now if that is past; moves it if it was scheduled already; GW_NEVER cancels. Aborts without memory. */
void sim_clock_at(struct sim_clock *clock, struct sim_event *event, struct gw_mono at);
void sim_clock_cancel(struct sim_clock *clock, struct sim_event *event);
/* Fires the next event that is due until `until`; without one, now = until and false. */
bool sim_clock_step(struct sim_clock *clock, struct gw_mono until);
/* Fires them all. */
void sim_clock_run(struct sim_clock *clock, struct gw_mono until);

/* The simulator's own dice (SplitMix64): fast, from a 64-bit seed, without a library. */
struct sim_dice {
    uint64_t state;
};
static inline uint64_t sim_dice_u64(struct sim_dice *dice)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
/* Uniform in [0, 1). */
static inline double sim_dice_unit(struct sim_dice *dice)
{
    return (double)(sim_dice_u64(dice) >> 11) * 0x1p-53;
}

#endif
