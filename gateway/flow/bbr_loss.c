/* SPDX-License-Identifier: MIT */
/* Loss is congestion only where it is more than the link loses anyway. What that is, is learned: when loss persists at the same rate after
 * the delivery rate has fallen clearly below what it was when cutting began, it cannot come from a queue that we fill, because a full
 * link would have gone on delivering as before. Then it is the link's own: loss_floor, under a cap, because on a path that many share
 * it might be the others' doing. */
#include "gateway/flow/bbr_private.h"

#define LOSS_FLOOR_MAX (GW_BBR_UNIT * 8 / 100)
#define BACKED_OFF (GW_BBR_UNIT * 93 / 100)

/* What a judgement needs at least; it begins some rounds late, when losses from before have been noticed. */
#define FLOOR_RISE_SEGMENTS 400u
#define FLOOR_RISE_ROUNDS 3u
#define FLOOR_WAIT_ROUNDS 2u
#define FLOOR_FALL_SEGMENTS 2000u

/* ---- How much is too much? */

static uint64_t square_root(uint64_t n)
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1)
        if ((root + bit) * (root + bit) <= n)
            root += bit;
    return root;
}

/* Of `volume` in flight this much may be lost: the draft's 2 %, or what the link loses by itself and three standard deviations of it
 * (of a Poisson distribution: the root of the mean); and a few packets. */
static uint64_t tolerated_loss(const struct gw_cc *cc, uint64_t volume, uint64_t slack)
{
    uint64_t own = part(volume, cc->state.bbr.loss_floor);
    uint64_t deviation = square_root(own * cc->mss);
    return max_u64(part(volume, GW_BBR_LOSS_THRESH), own + 3 * deviation) + slack * cc->mss;
}

bool gw_bbr_is_too_much(const struct gw_cc *cc, uint64_t lost, uint64_t volume, uint64_t slack)
{
    return lost > tolerated_loss(cc, volume, slack);
}

/* Losses are noticed a quarter of a round trip later than acks (RFC 8985), so as many more belong to a packet's flight. */
bool gw_bbr_is_probe_too_high(const struct gw_cc *cc, uint64_t lost, uint64_t tx_inflight)
{
    return gw_bbr_is_too_much(cc, lost, tx_inflight + tx_inflight / 4, GW_BBR_LOSS_SLACK);
}

/* How much had been in flight when, within the lost packet, losses passed the tolerated share of it? Solves
 * lost_prev + x > tolerated(inflight_prev) + r * x for x. */
uint64_t gw_bbr_inflight_at_loss(const struct gw_cc *cc, uint64_t bytes, uint64_t tx_inflight, uint64_t lost)
{
    uint64_t inflight_prev = tx_inflight > bytes ? tx_inflight - bytes : 0;
    uint64_t lost_prev = lost > bytes ? lost - bytes : 0;
    uint64_t allowed = tolerated_loss(cc, inflight_prev + inflight_prev / 4, GW_BBR_LOSS_SLACK);
    uint64_t prefix =
        allowed > lost_prev ? scale(allowed - lost_prev, GW_BBR_UNIT, GW_BBR_UNIT - GW_BBR_LOSS_THRESH) : 0;
    return inflight_prev + min_u64(prefix, bytes);
}

/* ---- How much is the link's own? */

static uint32_t loss_rate(uint64_t lost, uint64_t acked)
{
    return lost + acked ? (uint32_t)scale(lost, GW_BBR_UNIT, lost + acked) : 0;
}

/* It falls when clearly less is seen. */
static void lower_floor(struct gw_cc *cc)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    uint64_t volume = bbr->cycle_acked + bbr->cycle_lost;
    if (volume < FLOOR_FALL_SEGMENTS * cc->mss)
        return;
    if (bbr->cycle_lost + 2 * square_root(bbr->cycle_lost * cc->mss) < part(volume, bbr->loss_floor))
        bbr->loss_floor = (bbr->loss_floor + loss_rate(bbr->cycle_lost, bbr->cycle_acked)) / 2;
    bbr->cycle_lost = bbr->cycle_acked = 0;
}

/* It rises by loss that is seen after we have backed off below what the path delivered before. */
static void raise_floor(struct gw_cc *cc)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    uint64_t rounds = bbr->round_count - bbr->backed_off_round;
    if (!bbr->is_backed_off || rounds < FLOOR_WAIT_ROUNDS + FLOOR_RISE_ROUNDS ||
        bbr->backed_off_acked + bbr->backed_off_lost < FLOOR_RISE_SEGMENTS * cc->mss)
        return;
    uint32_t seen = loss_rate(bbr->backed_off_lost, bbr->backed_off_acked);
    bbr->is_backed_off = false;
    bbr->first_cut_bw = 0;
    if (seen <= bbr->loss_floor || seen > LOSS_FLOOR_MAX)
        return;
    bbr->loss_floor = seen;
    reset_short_term(bbr); /* what was cut for it */
}

static bool is_backed_off_long(const struct gw_bbr *bbr)
{
    return bbr->is_backed_off && bbr->round_count >= bbr->backed_off_round + FLOOR_WAIT_ROUNDS;
}

static bool is_watching_floor(const struct gw_bbr *bbr)
{
    return bbr->state == GW_BBR_CRUISE || bbr->state == GW_BBR_DOWN;
}

void gw_bbr_floor_on_ack(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    struct gw_bbr *bbr = &cc->state.bbr;
    if (!is_watching_floor(bbr))
        return;
    bbr->cycle_acked += ack->acked;
    lower_floor(cc);
    if (is_backed_off_long(bbr))
        bbr->backed_off_acked += ack->acked;
    raise_floor(cc);
}

void gw_bbr_floor_on_lost(struct gw_bbr *bbr, uint64_t bytes)
{
    if (is_watching_floor(bbr))
        bbr->cycle_lost += bytes;
    if (is_backed_off_long(bbr))
        bbr->backed_off_lost += bytes;
}

void gw_bbr_floor_on_cut(struct gw_bbr *bbr, uint64_t delivered_bw)
{
    if (bbr->first_cut_bw == 0)
        bbr->first_cut_bw = delivered_bw;
    if (bbr->is_backed_off || bbr->bw_lo > part(bbr->first_cut_bw, BACKED_OFF))
        return;
    bbr->is_backed_off = true;
    bbr->backed_off_round = bbr->round_count;
    bbr->backed_off_acked = bbr->backed_off_lost = 0;
}
