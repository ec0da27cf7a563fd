/* SPDX-License-Identifier: MIT */
/* The receiving half of acknowledgement: which packet numbers arrived, when it is time to say so, and the ACK frame's
 * encoding both ways. What an ACK means to the sender is recovery.h's. */
#ifndef GATEWAY_FLOW_ACK_H
#define GATEWAY_FLOW_ACK_H

#include "gateway/base/mono.h"
#include "gateway/flow/ranges.h"
#include "gateway/wire/cursor.h"

#include <stdbool.h>
#include <stdint.h>

/* Ranges kept and sent at most; of more gaps than that the oldest are forgotten. */
#define GW_ACK_RANGES_MAX 64u
/* A lone packet's ack never waits longer. */
#define GW_ACK_DELAY_MAX_NS GW_MS(25)
#define GW_ACK_DELAY_MIN_NS GW_MS(1)

struct gw_acker {
    struct gw_ranges received;
    uint64_t floor;            /* all below counts as received: forgotten */
    struct gw_mono largest_at; /* when the largest number arrived */
    uint64_t ce_count;
    uint32_t pending; /* packets since the last ACK frame */
    bool is_urgent;
    struct gw_mono due; /* of the delayed ack; GW_NEVER */
};

void gw_acker_init(struct gw_acker *acker);
void gw_acker_fini(struct gw_acker *acker);

/* RFC 9000, A.3: the number whose low `len` bytes (1..4) are `truncated`. */
uint64_t gw_acker_expand(const struct gw_acker *acker, uint32_t truncated, unsigned len);
/* Was it received, or is it so old that nobody knows? */
bool gw_acker_has(const struct gw_acker *acker, uint64_t number);
/* A new packet arrived whole. Out of order or CE-marked: the ACK becomes urgent. 0, or GW_E_NOMEM: as if it had
 * not come. */
int gw_acker_add(struct gw_acker *acker, struct gw_mono now, uint64_t number, bool is_ce);
/* Something in this packet wants its ack at once (FIN, RESET). */
static inline void gw_acker_urge(struct gw_acker *acker)
{
    acker->is_urgent = true;
}
/* The end of an input turn: two packets make the ACK urgent, one waits for delay_ns (0: does not). */
void gw_acker_end_turn(struct gw_acker *acker, struct gw_mono now, int64_t delay_ns);
static inline bool gw_acker_is_due(const struct gw_acker *acker, struct gw_mono now)
{
    return acker->is_urgent || gw_mono_due(acker->due, now);
}
/* The delay of a lone packet's ack may be over: then it is urgent, and there is nothing to wait for any more, though
 * nobody pulls it for a while. */
static inline void gw_acker_expire(struct gw_acker *acker, struct gw_mono now)
{
    if (!gw_mono_due(acker->due, now))
        return;
    acker->is_urgent = true;
    acker->due = GW_NEVER;
}
/* Writes the body of an ACK frame with as many ranges as fit into w, newest first; false: not even one. */
bool gw_acker_encode(const struct gw_acker *acker, struct gw_mono now, struct gw_writer *w);
/* An ACK frame with everything up to `largest` left. */
void gw_acker_sent(struct gw_acker *acker);
/* The peer has seen our ACK of `largest`: older numbers need not be told again. */
void gw_acker_seen(struct gw_acker *acker, uint64_t largest);
/* The largest number received; only if something was (received.len > 0). */
static inline uint64_t gw_acker_largest(const struct gw_acker *acker)
{
    return acker->received.list[acker->received.len - 1].end - 1;
}

/* An ACK frame as received. */
struct gw_ack {
    int64_t delay_ns;
    uint64_t ce_count;
    unsigned count;                            /* >= 1 */
    struct gw_range ranges[GW_ACK_RANGES_MAX]; /* descending, disjoint */
};
/* 0 or GW_E_MALFORMED. */
int gw_ack_decode(struct gw_ack *out, struct gw_view body);

/* Bytes that a number is sent with. Not what RFC 9000, A.2 says: there a packet that comes so late that its number is
 * expanded wrongly fails to decrypt, here it would count as one that was never sent. How late that is no replay window
 * bounds, since the key pair before the current one has its own; but its age does, and 2^31 packets take longer. */
#define GW_NUMBER_LEN 4u

#endif
