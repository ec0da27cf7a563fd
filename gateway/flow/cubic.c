/* SPDX-License-Identifier: MIT */
/* CUBIC (RFC 9438; its section numbers below) with HyStart++ (RFC 9406). The fast one of two on clean links, and what the rest of the
 * world runs: it shares as others do. Formulas are in segments and seconds, as in the RFC. */
#include "gateway/flow/congestion.h"

/* 4.6, 4.1.2, 4.3 */
#define BETA 0.7
#define C 0.4
#define ALPHA (3.0 * (1.0 - BETA) / (1.0 + BETA))
#define MIN_SEGMENTS 2u

/* RFC 9406 4.3 */
#define HYSTART_MIN_THRESH_NS GW_MS(4)
#define HYSTART_MAX_THRESH_NS GW_MS(16)
#define HYSTART_DIVISOR 8
#define HYSTART_SAMPLES 8u
#define CSS_GROWTH_DIVISOR 4u
#define CSS_ROUNDS 5u

static void init(struct gw_cc *cc, struct gw_mono now)
{
    (void)now;
    cc->state.cubic = (struct gw_cubic){
        .ssthresh = UINT64_MAX,
        .round_min_rtt_ns = INT64_MAX,
        .last_min_rtt_ns = INT64_MAX,
    };
}

static bool is_slow_start(const struct gw_cc *cc)
{
    return cc->cwnd < cc->state.cubic.ssthresh;
}

static uint64_t at_least_min(const struct gw_cc *cc, double bytes)
{
    double least = (double)(MIN_SEGMENTS * cc->mss);
    return (uint64_t)(bytes > least ? bytes : least);
}

/* ---- HyStart++: leave slow start when the round trip grows, before packets are lost. */

static void hystart_next_round(struct gw_cubic *cubic, const struct gw_cc_ack *ack)
{
    cubic->round_end = ack->delivered;
    cubic->last_min_rtt_ns = cubic->round_min_rtt_ns;
    cubic->round_min_rtt_ns = INT64_MAX;
    cubic->round_samples = 0;
    if (cubic->is_css)
        cubic->css_rounds++;
}

static void hystart_judge(struct gw_cc *cc)
{
    struct gw_cubic *cubic = &cc->state.cubic;
    if (cubic->round_samples < HYSTART_SAMPLES || cubic->last_min_rtt_ns == INT64_MAX)
        return;
    if (cubic->is_css) {
        if (cubic->round_min_rtt_ns < cubic->css_baseline_ns)
            cubic->is_css = false; /* it was a passing thing */
        return;
    }
    int64_t thresh_ns = cubic->last_min_rtt_ns / HYSTART_DIVISOR;
    if (thresh_ns < HYSTART_MIN_THRESH_NS)
        thresh_ns = HYSTART_MIN_THRESH_NS;
    if (thresh_ns > HYSTART_MAX_THRESH_NS)
        thresh_ns = HYSTART_MAX_THRESH_NS;
    if (cubic->round_min_rtt_ns < cubic->last_min_rtt_ns + thresh_ns)
        return;
    cubic->is_css = true;
    cubic->css_rounds = 0;
    cubic->css_baseline_ns = cubic->round_min_rtt_ns;
}

static void slow_start(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_cubic *cubic = &cc->state.cubic;
    if (ack->largest_acked_delivered >= cubic->round_end)
        hystart_next_round(cubic, ack);
    if (ack->rtt_ns > 0 && ack->rtt_ns < cubic->round_min_rtt_ns)
        cubic->round_min_rtt_ns = ack->rtt_ns;
    if (ack->rtt_ns > 0)
        cubic->round_samples++;
    hystart_judge(cc);
    if (ack->is_cwnd_limited)
        cc->cwnd += cubic->is_css ? ack->acked / CSS_GROWTH_DIVISOR : ack->acked;
    if (cubic->is_css && cubic->css_rounds >= CSS_ROUNDS)
        cubic->ssthresh = cc->cwnd;
}

/* ---- Congestion avoidance. */

/* Newton's, from above, for x > 0; to about 1e-6, much finer than the clock. */
static double cube_root(double x)
{
    double root = x > 1 ? x : 1;
    for (double next; (next = (2 * root + x / (root * root)) / 3) < root * (1 - 1e-7);)
        root = next;
    return root;
}

static void begin_epoch(struct gw_cc *cc, struct gw_mono now)
{
    struct gw_cubic *cubic = &cc->state.cubic;
    double cwnd = (double)cc->cwnd / (double)cc->mss;
    cubic->has_epoch = true;
    cubic->epoch_start = now;
    cubic->w_est = cwnd;
    cubic->cwnd_rest = 0;
    if (cubic->w_max <= cwnd) { /* also when slow start ended without loss (4.10) */
        cubic->w_max = cwnd;
        cubic->k_s = 0;
    } else {
        cubic->k_s = cube_root((cubic->w_max - cwnd) / C);
    }
}

/* The window of this moment and one RTT later (4.2), at most half as much again (4.4). */
static double cubic_target(const struct gw_cubic *cubic, double cwnd, int64_t elapsed_ns, int64_t srtt_ns)
{
    double t = (double)(elapsed_ns + srtt_ns) / 1e9 - cubic->k_s;
    double target = C * t * t * t + cubic->w_max;
    if (target < cwnd)
        return cwnd;
    return target > 1.5 * cwnd ? 1.5 * cwnd : target;
}

static void avoid_congestion(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_cubic *cubic = &cc->state.cubic;
    double mss = (double)cc->mss, cwnd = (double)cc->cwnd / mss, acked = (double)ack->acked / mss;
    if (!cubic->has_epoch)
        begin_epoch(cc, ack->now);
    cubic->w_est += (cubic->w_est >= cubic->prior_cwnd ? 1.0 : ALPHA) * acked / cwnd; /* 4.3 */
    int64_t elapsed_ns = gw_mono_sub(ack->now, cubic->epoch_start);
    double target = cubic_target(cubic, cwnd, elapsed_ns, ack->srtt_ns);
    double grown = (target - cwnd) / cwnd * acked;
    if (cubic->w_est > cwnd + grown) /* Reno would have more by now */
        grown = cubic->w_est - cwnd;
    cubic->cwnd_rest += grown * mss;
    uint64_t whole = (uint64_t)cubic->cwnd_rest;
    cubic->cwnd_rest -= (double)whole;
    cc->cwnd += whole;
}

/* While the window isn't what holds the sender, it doesn't grow and the epoch's clock stands still (4.2, 5.8). */
static bool is_held_by_window(struct gw_cubic *cubic, const struct gw_cc_ack *ack)
{
    if (!ack->is_cwnd_limited) {
        if (!cubic->is_idle)
            cubic->idle_since = ack->now;
        cubic->is_idle = true;
        return false;
    }
    if (cubic->is_idle && cubic->has_epoch)
        cubic->epoch_start = gw_mono_add(cubic->epoch_start, gw_mono_sub(ack->now, cubic->idle_since));
    cubic->is_idle = false;
    return true;
}

/* ---- Congestion events. */

static void save_undo(struct gw_cc *cc)
{
    struct gw_cubic *cubic = &cc->state.cubic;
    cubic->undo = (struct gw_cubic_undo){
        .is_valid = true,
        .cwnd = cc->cwnd,
        .ssthresh = cubic->ssthresh,
        .w_max = cubic->w_max,
        .w_est = cubic->w_est,
        .k_s = cubic->k_s,
        .prior_cwnd = cubic->prior_cwnd,
        .epoch_start = cubic->epoch_start,
        .has_epoch = cubic->has_epoch,
    };
}

/* Once for all that was sent before it. */
static bool congestion_event(struct gw_cc *cc, struct gw_mono now, struct gw_mono sent_at)
{
    struct gw_cubic *cubic = &cc->state.cubic;
    if (cubic->has_recovery && !gw_mono_before(cubic->recovery_start, sent_at))
        return false;
    save_undo(cc);
    cubic->has_recovery = true;
    cubic->recovery_start = now;
    double cwnd = (double)cc->cwnd / (double)cc->mss;
    cubic->prior_cwnd = cwnd;
    cubic->w_max = cwnd < cubic->w_max ? cwnd * (1.0 + BETA) / 2.0 : cwnd; /* fast convergence, 4.7 */
    cc->cwnd = at_least_min(cc, (double)cc->cwnd * BETA);
    cubic->ssthresh = cc->cwnd;
    cubic->has_epoch = false;
    cubic->is_css = false;
    return true;
}

static void on_lost(struct gw_cc *cc, struct gw_mono now, uint64_t bytes, struct gw_mono sent_at,
                    uint64_t inflight, uint64_t tx_inflight, uint64_t lost_since_sent)
{
    (void)bytes;
    (void)inflight;
    (void)tx_inflight;
    (void)lost_since_sent;
    congestion_event(cc, now, sent_at);
    cc->state.cubic.undo.unacked++;
}

static void on_spurious_loss(struct gw_cc *cc, struct gw_mono now)
{
    (void)now;
    struct gw_cubic *cubic = &cc->state.cubic;
    struct gw_cubic_undo *undo = &cubic->undo;
    if (!undo->is_valid || undo->unacked == 0 || --undo->unacked > 0)
        return;
    undo->is_valid = false;
    if (cc->cwnd < undo->cwnd)
        cc->cwnd = undo->cwnd;
    cubic->ssthresh = undo->ssthresh;
    cubic->w_max = undo->w_max;
    cubic->w_est = undo->w_est;
    cubic->k_s = undo->k_s;
    cubic->prior_cwnd = undo->prior_cwnd;
    cubic->epoch_start = undo->epoch_start;
    cubic->has_epoch = undo->has_epoch;
    cubic->cwnd_rest = 0;
}

/* 4.8: everything in flight was lost; slow start from the bottom, up to where the event left it. */
static void on_persistent_congestion(struct gw_cc *cc, struct gw_mono now)
{
    struct gw_cubic *cubic = &cc->state.cubic;
    cc->cwnd = MIN_SEGMENTS * cc->mss;
    cubic->has_recovery = true;
    cubic->recovery_start = now;
    cubic->has_epoch = false;
    cubic->undo.is_valid = false;
}

/* ---- The rest. */

static void set_pacing(struct gw_cc *cc, int64_t srtt_ns)
{
    if (srtt_ns <= 0)
        return;
    double gain = is_slow_start(cc) && !cc->state.cubic.is_css ? 2.0 : 1.25;
    cc->pacing_rate = (uint64_t)(gain * (double)cc->cwnd * 1e9 / (double)srtt_ns) + 1;
}

static void on_ack(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_cubic *cubic = &cc->state.cubic;
    if (ack->ce_acked > 0 && congestion_event(cc, ack->now, ack->largest_sent_at))
        cubic->undo.is_valid = false; /* a mark is no mistake */
    bool is_recovering = cubic->has_recovery && !gw_mono_before(cubic->recovery_start, ack->largest_sent_at);
    if (is_held_by_window(cubic, ack) && ack->acked > 0 && !is_recovering) {
        if (is_slow_start(cc))
            slow_start(cc, ack);
        else
            avoid_congestion(cc, ack);
    }
    set_pacing(cc, ack->srtt_ns);
}

static void on_sent(struct gw_cc *cc, struct gw_mono now, uint64_t bytes, uint64_t inflight,
                    bool is_app_limited)
{
    (void)cc;
    (void)now;
    (void)bytes;
    (void)inflight;
    (void)is_app_limited;
}

const struct gw_cc_ops gw_cc_cubic = {
    .name = "cubic",
    .init = init,
    .on_sent = on_sent,
    .on_ack = on_ack,
    .on_lost = on_lost,
    .on_persistent_congestion = on_persistent_congestion,
    .on_spurious_loss = on_spurious_loss,
};
