/* SPDX-License-Identifier: MIT */
/* CUBIC's state (RFC 9438), with HyStart++ (RFC 9406) in slow start. The rules are in cubic.c; from outside it is gw_cc_cubic of
 * congestion.h, which holds this struct by value. Windows are bytes. */
#ifndef GATEWAY_FLOW_CUBIC_H
#define GATEWAY_FLOW_CUBIC_H

#include "gateway/base/mono.h"

#include <stdbool.h>
#include <stdint.h>

/* What one congestion event overwrites, kept until the next one for the case that it was none. */
struct gw_cubic_undo {
    unsigned unacked; /* packets declared lost in the episode and not acked since; at 0 nothing was lost */
    bool is_valid;
    uint64_t cwnd, ssthresh;
    double w_max, w_est, k_s, prior_cwnd;
    struct gw_mono epoch_start;
    bool has_epoch;
};

struct gw_cubic {
    uint64_t ssthresh; /* UINT64_MAX before the first congestion event */
    /* Congestion avoidance: W_cubic(t) = C * (t - K)^3 + W_max, in segments and seconds. */
    bool has_epoch;
    struct gw_mono epoch_start;
    double w_max, w_est, k_s,
        prior_cwnd;   /* segments; K in seconds; prior_cwnd: the window before the last event */
    double cwnd_rest; /* fraction of a byte that cwnd is still owed */
    /* A congestion event reacts once to what was sent before it. */
    bool has_recovery;
    struct gw_mono recovery_start;
    /* HyStart++: the smallest RTT of this round and of the last. */
    int64_t round_min_rtt_ns, last_min_rtt_ns, css_baseline_ns;
    uint32_t round_samples, css_rounds;
    bool is_css;        /* conservative slow start */
    uint64_t round_end; /* `delivered` mark at which this round ends */
    /* Time that passes without being held by the window is no time of the epoch. */
    struct gw_mono idle_since;
    bool is_idle;
    struct gw_cubic_undo undo;
};

#endif
