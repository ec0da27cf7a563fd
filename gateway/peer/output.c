/* SPDX-License-Identifier: MIT */
/* What goes to a peer next: one train, filled in the caller's slab. Order: handshake; path challenges and responses, each to its own
 * address; then packets of frames (HELLO in front while it is due, answers, control, flows), of which full ones make a
 * train; then IP packets; last a keepalive if nothing else was there to say. */
#include "gateway/peer/output_private.h"

#include <string.h>

#define CHALLENGE_MAX 80u /* a sealed PATH_CHALLENGE is no longer, with a PATH_RESPONSE neither */
#define ATTEMPTS_ALONE 1u /* so many initiations go unanswered before anchors are asked */

static void begin_train(struct gw_train *train, const struct gw_tuple *tuple)
{
    train->tuple = *tuple;
    train->count = 0;
    train->stride = train->last_len = 0;
    train->ecn = 0;
    train->may_be_cut = false;
    train->heeds_icmp = false;
}

/* ---- handshake */

static bool output_initiation(struct gw_peer *peer, struct gw_mono now, struct gw_train *train)
{
    struct gw_initiation msg;
    struct gw_tuple tuple;
    if (!(gw_session_wants(peer->session) & GW_WANT_INITIATION))
        return false;
    if (!gw_peer_has_address(peer) || peer->endpoints.attempts >= ATTEMPTS_ALONE)
        peer->host->hooks.on_wanted(peer, now, peer->host->hooks.ctx);
    if (!gw_peer_has_address(peer))
        return false; /* it stays wanted */
    if (gw_session_create_initiation(peer->session, now, &msg) != 0)
        return false;
    if (!gw_peer_endpoint_next(peer, now, &tuple))
        return false;
    begin_train(train, &tuple);
    memcpy(train->slab, &msg, sizeof msg);
    gw_build_add_datagram(train, sizeof msg);
    return true;
}

/* ---- single packets that go to an address of their own */

bool gw_peer_output_single(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now,
                           struct gw_train *train, const struct gw_tuple *tuple, size_t frames_len, bool asks)
{
    begin_train(train, tuple);
    train->slab[GW_DATA_HEADER_LEN] = GW_INNER_FRAMES;
    size_t len = gw_keypair_seal(kp, gw_peer_suite(peer, kp), train->slab, GW_PAYLOAD_START, 1 + frames_len);
    if (len == 0)
        return false;
    gw_build_add_datagram(train, len);
    struct gw_path *path = gw_paths_find(&peer->paths, tuple);
    if (path)
        gw_path_sent(path, now, len);
    gw_session_packets_sent(peer->session, kp, now, asks, len);
    return true;
}

static void write_challenge(struct gw_writer *w, enum gw_frame_type type,
                            const uint8_t challenge[GW_PATH_CHALLENGE_LEN])
{
    struct gw_writer body = gw_frame_begin(w, type, GW_PATH_CHALLENGE_LEN);
    gw_write_bytes(&body, challenge, GW_PATH_CHALLENGE_LEN);
    gw_frame_finish(w, &body);
}

/* A path's own: says, too, that we may be somewhere else. */
static void write_path_challenge(struct gw_writer *w, const struct gw_peer *peer, const struct gw_path *path)
{
    struct gw_writer body = gw_frame_begin(w, GW_FRAME_PATH_CHALLENGE, GW_PATH_CHALLENGE_LEN + 1u);
    gw_write_bytes(&body, path->challenge, GW_PATH_CHALLENGE_LEN);
    if (peer->is_doubted)
        gw_write_u8(&body, peer->moves);
    gw_frame_finish(w, &body);
}

/* In a packet of its own; returns its length. */
static size_t write_only_challenge(struct gw_train *train, enum gw_frame_type type,
                                   const uint8_t challenge[GW_PATH_CHALLENGE_LEN])
{
    struct gw_writer w = gw_writer_of(train->slab + GW_DATA_HEADER_LEN + 1, 64);
    write_challenge(&w, type, challenge);
    return gw_writer_len(&w);
}

/* To an address that may be the peer's. */
static bool output_check(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now,
                         struct gw_train *train)
{
    const struct gw_peer_hooks *hooks = &peer->host->hooks;
    uint8_t nonce[GW_PATH_CHALLENGE_LEN];
    struct gw_tuple tuple;
    if (!hooks->take_check(peer, now, &tuple, nonce, hooks->ctx))
        return false;
    size_t len = write_only_challenge(train, GW_FRAME_PATH_CHALLENGE, nonce);
    return gw_peer_output_single(peer, kp, now, train, &tuple, len, true);
}

/* What is to be asked there goes in front, in the same packet: whoever learns by the answer that the way is open learns, before it uses it, what it has to answer for it. */
static bool output_response(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now,
                            struct gw_train *train)
{
    struct gw_path_response response = peer->path_responses[--peer->path_response_count];
    struct gw_path *path = gw_paths_find(&peer->paths, &response.tuple);
    struct gw_writer w = gw_writer_of(train->slab + GW_DATA_HEADER_LEN + 1, 64);
    bool asks = path && gw_path_allowance(path) >= CHALLENGE_MAX && gw_path_take_challenge(path, now);
    if (asks)
        write_path_challenge(&w, peer, path);
    gw_peer_rearm(peer);
    write_challenge(&w, GW_FRAME_PATH_RESPONSE, response.challenge);
    return gw_peer_output_single(peer, kp, now, train, &response.tuple, gw_writer_len(&w), asks);
}

static bool output_path_frame(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now,
                              struct gw_train *train)
{
    if (peer->path_response_count > 0)
        return output_response(peer, kp, now, train);
    if (gw_peer_is_stock(peer))
        return false;
    struct gw_path *path = gw_paths_take_challenge(&peer->paths, now);
    gw_peer_rearm(peer);
    if (!path || gw_path_allowance(path) < CHALLENGE_MAX)
        return output_check(peer, kp, now, train);
    struct gw_writer w = gw_writer_of(train->slab + GW_DATA_HEADER_LEN + 1, 64);
    write_path_challenge(&w, peer, path);
    struct gw_tuple tuple = path->tuple;
    return gw_peer_output_single(peer, kp, now, train, &tuple, gw_writer_len(&w), true);
}

/* A datagram of the size that is tried, on the current path: a challenge and padding. The first on a key pair has the second HELLO. It is no data: that it stays
 * unanswered says nothing but that it was too large. */
static bool output_mtu_probe(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now,
                             struct gw_train *train)
{
    uint8_t nonce[GW_MTU_NONCE_LEN];
    uint16_t size;
    if (!gw_peer_mtu_take_probe(peer, now, &size, nonce))
        return false;
    enum gw_suite suite = GW_SUITE_CHACHA20_POLY1305;
    struct gw_path *path = gw_paths_current(&peer->paths);
    size_t room = size - gw_suite_overhead(suite);
    begin_train(train, &path->tuple);
    train->slab[GW_DATA_HEADER_LEN] = GW_INNER_FRAMES;
    struct gw_writer w = gw_writer_of(train->slab + GW_DATA_HEADER_LEN + 1, room - 1);
    if (!peer->hello.was_second_sent && kp == peer->hello.kp)
        gw_peer_hello_output(peer, &w, now);
    peer->hello.was_second_sent = true;
    write_challenge(&w, GW_FRAME_PATH_CHALLENGE, nonce);
    gw_write_zeros(&w, gw_writer_left(&w)); /* PADDING */
    size_t len = gw_keypair_seal(kp, suite, train->slab, size, room);
    gw_peer_rearm(peer);
    if (len == 0)
        return false;
    gw_build_add_datagram(train, len);
    gw_path_sent(path, now, len);
    gw_session_packets_sent(peer->session, kp, now, false, len);
    return true;
}

/* ---- packets of frames */

static void fill_data(struct gw_build *b, struct gw_writer *w)
{
    b->asks |= gw_peer_queues_ask(&b->peer->queues);
    gw_peer_queues_output(b->peer, w, b->now);
    if (!gw_peer_flows_may_send(b->peer) || gw_peer_holds_data(b->peer, &b->path->tuple))
        return;
    size_t len = gw_mux_output(b->peer->mux, b->now, w->at, gw_writer_left(w));
    w->at += len;
    b->asks |= len > 0;
}

/* The packet with a HELLO goes as type 4; what may ride along rides along. */
static size_t fill_hello(struct gw_build *b, uint8_t *frames)
{
    size_t room_len = gw_build_frames_room(gw_path_start(&b->path->tuple), GW_SUITE_CHACHA20_POLY1305);
    struct gw_writer w = gw_writer_of(frames, room_len);
    b->suite = GW_SUITE_CHACHA20_POLY1305;
    gw_peer_hello_output(b->peer, &w, b->now);
    b->asks |= b->peer->hello.acked == 0;
    if (!b->may_send_data)
        return gw_writer_len(&w);
    if (gw_peer_flows_may_send(b->peer))
        gw_peer_flows_fit(b->peer, b->now, b->path, b->suite);
    fill_data(b, &w);
    return gw_writer_len(&w);
}

static size_t fill_frames(struct gw_build *b, uint8_t *frames, size_t room)
{
    struct gw_writer w = gw_writer_of(frames, room);
    fill_data(b, &w);
    return gw_writer_len(&w);
}

/* Packets after the first, as long as they come out as long as it. */
static void extend_train(struct gw_build *b)
{
    struct gw_train *train = b->train;
    size_t stride = train->stride, room = gw_build_frames_room(stride, b->suite);
    if (!gw_peer_flows_may_send(b->peer) || gw_peer_holds_data(b->peer, &b->path->tuple))
        return;
    while (train->last_len == stride && gw_build_has_room(train)) {
        uint8_t *slot = train->slab + gw_train_len(train);
        size_t len = gw_mux_output(b->peer->mux, b->now, slot + GW_DATA_HEADER_LEN + 1, room);
        if (len == 0)
            return;
        b->asks = true;
        slot[GW_DATA_HEADER_LEN] = GW_INNER_FRAMES;
        if (!gw_build_seal(b, 1 + len, stride))
            return;
    }
}

static bool output_frames(struct gw_build *b)
{
    uint8_t *plain = b->train->slab + GW_DATA_HEADER_LEN;
    bool with_hello = gw_peer_hello_is_due(b->peer, b->now);
    size_t len, cap = b->path->mtu.len;
    /* Not for what may not go with it: that would be HELLO after HELLO. */
    if (!with_hello && b->may_send_data && gw_peer_hello_is_pending(b->peer))
        with_hello = gw_peer_queues_have_frames(&b->peer->queues) ||
                     (gw_peer_flows_may_send(b->peer) && !gw_peer_holds_data(b->peer, &b->path->tuple) &&
                      gw_mux_has_output(b->peer->mux, b->now));
    plain[0] = GW_INNER_FRAMES;
    if (with_hello) {
        len = fill_hello(b, plain + 1);
    } else if (b->may_send_data) {
        if (gw_peer_flows_may_send(b->peer))
            gw_peer_flows_fit(b->peer, b->now, b->path, b->suite);
        len = fill_frames(b, plain + 1, gw_build_frames_room(cap, b->suite));
    } else {
        return false;
    }
    if (len == 0 || !gw_build_seal(b, 1 + len, cap))
        return false;
    if (!with_hello && b->path->is_validated)
        extend_train(b);
    return true;
}

/* ---- keepalives, and all of them in their order */

static bool output_keepalive(struct gw_build *b)
{
    if (!(gw_session_wants(b->peer->session) & GW_WANT_KEEPALIVE))
        return false;
    b->suite = GW_SUITE_CHACHA20_POLY1305; /* the key may still wait for its HELLO */
    return gw_build_seal(b, 0, GW_PAYLOAD_START);
}

static bool has_something(const struct gw_peer *peer, struct gw_mono now)
{
    return gw_peer_queues_have_frames(&peer->queues) || gw_peer_queues_have_packets(&peer->queues) ||
           (peer->mux && !gw_peer_is_stock(peer) && gw_mux_has_output(peer->mux, now));
}

/* longest: of the datagrams with data; 0 = there was none. */
static void note_sent(struct gw_peer *peer, struct gw_path *path, struct gw_mono now, uint64_t bytes,
                      uint16_t longest)
{
    gw_path_sent(path, now, bytes);
    if (longest == 0)
        return;
    gw_peer_mtu_sent(peer, path, now, longest);
    if (!gw_mono_is_never(path->awaiting))
        return;
    gw_path_sent_data(path, now);
    if (gw_paths_have_other(&peer->paths) || gw_tuple_is_relay(&path->tuple))
        gw_peer_rearm(peer);
}

/* Of what an unproven path may get, the challenges that prove it come first: data leaves room for all of a series. */
static uint64_t data_allowance(const struct gw_path *path)
{
    uint64_t allowance = gw_path_allowance(path), kept = GW_PATH_CHALLENGE_TRIES * CHALLENGE_MAX;
    return allowance > kept ? allowance - kept : 0;
}

bool gw_peer_path_takes_data(const struct gw_path *path)
{
    return data_allowance(path) >= path->mtu.len;
}

static bool output_data(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now,
                        struct gw_train *train)
{
    struct gw_path *path = gw_paths_current(&peer->paths);
    uint64_t allowance = path ? data_allowance(path) : 0;
    if (!path || allowance < path->mtu.len)
        return false;
    struct gw_build b = {peer, kp, now, path, train, gw_peer_suite(peer, kp), false, false, GW_TRAIN_BYTES};
    if (allowance < b.limit)
        b.limit = allowance;
    b.may_send_data = gw_peer_may_send_data(peer, b.suite);
    begin_train(train, &path->tuple);
    train->heeds_icmp = gw_peer_heeds_icmp(peer, path);
    /* Turn by turn: bulk flows and packets share what the path carries. */
    bool packets_first = peer->queues.is_packets_turn && gw_peer_queues_have_packets(&peer->queues) &&
                         !gw_peer_hello_is_due(peer, now);
    peer->queues.is_packets_turn = !packets_first;
    bool is_data =
        packets_first ? gw_build_packets(&b) || output_frames(&b) : output_frames(&b) || gw_build_packets(&b);
    if (!is_data && !output_keepalive(&b))
        return false;
    note_sent(peer, path, now, gw_train_len(train), b.asks ? train->stride : 0);
    gw_session_packets_sent(peer->session, kp, now, b.asks, gw_train_len(train));
    return true;
}

static void doubt_relay(struct gw_peer *peer, struct gw_mono now)
{
    const struct gw_peer_hooks *hooks = &peer->host->hooks;
    const struct gw_path *path = gw_paths_current(&peer->paths);
    if (!path || !gw_mono_due(path->doubt_at, now))
        return;
    enum gw_path_doubt doubt = gw_paths_doubt_relay(&peer->paths, now, gw_peer_silence(peer));
    gw_peer_rearm(peer);
    if (doubt == GW_PATH_UNANSWERED) {
        gw_peer_try_relays(peer, now);
        hooks->on_wanted(peer, now, hooks->ctx);
    } else if (doubt == GW_PATH_QUIET)
        hooks->on_quiet(peer, now, &path->tuple, hooks->ctx);
}

static void expire_paths(struct gw_peer *peer, struct gw_mono now)
{
    int64_t silence = gw_paths_have_other(&peer->paths) ? gw_peer_silence(peer) : 0;
    if (gw_peer_is_stock(peer))
        return;
    const struct gw_path *current = gw_paths_current(&peer->paths);
    const struct gw_tuple old = current ? current->tuple : (struct gw_tuple){.link = 0};
    if (gw_paths_expire(&peer->paths, now, silence, peer->host->random)) {
        gw_peer_path_changed(peer, now);
        gw_peer_path_left(peer, now, &old);
    }
    doubt_relay(peer, now);
}

void gw_peer_lane_sent(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now, uint64_t bytes,
                       uint16_t longest)
{
    struct gw_path *path = gw_paths_current(&peer->paths);
    gw_session_want_send(peer->session, now); /* a rekey may be due, or a first handshake */
    if (path)
        note_sent(peer, path, now, bytes, longest);
    if (kp)
        gw_session_packets_sent(peer->session, kp, now, true, bytes);
    if (gw_session_wants(peer->session))
        gw_peer_mark_ready(peer);
}

bool gw_peer_output(struct gw_peer *peer, struct gw_mono now, struct gw_train *train)
{
    gw_peer_heed_last_word(peer, now);
    if (peer->is_unreachable_due) {
        gw_peer_queues_drop_packets(&peer->queues);
        gw_peer_flows_end(peer, now, gw_peer_is_shut_out(peer) ? GW_REASON_SHUT_OUT : GW_REASON_UNREACHABLE);
    }
    gw_peer_keepalive_fit(peer, now);
    gw_peer_hello_expire(peer, now);
    if (peer->mux && gw_peer_is_stock(peer))
        gw_peer_flows_end(peer, now, GW_REASON_UNREACHABLE);
    gw_peer_flows_mend(peer, now);
    gw_peer_flows_doubt(peer, now);
    gw_peer_flows_try_again(peer, now);
    if (has_something(peer, now) && gw_peer_has_endpoint(peer))
        gw_session_want_send(peer->session, now);
    if (output_initiation(peer, now, train))
        return true;
    struct gw_keypair *kp = gw_session_sending_key(peer->session, now);
    if (!kp)
        return false;
    expire_paths(peer, now);
    return output_path_frame(peer, kp, now, train) || output_mtu_probe(peer, kp, now, train) ||
           output_data(peer, kp, now, train);
}
