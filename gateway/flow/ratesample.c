/* SPDX-License-Identifier: MIT */
#include "gateway/flow/ratesample.h"

void gw_rate_init(struct gw_rate *rate, struct gw_mono now)
{
    *rate = (struct gw_rate){.delivered_at = now, .first_sent_at = now, .stalled_at = {INT64_MIN}};
}

void gw_rate_on_sent(struct gw_rate *rate, struct gw_mono now, uint64_t bytes, uint64_t prior_inflight,
                     struct gw_rate_stamp *stamp)
{
    /* After silence both intervals start here, or the silence would count as slowness. */
    if (prior_inflight == 0)
        rate->first_sent_at = rate->delivered_at = now;
    *stamp = (struct gw_rate_stamp){
        .delivered = rate->delivered,
        .delivered_at = rate->delivered_at,
        .first_sent_at = rate->first_sent_at,
        .tx_inflight = prior_inflight + bytes,
        .lost = rate->lost,
        .is_app_limited = gw_rate_is_app_limited(rate),
    };
}

uint64_t gw_rate_on_lost(struct gw_rate *rate, uint64_t bytes, const struct gw_rate_stamp *stamp)
{
    rate->lost += bytes;
    return rate->lost - stamp->lost;
}

/* Packets of one train share sent_at; the last of them found most in flight. */
static bool is_newer(const struct gw_rate *rate, struct gw_mono sent_at, const struct gw_rate_stamp *stamp)
{
    if (!rate->has_newest || gw_mono_before(rate->newest_sent_at, sent_at))
        return true;
    return sent_at.ns == rate->newest_sent_at.ns && stamp->tx_inflight > rate->newest.tx_inflight;
}

void gw_rate_on_acked(struct gw_rate *rate, struct gw_mono now, uint64_t bytes, struct gw_mono sent_at,
                      const struct gw_rate_stamp *stamp)
{
    rate->delivered += bytes;
    rate->delivered_at = now;
    if (!is_newer(rate, sent_at, stamp))
        return;
    rate->has_newest = true;
    rate->newest = *stamp;
    rate->newest_sent_at = sent_at;
}

/* The sending and the acking took this long; the slower of them bounds what the path can be said to have done. */
static uint64_t sampled_rate(const struct gw_rate *rate, int64_t min_rtt_ns)
{
    int64_t send_ns = gw_mono_sub(rate->newest_sent_at, rate->newest.first_sent_at);
    int64_t ack_ns = gw_mono_sub(rate->delivered_at, rate->newest.delivered_at);
    int64_t interval_ns = send_ns > ack_ns ? send_ns : ack_ns;
    if (interval_ns <= 0 || interval_ns < min_rtt_ns)
        return 0;
    uint64_t delivered = rate->delivered - rate->newest.delivered;
    return (uint64_t)((double)delivered * 1e9 / (double)interval_ns);
}

void gw_rate_finish(struct gw_rate *rate, struct gw_mono now, int64_t min_rtt_ns, struct gw_cc_ack *out)
{
    if (rate->app_limited_until && rate->delivered > rate->app_limited_until)
        rate->app_limited_until = 0;
    out->delivered = rate->delivered;
    if (!rate->has_newest) {
        out->largest_acked_delivered = 0;
        out->largest_sent_at = now;
        out->tx_inflight = out->lost_since_sent = out->delivery_rate = 0;
        out->is_app_limited = true;
        return;
    }
    out->largest_acked_delivered = rate->newest.delivered;
    out->largest_sent_at = rate->newest_sent_at;
    out->tx_inflight = rate->newest.tx_inflight;
    out->lost_since_sent = rate->lost - rate->newest.lost;
    out->delivery_rate = sampled_rate(rate, min_rtt_ns);
    out->is_app_limited =
        rate->newest.is_app_limited || gw_mono_before(rate->newest_sent_at, rate->stalled_at);
    rate->first_sent_at = rate->newest_sent_at;
    rate->has_newest = false;
}

void gw_rate_app_limited(struct gw_rate *rate, uint64_t inflight)
{
    uint64_t until = rate->delivered + inflight;
    rate->app_limited_until = until ? until : 1;
}

bool gw_rate_is_app_limited(const struct gw_rate *rate)
{
    return rate->app_limited_until != 0;
}

void gw_rate_served(struct gw_rate *rate, struct gw_mono due, struct gw_mono now)
{
    if (gw_mono_before(gw_mono_add(due, GW_RATE_STALL_NS), now))
        rate->stalled_at = now;
}
