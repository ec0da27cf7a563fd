/* SPDX-License-Identifier: MIT */
/* What lanes know of the engine: an immutable picture of the key pairs, of where each peer's packets go and how they are sealed, and of whose addresses
 * are whose. The engine (gateway/lanes.c) makes a new one when something changed and publishes it; lanes only read. */
#ifndef GATEWAY_LANE_SNAPSHOT_H
#define GATEWAY_LANE_SNAPSHOT_H

#include "gateway/base/list.h"
#include "gateway/packet/queue.h"
#include "gateway/peer/allowedips.h"
#include "gateway/session/keypair.h"
#include "gateway/wire/train.h"

#include <stdalign.h>

#define GW_LANES_MAX 16u

/* What one lane did for one peer since it last told the engine. */
struct gw_lane_received {
    struct gw_tuple tuple;
    uint32_t index; /* of the key pair, ours */
    bool is_data, is_highest;
    uint64_t bytes; /* 0: nothing to tell */
};
struct gw_lane_sent {
    uint32_t index;
    uint16_t longest; /* datagram */
    uint64_t bytes;
};

/* One lane's part of a peer: that lane's alone, until the peer is gone and every lane has looked away. */
struct gw_lane_slot {
    alignas(64) struct gw_lane_peer *peer;
    struct gw_list ready;            /* in the lane's list of those with packets to send */
    struct gw_list untold;           /* in the lane's list of those with something to tell */
    struct gw_packet_queue *packets; /* made with the first */
    struct gw_lane_received received;
    struct gw_lane_sent sent;
};

/* A peer for as long as it lives; the engine's to make and free. */
struct gw_lane_peer {
    struct gw_list limbo;
    uint32_t number;            /* its entry in every snapshot */
    struct gw_mono order_until; /* the engine's: so long lanes wait for its queue; GW_NEVER: they do not */
    _Atomic bool is_gone;       /* said before the first snapshot without it */
    unsigned lanes;
    struct gw_lane_slot slots[];
};

/* IPv4 addresses that are others on the wire than here (gateway/peer/alias.c): the peer's, and our own. */
struct gw_lane_alias {
    bool has_peer, has_own;
    uint8_t peer_here[4], peer_wire[4];
    uint8_t own_here[4], own_wire[4];
};

/* How packets reach a peer now. Compared by its bytes, so zeroed before it is filled. */
struct gw_lane_entry {
    struct gw_lane_peer *peer; /* NULL: nobody's */
    struct gw_keypair *kp;     /* to seal with; NULL: the engine sends to this one */
    struct gw_tuple path;      /* the current one, family 0 without */
    enum gw_suite suite;
    uint16_t cap;      /* longest datagram */
    uint16_t room;     /* longest packet in it */
    bool heeds_icmp;   /* as a train's */
    bool keep_partial; /* it completes checksums itself */
    struct gw_lane_alias alias;
};

struct gw_lane_key {
    struct gw_keypair *kp; /* NULL: nothing here */
    uint32_t index;        /* ours: random, so it is its own hash */
    uint32_t peer;         /* number */
    bool is_confirmed;     /* the engine knows that the peer has it */
};

/* Changes rarely and costs most, so snapshots share it. */
struct gw_lane_routes {
    struct gw_list limbo;
    struct gw_allowedips peers; /* prefix -> gw_lane_peer */
    size_t source_count;
    struct gw_prefix sources[]; /* ours: what packets from the interface may come from */
};

struct gw_lane_snapshot {
    struct gw_list limbo;
    const struct gw_lane_routes *routes;
    uint32_t entry_count;
    uint32_t key_mask;
    struct gw_lane_entry *entries;
    struct gw_lane_key *keys;
};

/* Zeroed, with room for so many. NULL without memory. routes are borrowed. */
struct gw_lane_snapshot *gw_lane_snapshot_new(const struct gw_lane_routes *routes, uint32_t entries,
                                              uint32_t keys);
void gw_lane_snapshot_free(struct gw_lane_snapshot *snapshot);
/* While it is made. */
void gw_lane_snapshot_add_key(struct gw_lane_snapshot *snapshot, struct gw_keypair *kp, uint32_t peer);

/* NULL: unknown. */
const struct gw_lane_key *gw_lane_snapshot_key(const struct gw_lane_snapshot *snapshot, uint32_t index);
/* The peer that an address belongs to, NULL without. */
const struct gw_lane_entry *gw_lane_snapshot_route(const struct gw_lane_snapshot *snapshot,
                                                   const struct gw_addr *ip);
/* A peer's entry; NULL when it has none any more. */
const struct gw_lane_entry *gw_lane_snapshot_entry(const struct gw_lane_snapshot *snapshot,
                                                   const struct gw_lane_peer *peer);
bool gw_lane_snapshot_is_ours(const struct gw_lane_snapshot *snapshot, const struct gw_addr *source);

struct gw_lane_routes *gw_lane_routes_new(const struct gw_prefix *sources, size_t count);
void gw_lane_routes_free(struct gw_lane_routes *routes);
struct gw_lane_peer *gw_lane_peer_new(uint32_t number, unsigned lanes);
/* With what waits in its queues. */
void gw_lane_peer_free(struct gw_lane_peer *peer);

#endif
