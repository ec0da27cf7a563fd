/* SPDX-License-Identifier: MIT */
/* The sending half of acknowledgement: round-trip times, which packets are acked, which are lost (RACK: RFC 8985,
 * section 6) and when to probe (TLP and PTO: RFC 8985 section 7, RFC 9002 section 6.2). Tells congestion control
 * what happened and its owner what to send again; sends nothing itself. */
#ifndef GATEWAY_FLOW_RECOVERY_H
#define GATEWAY_FLOW_RECOVERY_H

#include "gateway/flow/ack.h"
#include "gateway/flow/congestion.h"
#include "gateway/flow/ratesample.h"
#include "gateway/flow/sent.h"

/* Called for what a packet carried. The item is forgotten after on_acked and on_forgotten, not after on_lost. */
struct gw_recovery_events {
    void (*on_acked)(void *ctx, const struct gw_sent_item *item);
    void (*on_lost)(void *ctx, const struct gw_sent_item *item);
    /* It will never be known whether it arrived. */
    void (*on_forgotten)(void *ctx, const struct gw_sent_item *item);
    /* Frames of the session in a lost packet. */
    void (*on_controls_lost)(void *ctx, uint8_t controls);
    /* The peer saw our ACK of this number. */
    void (*on_ack_seen)(void *ctx, uint64_t largest);
    void *ctx;
};

struct gw_recovery {
    struct gw_sent sent;
    struct gw_rate rate;
    struct gw_cc *cc;
    const struct gw_recovery_events *events;

    int64_t srtt_ns, rttvar_ns, min_rtt_ns, latest_rtt_ns; /* 0 = no sample on this path yet */
    int64_t rtt_hint_ns;
    uint64_t path_first;  /* packets below left on another path: no samples, not in inflight */
    bool is_after_outage; /* path_first is where it ended, and there is no sample since */

    uint64_t inflight;    /* bytes */
    uint64_t outstanding; /* packets neither acked nor lost */
    bool has_acked, is_cwnd_limited;
    uint64_t largest_acked;
    uint64_t peer_ce_count;

    /* RACK: the packet sent last of those that are acked; numbers are in the order of sending. */
    uint64_t rack_number;
    uint64_t scan_from;     /* nothing below is outstanding */
    struct gw_mono loss_at; /* when the next packet will be declared lost; GW_NEVER */
    unsigned window_factor; /* reordering window in quarters of min_rtt */
    unsigned calm_rounds;   /* recoveries since the last spurious loss */

    unsigned pto_count;
    unsigned backs; /* since the last ack: so often was asked anew because the peer was heard again */
    struct gw_mono last_sent_at;

    /* Persistent congestion (RFC 9002, 7.6): when the first packet of the present run of losses was sent. */
    bool has_loss_run;
    struct gw_mono loss_run_at;

    uint64_t lost, spurious;
    uint32_t full_bytes; /* a packet of so many or more is one that the path's size matters to; 0 = none */
    uint64_t full_acked; /* those that were acked */
};

void gw_recovery_init(struct gw_recovery *recovery, struct gw_cc *cc, const struct gw_recovery_events *events,
                      struct gw_mono now);
void gw_recovery_fini(struct gw_recovery *recovery);
/* Another path: RTT and inflight begin anew. The congestion controller's restart is the owner's. */
void gw_recovery_new_path(struct gw_recovery *recovery, struct gw_mono now, int64_t rtt_hint_ns);

/* The packet of gw_sent_begin leaves as a datagram of `bytes`. */
void gw_recovery_on_sent(struct gw_recovery *recovery, struct gw_mono now, struct gw_sent_packet *packet,
                         uint32_t bytes);
/* 0 or GW_E_MALFORMED (acks what was never sent). */
int gw_recovery_on_ack(struct gw_recovery *recovery, struct gw_mono now, const struct gw_ack *ack);

/* The earliest of the loss and probe timers. */
struct gw_mono gw_recovery_deadline(const struct gw_recovery *recovery);
/* Serves what is due; returns how many probes are to be sent now: packets that the window does not hold. */
unsigned gw_recovery_expire(struct gw_recovery *recovery, struct gw_mono now);
/* For a probe without anything new to carry: reports the oldest outstanding packet's frames as lost, so that they
 * are sent again. false: there was none. */
bool gw_recovery_repeat_oldest(struct gw_recovery *recovery);
/* Forgets lost packets that are too old to be acked still. */
void gw_recovery_forget(struct gw_recovery *recovery, struct gw_mono now);

/* The best guess: measured, hinted, or 100 ms. */
int64_t gw_recovery_rtt(const struct gw_recovery *recovery);
/* How long the ack of a lone packet may wait; the peer does the same with its view of the RTT. */
int64_t gw_recovery_ack_delay(int64_t rtt_ns);

#endif
