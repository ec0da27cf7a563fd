/* SPDX-License-Identifier: MIT */
/* Two engines on lines of two kinds, with an anchor or two between them and nothing else known: how long until they are connected, and until they are direct. */
#ifndef TESTS_SIM_PAIRS_H
#define TESTS_SIM_PAIRS_H

#include "tests/sim/app.h"
#include "tests/sim/behind.h"

struct sim_pair_params {
    enum nat_kind kinds[2];
    bool with_v6[2];
    unsigned anchors;         /* 1 or 2 */
    int64_t limit_ns;         /* so long a direct path is waited for */
    int64_t delay_ns;         /* of each link */
    bool stops_when_hopeless; /* as soon as both have given up, for now */
    uint64_t seed;
};

struct sim_pair_outcome {
    int64_t connected_ns, direct_ns; /* -1: not */
    struct gw_reach_view why;        /* of the first, at the end */
    struct gw_nat_behaviour nats[2]; /* as they measured */
    uint64_t datagrams;              /* that the two sent */
    unsigned most_links;             /* further sockets of one side at a time */
};

void sim_pair_meet(struct sim_pair_outcome *out, const struct sim_pair_params *params);

#endif
