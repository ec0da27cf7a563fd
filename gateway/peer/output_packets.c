/* SPDX-License-Identifier: MIT */
/* IP packets into a train: whole where the path carries them, in two parts where it does not. */
#include "gateway/peer/output_private.h"

static void mark_partial(uint8_t *packet)
{
    unsigned nibble = packet[0] >> 4 == 4 ? GW_INNER_PARTIAL_V4 : GW_INNER_PARTIAL_V6;
    packet[0] = (uint8_t)((packet[0] & 15) | nibble << 4);
}

/* The next packet of the queue's head into the train; false when there is none that is at most `room` long. */
static bool add_packet(struct gw_build *b, struct gw_super *super, size_t room, size_t cap)
{
    struct gw_packet_queue *packets = b->peer->queues.packets;
    bool keep_partial = b->peer->remote_capabilities & GW_CAP_PARTIAL_CSUM, is_partial;
    size_t len;
    if (gw_super_next_len(super, room) > room)
        return false;
    uint8_t *packet = gw_super_next(super, &len, room, keep_partial, &is_partial);
    if (is_partial)
        mark_partial(packet);
    bool is_sealed = gw_build_seal_from(b, packet, len, cap);
    gw_packet_queue_took(packets, len, false); /* which may free it */
    return is_sealed;
}

/* Writes a packet of frames that holds one part of a packet. */
static bool add_frag(struct gw_build *b, struct gw_super *super, size_t cap)
{
    uint8_t *plain = b->train->slab + gw_train_len(b->train) + GW_DATA_HEADER_LEN;
    struct gw_writer w = gw_writer_of(plain + 1, gw_build_frames_room(b->path->mtu.len, b->suite));
    bool is_partial, is_cut;
    plain[0] = GW_INNER_FRAMES;
    if (super) {
        uint8_t whole[2 * GW_FRAG_PART_MAX];
        size_t len = gw_super_next_len(super, sizeof whole);
        if (len > sizeof whole)
            return false;
        gw_super_take(super, whole, sizeof whole, true, &is_partial);
        is_cut = gw_peer_frag_first(b->peer, &w, whole, len, is_partial);
    } else {
        is_cut = gw_peer_frag_second(b->peer, &w);
    }
    return is_cut && gw_writer_ok(&w) && gw_build_seal(b, 1 + gw_writer_len(&w), cap);
}

/* What every link has to carry of IPv6 (RFC 8200, 5), to a peer that knows no FRAG: the outer packet is fragmented on the way, as WireGuard does it. */
static bool add_cut(struct gw_build *b, struct gw_super *super)
{
    size_t room = GW_IP_MIN_MTU_V6, cap = room + gw_suite_overhead(b->suite);
    if (super->ip.version != 6 || gw_peer_can_frag(b->peer) || !add_packet(b, super, room, cap))
        return false;
    b->train->may_be_cut = true;
    return true;
}

/* A packet that the path does not carry: in two parts, or not at all. */
static bool output_too_long(struct gw_build *b, struct gw_super *super)
{
    struct gw_peer_queues *queues = &b->peer->queues;
    if (add_cut(b, super))
        return true;
    size_t len = gw_super_next_len(super, gw_suite_room(b->suite, gw_peer_packet_cap(b->peer, b->path)));
    bool is_sent = gw_peer_can_frag(b->peer) && add_frag(b, super, b->path->mtu.len);
    if (!is_sent)
        queues->packets_refused++;
    gw_packet_queue_took(queues->packets, len, true);
    return is_sent;
}

bool gw_build_packets(struct gw_build *b)
{
    struct gw_packet_queue *packets = b->peer->queues.packets;
    if (!b->may_send_data || gw_peer_holds_data(b->peer, &b->path->tuple))
        return false;
    if (add_frag(b, NULL, b->path->mtu.len))
        return (b->asks = true);
    size_t cap = gw_peer_packet_cap(b->peer, b->path), room = gw_suite_room(b->suite, cap);
    for (struct gw_super *super; packets && (super = gw_packet_queue_head(packets, b->now)) != NULL;) {
        struct gw_train *train = b->train;
        bool is_full = train->count > 0 && (train->last_len < train->stride || !gw_build_has_room(train) ||
                                            gw_train_len(train) + train->stride > b->limit);
        if (is_full)
            break;
        if (add_packet(b, super, room, cap)) {
            cap = train->stride;
            room = gw_suite_room(b->suite, cap);
            continue;
        }
        if (train->count > 0) /* a longer one begins the next train */
            break;
        if (output_too_long(b, super))
            break;
    }
    b->asks |= b->train->count > 0;
    return b->train->count > 0;
}
