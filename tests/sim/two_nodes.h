/* SPDX-License-Identifier: MIT */
/* Two engines in virtual time, at 10.0.0.1:7001 and 10.0.0.2:7002, that do not know each other yet, with the services of app.h. What the tests of a pair begin with; each has it for itself. */
#ifndef TESTS_SIM_TWO_NODES_H
#define TESTS_SIM_TWO_NODES_H

#include "tests/sim/app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DELAY GW_MS(10)

static struct sim_net net;
static struct sim_node *a, *b;

/* Ended by sim_net_fini(&net). */
static inline void two_nodes(uint64_t seed, const struct sim_link_params *params)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    sim_net_init(&net, seed, params);
    a = sim_net_add(&net, "10.0.0.1:7001");
    b = sim_net_add(&net, "10.0.0.2:7002");
    sim_app_serve(a);
    sim_app_serve(b);
}

static inline struct gw_peer_status status_of(struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, net.clock.now, &status);
    return status;
}

#endif
