/* SPDX-License-Identifier: MIT */
/* Two muxes joined by an in-memory pipe in virtual time: it loses, delays, reorders, duplicates and marks packets,
 * has a rate and a queue. Same seed, same run. */
#ifndef TESTS_UNIT_FLOW_PAIR_H
#define TESTS_UNIT_FLOW_PAIR_H

#include "gateway/flow/mux.h"

#define PAIR_PACKET_MAX 1500u

struct pair_link {
    int64_t delay_ns;  /* one way */
    int64_t jitter_ns; /* up to that much more, which reorders */
    double loss, duplicate, mark;
    uint64_t rate; /* bytes a second, 0 = no limit */
    size_t queue;  /* bytes that wait for it at most */
    size_t plain;  /* bytes of frames in a packet */
    bool is_down;
};

struct pair_packet {
    struct gw_mono at;
    uint64_t seq;
    int to;
    size_t len;
    uint8_t ecn;
    uint8_t data[PAIR_PACKET_MAX];
};

struct pair {
    uint64_t rng;
    struct gw_mono now;
    struct gw_deadlines deadlines;
    struct gw_random_seeded random;
    struct gw_flow_budget budget[2];
    struct gw_mux *mux[2];
    struct pair_link link;
    struct gw_mono free_at[2];
    struct pair_packet **heap;
    size_t heap_len, heap_cap;
    uint64_t next_seq;
    uint64_t packets, packets_lost; /* on the way */
    uint64_t hash;                  /* of all that was sent, and when */
    unsigned max_train;             /* packets pulled at once */
    int64_t late_ns;                /* packets wait so long for others to make a train with */
};

/* events: one for each side. limit: of each side's budget. */
void pair_init(struct pair *pair, uint64_t seed, const struct pair_link *link,
               const struct gw_mux_events events[2], enum gw_cc_kind cc, uint64_t limit);
/* Frees the muxes; their streams hear SHUTTING_DOWN. Asserts that nothing is left of the budgets. */
void pair_fini(struct pair *pair);
/* To the next event and what follows at once; false: nothing will ever happen again. */
bool pair_step(struct pair *pair);
/* Steps until `time` is reached. */
void pair_run(struct pair *pair, int64_t dur_ns);
/* Pulls and sends what both have. */
void pair_pump(struct pair *pair);

uint64_t pair_random(struct pair *pair);
uint64_t pair_below(struct pair *pair, uint64_t bound);
bool pair_chance(struct pair *pair, double probability);

#endif
