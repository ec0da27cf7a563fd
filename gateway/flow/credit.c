/* SPDX-License-Identifier: MIT */
#include "gateway/flow/credit.h"

/* Two round trips of a LAN are shorter than a turn of anybody's loop. */
#define MIN_DRAIN_NS GW_MS(4)
#define MIN_ROUND_NS GW_MS(1)
#define MIN_STEP (UINT64_C(64) << 10)
/* One BDP is on its way, one may stand in the path's queue, and while a loss is repaired, which takes a round
 * trip, nothing is taken by the reader. With 2 a sender on a 100 Mbit/s path of 50 ms stood still for credit in
 * each repair: 75 Mbit/s instead of 94. */
#define BDPS 4

void gw_credit_init(struct gw_credit *credit, struct gw_mono now, uint64_t window)
{
    *credit = (struct gw_credit){.granted = window, .window = window, .mark_at = now};
}

static void grow(struct gw_credit *credit, uint64_t max_window)
{
    if (credit->window < max_window)
        credit->window = 2 * credit->window < max_window ? 2 * credit->window : max_window;
}

/* A large window is granted in eighths: its half is a long time for a sender that is close to its end. */
static uint64_t step(const struct gw_credit *credit)
{
    uint64_t eighth = credit->window / 8, half = credit->window / 2;
    if (eighth < MIN_STEP)
        eighth = MIN_STEP;
    return eighth < half ? eighth : half;
}

bool gw_credit_on_consumed(struct gw_credit *credit, struct gw_mono now, uint64_t consumed, int64_t rtt_ns,
                           uint64_t max_window)
{
    if (consumed - credit->mark >= credit->window / 2) {
        int64_t quick = 2 * rtt_ns > MIN_DRAIN_NS ? 2 * rtt_ns : MIN_DRAIN_NS;
        if (gw_mono_sub(now, credit->mark_at) <= quick)
            grow(credit, max_window);
        credit->mark = consumed;
        credit->mark_at = now;
    }
    if (consumed + credit->window < credit->granted + step(credit))
        return false;
    credit->granted = consumed + credit->window;
    return true;
}

bool gw_credit_on_blocked(struct gw_credit *credit, uint64_t consumed, uint64_t max_window)
{
    grow(credit, max_window);
    if (consumed + credit->window <= credit->granted)
        return false;
    credit->granted = consumed + credit->window;
    return true;
}

uint64_t gw_credit_max_window(uint64_t bdp, uint64_t budget)
{
    uint64_t max = BDPS * bdp;
    if (max < GW_CREDIT_FLOOR)
        max = GW_CREDIT_FLOOR;
    if (max > budget / 8)
        max = budget / 8;
    if (max > GW_CREDIT_STREAM_MAX)
        max = GW_CREDIT_STREAM_MAX;
    return max < GW_CREDIT_STREAM_INITIAL ? GW_CREDIT_STREAM_INITIAL : max;
}

void gw_bdp_received(struct gw_bdp *bdp, struct gw_mono now, uint64_t bytes, int64_t rtt_ns)
{
    int64_t round = rtt_ns > MIN_ROUND_NS ? rtt_ns : MIN_ROUND_NS;
    int64_t age = gw_mono_sub(now, bdp->round_at);
    if (age >= round) {
        /* A round that was observed for longer than it lasts counts in proportion. */
        uint64_t in_round = age > 2 * round ? bdp->round_bytes / (uint64_t)(age / round) : bdp->round_bytes;
        uint64_t faded = bdp->bytes - bdp->bytes / 8;
        bdp->bytes = in_round > faded ? in_round : faded;
        bdp->round_bytes = 0;
        bdp->round_at = now;
    }
    bdp->round_bytes += bytes;
    if (bdp->round_bytes > bdp->bytes)
        bdp->bytes = bdp->round_bytes;
}
