/* SPDX-License-Identifier: MIT */
/* How much the peer may send: one such for each stream and one for the session. The window starts small and
 * doubles only while the reader keeps up, so that memory goes where it makes things faster. */
#ifndef GATEWAY_FLOW_CREDIT_H
#define GATEWAY_FLOW_CREDIT_H

#include "gateway/base/mono.h"

#include <stdbool.h>
#include <stdint.h>

/* Both sides begin with these: constants of the protocol (docs/PROTOCOL.md "Streams"). */
#define GW_CREDIT_STREAM_INITIAL 65536u
#define GW_CREDIT_SESSION_INITIAL 262144u
#define GW_CREDIT_STREAMS_INITIAL 1024u

#define GW_CREDIT_STREAM_MAX (UINT64_C(16) << 20)
/* Below this the BDP does not matter: a turn of the loop alone brings as much. */
#define GW_CREDIT_FLOOR (UINT64_C(512) << 10)

struct gw_credit {
    uint64_t granted; /* the peer may send up to this offset */
    uint64_t window;
    /* How long does the reader take for half a window? */
    uint64_t mark; /* what it had consumed ... */
    struct gw_mono mark_at;
};

void gw_credit_init(struct gw_credit *credit, struct gw_mono now, uint64_t window);
/* The reader has taken everything up to `consumed`. Doubles the window (up to max_window) when half of it went
 * within 2 RTT, and grants it anew, in steps that are worth a frame: true = tell the peer. */
bool gw_credit_on_consumed(struct gw_credit *credit, struct gw_mono now, uint64_t consumed, int64_t rtt_ns,
                           uint64_t max_window);
/* The peer says that it stands still at our limit, though the reader takes all it gets: the window is too small
 * for the path (a loss was being repaired, say). Doubles it at once: true = tell the peer. */
bool gw_credit_on_blocked(struct gw_credit *credit, uint64_t consumed, uint64_t max_window);
/* The largest window of a stream: min(4 BDP, 1/8 of the budget, 16 MB). bdp 0 = unknown. */
uint64_t gw_credit_max_window(uint64_t bdp, uint64_t budget);

/* What the path delivers to us in a round trip, measured on what arrives: the larger of this round and a fading
 * past. */
struct gw_bdp {
    struct gw_mono round_at;
    uint64_t round_bytes, bytes;
};
void gw_bdp_received(struct gw_bdp *bdp, struct gw_mono now, uint64_t bytes, int64_t rtt_ns);

#endif
