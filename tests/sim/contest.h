/* SPDX-License-Identifier: MIT */
/* Bulk senders over one bottleneck, and figures of what came of it: the scenarios that congestion controllers are judged by. */
#ifndef TESTS_SIM_CONTEST_H
#define TESTS_SIM_CONTEST_H

#include "tests/sim/bulk.h"

#define SIM_CONTEST_FLOWS_MAX 8u
#define SIM_CONTEST_OVERHEAD 28u /* IPv4 and UDP */

struct sim_contest {
    struct sim_clock clock;
    struct gw_mono start;
    struct sim_link *data, *acks;
    struct sim_link_params path; /* as the data direction was made; sim_contest_change sets another */
    uint64_t seed;
    unsigned count;
    struct sim_bulk *flows[SIM_CONTEST_FLOWS_MAX];
    double marked_s;
    uint64_t marked[SIM_CONTEST_FLOWS_MAX];
};

/* A path of so many Mbit/s and ms there and back, with a buffer of so many times their product (at least 20,000 bytes). */
struct sim_link_params sim_contest_path(double mbit, double rtt_ms, double buffer_bdp);
/* path: the data direction; acks travel as long, without limit and loss. */
void sim_contest_begin(struct sim_contest *contest, const struct sim_link_params *path, uint64_t seed);
void sim_contest_end(struct sim_contest *contest);
struct sim_bulk *sim_contest_add(struct sim_contest *contest, const struct sim_bulk_params *params,
                                 double start_s);
/* Until so many seconds after the start. */
void sim_contest_run(struct sim_contest *contest, double until_s);
void sim_contest_change(struct sim_contest *contest, const struct sim_link_params *path);
/* What follows is measured from now on: rates, round trips. */
void sim_contest_mark(struct sim_contest *contest);
double sim_contest_mbit(struct sim_contest *contest, unsigned flow);
/* Share of the path's rate that all flows got together, overhead counted. */
double sim_contest_utilisation(struct sim_contest *contest);
/* Jain's index: 1 = equal shares, 1/n = one has it all. */
double sim_contest_jain(struct sim_contest *contest);
/* Mean of the flow's round trips, in ms. */
double sim_contest_rtt_ms(struct sim_contest *contest, unsigned flow);

#endif
