/* SPDX-License-Identifier: MIT */
/* The BBR-type controller, after draft-ietf-ccwg-bbr-06, whose names for things are kept where ours are the same. Where it differs:
 *
 * - Bursts of whole trains and acks once a train: the window never falls below 3 pacer quanta, and the round trip that it is computed from
 *   not below 0.1 ms, because under that our own loops' turns are longer than the path (bbr_model.c).
 * - Random loss. The draft cuts its short-term bounds in every round with a loss and ends a probe above 2 %: a link that loses 5 % by
 *   itself costs it most of the rate. Here a round is congested only when it lost more than chance and the link itself
 *   explain, which is learned (bbr_loss.c).
 * - Startup ends by loss only when the delivery rate also stopped growing; app-limited rounds count when they overflow the path.
 * - A bandwidth probe that ProbeRTT interrupts is begun again after it, not seconds later.
 * - CE marks (RFC 3168) are congestion without a doubt: no tolerance, and a gentler cut (RFC 8511's 0.85). */
#include "gateway/flow/bbr_private.h"

#define PROBE_RTT_NS GW_MS(200)
#define PROBE_WAIT_NS GW_S(2) /* and up to a second more */
#define PROBE_ROUNDS_MAX 63u
#define FULL_BW_ROUNDS 3u
#define DRAIN_ROUNDS_MAX 3u
#define STARTUP_SLACK 6u /* packets */
/* The margin below the estimated bandwidth that keeps queues from standing. */
#define PACING (GW_BBR_UNIT * 99 / 100)

const char *const gw_bbr_state_names[GW_BBR_STATE_COUNT] = {"startup", "drain", "down",     "cruise",
                                                            "refill",  "up",    "probe-rtt"};

static const struct {
    uint64_t pacing, cwnd; /* percent */
} gains[GW_BBR_STATE_COUNT] = {
    [GW_BBR_STARTUP] = {277, 200},  [GW_BBR_DRAIN] = {50, 200},   [GW_BBR_DOWN] = {90, 200},
    [GW_BBR_CRUISE] = {100, 200},   [GW_BBR_REFILL] = {100, 200}, [GW_BBR_UP] = {125, 225},
    [GW_BBR_PROBE_RTT] = {100, 50},
};

static uint64_t probe_rtt_cwnd(const struct gw_cc *cc)
{
    const struct gw_bbr *bbr = &cc->state.bbr;
    return max_u64(scale(gw_bbr_bdp(cc, bbr->bw), gains[GW_BBR_PROBE_RTT].cwnd, 100), min_pipe(cc));
}

/* ---- States. */

static void reset_full_bw(struct gw_bbr *bbr, uint64_t baseline)
{
    bbr->full_bw = baseline;
    bbr->full_bw_rounds = 0;
    bbr->is_full_now = false;
}

static void enter_startup(struct gw_bbr *bbr)
{
    bbr->state = GW_BBR_STARTUP;
}

static void enter_drain(struct gw_bbr *bbr)
{
    bbr->state = GW_BBR_DRAIN;
    bbr->drain_start_round = bbr->round_count;
}

static void enter_down(struct gw_cc *cc, struct gw_mono now)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    uint32_t random = gw_random_u32(cc->random);
    reset_congestion_round(bbr);
    bbr->bw_latest = bbr->inflight_latest = 0;
    bbr->up_acked_per_mss = GW_BBR_INFINITE;
    bbr->rounds_since_probe = random & 1;
    bbr->probe_wait_ns = PROBE_WAIT_NS + (int64_t)(random >> 1) * GW_S(1) / (int64_t)(UINT32_MAX >> 1);
    bbr->cycle_at = now;
    bbr->acks = GW_BBR_ACKS_STOPPING;
    bbr->state = GW_BBR_DOWN;
    start_round(bbr);
}

static void enter_refill(struct gw_bbr *bbr)
{
    reset_short_term(bbr);
    bbr->up_rounds = 0;
    bbr->up_acked = 0;
    bbr->was_probe_precautionary = false;
    bbr->acks = GW_BBR_ACKS_REFILLING;
    bbr->state = GW_BBR_REFILL;
    start_round(bbr);
}

/* inflight_hi grows by 1, 2, 4, ... packets in each round of a probe. */
static void steepen(struct gw_cc *cc)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    uint64_t growth = UINT64_C(1) << bbr->up_rounds;
    if (bbr->up_rounds < 30)
        bbr->up_rounds++;
    bbr->up_acked_per_mss = max_u64(cc->cwnd / growth, cc->mss);
}

static void enter_up(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    bbr->is_probe_sample = true;
    bbr->acks = GW_BBR_ACKS_STARTING;
    reset_full_bw(bbr, ack->delivery_rate);
    bbr->state = GW_BBR_UP;
    start_round(bbr);
    steepen(cc);
}

/* ---- Startup and drain. */

static bool has_startup_loss(const struct gw_cc *cc)
{
    const struct gw_bbr *bbr = &cc->state.bbr;
    uint64_t volume = bbr->acked_in_round + bbr->lost_in_round;
    return gw_bbr_is_too_much(cc, bbr->lost_in_round, volume, STARTUP_SLACK) ||
           bbr->ce_in_round > part(volume, GW_BBR_LOSS_THRESH);
}

/* An app-limited round (the peer's credit counts as that) says nothing of the path, unless it was enough to overflow it, or, for a
 * probe, to make it queue. */
static bool is_overflowing(const struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    const struct gw_bbr *bbr = &cc->state.bbr;
    bool is_queueing = bbr->min_rtt_ns != INT64_MAX && ack->srtt_ns > bbr->min_rtt_ns + bbr->min_rtt_ns / 4;
    bool is_heavy = bbr->lost_in_round > (bbr->acked_in_round + bbr->lost_in_round) / 8;
    if (bbr->state == GW_BBR_UP)
        return is_queueing;
    return (is_queueing || is_heavy) && has_startup_loss(cc);
}

static void check_full_bw(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->is_full_now || (ack->is_app_limited && !is_overflowing(cc, ack)))
        return;
    if (ack->delivery_rate >= scale(bbr->full_bw, 5, 4)) {
        reset_full_bw(bbr, ack->delivery_rate);
        return;
    }
    if (!bbr->is_round_start)
        return;
    bbr->full_bw_rounds++;
    bbr->is_full_now = bbr->full_bw_rounds >= FULL_BW_ROUNDS;
    bbr->is_full_reached |= bbr->is_full_now;
}

static void check_startup_congestion(struct gw_cc *cc)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->is_full_reached || !bbr->is_loss_round_start || bbr->full_bw_rounds < 2 || !has_startup_loss(cc))
        return;
    bbr->is_full_reached = true;
    bbr->undo.was_startup = true;
    bbr->inflight_hi = max_u64(gw_bbr_bdp(cc, bbr->max_bw), bbr->inflight_latest);
}

static void check_startup_and_drain(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    check_full_bw(cc, ack);
    if (bbr->state == GW_BBR_STARTUP) {
        check_startup_congestion(cc);
        if (bbr->is_full_reached)
            enter_drain(bbr);
    }
    if (bbr->state == GW_BBR_DRAIN && (ack->inflight <= gw_bbr_inflight_at(cc, bbr->max_bw, 100) ||
                                       bbr->round_count > bbr->drain_start_round + DRAIN_ROUNDS_MAX))
        enter_down(cc, ack->now);
}

/* ---- ProbeBW. */

static void handle_too_high(struct gw_cc *cc, struct gw_mono now, uint64_t tx_inflight)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    bbr->was_probe_too_high = true;
    bbr->is_probe_sample = false; /* react once to each probe */
    bbr->inflight_hi = max_u64(tx_inflight, part(gw_bbr_target_inflight(cc), GW_BBR_BETA));
    if (bbr->state == GW_BBR_UP) {
        bbr->undo.was_up = true;
        enter_down(cc, now);
    }
}

static void grow_inflight_hi(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (!ack->is_cwnd_limited || cc->cwnd < bbr->inflight_hi)
        return; /* it isn't used up */
    bbr->up_acked += ack->acked;
    if (bbr->up_acked >= bbr->up_acked_per_mss) {
        uint64_t steps = bbr->up_acked / bbr->up_acked_per_mss;
        bbr->up_acked -= steps * bbr->up_acked_per_mss;
        bbr->inflight_hi += steps * cc->mss;
    }
    if (bbr->is_round_start)
        steepen(cc);
}

/* Bandwidth window and inflight_hi, one round after what they follow from. true: a new state was chosen. */
static bool adapt_long_term(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->acks == GW_BBR_ACKS_STARTING && bbr->is_round_start)
        bbr->acks = GW_BBR_ACKS_FEEDBACK;
    if (bbr->acks == GW_BBR_ACKS_STOPPING && bbr->is_round_start) {
        bbr->is_probe_sample = false;
        bbr->acks = GW_BBR_ACKS_NONE;
        if (is_probing_state(bbr) && !ack->is_app_limited)
            gw_bbr_advance_max_bw(bbr);
        if (is_probing_state(bbr) && bbr->was_probe_precautionary && !bbr->was_probe_too_high) {
            enter_refill(bbr); /* the cautious probe did no harm: a whole one */
            return true;
        }
    }
    if (gw_bbr_is_probe_too_high(cc, ack->lost_since_sent, ack->tx_inflight) ||
        (bbr->ce_in_round > 0 && bbr->state == GW_BBR_UP)) {
        if (!bbr->is_probe_sample || ack->is_app_limited)
            return false;
        handle_too_high(cc, ack->now, ack->tx_inflight);
        return bbr->state == GW_BBR_DOWN;
    }
    if (bbr->inflight_hi == GW_BBR_INFINITE)
        return false;
    bbr->inflight_hi = max_u64(bbr->inflight_hi, ack->tx_inflight);
    if (bbr->state == GW_BBR_UP)
        grow_inflight_hi(cc, ack);
    return false;
}

static bool is_time_to_probe(const struct gw_cc *cc, struct gw_mono now)
{
    const struct gw_bbr *bbr = &cc->state.bbr;
    if (gw_mono_before(gw_mono_add(bbr->cycle_at, bbr->probe_wait_ns), now))
        return true;
    /* As often as a Reno flow of our size would lose a packet by its own growth. */
    uint64_t rounds = min_u64(gw_bbr_target_inflight(cc) / cc->mss, PROBE_ROUNDS_MAX);
    return bbr->rounds_since_probe >= rounds;
}

static bool is_time_to_cruise(const struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    return ack->inflight <= gw_bbr_inflight_with_headroom(cc) &&
           ack->inflight <= gw_bbr_inflight_at(cc, cc->state.bbr.max_bw, 100);
}

static bool is_time_to_go_down(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->was_probe_too_high && ack->inflight >= bbr->inflight_hi) {
        bbr->was_probe_precautionary = true;
        return true;
    }
    if (ack->is_cwnd_limited && cc->cwnd >= bbr->inflight_hi) {
        reset_full_bw(bbr, ack->delivery_rate); /* inflight_hi holds the bandwidth down, not the path */
        return false;
    }
    return bbr->is_full_now;
}

static void update_probe_cycle(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (!bbr->is_full_reached || adapt_long_term(cc, ack))
        return;
    switch (bbr->state) {
    case GW_BBR_DOWN:
    case GW_BBR_CRUISE:
        if (is_time_to_probe(cc, ack->now))
            enter_refill(bbr);
        else if (bbr->state == GW_BBR_DOWN && is_time_to_cruise(cc, ack))
            bbr->state = GW_BBR_CRUISE;
        break;
    case GW_BBR_REFILL:
        if (bbr->is_round_start)
            enter_up(cc, ack);
        break;
    case GW_BBR_UP:
        if (is_time_to_go_down(cc, ack)) {
            bbr->was_probe_too_high = false;
            enter_down(cc, ack->now);
        }
        break;
    case GW_BBR_STARTUP:
    case GW_BBR_DRAIN:
    case GW_BBR_PROBE_RTT:
    case GW_BBR_STATE_COUNT:
        break;
    }
}

/* ---- ProbeRTT. */

static void save_cwnd(struct gw_cc *cc)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    bool is_good = !bbr->is_collapsed && bbr->state != GW_BBR_PROBE_RTT;
    bbr->prior_cwnd = is_good ? cc->cwnd : max_u64(bbr->prior_cwnd, cc->cwnd);
}

static void restore_cwnd(struct gw_cc *cc)
{
    cc->cwnd = max_u64(cc->cwnd, cc->state.bbr.prior_cwnd);
}

static void leave_probe_rtt(struct gw_cc *cc, struct gw_mono now)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    bbr->probe_rtt_min_at = now;
    restore_cwnd(cc);
    reset_short_term(bbr);
    if (!bbr->is_full_reached) {
        enter_startup(bbr);
        return;
    }
    enter_down(cc, now);
    bbr->state = GW_BBR_CRUISE; /* the queue is empty already */
    if (bbr->is_probe_interrupted)
        enter_refill(bbr);
}

static void check_probe_rtt_done(struct gw_cc *cc, struct gw_mono now)
{
    const struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->has_probe_rtt_done && gw_mono_before(bbr->probe_rtt_done_at, now))
        leave_probe_rtt(cc, now);
}

static void run_probe_rtt(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (!bbr->has_probe_rtt_done) {
        if (ack->inflight > probe_rtt_cwnd(cc))
            return;
        bbr->has_probe_rtt_done = true;
        bbr->probe_rtt_done_at = gw_mono_add(ack->now, PROBE_RTT_NS);
        bbr->is_probe_rtt_round_done = false;
        start_round(bbr);
        return;
    }
    bbr->is_probe_rtt_round_done |= bbr->is_round_start;
    if (bbr->is_probe_rtt_round_done)
        check_probe_rtt_done(cc, ack->now);
}

static void check_probe_rtt(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->state != GW_BBR_PROBE_RTT && bbr->is_probe_rtt_expired && !bbr->is_idle_restart) {
        save_cwnd(cc);
        bbr->is_probe_interrupted = bbr->state == GW_BBR_REFILL || bbr->state == GW_BBR_UP;
        bbr->state = GW_BBR_PROBE_RTT;
        bbr->has_probe_rtt_done = false;
        bbr->acks = GW_BBR_ACKS_STOPPING;
        start_round(bbr);
    }
    if (bbr->state == GW_BBR_PROBE_RTT)
        run_probe_rtt(cc, ack);
    if (ack->acked > 0)
        bbr->is_idle_restart = false;
}

/* ---- What the sender is told. */

static void pace(struct gw_cc *cc, uint64_t gain)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    uint64_t rate = part(scale(bbr->bw, gain, 100), PACING);
    if (rate > 0 && (bbr->is_full_reached || rate > cc->pacing_rate))
        cc->pacing_rate = rate;
}

static void set_pacing(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (cc->pacing_rate == 0 && ack->srtt_ns > 0)
        cc->pacing_rate =
            scale(scale(cc->cwnd, 1000000000u, (uint64_t)ack->srtt_ns), gains[GW_BBR_STARTUP].pacing, 100);
    pace(cc, gains[bbr->state].pacing);
}

static uint64_t model_bound(const struct gw_cc *cc)
{
    const struct gw_bbr *bbr = &cc->state.bbr;
    uint64_t cap = GW_BBR_INFINITE;
    if (bbr->state == GW_BBR_PROBE_RTT || bbr->state == GW_BBR_CRUISE)
        cap = gw_bbr_inflight_with_headroom(cc);
    else if (is_probing_state(bbr))
        cap = bbr->inflight_hi;
    return max_u64(min_u64(cap, bbr->inflight_lo), min_pipe(cc));
}

static void set_cwnd(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    uint64_t extra = max_u64(bbr->extra_acked[0], bbr->extra_acked[1]);
    bbr->max_inflight = gw_bbr_inflight_at(cc, bbr->bw, gains[bbr->state].cwnd) + extra;
    if (bbr->is_full_reached)
        cc->cwnd = min_u64(cc->cwnd + ack->acked, bbr->max_inflight);
    else if (cc->cwnd < bbr->max_inflight)
        cc->cwnd += ack->acked;
    cc->cwnd = max_u64(cc->cwnd, min_pipe(cc));
    if (bbr->state == GW_BBR_PROBE_RTT)
        cc->cwnd = min_u64(cc->cwnd, probe_rtt_cwnd(cc));
    cc->cwnd = min_u64(cc->cwnd, model_bound(cc));
}

/* ---- Events. */

static void init(struct gw_cc *cc, struct gw_mono now)
{
    cc->state.bbr = (struct gw_bbr){
        .state = GW_BBR_STARTUP,
        .bw_lo = GW_BBR_INFINITE,
        .inflight_lo = GW_BBR_INFINITE,
        .inflight_hi = GW_BBR_INFINITE,
        .up_acked_per_mss = GW_BBR_INFINITE,
        .min_rtt_ns = INT64_MAX,
        .probe_rtt_min_ns = INT64_MAX,
        .min_rtt_at = now,
        .probe_rtt_min_at = now,
        .cycle_at = now,
        .extra_acked_from = now,
    };
}

static void on_sent(struct gw_cc *cc, struct gw_mono now, uint64_t bytes, uint64_t inflight,
                    bool is_app_limited)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (inflight > bytes || !is_app_limited)
        return; /* no restart from idle */
    bbr->is_idle_restart = true;
    bbr->extra_acked_from = now;
    bbr->extra_acked_delivered = 0;
    if (is_probing_state(bbr))
        pace(cc, 100);
    else if (bbr->state == GW_BBR_PROBE_RTT)
        check_probe_rtt_done(cc, now);
}

/* Before on_ack of the same ACK: what is judged there includes it. */
static void on_lost(struct gw_cc *cc, struct gw_mono now, uint64_t bytes, struct gw_mono sent_at,
                    uint64_t inflight, uint64_t tx_inflight, uint64_t lost_since_sent)
{
    (void)inflight;
    (void)sent_at;
    struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->lost_in_round == 0)
        bbr->undo = (struct gw_bbr_undo){.is_valid = true,
                                         .bw_lo = bbr->bw_lo,
                                         .inflight_lo = bbr->inflight_lo,
                                         .inflight_hi = bbr->inflight_hi};
    bbr->undo.unacked++;
    bbr->lost_in_round += bytes;
    gw_bbr_floor_on_lost(bbr, bytes);
    if (bbr->is_probe_sample && gw_bbr_is_probe_too_high(cc, lost_since_sent, tx_inflight))
        handle_too_high(cc, now, gw_bbr_inflight_at_loss(cc, bytes, tx_inflight, lost_since_sent));
}

static void on_ack(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (bbr->is_collapsed && ack->acked > 0 && gw_mono_before(bbr->collapsed_at, ack->largest_sent_at)) {
        bbr->is_collapsed = false;
        restore_cwnd(cc);
    }
    bbr->delivered = ack->delivered;
    gw_bbr_update_signals(cc, ack);
    gw_bbr_floor_on_ack(cc, ack);
    gw_bbr_update_extra_acked(cc, ack);
    check_startup_and_drain(cc, ack);
    update_probe_cycle(cc, ack);
    gw_bbr_update_min_rtt(bbr, ack);
    check_probe_rtt(cc, ack);
    gw_bbr_advance_signals(bbr, ack);
    bbr->bw = min_u64(bbr->max_bw, bbr->bw_lo);
    set_pacing(cc, ack);
    set_cwnd(cc, ack);
}

static void on_persistent_congestion(struct gw_cc *cc, struct gw_mono now)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    save_cwnd(cc);
    bbr->is_collapsed = true;
    bbr->collapsed_at = now;
    cc->cwnd = min_pipe(cc);
}

static void on_spurious_loss(struct gw_cc *cc, struct gw_mono now)
{
    (void)now;
    struct gw_bbr *bbr = &cc->state.bbr;
    struct gw_bbr_undo *undo = &bbr->undo;
    if (!undo->is_valid || undo->unacked == 0 || --undo->unacked > 0)
        return;
    undo->is_valid = false;
    reset_full_bw(bbr, 0);
    bbr->lost_in_round = 0;
    bbr->bw_lo = max_u64(bbr->bw_lo, undo->bw_lo);
    bbr->inflight_lo = max_u64(bbr->inflight_lo, undo->inflight_lo);
    bbr->inflight_hi = max_u64(bbr->inflight_hi, undo->inflight_hi);
    if (undo->was_startup && bbr->state != GW_BBR_STARTUP) {
        bbr->is_full_reached = false;
        if (bbr->state != GW_BBR_PROBE_RTT)
            enter_startup(bbr);
    } else if (undo->was_up && bbr->state != GW_BBR_UP && is_probing_state(bbr)) {
        enter_refill(bbr);
    }
}

const struct gw_cc_ops gw_cc_bbr = {
    .name = "bbr",
    .init = init,
    .on_sent = on_sent,
    .on_ack = on_ack,
    .on_lost = on_lost,
    .on_persistent_congestion = on_persistent_congestion,
    .on_spurious_loss = on_spurious_loss,
};
