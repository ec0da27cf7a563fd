/* SPDX-License-Identifier: MIT */
/* The sliding window against replay (RFC 6479): which counters of a key pair were seen. Checked before, moved only
 * after the tag verified. */
#ifndef GATEWAY_SESSION_REPLAY_H
#define GATEWAY_SESSION_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define GW_REPLAY_BITS 8192u /* a power of two; the window is GW_REPLAY_BITS - 64 counters */

struct gw_replay {
    uint64_t next; /* highest counter seen + 1 */
    uint64_t bitmap[GW_REPLAY_BITS / 64];
};

void gw_replay_init(struct gw_replay *replay);
/* Could this counter be new? Changes nothing. */
bool gw_replay_is_fresh(const struct gw_replay *replay, uint64_t counter);
/* Marks it seen; false when it was seen already or is too old. *is_highest (may be NULL): it is above all before it. */
bool gw_replay_accept(struct gw_replay *replay, uint64_t counter, bool *is_highest);

#endif
