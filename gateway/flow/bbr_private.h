/* SPDX-License-Identifier: MIT */
/* What the three files of the BBR-type controller share:
 *   bbr.c        the machine: states, when they change, what the sender is told; the reasons for what differs from the draft
 *   bbr_model.c  what is known of the path: bandwidth, round trip, congestion of the last round, ack aggregation, safe volumes
 *   bbr_loss.c   how much loss is too much, and how much is the link's own */
#ifndef GATEWAY_FLOW_BBR_PRIVATE_H
#define GATEWAY_FLOW_BBR_PRIVATE_H

#include "gateway/flow/congestion.h"

/* Shares are parts of this. */
#define GW_BBR_UNIT 65536u
#define GW_BBR_LOSS_THRESH (GW_BBR_UNIT * 2 / 100)
#define GW_BBR_BETA (GW_BBR_UNIT * 7 / 10)

/* Expiry of the minimum that ProbeRTT renews. */
#define GW_BBR_PROBE_RTT_INTERVAL_NS GW_S(5)

#define GW_BBR_MIN_PIPE 4u /* packets */

/* Lost packets that chance may add to any round. */
#define GW_BBR_LOSS_SLACK 2u

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* value * num / den without overflow in between; saturates. */
static inline uint64_t scale(uint64_t value, uint64_t num, uint64_t den)
{
    __extension__ unsigned __int128 product = (unsigned __int128)value * num / den;
    return product > UINT64_MAX ? UINT64_MAX : (uint64_t)product;
}

static inline uint64_t part(uint64_t value, uint32_t parts)
{
    return value == GW_BBR_INFINITE ? value : scale(value, parts, GW_BBR_UNIT);
}

static inline bool is_probing_state(const struct gw_bbr *bbr) /* ProbeBW */
{
    return bbr->state >= GW_BBR_DOWN && bbr->state <= GW_BBR_UP;
}

static inline bool is_accelerating(const struct gw_bbr *bbr)
{
    return bbr->state == GW_BBR_STARTUP || bbr->state == GW_BBR_REFILL || bbr->state == GW_BBR_UP;
}

/* The least that keeps a connection moving. */
static inline uint64_t min_pipe(const struct gw_cc *cc)
{
    return GW_BBR_MIN_PIPE * cc->mss;
}

/* ---- bbr_model.c */

static inline void start_round(struct gw_bbr *bbr)
{
    bbr->next_round_delivered = bbr->delivered;
}

/* What losses since the last probe said is forgotten. */
static inline void reset_short_term(struct gw_bbr *bbr)
{
    bbr->bw_lo = bbr->inflight_lo = GW_BBR_INFINITE;
    bbr->first_cut_bw = 0;
    bbr->is_backed_off = false;
}

static inline void reset_congestion_round(struct gw_bbr *bbr)
{
    bbr->lost_in_round = bbr->ce_in_round = bbr->acked_in_round = 0;
}

uint64_t gw_bbr_bdp(const struct gw_cc *cc, uint64_t bw);
/* gain (percent) times the BDP at `bw`, and what trains need on top. */
uint64_t gw_bbr_inflight_at(const struct gw_cc *cc, uint64_t bw, uint64_t gain);
/* inflight_hi and some room for others. */
uint64_t gw_bbr_inflight_with_headroom(const struct gw_cc *cc);
uint64_t gw_bbr_target_inflight(const struct gw_cc *cc);
/* At the start of an ACK: rounds, bandwidth, and if a round ended, its judgement. */
void gw_bbr_update_signals(struct gw_cc *cc, const struct gw_cc_ack *ack);
/* At its end: the next round's signals begin. */
void gw_bbr_advance_signals(struct gw_bbr *bbr, const struct gw_cc_ack *ack);
/* A probe cycle is over: of the bandwidth filter's two, the older is forgotten. */
void gw_bbr_advance_max_bw(struct gw_bbr *bbr);
void gw_bbr_update_extra_acked(struct gw_cc *cc, const struct gw_cc_ack *ack);
void gw_bbr_update_min_rtt(struct gw_bbr *bbr, const struct gw_cc_ack *ack);

/* ---- bbr_loss.c */

/* Were `lost` bytes of a round of `volume` too many? slack: packets more that are excused. */
bool gw_bbr_is_too_much(const struct gw_cc *cc, uint64_t lost, uint64_t volume, uint64_t slack);
/* The same of a packet's flight, by what was lost since it was sent. */
bool gw_bbr_is_probe_too_high(const struct gw_cc *cc, uint64_t lost, uint64_t tx_inflight);
/* How much had been in flight when, within this lost packet, losses became too many? */
uint64_t gw_bbr_inflight_at_loss(const struct gw_cc *cc, uint64_t bytes, uint64_t tx_inflight, uint64_t lost);
/* For the link's own loss: what came of an ACK, a lost packet, and that the short-term bounds were cut when so much was delivered. */
void gw_bbr_floor_on_ack(struct gw_cc *cc, const struct gw_cc_ack *ack);
void gw_bbr_floor_on_lost(struct gw_bbr *bbr, uint64_t bytes);
void gw_bbr_floor_on_cut(struct gw_bbr *bbr, uint64_t delivered_bw);

#endif
