/* SPDX-License-Identifier: MIT */
/* What the tests of changing uplinks share: a phone that has three of them, its home, and two anchors that both know. Streams run both ways.
 *
 *   phone --- [line 0, lte, v6] ---+--- internet ---+--- [line 1] --- home
 *                                  |                |
 *                               anchor 0         anchor 1
 *
 *   static struct sim_travel at;
 *   sim_travel_begin(&at, seed, NAT_KIND_PORT_RESTRICTED, GW_MS(11));
 *   sim_travel_start(&at, GW_S(1), GW_S(20));
 *   ... sim_travel_move(&at, &at.lte); sim_net_run(&at.net, GW_S(5)); ... sim_travel_gap(&at) ...
 *   sim_travel_end(&at); */
#ifndef TESTS_SIM_TRAVEL_H
#define TESTS_SIM_TRAVEL_H

#include "tests/sim/behind.h"
#include "tests/sim/stream.h"

struct sim_travel {
    struct sim_net net;
    struct sim_behind world;
    struct sim_nat_line lines[2], lte, v6;
    struct sim_node *anchors[2], *phone, *home;
    struct gw_peer *to_home, *to_phone;
    struct sim_stream up, down;
    double loss;         /* of each datagram, from now on */
    bool is_direct_dead; /* nothing passes between the phone and home but by an anchor */
    struct sim_dice dice;
};

/* Everybody is up, and the two know each other after 2 s; delay_ns: one way, between any two; kind: of lines 0 and 1. */
void sim_travel_begin(struct sim_travel *at, uint64_t seed, enum nat_kind kind, int64_t delay_ns);
/* The streams: one begins apart_ns after the other, and settle_ns later this returns. */
void sim_travel_start(struct sim_travel *at, int64_t apart_ns, int64_t settle_ns);
/* No byte was wrong, and no stream ended that the test did not end. */
void sim_travel_end(struct sim_travel *at);

/* An anchor starts, or starts again, without memory. */
void sim_travel_start_anchor(struct sim_travel *at, unsigned which);
/* The phone's network is gone; 20 ms later, as the daemon waits so long for more of it, its engine hears of that. */
void sim_travel_leave(struct sim_travel *at);
/* The phone is on that line; its engine hears of it 20 ms later. */
void sim_travel_move(struct sim_travel *at, struct sim_nat_line *line);

/* Is it the address of one of the anchors? */
bool sim_travel_is_anchors(const struct sim_travel *at, const struct gw_addr *addr);
/* Does this end send on a direct path? */
bool sim_travel_is_direct(const struct sim_travel *at, const struct gw_peer *peer);
/* The gap of either stream from now on. */
void sim_travel_watch(struct sim_travel *at);
int64_t sim_travel_gap(const struct sim_travel *at);

#endif
