/* SPDX-License-Identifier: MIT */
/* A store that simulated anchors share (gateway/anchor/fleet.h): names with values that expire, topics, a delay for everything; it can be away, lose what passes it,
 * and be written to by strangers. */
#ifndef TESTS_SIM_STORE_H
#define TESTS_SIM_STORE_H

#include "gateway/anchor/fleet.h"
#include "tests/sim/simnet.h"

#define SIM_STORE_MEMBERS 4u
#define SIM_STORE_ENTRIES 256u
#define SIM_STORE_VALUE_MAX 1024u

struct sim_store_entry {
    char name[GW_FLEET_NAME_MAX]; /* "" = free */
    uint8_t value[SIM_STORE_VALUE_MAX];
    size_t len;
    struct gw_mono expires;
};

struct sim_store;
struct sim_store_member {
    struct sim_store *store;
    struct sim_node *node;
    struct gw_fleet_ops ops;
};

struct sim_store {
    struct sim_net *net;
    int64_t delay_ns;
    double loss; /* of lookups and of what is told; not of what is put */
    bool is_down;
    struct gw_random_seeded random;
    struct sim_store_entry entries[SIM_STORE_ENTRIES];
    struct sim_store_member members[SIM_STORE_MEMBERS];
    unsigned member_count, puts, gets, tells;
};

void sim_store_init(struct sim_store *store, struct sim_net *net, int64_t delay_ns);
/* The node's anchor belongs to the fleet of that secret; to be called before it is (re)started as an anchor. */
void sim_store_join(struct sim_store *store, struct sim_node *node, const uint8_t secret[GW_KEY_LEN]);
/* The node's anchor was started: it hears that the store is there. */
void sim_store_connect(struct sim_store *store, struct sim_node *node);
/* It goes away, with all that is in it, or comes back. */
void sim_store_set_down(struct sim_store *store, bool is_down);
/* To everybody who listens, as if said there. */
void sim_store_say(struct sim_store *store, const char *topic, const void *bytes, size_t len);
unsigned sim_store_count(const struct sim_store *store);

#endif
