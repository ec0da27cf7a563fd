/* SPDX-License-Identifier: MIT */
/* Which lines peers have, in the field: shares of kinds for pairs drawn at random. Where the numbers come from: mix.c. */
#ifndef TESTS_SIM_MIX_H
#define TESTS_SIM_MIX_H

#include "tests/nat/kinds.h"
#include "tests/sim/clock.h"

struct sim_mix_line {
    enum nat_kind kind;
    double share;    /* of all lines; they add up to 1 */
    double share_v6; /* of these that have IPv6 (behind a stateful firewall) too */
};

/* The table, for those who reckon with it. */
const struct sim_mix_line *sim_mix(unsigned *count);
enum nat_kind sim_mix_draw(struct sim_dice *dice, bool *with_v6);

#endif
