/* SPDX-License-Identifier: MIT */
/* Time. A monotonic instant and a wall-clock instant are different struct types, so that mixing them up does
 * not compile; durations are int64_t nanoseconds in variables named `_ns`. The engine never reads a clock:
 * `now` is a parameter. Wall time serves TAI64N and expiry dates only (docs/PROTOCOL.md). */
#ifndef GATEWAY_BASE_MONO_H
#define GATEWAY_BASE_MONO_H

#include <stdbool.h>
#include <stdint.h>

#define GW_US(n) (1000 * (int64_t)(n))
#define GW_MS(n) (1000000 * (int64_t)(n))
#define GW_S(n) (1000000000 * (int64_t)(n))

/* Nanoseconds since an arbitrary start (CLOCK_BOOTTIME in the daemon: it runs on through sleep). */
struct gw_mono {
    int64_t ns;
};

/* Seconds and nanoseconds since 1970-01-01 UTC; may jump either way. */
struct gw_wall {
    int64_t s;
    int32_t ns;
};

#define GW_NEVER ((struct gw_mono){INT64_MAX})

static inline bool gw_mono_is_never(struct gw_mono t)
{
    return t.ns == INT64_MAX;
}

/* t + duration (which may be negative); saturates at GW_NEVER and at the earliest instant. GW_NEVER stays. */
static inline struct gw_mono gw_mono_add(struct gw_mono t, int64_t dur_ns)
{
    int64_t sum;
    if (gw_mono_is_never(t))
        return GW_NEVER;
    if (__builtin_add_overflow(t.ns, dur_ns, &sum))
        return dur_ns < 0 ? (struct gw_mono){INT64_MIN} : GW_NEVER;
    return (struct gw_mono){sum};
}

/* a - b in nanoseconds. Neither may be GW_NEVER. */
static inline int64_t gw_mono_sub(struct gw_mono a, struct gw_mono b)
{
    return a.ns - b.ns;
}

/* a < b */
static inline bool gw_mono_before(struct gw_mono a, struct gw_mono b)
{
    return a.ns < b.ns;
}

/* at <= now: is it due? */
static inline bool gw_mono_due(struct gw_mono at, struct gw_mono now)
{
    return at.ns <= now.ns;
}

static inline struct gw_mono gw_mono_min(struct gw_mono a, struct gw_mono b)
{
    return a.ns < b.ns ? a : b;
}
static inline struct gw_mono gw_mono_max(struct gw_mono a, struct gw_mono b)
{
    return a.ns > b.ns ? a : b;
}

#endif
