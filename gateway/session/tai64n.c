/* SPDX-License-Identifier: MIT */
#include "gateway/session/tai64n.h"

#include "gateway/wire/cursor.h"

#define TAI64_BASE (UINT64_C(0x400000000000000a)) /* 1970-01-01 as TAI64, the 10 s of then included */
#define NS_PER_S 1000000000
#define WHITEN_MASK ((1 << 24) - 1)
#define FLOOR_MAX_S (INT64_C(1) << 40) /* 36,812 AD: a file that says more is damaged */
#define LEASE_S 600                    /* a lease reaches so far into the future */
#define LEASE_SPARE_S 120              /* a new one is asked for so long before the end */
#define LEASE_BEHIND_S 1 /* when the wall clock is behind what we gave: a thousand million timestamps */

static bool is_before(struct gw_wall a, struct gw_wall b)
{
    return a.s != b.s ? a.s < b.s : a.ns < b.ns;
}

static struct gw_wall later_of(struct gw_wall a, struct gw_wall b)
{
    return is_before(a, b) ? b : a;
}

static struct gw_wall plus_s(struct gw_wall t, int64_t s)
{
    return (struct gw_wall){t.s + s, t.ns};
}

static struct gw_wall plus_1ns(struct gw_wall t)
{
    return t.ns == NS_PER_S - 1 ? (struct gw_wall){t.s + 1, 0} : (struct gw_wall){t.s, t.ns + 1};
}

void gw_tai64n_init(struct gw_tai64n_clock *clock, struct gw_wall floor)
{
    *clock = (struct gw_tai64n_clock){0};
    gw_tai64n_set_floor(clock, floor);
}

void gw_tai64n_set_floor(struct gw_tai64n_clock *clock, struct gw_wall floor)
{
    if (floor.s < 0 || floor.s > FLOOR_MAX_S || floor.ns < 0 || floor.ns >= NS_PER_S)
        return;
    clock->last = later_of(clock->last, floor);
    clock->lease = later_of(clock->lease, floor);
}

/* Everything given must stay at or below what is saved, or asked to be. The lease follows the wall clock, never itself: a daemon that
 * crashes every second does not drive it into the far future. */
static void renew_lease(struct gw_tai64n_clock *clock, struct gw_wall wall)
{
    const bool is_over = is_before(clock->lease, clock->last);
    const bool is_near = is_before(clock->lease, plus_s(wall, LEASE_SPARE_S));

    if (!is_over && !is_near)
        return;
    clock->lease = later_of(plus_s(wall, LEASE_S), plus_s(clock->last, LEASE_BEHIND_S));
    clock->is_lease_due = true;
}

void gw_tai64n_next(struct gw_tai64n_clock *clock, struct gw_wall wall, uint8_t out[GW_TAI64N_LEN])
{
    wall.ns &= ~WHITEN_MASK;
    clock->last = later_of(wall, plus_1ns(clock->last));
    renew_lease(clock, wall);
    gw_store64_be(out, TAI64_BASE + (uint64_t)clock->last.s);
    gw_store32_be(out + 8, (uint32_t)clock->last.ns);
}

bool gw_tai64n_lease_due(const struct gw_tai64n_clock *clock, struct gw_wall *lease)
{
    *lease = clock->lease;
    return clock->is_lease_due;
}

void gw_tai64n_lease_saved(struct gw_tai64n_clock *clock, struct gw_wall lease)
{
    if (!is_before(lease, clock->lease))
        clock->is_lease_due = false;
}

struct gw_wall gw_tai64n_wall(const uint8_t stamp[GW_TAI64N_LEN])
{
    return (struct gw_wall){(int64_t)(gw_load64_be(stamp) - TAI64_BASE), (int32_t)gw_load32_be(stamp + 8)};
}
