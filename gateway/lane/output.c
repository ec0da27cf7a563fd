/* SPDX-License-Identifier: MIT */
/* Packets to peers: into the peer's queue (the same one as the engine's: gateway/packet/queue.h), out of it as trains. A train is filled first, then its
 * counters are taken, all at once, then it is sealed where it lies. */
#include "gateway/lane/lane.h"

#include "gateway/base/err.h"
#include "gateway/packet/rewrite.h"
#include "gateway/wire/frame.h"

#include <string.h>

static_assert(GW_TRAIN_DATAGRAMS <= GW_KEYPAIR_BATCH_MAX, "one batch a train");

/* ---- from the interface */

static bool can_send(const struct gw_lane *lane, const struct gw_lane_entry *entry)
{
    return entry && entry->kp &&
           gw_mono_before(lane->now, gw_mono_add(entry->kp->born, GW_REJECT_AFTER_TIME));
}

/* TCP that begins or ends: the gate keeps note of it, and a SYN's MSS may have to be corrected. */
static bool is_edge(const uint8_t *packet, const struct gw_ip *ip)
{
    return ip->protocol == GW_IP_TCP && !ip->is_fragment && (packet[ip->l4 + 13] & (GW_TCP_SYN | GW_TCP_RST));
}

/* The gate lets a peer's answers in to what it saw go out, and says whether the kernel may go on with what a peer began (netstack/gate.h). */
static bool is_engines(struct gw_lane *lane, const uint8_t *packet, const struct gw_ip *ip)
{
    struct gw_flow_key key;
    if (is_edge(packet, ip))
        return true;
    if (!lane->hub->flows)
        return false;
    if (ip->is_fragment)
        return true;
    gw_flow_key_of(&key, packet, ip, false);
    return !gw_lane_flows_have(lane->hub->flows, &lane->from_interface, &key, false, lane->now);
}

bool gw_lane_route(struct gw_lane *lane, const uint8_t *packet, const struct gw_ip *ip, size_t whole_len,
                   const struct gw_lane_entry **entry)
{
    struct gw_addr to, source;
    gw_ip_destination(&to, packet, ip);
    *entry = gw_lane_snapshot_route(lane->snapshot, &to);
    if (!*entry)
        return false;
    gw_ip_source(&source, packet, ip);
    if (!can_send(lane, *entry) || whole_len > (*entry)->room ||
        !gw_lane_snapshot_is_ours(lane->snapshot, &source) || is_engines(lane, packet, ip))
        *entry = NULL;
    return true;
}

static void rewrite(const struct gw_lane_alias *alias, struct gw_super *super)
{
    bool is_left = super->hint.is_checksum_left;
    if (super->ip.version != 4)
        return;
    if (alias->has_peer)
        gw_ip_rewrite(super->data, &super->ip, GW_REWRITE_DESTINATION, alias->peer_here, alias->peer_wire,
                      is_left);
    if (alias->has_own)
        gw_ip_rewrite(super->data, &super->ip, GW_REWRITE_SOURCE, alias->own_here, alias->own_wire, is_left);
}

bool gw_lane_send(struct gw_lane *lane, const struct gw_lane_entry *entry, const uint8_t *packet, size_t len,
                  const struct gw_super_hint *hint)
{
    struct gw_lane_slot *slot = &entry->peer->slots[lane->number];
    struct gw_packet_queue_stats before, after;
    struct gw_super *super;
    if (!slot->packets)
        slot->packets = gw_packet_queue_new(lane->hub->seed);
    if (!slot->packets || gw_super_new(&super, packet, len, hint) != 0) {
        gw_lane_count(&lane->stats.dropped_full, 1);
        return false;
    }
    gw_packet_queue_stats(slot->packets, &before);
    rewrite(&entry->alias, super);
    gw_packet_queue_push(slot->packets, super, lane->now);
    gw_packet_queue_stats(slot->packets, &after);
    gw_lane_count(&lane->stats.dropped_full, after.dropped_full - before.dropped_full);
    if (!gw_list_is_linked(&slot->ready))
        gw_list_push_back(&lane->ready, &slot->ready);
    return gw_packet_queue_is_backlogged(slot->packets, lane->now);
}

bool gw_lane_is_backlogged(const struct gw_lane *lane)
{
    gw_list_for_each (node, &lane->ready) {
        const struct gw_lane_slot *slot = gw_list_entry(node, struct gw_lane_slot, ready);
        if (gw_packet_queue_is_backlogged(slot->packets, lane->now))
            return true;
    }
    return false;
}

bool gw_lane_hand_over(struct gw_lane *lane, const uint8_t *packet, size_t len,
                       const struct gw_super_hint *hint)
{
    /* Bursts leave half of the ring to what is small: of a sparse flow every packet counts. */
    bool may = len <= GW_LANE_SMALL || gw_ring_is_half_empty(&lane->told);
    struct gw_lane_record *record = may ? gw_lane_record(lane, GW_LANE_BURST, len) : NULL;
    if (!record) {
        gw_lane_count(&lane->stats.handed_lost, 1);
        return true;
    }
    record->hint = *hint;
    memcpy(gw_lane_record_bytes(record), packet, len);
    gw_lane_tell(lane);
    gw_lane_count(&lane->stats.handed_over, 1);
    return !gw_ring_is_half_empty(&lane->told);
}

/* ---- trains */

struct build {
    struct gw_lane *lane;
    const struct gw_lane_entry *entry;
    struct gw_packet_queue *packets;
    struct gw_train *train;
    uint16_t plain_lens[GW_TRAIN_DATAGRAMS];
};

static void mark_partial(uint8_t *packet)
{
    unsigned nibble = packet[0] >> 4 == 4 ? GW_INNER_PARTIAL_V4 : GW_INNER_PARTIAL_V6;
    packet[0] = (uint8_t)((packet[0] & 15) | nibble << 4);
}

static bool is_full(const struct gw_train *train)
{
    return train->count > 0 && (train->last_len < train->stride || train->count == GW_TRAIN_DATAGRAMS ||
                                gw_train_len(train) + train->stride > GW_TRAIN_BYTES);
}

/* The head's next packet into the train's next place, not sealed yet. */
static void fill(struct build *b, struct gw_super *super, size_t room, size_t cap)
{
    struct gw_train *train = b->train;
    uint8_t *packet = train->slab + gw_train_len(train) + GW_DATA_HEADER_LEN;
    bool is_partial;
    size_t len = gw_super_take(super, packet, room, b->entry->keep_partial, &is_partial);
    if (is_partial)
        mark_partial(packet);
    gw_packet_queue_took(b->packets, len, false);
    b->plain_lens[train->count] = (uint16_t)len;
    train->last_len = (uint16_t)gw_keypair_sealed_len(b->entry->suite, len, cap);
    if (train->count++ == 0)
        train->stride = train->last_len;
}

/* The engine knows what to do with it: wait for a session, cut it in two, refuse it. What is half out already is lost. */
static void give_up(struct build *b, struct gw_super *super)
{
    if (super->segments == 0)
        gw_lane_hand_over(b->lane, super->data, super->len, &super->hint);
    gw_packet_queue_took(b->packets, super->len, true);
}

static void fill_train(struct build *b)
{
    struct gw_train *train = b->train;
    size_t cap = b->entry->cap, room = b->entry->room;
    for (struct gw_super *super; (super = gw_packet_queue_head(b->packets, b->lane->now)) != NULL;) {
        if (is_full(train))
            return;
        if (gw_super_next_len(super, room) > room) {
            if (train->count > 0)
                return; /* a longer one begins the next train */
            give_up(b, super);
            continue;
        }
        fill(b, super, room, cap);
        cap = train->stride;
        room = gw_suite_room(b->entry->suite, cap);
    }
}

static bool seal_train(struct build *b)
{
    struct gw_train *train = b->train;
    uint64_t counter;
    if (!gw_keypair_take_counters(b->entry->kp, train->count, &counter))
        return false; /* used up: the engine has long begun the next */
    for (unsigned i = 0; i < train->count; i++)
        gw_keypair_seal_as(b->entry->kp, b->entry->suite, gw_train_datagram(train, i),
                           gw_train_datagram_len(train, i), b->plain_lens[i], counter + i);
    return true;
}

static bool output_slot(struct gw_lane *lane, struct gw_lane_slot *slot, struct gw_train *train)
{
    struct build b = {
        .lane = lane, .entry = gw_lane_snapshot_entry(lane->snapshot, slot->peer), .packets = slot->packets};
    b.train = train;
    train->count = 0;
    train->stride = train->last_len = 0;
    train->ecn = 0;
    train->may_be_cut = false;
    train->heeds_icmp = false;
    if (!can_send(lane, b.entry)) {
        for (struct gw_super *super; (super = gw_packet_queue_head(b.packets, lane->now)) != NULL;)
            give_up(&b, super);
        return false;
    }
    train->tuple = b.entry->path;
    train->heeds_icmp = b.entry->heeds_icmp;
    fill_train(&b);
    if (train->count == 0 || !seal_train(&b))
        return false;
    gw_lane_note_sent(lane, slot, b.entry->kp->local_index, train);
    return true;
}

bool gw_lane_output(struct gw_lane *lane, struct gw_train *train)
{
    for (struct gw_list *node; (node = gw_list_pop_front(&lane->ready)) != NULL;) {
        struct gw_lane_slot *slot = gw_list_entry(node, struct gw_lane_slot, ready);
        struct gw_packet_queue_stats before, after;
        gw_packet_queue_stats(slot->packets, &before);
        bool is_made = output_slot(lane, slot, train);
        gw_packet_queue_stats(slot->packets, &after);
        gw_lane_count(&lane->stats.dropped_late, after.dropped_late - before.dropped_late);
        if (!gw_packet_queue_is_empty(slot->packets))
            gw_list_push_back(&lane->ready, &slot->ready);
        if (!is_made)
            continue;
        gw_lane_count(&lane->stats.trains_sent, 1);
        gw_lane_count(&lane->stats.datagrams_sent, train->count);
        gw_lane_count(&lane->stats.bytes_sent, gw_train_len(train));
        return true;
    }
    return false;
}
