/* SPDX-License-Identifier: MIT */
/* Congestion control behind an interface: told of every packet sent, acked and lost, it answers with a window and a pacing rate. CUBIC (RFC 9438)
 * and a BBR-type one (after draft-ietf-ccwg-bbr, v3: bandwidth and min-RTT model bounded by loss and ECN) for links that lose packets
 * without being full. Delivery-rate samples come from ratesample.h (draft-cheng-iccrg-delivery-rate-estimation). */
#ifndef GATEWAY_FLOW_CONGESTION_H
#define GATEWAY_FLOW_CONGESTION_H

#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "gateway/flow/bbr.h"
#include "gateway/flow/cubic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gw_cc_kind { GW_CC_BBR = 0, GW_CC_CUBIC = 1 };

/* What one received ACK frame said, after loss detection ran on it. Bytes are datagram bytes. */
struct gw_cc_ack {
    struct gw_mono now;
    uint64_t acked;          /* newly acked bytes */
    uint64_t lost;           /* newly declared lost bytes */
    uint64_t inflight;       /* after both */
    uint64_t prior_inflight; /* before both */
    uint64_t delivered;      /* total ever acked */
    uint64_t
        largest_acked_delivered; /* the `delivered` stamp of the newest packet acked now: one round trip has passed when >= round mark */
    uint64_t tx_inflight;     /* inflight when that packet was sent */
    uint64_t lost_since_sent; /* total lost now minus the `lost` stamp of that packet */
    int64_t rtt_ns;           /* sample, 0 = none */
    int64_t min_rtt_ns, srtt_ns;
    uint64_t delivery_rate;         /* bytes a second, 0 = no valid sample */
    bool is_app_limited;            /* the sample was */
    bool is_cwnd_limited;           /* the sender was held by the window since the last ack */
    uint64_t ce_acked;              /* newly acked bytes that the peer reported CE-marked (approximate) */
    struct gw_mono largest_sent_at; /* when the newest packet acked now was sent */
};

struct gw_cc;
struct gw_cc_ops {
    const char *name;
    void (*init)(struct gw_cc *cc, struct gw_mono now);
    /* inflight: with this packet. */
    void (*on_sent)(struct gw_cc *cc, struct gw_mono now, uint64_t bytes, uint64_t inflight,
                    bool is_app_limited);
    void (*on_ack)(struct gw_cc *cc, const struct gw_cc_ack *ack);
    /* A packet was declared lost; sent_at tells which recovery epoch it belongs to. Called before on_ack of the same ACK. */
    void (*on_lost)(struct gw_cc *cc, struct gw_mono now, uint64_t bytes, struct gw_mono sent_at,
                    uint64_t inflight, uint64_t tx_inflight, uint64_t lost_since_sent);
    void (*on_persistent_congestion)(struct gw_cc *cc, struct gw_mono now);
    /* A packet that was declared lost was acked after all; called for each. */
    void (*on_spurious_loss)(struct gw_cc *cc, struct gw_mono now);
};

/* Both algorithms' state lies in one struct so that a mux holds it without an allocation. */
struct gw_cc {
    const struct gw_cc_ops *ops;
    uint64_t cwnd;        /* bytes allowed in flight, always >= 2 * mss */
    uint64_t pacing_rate; /* bytes a second; 0 = do not pace yet */
    uint64_t mss;         /* bytes of a full datagram */
    uint64_t
        train; /* bytes of a full train (set by gw_cc_init, may be changed): BBR's inflight allowance is at least 3 quanta of the pacer */
    bool
        is_shared; /* others wait behind what is in flight (set by the owner; true at first): BBR keeps little more than need there */
    struct gw_random *random;
    union {
        struct gw_cubic cubic;
        struct gw_bbr bbr;
    } state;
};

/* The start of a connection or of another path: the initial window, nothing known. random is borrowed for life. */
void gw_cc_init(struct gw_cc *cc, enum gw_cc_kind kind, uint64_t mss, struct gw_mono now,
                struct gw_random *random);
extern const struct gw_cc_ops gw_cc_cubic, gw_cc_bbr;

#endif
