/* SPDX-License-Identifier: MIT */
/* An opened packet and who it is for: the first nibble, then frame by frame. Nothing here trusts the peer's bytes; what
 * makes no sense is counted and dropped (docs/PROTOCOL.md, "Inside a session: frames"). */
#include "gateway/base/log.h"
#include "gateway/peer/peer_private.h"

#include <string.h>

/* One packet's frames on their way through. */
struct packet {
    struct gw_peer *peer;
    struct gw_keypair *kp;
    struct gw_mono now;
    const struct gw_train *train;
    size_t datagram_len;
    uint64_t counter;
    bool is_in_mux; /* gw_mux_packet_begin was called */
    bool asks;      /* something in it wants an answer */
    bool challenges;
};

static bool is_flow_frame(const struct gw_frame *frame)
{
    return (frame->type >= GW_FRAME_NUMBER && frame->type <= GW_FRAME_STOP) ||
           (frame->type == GW_FRAME_PING && frame->body.len == 0);
}

static void leave_mux(struct packet *packet)
{
    if (packet->is_in_mux)
        gw_mux_packet_end(packet->peer->mux);
    packet->is_in_mux = false;
}

/* The mux that this packet's flow frames belong to; NULL when they are another instance's. */
static struct gw_mux *mux_of(struct packet *packet)
{
    struct gw_peer *peer = packet->peer;
    const struct gw_keypair *kp = packet->kp;
    if (peer->seal_conflict != GW_SEAL_AGREED || !kp->has_hello || !gw_peer_flows_may_use(peer, kp) ||
        kp->peer_instance != peer->remote_instance || gw_peer_holds_data(peer, &packet->train->tuple))
        return NULL;
    if (kp == peer->hello.kp && (!peer->hello.are_flows_bound || packet->counter < peer->hello.flows_floor))
        return NULL;
    struct gw_mux *mux = gw_peer_flows(peer, packet->now);
    if (mux)
        peer->has_mux_bound = true;
    return mux;
}

static int flow_frame(struct packet *packet, const struct gw_frame *frame)
{
    struct gw_mux *mux = mux_of(packet);
    if (!mux)
        return 0; /* not acknowledged, so it comes again when the HELLOs are through */
    if (!packet->is_in_mux)
        gw_mux_packet_begin(mux, packet->now, packet->datagram_len, packet->train->ecn);
    packet->is_in_mux = true;
    int err = gw_mux_frame(mux, frame);
    if (err != 0 && gw_mux_is_broken(mux))
        gw_peer_mark_ready(packet->peer); /* ends it, when nobody is in the middle of a train */
    return err;
}

/* This one and those below: whether it wants an answer. */
static bool ping_frame(struct packet *packet, struct gw_view body)
{
    struct gw_ping ping;
    if (gw_ping_decode(&ping, body) != 0)
        return true;
    gw_peer_ping_input(packet->peer, &ping, packet->now);
    return !ping.is_reply;
}

static bool path_response_frame(struct packet *packet, struct gw_view body)
{
    struct gw_peer *peer = packet->peer;
    const struct gw_peer_hooks *hooks = &peer->host->hooks;
    struct gw_tuple path;
    int64_t rtt_ns;
    if (body.len < GW_PATH_CHALLENGE_LEN)
        return true;
    if (gw_peer_mtu_answered(peer, packet->now, body.data)) {
        gw_peer_mark_ready(peer);
        return false;
    }
    const struct gw_path *current = gw_paths_current(&peer->paths);
    bool was_proven = current && current->is_validated;
    bool is_changed = hooks->on_check_answered(peer, packet->now, &packet->train->tuple, body.data, &path,
                                               &rtt_ns, hooks->ctx)
                          ? gw_paths_add_proven(&peer->paths, packet->now, &path, rtt_ns, peer->host->random)
                          : gw_paths_answered(&peer->paths, packet->now, &packet->train->tuple, body.data,
                                              peer->host->random);
    current = gw_paths_current(&peer->paths);
    gw_peer_proven(peer, packet->now);
    if (is_changed)
        gw_peer_path_changed(peer, packet->now);
    else if (!was_proven && current && current->is_validated)
        gw_peer_report(peer, packet->now); /* others are told of an address only when it is proven */
    gw_peer_mark_ready(peer);              /* another path may have to be asked, to compare */
    return false;
}

static bool control_frame(struct packet *packet, struct gw_view body)
{
    const struct gw_peer_hooks *hooks = &packet->peer->host->hooks;
    const struct gw_gateway_events *events = packet->peer->host->events;
    bool is_answer = false;
    if (!hooks->on_control(packet->peer, body, packet->now, &is_answer, hooks->ctx) && events->on_control)
        events->on_control(packet->peer->host->gateway, packet->peer, body, packet->now, events->ctx);
    return !is_answer;
}

/* ---- IP packets */

/* First nibbles 2 and 3: versions 4 and 6 of ours without a layer-4 checksum. */
static bool restore_version(uint8_t *packet)
{
    uint8_t nibble = packet[0] >> 4;
    if (nibble != GW_INNER_PARTIAL_V4 && nibble != GW_INNER_PARTIAL_V6)
        return false;
    packet[0] = (uint8_t)((packet[0] & 15) | (nibble == GW_INNER_PARTIAL_V4 ? 0x40 : 0x60));
    return true;
}

/* May the peer send it, and where does it end? Its addresses are those on this machine then. */
static bool check_ip(struct packet *packet, uint8_t *bytes, size_t len, bool is_partial, struct gw_ip *ip)
{
    struct gw_peer *peer = packet->peer;
    struct gw_peer_host *host = peer->host;
    struct gw_addr source;
    struct gw_ip unchanged;
    if (host->again_peer == peer && gw_again_is(&host->again, ip, bytes, len))
        return true;
    host->again_peer = NULL;
    if (gw_peer_holds_data(peer, &packet->train->tuple) || gw_ip_parse(ip, bytes, len) != 0)
        return false;
    gw_again_set(&host->again, bytes, ip);
    gw_peer_alias_in(peer, bytes, ip, is_partial);
    gw_ip_source(&source, bytes, ip);
    if (!gw_peer_allows_source(peer, &source))
        return false;
    if (host->input && gw_again_is(&host->again, &unchanged, bytes, len)) /* no alias of either */
        host->again_peer = peer;
    return true;
}

static void input_ip(struct packet *packet, uint8_t *bytes, size_t len, bool is_partial)
{
    struct gw_peer *peer = packet->peer;
    struct gw_peer_host *host = peer->host;
    struct gw_ip ip;
    is_partial |= restore_version(bytes);
    if (!check_ip(packet, bytes, len, is_partial, &ip)) {
        host->stats.dropped_inner++;
        return;
    }
    if (!host->events->on_packet)
        return;
    if (is_partial && !host->takes_partial) { /* it was not asked for, but it is right */
        gw_checksum_complete(bytes, &ip);
        is_partial = false;
    }
    host->shared_at = packet->now;
    if (!host->has_packets && host->input && host->events->on_packets_begin)
        host->events->on_packets_begin(host->gateway, host->input->slab, gw_train_len(host->input),
                                       host->events->ctx);
    host->has_packets = true; /* total_len: type 4's padding is cut off */
    host->events->on_packet(host->gateway, peer, bytes, ip.total_len, is_partial, packet->now,
                            host->events->ctx);
}

static void frag_frame(struct packet *packet, struct gw_view body)
{
    struct gw_view whole;
    bool is_partial;
    if (!gw_peer_frag_input(packet->peer, packet->now, body, &whole, &is_partial))
        return;
    input_ip(packet, (uint8_t *)(uintptr_t)whole.data, whole.len, is_partial);
    /* The next part may come to the same place, so what is lent is called back now. */
    const struct gw_gateway_events *events = packet->peer->host->events;
    if (packet->peer->host->has_packets && events->on_packets_end)
        events->on_packets_end(packet->peer->host->gateway, packet->now, events->ctx);
}

/* ---- by type */

static int handle_frame(struct packet *packet, const struct gw_frame *frame)
{
    bool asks = true;
    if (is_flow_frame(frame)) {
        packet->asks = true;
        return flow_frame(packet, frame);
    }
    leave_mux(packet); /* what follows may end the mux */
    switch (frame->type) {
    case GW_FRAME_HELLO:
        asks = gw_peer_hello_input(packet->peer, packet->kp, frame->body, packet->counter, packet->now);
        break;
    case GW_FRAME_CONTROL:
        asks = control_frame(packet, frame->body);
        break;
    case GW_FRAME_PING:
        asks = ping_frame(packet, frame->body);
        break;
    case GW_FRAME_PATH_CHALLENGE:
        /* One a datagram: the answer goes to an address that nothing has proven, and is to be no longer than what came from there. */
        if (!packet->challenges)
            gw_peer_challenge_input(packet->peer, &packet->train->tuple, frame->body);
        packet->challenges = true;
        break;
    case GW_FRAME_PATH_RESPONSE:
        asks = path_response_frame(packet, frame->body);
        break;
    case GW_FRAME_DISMISS:
    case GW_FRAME_GOODBYE:
        gw_peer_last_word_input(packet->peer, packet->kp, (enum gw_frame_type)frame->type);
        asks = false;
        break;
    case GW_FRAME_FRAG:
        frag_frame(packet, frame->body);
        break;
    default: /* a later version's: skipped by its length */
        break;
    }
    packet->asks |= asks;
    return 0;
}

static void input_frames(struct packet *packet, struct gw_view plain)
{
    struct gw_reader r = gw_reader_of(plain.data + 1, plain.len - 1);
    struct gw_frame frame;
    packet->peer->host->again_peer = NULL; /* whatever they change */
    while (gw_frame_next(&r, &frame)) {
        if (handle_frame(packet, &frame) != 0) {
            packet->peer->host->stats.dropped_inner++;
            break;
        }
    }
    if (!gw_reader_ok(&r))
        packet->peer->host->stats.dropped_inner++;
    leave_mux(packet);
}

/* ---- the packet */

/* The first packet on a key pair confirms it, and everything that hangs on the current key pair must know before its frames are read. */
static void confirm(struct packet *packet, size_t plain_len)
{
    struct gw_peer *peer = packet->peer;
    gw_session_packets_received(peer->session, packet->kp, packet->now, plain_len > 0, packet->datagram_len);
    bool is_answer = gw_tuple_same_remote(&packet->train->tuple, &peer->endpoints.response_tuple);
    gw_peer_paths_received(peer, packet->now, &packet->train->tuple, packet->datagram_len, true, is_answer);
}

void gw_peer_input(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now,
                   const struct gw_train *train, size_t datagram_len, struct gw_view plain, uint64_t counter,
                   bool is_highest)
{
    struct packet packet = {peer, kp, now, train, datagram_len, counter, false, false, false};
    if (!kp->is_confirmed) {
        confirm(&packet, plain.len);
    } else {
        if (peer->received.kp && peer->received.kp != kp)
            gw_peer_input_flush(peer, now, train);
        peer->received.kp = kp;
        peer->received.bytes += datagram_len;
        peer->received.is_highest |= is_highest;
    }
    if (plain.len == 0)
        return;
    bool is_ip = plain.data[0] != GW_INNER_FRAMES;
    if (is_ip)
        input_ip(&packet, (uint8_t *)(uintptr_t)plain.data, plain.len,
                 false); /* opened in place: the train's bytes are ours to change */
    else
        input_frames(&packet, plain);
    if (peer->received.kp == kp)
        peer->received.is_data |= is_ip || packet.asks;
}

void gw_peer_input_flush(struct gw_peer *peer, struct gw_mono now, const struct gw_train *train)
{
    if (peer->mux) {
        gw_mux_input_flush(peer->mux, now);
        gw_peer_mtu_flows_acked(peer);
    }
    if (!peer->received.kp)
        return;
    gw_session_packets_received(peer->session, peer->received.kp, now, peer->received.is_data,
                                peer->received.bytes);
    gw_peer_paths_received(peer, now, &train->tuple, peer->received.bytes, peer->received.is_highest, false);
    if (peer->received.is_data && gw_tuple_is_relay(&train->tuple))
        gw_peer_relay_data(peer, now, &train->tuple);
    memset(&peer->received, 0, sizeof peer->received);
    const struct gw_path *current = gw_paths_current(&peer->paths);
    bool is_back = peer->mux && current && gw_tuple_equal(&current->tuple, &train->tuple) &&
                   !gw_peer_holds_data(peer, &current->tuple) && gw_mux_is_back(peer->mux);
    peer->is_retry_due |= is_back;
    if (is_back || gw_session_wants(peer->session))
        gw_peer_mark_ready(peer);
}

void gw_peer_lane_received(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now,
                           const struct gw_tuple *tuple, uint64_t bytes, bool is_data, bool is_highest)
{
    bool is_first = !kp->is_confirmed;
    bool is_answer = is_first && gw_tuple_same_remote(tuple, &peer->endpoints.response_tuple);
    gw_session_packets_received(peer->session, kp, now, is_data, bytes);
    gw_peer_paths_received(peer, now, tuple, bytes, is_highest || is_first, is_answer);
    if (is_first || gw_session_wants(peer->session))
        gw_peer_mark_ready(peer);
}
