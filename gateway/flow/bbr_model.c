/* SPDX-License-Identifier: MIT */
/* What the BBR-type controller knows of the path, updated with each ACK. */
#include "gateway/flow/bbr_private.h"

#include "gateway/flow/pacer.h"

/* On a short way the turns of the two loops are the round trip. What is in flight beyond need stands in the receiver's socket, before
 * everybody's first byte: a quarter of a train where somebody may wait for one, two trains where nobody does. */
#define RTT_FLOOR_NS GW_US(100)
#define RTT_FLOOR_SHARED_NS GW_US(10)
#define EXTRA_ACKED_MIN 131072u
#define EXTRA_ACKED_SHARED 16384u
#define MIN_RTT_WINDOW_NS GW_S(10)
#define EXTRA_ACKED_ROUNDS 5u /* each of the two halves of the window */
#define BETA_CE (GW_BBR_UNIT * 85 / 100)
#define HEADROOM (GW_BBR_UNIT * 15 / 100)

/* ---- Volumes. */

uint64_t gw_bbr_bdp(const struct gw_cc *cc, uint64_t bw)
{
    int64_t floor_ns = cc->is_shared ? RTT_FLOOR_SHARED_NS : RTT_FLOOR_NS;
    int64_t rtt_ns = cc->state.bbr.min_rtt_ns > floor_ns ? cc->state.bbr.min_rtt_ns : floor_ns;
    return scale(bw, (uint64_t)rtt_ns, 1000000000u);
}

/* Three quanta: one on its way out, one on the path, one being acked. Where a quantum is but the two packets that it has at least, the
 * minimum does for it: three of them would stand in the queue of a thin link for 100 ms. */
static uint64_t quantization_budget(const struct gw_cc *cc, uint64_t inflight)
{
    const struct gw_bbr *bbr = &cc->state.bbr;
    uint64_t quantum = gw_pacer_quantum(cc->pacing_rate, cc->mss, cc->train);
    inflight = max_u64(inflight, quantum > 2 * cc->mss ? 3 * quantum : min_pipe(cc));
    return bbr->state == GW_BBR_UP ? inflight + 2 * cc->mss : inflight;
}

uint64_t gw_bbr_inflight_at(const struct gw_cc *cc, uint64_t bw, uint64_t gain)
{
    const struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->min_rtt_ns == INT64_MAX)
        return cc->cwnd;
    return quantization_budget(cc, scale(gw_bbr_bdp(cc, bw), gain, 100));
}

uint64_t gw_bbr_inflight_with_headroom(const struct gw_cc *cc)
{
    const struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->inflight_hi == GW_BBR_INFINITE)
        return GW_BBR_INFINITE;
    uint64_t headroom = max_u64(part(bbr->inflight_hi, HEADROOM), cc->mss);
    uint64_t left = bbr->inflight_hi > headroom ? bbr->inflight_hi - headroom : 0;
    return max_u64(left, min_pipe(cc));
}

uint64_t gw_bbr_target_inflight(const struct gw_cc *cc)
{
    const struct gw_bbr *bbr = &cc->state.bbr;
    return min_u64(gw_bbr_bdp(cc, bbr->bw), cc->cwnd);
}

/* ---- Congestion signals. */

static void cut_short_term(struct gw_cc *cc, uint32_t beta)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->bw_lo == GW_BBR_INFINITE)
        bbr->bw_lo = bbr->max_bw;
    if (bbr->inflight_lo == GW_BBR_INFINITE)
        bbr->inflight_lo = cc->cwnd;
    bbr->bw_lo = max_u64(bbr->bw_latest, part(bbr->bw_lo, beta));
    bbr->inflight_lo = max_u64(bbr->inflight_latest, part(bbr->inflight_lo, beta));
    gw_bbr_floor_on_cut(bbr, bbr->bw_latest);
}

/* Once a round: was it congested? */
static void judge_round(struct gw_cc *cc)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    uint64_t volume = bbr->acked_in_round + bbr->lost_in_round;
    if (!is_accelerating(bbr)) {
        if (gw_bbr_is_too_much(cc, bbr->lost_in_round, volume, GW_BBR_LOSS_SLACK))
            cut_short_term(cc, GW_BBR_BETA);
        else if (bbr->ce_in_round > 0)
            cut_short_term(cc, BETA_CE);
    }
}

static void update_max_bw(struct gw_bbr *bbr, const struct gw_cc_ack *ack)
{
    if (ack->delivery_rate < bbr->max_bw && ack->is_app_limited)
        return;
    bbr->bw_filter[1] = max_u64(bbr->bw_filter[1], ack->delivery_rate);
    bbr->max_bw = max_u64(bbr->bw_filter[0], bbr->bw_filter[1]);
}

void gw_bbr_advance_max_bw(struct gw_bbr *bbr)
{
    if (bbr->bw_filter[1] == 0)
        return;
    bbr->bw_filter[0] = bbr->bw_filter[1];
    bbr->bw_filter[1] = 0;
    bbr->max_bw = bbr->bw_filter[0];
}

static void update_round(struct gw_bbr *bbr, const struct gw_cc_ack *ack)
{
    bbr->is_round_start = ack->acked > 0 && ack->largest_acked_delivered >= bbr->next_round_delivered;
    if (!bbr->is_round_start)
        return;
    start_round(bbr);
    bbr->round_count++;
    bbr->rounds_since_probe++;
}

void gw_bbr_update_signals(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    update_round(bbr, ack);
    bbr->bw_latest = max_u64(bbr->bw_latest, ack->delivery_rate);
    bbr->inflight_latest = max_u64(bbr->inflight_latest, ack->delivered - ack->largest_acked_delivered);
    bbr->acked_in_round += ack->acked;
    bbr->ce_in_round += ack->ce_acked;
    update_max_bw(bbr, ack);
    bbr->is_loss_round_start = ack->largest_acked_delivered >= bbr->loss_round_delivered;
    if (!bbr->is_loss_round_start)
        return;
    bbr->loss_round_delivered = ack->delivered;
    judge_round(cc);
}

/* After the states have seen the round that ended. */
void gw_bbr_advance_signals(struct gw_bbr *bbr, const struct gw_cc_ack *ack)
{
    if (!bbr->is_loss_round_start)
        return;
    bbr->bw_latest = ack->delivery_rate;
    bbr->inflight_latest = ack->delivered - ack->largest_acked_delivered;
    reset_congestion_round(bbr);
}

/* ---- Ack aggregation: what comes beyond bw * time is allowed in flight on top. */

void gw_bbr_update_extra_acked(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->is_round_start && ++bbr->extra_acked_rounds >= (bbr->is_full_reached ? EXTRA_ACKED_ROUNDS : 1)) {
        bbr->extra_acked_rounds = 0;
        bbr->extra_acked[0] = bbr->extra_acked[1];
        bbr->extra_acked[1] = 0;
    }
    int64_t interval_ns = gw_mono_sub(ack->now, bbr->extra_acked_from);
    uint64_t expected = interval_ns > 0 ? scale(bbr->bw, (uint64_t)interval_ns, 1000000000u) : 0;
    if (bbr->extra_acked_delivered <= expected) {
        bbr->extra_acked_delivered = 0;
        bbr->extra_acked_from = ack->now;
        expected = 0;
    }
    bbr->extra_acked_delivered += ack->acked;
    uint64_t extra =
        min_u64(bbr->extra_acked_delivered - min_u64(expected, bbr->extra_acked_delivered), cc->cwnd);
    /* No more than a round trip's worth: where that is short, our own loops' clumps would pass for it and stand in the receiver's socket buffer. */
    extra = min_u64(extra,
                    max_u64(cc->is_shared ? EXTRA_ACKED_SHARED : EXTRA_ACKED_MIN, gw_bbr_bdp(cc, bbr->bw)));
    bbr->extra_acked[1] = max_u64(bbr->extra_acked[1], extra);
}

/* ---- The round trip. */

void gw_bbr_update_min_rtt(struct gw_bbr *bbr, const struct gw_cc_ack *ack)
{
    bbr->is_probe_rtt_expired =
        gw_mono_before(gw_mono_add(bbr->probe_rtt_min_at, GW_BBR_PROBE_RTT_INTERVAL_NS), ack->now);
    if (ack->rtt_ns > 0 && (ack->rtt_ns < bbr->probe_rtt_min_ns || bbr->is_probe_rtt_expired)) {
        bbr->probe_rtt_min_ns = ack->rtt_ns;
        bbr->probe_rtt_min_at = ack->now;
    }
    bool is_expired = gw_mono_before(gw_mono_add(bbr->min_rtt_at, MIN_RTT_WINDOW_NS), ack->now);
    if (bbr->probe_rtt_min_ns < bbr->min_rtt_ns || is_expired) {
        bbr->min_rtt_ns = bbr->probe_rtt_min_ns;
        bbr->min_rtt_at = bbr->probe_rtt_min_at;
    }
}
