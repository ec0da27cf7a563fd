/* SPDX-License-Identifier: MIT */
/* Delivery rate estimation (draft-cheng-iccrg-delivery-rate-estimation; in draft-ietf-ccwg-bbr section 4.1): how fast did bytes arrive
 * at the peer between the sending of a packet and its ack? Each packet carries a stamp of the connection's state when it
 * was sent; the newest packet of an ACK gives one sample. Used by whoever keeps sent packets (recovery.c), read by gw_cc_ops.on_ack.
 *
 * Order: gw_rate_on_sent for each ack-eliciting packet; for each ACK gw_rate_on_lost and gw_rate_on_acked for every packet concerned, then
 * gw_rate_finish once. A probe or a packet without data counts like any other as long as it counts in inflight. */
#ifndef GATEWAY_FLOW_RATESAMPLE_H
#define GATEWAY_FLOW_RATESAMPLE_H

#include "gateway/base/mono.h"
#include "gateway/flow/congestion.h"

#include <stdbool.h>
#include <stdint.h>

/* A deadline served this much too late is a stall of our own loop. */
#define GW_RATE_STALL_NS GW_MS(5)

/* Kept with each sent packet until it is acked or forgotten. */
struct gw_rate_stamp {
    uint64_t delivered;          /* total acked when it was sent */
    struct gw_mono delivered_at; /* when that total was reached */
    struct gw_mono
        first_sent_at; /* when the packet that had last been acked was sent: the sending interval's start */
    uint64_t tx_inflight; /* inflight including it */
    uint64_t lost;        /* total lost when it was sent */
    bool is_app_limited;
};

struct gw_rate {
    uint64_t delivered, lost; /* totals since the start */
    struct gw_mono delivered_at, first_sent_at;
    uint64_t app_limited_until; /* samples are app-limited until delivered passes this; 0 = they are not */
    struct gw_mono stalled_at;  /* end of the last stall of our loop; INT64_MIN before any */
    /* The newest packet acked since the last gw_rate_finish. */
    bool has_newest;
    struct gw_rate_stamp newest;
    struct gw_mono newest_sent_at;
};

void gw_rate_init(struct gw_rate *rate, struct gw_mono now);
/* Fills the stamp of a packet of `bytes` sent now; prior_inflight is without it. */
void gw_rate_on_sent(struct gw_rate *rate, struct gw_mono now, uint64_t bytes, uint64_t prior_inflight,
                     struct gw_rate_stamp *stamp);
/* A packet is declared lost. Returns the total lost since that packet was sent, itself included: `lost_since_sent` of gw_cc_ops.on_lost. */
uint64_t gw_rate_on_lost(struct gw_rate *rate, uint64_t bytes, const struct gw_rate_stamp *stamp);
/* A packet in flight is acked by the ACK being processed. One that was declared lost before is given too, if its stamp is still there. */
void gw_rate_on_acked(struct gw_rate *rate, struct gw_mono now, uint64_t bytes, struct gw_mono sent_at,
                      const struct gw_rate_stamp *stamp);
/* After the last packet of an ACK: fills delivered, largest_acked_delivered, largest_sent_at, tx_inflight, lost_since_sent, delivery_rate and
 * is_app_limited of `out`. min_rtt_ns: 0 = unknown; an interval shorter than that is no sample (delivery_rate 0). */
void gw_rate_finish(struct gw_rate *rate, struct gw_mono now, int64_t min_rtt_ns, struct gw_cc_ack *out);

/* The sender has nothing to send and neither window nor pacer hold it (nor has it losses to repair): what is in flight now and until it
 * is acked does not show what the path could do. Call when an output turn ends that way. */
void gw_rate_app_limited(struct gw_rate *rate, uint64_t inflight);
/* Is the next packet's stamp going to be app-limited? For gw_cc_ops.on_sent. */
bool gw_rate_is_app_limited(const struct gw_rate *rate);
/* A deadline of this connection (pacer, loss, ack) that was due at `due` is served now. If that is later than
 * GW_RATE_STALL_NS, our loop stood still: what is in flight then can raise the estimate but never lower it or show that the path is full. */
void gw_rate_served(struct gw_rate *rate, struct gw_mono due, struct gw_mono now);

#endif
