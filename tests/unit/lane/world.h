/* SPDX-License-Identifier: MIT */
/* Two whole nodes with real threads and no sockets: each has its engine's thread and those of its lanes, between them a wire that delivers every train to
 * whichever lane it likes, some twice, and an interface on each side that makes numbered packets and ticks off what arrives. Time runs faster than it
 * does outside, so that rekeys come by the second. What must never be is looked for all along: a nonce used twice, a packet delivered twice. */
#ifndef TESTS_UNIT_LANE_WORLD_H
#define TESTS_UNIT_LANE_WORLD_H

#include "gateway/lanes.h"

#include <pthread.h>

#define WORLD_LANES_MAX 4u
#define WORLD_PACKETS (1u << 22)
#define WORLD_KEYS_MAX 512u
#define WORLD_COUNTERS (1u << 22)
#define WORLD_QUEUE 64u

struct world;

/* One key pair's counters on the wire. */
struct world_key {
    uint32_t index;
    _Atomic uint8_t *used; /* WORLD_COUNTERS bits */
};

struct world_queue { /* trains on their way to one lane */
    pthread_mutex_t mutex;
    struct gw_train trains[WORLD_QUEUE];
    unsigned head, len;
};

struct world_lane {
    struct world_node *node;
    unsigned number;
    pthread_t thread;
    _Atomic bool is_stopping;
    struct world_queue queue;
};

struct world_node {
    struct world *world;
    struct world_node *other;
    struct gateway *gateway;
    struct gw_gateway_events events;
    struct gw_flow_budget budget;
    struct gw_random_seeded random;
    struct gw_lane_flows
        *flows; /* of the first node: it has a gate, which lets everything in, and forgets it now and then */
    struct gw_addr virtual_ip;
    _Atomic uint16_t port; /* where it is: 10.0.0.x:port */
    uint8_t host;
    struct gw_peer_config peer_config;

    pthread_t thread;
    pthread_mutex_t mutex; /* the engine's thread lets go of it between two turns: a test reaches in */
    struct world_lane lanes[WORLD_LANES_MAX];
    unsigned lane_count;
    _Atomic unsigned queue_count; /* how many of the lanes' queues somebody looks into */

    _Atomic uint32_t next_packet;               /* number of the next made here */
    _Atomic uint8_t arrived[WORLD_PACKETS / 8]; /* of the other's, here */
    _Atomic uint32_t arrived_count, handed_count;
    pthread_mutex_t keys_mutex;
    struct world_key keys[WORLD_KEYS_MAX]; /* that this node seals with: the other's indices */
    unsigned key_count;
};

struct world {
    struct world_node nodes[2];
    int64_t speed;    /* virtual nanoseconds in a real one; 0: it stands still, without threads */
    int64_t still_ns; /* the test's to move on then */
    int64_t began;
    _Atomic bool is_over;
    const char *_Atomic wrong; /* what must never be */
};

void world_init(struct world *world, unsigned lanes, int64_t speed);
/* Ends all threads; *world's memory stays for a look. */
void world_fini(struct world *world);
struct gw_mono world_now(const struct world *world);
/* The engine's thread stands still from enter to leave. */
void world_enter(struct world_node *node);
void world_leave(struct world_node *node);
/* Between enter and leave: 0 = no lanes. */
void world_stop_lanes(struct world_node *node);
void world_start_lanes(struct world_node *node, unsigned count);
/* In a world that stands still: a turn each of node's engine and of its lanes, as far as asked for. */
void world_turn(struct world_node *node, bool with_lanes, bool with_engine);
/* One of the interface's packets at the node, or a burst of a few: at most WORLD_BURST_MAX bytes. Returns its length. */
#define WORLD_BURST_MAX 2048u
size_t world_make_burst(struct world_node *node, uint8_t packet[WORLD_BURST_MAX], struct gw_super_hint *hint);
/* What its segments may have, headers included. */
#define WORLD_PACKET_LEN 228u
/* Waits until so many more packets arrived at each node; fails after `seconds`. */
bool world_packets(struct world *world, uint32_t more, int seconds);

#endif
