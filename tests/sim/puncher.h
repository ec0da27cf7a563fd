/* SPDX-License-Identifier: MIT */
/* Raw datagram hosts that try everything that two hosts behind NATs can do to reach each other, with perfect knowledge of each
 * other's measurements and a common clock: what they cannot do, no engine can. No engine here, and none of its code. */
#ifndef TESTS_SIM_PUNCHER_H
#define TESTS_SIM_PUNCHER_H

#include "tests/sim/nat.h"

/* A server that answers with the address it saw, at two addresses with two ports each. */
struct sim_mirror {
    struct sim_mirror_end {
        struct sim_nat_net *net;
        struct sim_end end;
    } ends[2];
};
#define SIM_MIRROR_PORT 3478u

void sim_mirror_start(struct sim_mirror *mirror, struct sim_nat_net *net);
void sim_mirror_stop(struct sim_mirror *mirror);

struct sim_punch_params {
    unsigned sockets;       /* of the side with random ports in a birthday search; 0: no search */
    unsigned probes;        /* to random ports of it, by the other side */
    int64_t probe_every_ns; /* time between two of them */
};

struct sim_punch_result {
    bool is_direct;   /* each heard the other's answer to its own packet */
    uint8_t family;   /* over which */
    int64_t took_ns;  /* since the first punch */
    uint64_t packets; /* that both sent for it */
};

/* Two hosts, one on each line, measure their NATs and punch until they are through or 15 s are over. The net's mirror stands at
 * 9.9.9.9 and 9.9.9.10 (2a00:ffff::9, ::a). */
struct sim_punch_result sim_punch(struct sim_nat_net *net, struct sim_nat_line *a, struct sim_nat_line *b,
                                  const struct sim_punch_params *params, uint64_t seed);

#endif
