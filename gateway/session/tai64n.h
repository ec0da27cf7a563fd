/* SPDX-License-Identifier: MIT */
/* TAI64N timestamps of initiations (WireGuard paper 5.1): a peer refuses one that is not greater than the last it saw, for ever. So
 * ours never go back, whatever the wall clock does: max(wall, last + 1 ns), and across restarts a *lease*, a time in the future that the
 * daemon keeps in its state folder; the next run starts above it. One clock for each gateway. docs/PROTOCOL.md "Sessions: the handshake". */
#ifndef GATEWAY_SESSION_TAI64N_H
#define GATEWAY_SESSION_TAI64N_H

#include "gateway/base/mono.h"

#define GW_TAI64N_LEN 12u

struct gw_tai64n_clock {
    struct gw_wall last;  /* the greatest ever given */
    struct gw_wall lease; /* what is saved, or asked to be: everything given is at or below it */
    bool is_lease_due;
};

/* floor: the lease that the last run saved; {0, 0} when there is none. */
void gw_tai64n_init(struct gw_tai64n_clock *clock, struct gw_wall floor);
/* Raises the floor of a running clock (the state folder was read late). No time at all (ns >= 10^9, year 36,812) is ignored. */
void gw_tai64n_set_floor(struct gw_tai64n_clock *clock, struct gw_wall floor);
/* The next timestamp, greater than every one before. The wall clock's nanoseconds are cut to 2^24 (17 ms), as others do,
 * so that an initiation tells strangers little about our clock. */
void gw_tai64n_next(struct gw_tai64n_clock *clock, struct gw_wall wall, uint8_t out[GW_TAI64N_LEN]);
/* Is a new lease to be saved? *lease is the value, until gw_tai64n_lease_saved. Changes every 8 minutes at most. */
bool gw_tai64n_lease_due(const struct gw_tai64n_clock *clock, struct gw_wall *lease);
void gw_tai64n_lease_saved(struct gw_tai64n_clock *clock, struct gw_wall lease);

/* The wall time of a timestamp from elsewhere, for messages and statistics. */
struct gw_wall gw_tai64n_wall(const uint8_t stamp[GW_TAI64N_LEN]);

#endif
