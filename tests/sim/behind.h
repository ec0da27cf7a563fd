/* SPDX-License-Identifier: MIT */
/* Whole engines (simnet.h) behind model NATs (nat.h). A node here has addresses of its line instead of one of its own choice: IPv4,
 * IPv6 or both; a datagram leaves from the one of its destination's family (or fails with ENETUNREACH, which the engine hears of).
 * The socket of link 0 has the place's port, that of link n, n < SIM_BEHIND_LINKS, the n-th after it from the time on that the engine opens it.
 *
 *   sim_net_init(&net, seed, NULL);
 *   sim_behind_init(&world, &net, &params);
 *   sim_nat_add_line(&line, &world.nat, &world.nat.internet, NAT_KIND_PORT_RESTRICTED, 1, false);
 *   struct sim_node *anchor = sim_behind_add_public(&world, "9.9.9.9", NULL), *laptop = sim_behind_add(&world, &line);
 *   ... sim_net_run ...
 *   sim_behind_fini(&world);
 *   sim_net_fini(&net); */
#ifndef TESTS_SIM_BEHIND_H
#define TESTS_SIM_BEHIND_H

#include "tests/sim/nat.h"
#include "tests/sim/simnet.h"

#define SIM_BEHIND_PORT 7000u
#define SIM_BEHIND_LINKS 1024u

struct sim_behind {
    struct sim_net *net;
    struct sim_nat_net nat; /* what happens to its boxes' models, happens to the nodes behind them */
};

struct sim_place {
    struct sim_behind *world;
    struct sim_node *node;
    struct sim_end end;
    bool is_open[SIM_BEHIND_LINKS]; /* as the engine has them */
    unsigned open_links, most_links;
};

/* The net's clock and seed are used; all its nodes are added through this. params: of the links; mtu 0 = 1472. */
void sim_behind_init(struct sim_behind *world, struct sim_net *net, const struct sim_link_params *params);
/* Before sim_net_fini. What is under way vanishes. */
void sim_behind_fini(struct sim_behind *world);
struct sim_node *sim_behind_add(struct sim_behind *world, struct sim_nat_line *line);
/* text6 (or text4) may be NULL. */
struct sim_node *sim_behind_add_public(struct sim_behind *world, const char *text4, const char *text6);
/* The node is on another line from now on (Wi-Fi to mobile): other addresses, what was under way to it is lost. node->addr follows;
 * telling the engine (gw_gateway_kick) is the test's. */
void sim_behind_move(struct sim_node *node, struct sim_nat_line *line);
/* Its address as it knows it itself, with the port of link 0; not set where it has none of that family. */
struct gw_addr sim_behind_addr(const struct sim_node *node, uint8_t family);
/* Tells its engine these, of both families, as the interfaces' (gw_gateway_set_candidates). */
void sim_behind_tell_addresses(struct sim_node *node);

#endif
