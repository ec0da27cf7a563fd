/* SPDX-License-Identifier: MIT */
/* The state of the BBR-type controller: a model of the path (bandwidth, round trip, how much in flight is safe) and the machine that
 * probes it, after draft-ietf-ccwg-bbr (version 3). The rules, and where and why they differ from the draft, are in bbr.c; from
 * outside it is gw_cc_bbr of congestion.h, which holds this struct by value. Rates are bytes a second, volumes bytes. */
#ifndef GATEWAY_FLOW_BBR_H
#define GATEWAY_FLOW_BBR_H

#include "gateway/base/mono.h"

#include <stdbool.h>
#include <stdint.h>

enum gw_bbr_state {
    GW_BBR_STARTUP,   /* double the rate each round until it no longer helps */
    GW_BBR_DRAIN,     /* let the queue go that this built */
    GW_BBR_DOWN,      /* ProbeBW: below the path's rate, leave room for others */
    GW_BBR_CRUISE,    /* at the path's rate */
    GW_BBR_REFILL,    /* one round at it with the short-term bounds lifted */
    GW_BBR_UP,        /* above it: is there more? */
    GW_BBR_PROBE_RTT, /* half the window: is the round trip still that long? */
    GW_BBR_STATE_COUNT
};
extern const char *const gw_bbr_state_names[GW_BBR_STATE_COUNT];

/* Which acks tell about a probe: they come a round trip after it. */
enum gw_bbr_acks {
    GW_BBR_ACKS_NONE,
    GW_BBR_ACKS_REFILLING,
    GW_BBR_ACKS_STARTING,
    GW_BBR_ACKS_FEEDBACK,
    GW_BBR_ACKS_STOPPING
};

#define GW_BBR_INFINITE UINT64_MAX

/* What a loss episode overwrites, for the case that nothing was lost. */
struct gw_bbr_undo {
    unsigned unacked; /* packets declared lost in the round and not acked since; at 0 nothing was lost */
    bool is_valid, was_startup, was_up;
    uint64_t bw_lo, inflight_lo, inflight_hi;
};

struct gw_bbr {
    enum gw_bbr_state state;
    enum gw_bbr_acks acks;

    /* Packet-timed round trips. */
    uint64_t next_round_delivered, round_count, delivered; /* delivered: as of the last ACK */
    bool is_round_start;

    /* Bandwidth: maximum over this probe cycle and the one before; bound by bw_lo until the next probe. */
    uint64_t bw_filter[2], max_bw, bw_lo, bw;
    /* Round trip: minimum over 10 s, refreshed by ProbeRTT when the 5 s minimum expires. */
    int64_t min_rtt_ns, probe_rtt_min_ns; /* INT64_MAX: none yet */
    struct gw_mono min_rtt_at, probe_rtt_min_at, probe_rtt_done_at;
    bool is_probe_rtt_expired, has_probe_rtt_done, is_probe_rtt_round_done, is_probe_interrupted;
    /* Safe in flight: hi from losses while probing, lo from losses in between. */
    uint64_t inflight_hi, inflight_lo, max_inflight;

    /* Is the pipe full? */
    uint64_t full_bw;
    unsigned full_bw_rounds;
    bool is_full_now, is_full_reached;

    /* Congestion signals: of the round that runs, and of the one that was judged last. */
    uint64_t loss_round_delivered, bw_latest, inflight_latest;
    uint64_t lost_in_round, ce_in_round, acked_in_round;
    bool is_loss_round_start;

    /* Loss that stays when we slow down is not of our making: a floor under the tolerated rate, in parts of 65536. */
    uint32_t loss_floor;
    uint64_t cycle_lost, cycle_acked; /* while not probing, since the floor was looked at last */
    uint64_t first_cut_bw;            /* what was delivered when this cycle first cut; 0 = it has not */
    bool is_backed_off;               /* now well below that, since backed_off_round */
    uint64_t backed_off_round, backed_off_lost, backed_off_acked;

    /* The probe cycle. */
    struct gw_mono cycle_at;
    int64_t probe_wait_ns;
    uint64_t rounds_since_probe, drain_start_round;
    uint64_t up_acked, up_acked_per_mss;
    unsigned up_rounds;
    bool is_probe_sample, was_probe_too_high, was_probe_precautionary;

    /* How many more bytes than the bandwidth accounts for come acked at once: maximum over 10 rounds, in two halves. */
    uint64_t extra_acked[2], extra_acked_delivered;
    unsigned extra_acked_rounds;
    struct gw_mono extra_acked_from;

    uint64_t
        prior_cwnd; /* the last good one, outside of ProbeRTT and of what follows persistent congestion */
    bool is_idle_restart, is_collapsed;
    struct gw_mono collapsed_at;
    struct gw_bbr_undo undo;
};

#endif
