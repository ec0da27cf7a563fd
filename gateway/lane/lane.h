/* SPDX-License-Identifier: MIT */
/* A lane's engine: an IP packet's whole way between the interface and the network, on a thread of its own, with nothing but a snapshot of what the engine
 * knows. Sans-IO: trains, packets and `now` in; trains, packets and records out. What is no plain IP packet of an established session goes to
 * the engine in records (record.h); so does, now and then, what the lane learned. docs/ARCHITECTURE.md, "Threads", has the rules.
 *
 * A turn: gw_lane_begin; gw_lane_input for each received train; gw_lane_route and gw_lane_send (or gw_lane_hand_over) for each packet from
 * the interface; gw_lane_output until it has nothing or the socket is full; gw_lane_end. Then gw_lane_rest before sleeping.
 *   input.c   trains from peers        output.c  packets to peers        lane.c  turns, and what the engine is told */
#ifndef GATEWAY_LANE_LANE_H
#define GATEWAY_LANE_LANE_H

#include "gateway/base/epoch.h"
#include "gateway/lane/flows.h"
#include "gateway/lane/record.h"
#include "gateway/lane/ring.h"
#include "gateway/lane/snapshot.h"
#include "gateway/packet/coalesce.h"

#define GW_LANE_TOLD_BYTES (512u * 1024u)
#define GW_LANE_STRANGERS_BYTES (256u * 1024u)
#define GW_LANE_SMALL 2048u
#define GW_LANE_TELL_NS GW_MS(50) /* what is not urgent is told once in so long */

/* Counted by the lane, read by anybody. packets_in, bytes_in: read from the interface; packets_out, bytes_out: for it, in so many writes. handed_over: given to the engine; handed_lost,
 * strangers_lost: its ring was full. dropped_full, dropped_late: as the engine's queues count them. link_full: the socket had no room, and the train waited. */
/* clang-format off */
#define GW_LANE_COUNTERS(X) \
    X(trains_received) X(datagrams_received) X(bytes_received) \
    X(trains_sent) X(datagrams_sent) X(bytes_sent) \
    X(packets_in) X(bytes_in) X(packets_out) X(bytes_out) X(writes) X(handed_over) X(handed_lost) X(strangers_lost) \
    X(dropped_malformed) X(dropped_auth) X(dropped_replay) X(dropped_inner) X(dropped_full) X(dropped_late) \
    X(link_full) X(link_errors) X(interface_errors) X(snapshots)
/* clang-format on */

struct gw_lane_stats {
#define X(name) _Atomic uint64_t name;
    GW_LANE_COUNTERS(X)
#undef X
};

/* One writer: no locked instruction is needed. */
static inline void gw_lane_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
static inline uint64_t gw_lane_counted(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* What the lanes of one gateway share with its engine. */
struct gw_lane_hub {
    _Atomic(struct gw_lane_snapshot *) current; /* the engine's to replace */
    struct gw_epoch epoch;
    _Atomic bool is_signalled;  /* the engine was woken and has not looked yet */
    _Atomic int64_t icmp_until; /* gw_mono: answers to pings of the engine's own may come */
    void (*wake)(void *ctx);    /* from any lane: makes the engine's thread drain the rings */
    void *ctx;
    uint32_t mtu;                /* the interface's */
    bool takes_partial;          /* it completes layer-4 checksums */
    uint8_t seed[16];            /* of the queues' flow hashes */
    struct gw_lane_flows *flows; /* what lanes may carry without asking; NULL: everything is the kernel's */
};

struct gw_lane {
    struct gw_lane_hub *hub;
    unsigned number;
    struct gw_mono now; /* of the turn */
    uint64_t epoch;
    const struct gw_lane_snapshot *snapshot; /* of the turn; NULL outside */
    struct gw_coalescer coalescer;
    struct gw_lane_flow_last from_peers, from_interface;
    struct gw_list ready;     /* gw_lane_slot.ready */
    struct gw_list untold;    /* gw_lane_slot.untold */
    struct gw_mono failed_at; /* when a failure was last told */
    struct gw_mono tell_at;   /* GW_NEVER: nothing to tell */
    bool is_urgent, has_told;
    struct gw_ring told, strangers;
    struct gw_lane_stats stats;
};

/* 0 or GW_E_NOMEM. */
int gw_lane_init(struct gw_lane *lane, struct gw_lane_hub *hub, unsigned number);
/* emit: packets for the interface, lent for the call; whether it takes TCP bursts, those of datagrams as well, and checksums that are left out. Until then they are thrown away. */
void gw_lane_set_emit(struct gw_lane *lane, gw_merged_fn *emit, bool takes_bursts, bool takes_datagram_bursts,
                      bool takes_partial, void *ctx);
void gw_lane_fini(struct gw_lane *lane);

void gw_lane_begin(struct gw_lane *lane, struct gw_mono now);
/* Lent and opened in place; what is for the interface is emitted before this returns. */
void gw_lane_input(struct gw_lane *lane, struct gw_train *train);
/* Does the address that a packet from the interface goes to belong to a peer? Then *entry says how it is sent; NULL: it is to be handed over, since the lane may not, or the
 * engine has to know of it first. whole_len: the longest packet that will come of it, 0 when it may be cut as the path asks. */
bool gw_lane_route(struct gw_lane *lane, const uint8_t *packet, const struct gw_ip *ip, size_t whole_len,
                   const struct gw_lane_entry **entry);
/* Copies it into the peer's queue. true: that is backlogged now. */
bool gw_lane_send(struct gw_lane *lane, const struct gw_lane_entry *entry, const uint8_t *packet, size_t len,
                  const struct gw_super_hint *hint);
/* Is there a peer for which more packets wait here than a turn sends, and do leave? Then nothing should be read from the interface (gw_packet_queue_is_backlogged). */
bool gw_lane_is_backlogged(const struct gw_lane *lane);
/* To the engine. true: that has enough to do. */
bool gw_lane_hand_over(struct gw_lane *lane, const uint8_t *packet, size_t len,
                       const struct gw_super_hint *hint);
/* Fills train->slab and the rest of *train; false: nothing to send. */
bool gw_lane_output(struct gw_lane *lane, struct gw_train *train);
/* The link could not send the train: err is -errno. Loss; the engine hears of it now and then. */
void gw_lane_send_failed(struct gw_lane *lane, const struct gw_train *train, int err);
/* Tells the engine what is due. Returns when the next turn has to be at the latest. */
struct gw_mono gw_lane_end(struct gw_lane *lane);
/* The lane may sleep. Unless packets or news still wait it holds nothing of the engine's until it begins again; and while they do, it should not sleep for
 * longer than gw_lane_end says, nor than GW_LANE_TELL_NS: the engine frees nothing meanwhile. */
void gw_lane_rest(struct gw_lane *lane);
/* The thread ends, between two turns: the last news are told. */
void gw_lane_stop(struct gw_lane *lane);

/* ---- between the files of the lane */
/* A record with `len` bytes behind it, to be filled and told; NULL (and counted): no room. */
struct gw_lane_record *gw_lane_record(struct gw_lane *lane, enum gw_lane_record_type type, size_t len);
void gw_lane_tell(struct gw_lane *lane);
static inline uint8_t *gw_lane_record_bytes(struct gw_lane_record *record)
{
    return (uint8_t *)(record + 1);
}
void gw_lane_note_received(struct gw_lane *lane, const struct gw_lane_key *key, const struct gw_tuple *tuple,
                           uint64_t bytes, bool is_data, bool is_highest);
void gw_lane_note_sent(struct gw_lane *lane, struct gw_lane_slot *slot, uint32_t index,
                       const struct gw_train *train);

#endif
