/* SPDX-License-Identifier: MIT */
/* A network of whole engines in one process, in virtual time: each node is a struct gateway with an address; datagrams travel over a
 * sim_link for each ordered pair of addresses. Everything comes from one seed, so a failed run is repeated by repeating it. */
#ifndef TESTS_SIM_SIMNET_H
#define TESTS_SIM_SIMNET_H

#include "gateway/gateway.h"
#include "tests/sim/clock.h"
#include "tests/sim/link.h"

struct sim_net;
struct sim_node;

#define SIM_NODES_MAX 64

struct sim_node {
    struct sim_net *net;
    struct gateway *gateway;
    struct gw_gateway_events events; /* may be changed before and during a run; ctx is the node */
    struct gw_gateway_params params;
    struct gw_flow_budget budget;
    struct gw_random_seeded random;
    struct gw_wallclock wallclock;
    int64_t wall_offset_s; /* of this node's wall clock */
    struct gw_addr addr;
    struct sim_port port;
    struct sim_event wake;
    uint8_t *slab;
    bool is_down; /* hears and sends nothing */
    bool is_asleep;
    bool is_killed;   /* what it does now on its way out reaches nobody */
    int64_t slept_ns; /* so far its clock is ahead of the net's */
    bool is_held;     /* its loop does not run: see sim_node_hold */
    struct sim_event release;
    struct gw_list waiting; /* what has arrived meanwhile */
    size_t waiting_bytes;
    void *user;
    /* A test's eye on what leaves: false drops it. */
    bool (*filter)(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len);
    uint64_t datagrams_out;
    struct { /* since sim_node_watch, whatever became of it */
        unsigned sent, received;
        unsigned wakeups; /* what comes within a second of the one before costs no further one */
        struct gw_mono last;
    } traffic;
    struct sim_place *place; /* where it is among NATs (tests/sim/behind.h); NULL: straight in the net */
};

struct sim_net {
    struct sim_clock clock;
    /* Takes the datagrams of nodes that have a place. 0, or -errno as a socket's: the engine hears of it. */
    int (*carry)(struct sim_node *from, const struct gw_train *train, const uint8_t *datagram, size_t len);
    /* Takes the trains for carriers; must be there before the engine is told of one. */
    void (*carrier)(struct sim_node *from, const struct gw_train *train);
    struct sim_link_params params; /* of links made from now on */
    uint64_t seed;
    const struct sim_node *running; /* whose engine ran last: who says what is logged */
    struct sim_node *nodes[SIM_NODES_MAX];
    unsigned node_count;
    struct sim_link *links[SIM_NODES_MAX * 4];
    struct {
        struct gw_addr from, to;
    } ends[SIM_NODES_MAX * 4];
    unsigned link_count;
};

void sim_net_init(struct sim_net *net, uint64_t seed, const struct sim_link_params *params);
void sim_net_fini(struct sim_net *net);
/* A node with a key of its own (from the net's seed and its number) at "10.0.0.1:7000" style text. */
struct sim_node *sim_net_add(struct sim_net *net, const char *addr);
/* Starts the node's gateway again with the same key, as after a kill -9: peers are gone and have to be added again. */
void sim_node_restart(struct sim_node *node);
/* What a node that ends in order says (gw_gateway_farewell): to be followed by sim_node_restart, or by is_down. */
void sim_node_say_goodbye(struct sim_node *node);
/* Its traffic counts from now on. */
void sim_node_watch(struct sim_node *node);
/* The node is seen at another address from now on (a NAT's new mapping). */
void sim_node_move(struct sim_node *node, const char *addr);
/* Its loop does not run for so long, as on a machine that has more to do than it has processors, or under SIGSTOP: what arrives waits, as much of it as a socket keeps, and
 * timers are late. Nobody is told. While it is held, the later end holds. */
void sim_node_hold(struct sim_node *node, int64_t ns);
/* The machine is suspended: no timer runs, nothing is sent, what arrives is lost. */
void sim_node_sleep(struct sim_node *node);
/* ... and wakes, as its clock says more_ns later than it is in the net, and is told so (gw_gateway_kick). */
void sim_node_wake(struct sim_node *node, int64_t more_ns);
/* What `node` knows of `other`: key, address, the defaults; changed by the test before gw_gateway_add_peer. */
struct gw_peer_config sim_peer_config(const struct sim_node *node, const struct sim_node *other);
/* Adds it with those; returns the peer. */
struct gw_peer *sim_node_add_peer(struct sim_node *node, const struct sim_node *other);
/* ... without an address: by its peer ID, to be found. */
struct gw_peer *sim_node_add_unlocated(struct sim_node *node, const struct sim_node *other);
/* ... as an anchor of the node's, which it asks at once and then each 25 s. */
struct gw_peer *sim_node_add_anchor(struct sim_node *node, const struct sim_node *anchor);
/* Adds each to the other. */
void sim_net_pair(struct sim_node *a, struct sim_node *b);
/* For a filter: does it go from one of the two straight to the other? */
bool sim_is_between(const struct sim_node *from, const struct gw_tuple *tuple, const struct sim_node *a,
                    const struct sim_node *b);
/* The link for datagrams from a to b. */
struct sim_link *sim_net_link(struct sim_net *net, const struct sim_node *a, const struct sim_node *b);
/* One datagram has arrived at the node. */
void sim_node_receive(struct sim_node *node, const struct gw_tuple *tuple, const void *datagram, size_t len,
                      uint8_t ecn);
/* Sends what the node has to send; called by itself after input and deadlines, by a test after it used the gateway from outside. */
void sim_node_pump(struct sim_node *node);
void sim_net_run(struct sim_net *net, int64_t duration_ns);
/* As the node's clock has it. */
struct gw_mono sim_now(const struct sim_node *node);

#endif
