/* SPDX-License-Identifier: MIT */
#include "tests/sim/contest.h"

#include <assert.h>

#define LEAST_BUFFER 20000.0

static double now_s(const struct sim_contest *contest)
{
    return (double)gw_mono_sub(contest->clock.now, contest->start) / 1e9;
}

struct sim_link_params sim_contest_path(double mbit, double rtt_ms, double buffer_bdp)
{
    double buffer = mbit * 1e6 / 8 * rtt_ms / 1e3 * buffer_bdp;
    return (struct sim_link_params){
        .rate_bps = (uint64_t)(mbit * 1e6),
        .delay_ns = (int64_t)(rtt_ms * 1e6 / 2),
        .buffer_bytes = (uint64_t)(buffer > LEAST_BUFFER ? buffer : LEAST_BUFFER),
        .overhead = SIM_CONTEST_OVERHEAD,
    };
}

void sim_contest_begin(struct sim_contest *contest, const struct sim_link_params *path, uint64_t seed)
{
    struct sim_link_params back = {.delay_ns = path->delay_ns};
    *contest = (struct sim_contest){.path = *path, .seed = seed};
    sim_clock_init(&contest->clock);
    contest->start = contest->clock.now;
    contest->data = sim_link_new(&contest->clock, path, seed);
    contest->acks = sim_link_new(&contest->clock, &back, seed + 1);
}

void sim_contest_end(struct sim_contest *contest)
{
    for (unsigned i = 0; i < contest->count; i++)
        sim_bulk_free(contest->flows[i]);
    sim_link_free(contest->data);
    sim_link_free(contest->acks);
    sim_clock_fini(&contest->clock);
}

struct sim_bulk *sim_contest_add(struct sim_contest *contest, const struct sim_bulk_params *params,
                                 double start_s)
{
    struct sim_bulk_params own = *params;
    assert(contest->count < SIM_CONTEST_FLOWS_MAX);
    own.seed = contest->seed * 100 + contest->count;
    struct sim_bulk *bulk = sim_bulk_new(&contest->clock, contest->data, contest->acks, &own);
    contest->flows[contest->count++] = bulk;
    sim_bulk_start(bulk, gw_mono_add(contest->start, (int64_t)(start_s * 1e9)));
    return bulk;
}

void sim_contest_run(struct sim_contest *contest, double until_s)
{
    sim_clock_run(&contest->clock, gw_mono_add(contest->start, (int64_t)(until_s * 1e9)));
}

void sim_contest_change(struct sim_contest *contest, const struct sim_link_params *path)
{
    struct sim_link_params back = *sim_link_params(contest->acks);
    back.delay_ns = path->delay_ns;
    contest->path = *path;
    sim_link_set(contest->data, path);
    sim_link_set(contest->acks, &back);
}

void sim_contest_mark(struct sim_contest *contest)
{
    contest->marked_s = now_s(contest);
    for (unsigned i = 0; i < contest->count; i++) {
        struct sim_bulk_stats *stats = sim_bulk_stats(contest->flows[i]);
        contest->marked[i] = stats->delivered;
        stats->rtt_sum_ns = stats->rtt_max_ns = 0;
        stats->rtt_count = 0;
    }
}

static double wire_mbit(struct sim_contest *contest, unsigned flow, double overhead_share)
{
    double bytes = (double)(sim_bulk_stats(contest->flows[flow])->delivered - contest->marked[flow]);
    double seconds = now_s(contest) - contest->marked_s;
    return seconds > 0 ? bytes * 8 * (1 + overhead_share) / seconds / 1e6 : 0;
}

double sim_contest_mbit(struct sim_contest *contest, unsigned flow)
{
    return wire_mbit(contest, flow, 0);
}

double sim_contest_utilisation(struct sim_contest *contest)
{
    double sum = 0;
    for (unsigned i = 0; i < contest->count; i++)
        sum +=
            wire_mbit(contest, i, (double)SIM_CONTEST_OVERHEAD / (double)sim_bulk_cc(contest->flows[i])->mss);
    return sum * 1e6 / (double)contest->path.rate_bps;
}

double sim_contest_jain(struct sim_contest *contest)
{
    double sum = 0, squares = 0;
    for (unsigned i = 0; i < contest->count; i++) {
        double mbit = sim_contest_mbit(contest, i);
        sum += mbit;
        squares += mbit * mbit;
    }
    return squares > 0 ? sum * sum / (contest->count * squares) : 0;
}

double sim_contest_rtt_ms(struct sim_contest *contest, unsigned flow)
{
    const struct sim_bulk_stats *stats = sim_bulk_stats(contest->flows[flow]);
    return stats->rtt_count ? (double)stats->rtt_sum_ns / (double)stats->rtt_count / 1e6 : 0;
}
