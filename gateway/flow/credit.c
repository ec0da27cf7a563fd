/* SPDX-License-Identifier: MIT */
#include "gateway/flow/credit.h"

/* Two round trips of a LAN are shorter than a turn of anybody's loop. */
#define MIN_DRAIN_NS GW_MS(4)
#define MIN_ROUND_NS GW_MS(1)

void gw_credit_init(struct gw_credit *credit, struct gw_mono now, uint64_t window)
{
    *credit = (struct gw_credit){.granted = window, .granted_at = now, .window = window};
}

bool gw_credit_on_consumed(struct gw_credit *credit, struct gw_mono now, uint64_t consumed, int64_t rtt_ns,
                           uint64_t max_window)
{
    int64_t quick = 2 * rtt_ns > MIN_DRAIN_NS ? 2 * rtt_ns : MIN_DRAIN_NS;
    if (credit->granted > consumed && credit->granted - consumed > credit->window / 2)
        return false;
    if (credit->window < max_window && gw_mono_sub(now, credit->granted_at) <= quick) {
        credit->window *= 2;
        if (credit->window > max_window)
            credit->window = max_window;
    }
    credit->granted_at = now;
    if (credit->granted >= consumed + credit->window)
        return false;
    credit->granted = consumed + credit->window;
    return true;
}

uint64_t gw_credit_max_window(uint64_t bdp, uint64_t budget)
{
    uint64_t max = 2 * bdp;
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
