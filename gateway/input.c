/* SPDX-License-Identifier: MIT */
/* A train that came: each datagram's first bytes to a message type, receiver index to a key pair, key pair to its peer, relay frames to who is inside or to whom they go on. What it means is in
 * session/, path/, flow/ and peer/. */
#include "gateway/base/err.h"
#include "gateway/gateway_private.h"
#include "gateway/wire/relay_frame.h"

/* What a train's datagrams have in common, so that the index is looked up once. */
struct input {
    struct gateway *gateway;
    struct gw_mono now;
    const struct gw_train *train;
    struct gw_keypair *kp; /* of the last datagram */
    struct gw_peer *peer;
    const struct gw_train *outer; /* as it came */
    struct gw_train inner;        /* the same, as what is in relay frames sees it */
};

static void count_open_failure(struct gw_gateway_stats *stats, int err)
{
    if (err == GW_E_REPLAY)
        stats->dropped_replay++;
    else if (err == GW_E_AUTH)
        stats->dropped_auth++;
    else
        stats->dropped_malformed++;
}

static void switch_peer(struct input *in, struct gw_keypair *kp)
{
    struct gw_peer *peer = gw_session_owner(kp->session);
    if (in->peer && in->peer != peer)
        gw_peer_input_flush(in->peer, in->now, in->train);
    in->peer = peer;
    in->kp = kp;
}

static void input_data(struct input *in, uint8_t *datagram, size_t len)
{
    struct gw_gateway_stats *stats = &in->gateway->host.stats;
    uint32_t index = gw_load32_le(datagram + 4);
    uint64_t counter = gw_load64_le(datagram + 8);
    struct gw_keypair *kp = in->kp && in->kp->local_index == index
                                ? in->kp
                                : gw_session_receiving_key(&in->gateway->host.local, index, in->now);
    if (!kp) {
        stats->dropped_unknown++;
        return;
    }
    struct gw_view plain;
    bool is_highest;
    int err = gw_keypair_open(kp, datagram, len, &plain, &is_highest);
    if (err) {
        count_open_failure(stats, err);
        return;
    }
    if (kp != in->kp)
        switch_peer(in, kp);
    gw_peer_input(in->peer, kp, in->now, in->train, len, plain, counter, is_highest);
    /* The peer's first packet on a new key may have ended old ones: look the next index up again. */
    if (in->kp != kp || !kp->is_confirmed)
        in->kp = NULL;
}

/* Datagrams before came another way. */
static void switch_train(struct input *in, const struct gw_train *train)
{
    if (in->peer)
        gw_peer_input_flush(in->peer, in->now, in->train);
    in->peer = NULL;
    in->kp = NULL;
    in->train = train;
}

static void input_datagram(struct input *in, uint8_t *datagram, size_t len);

/* A datagram of a peer's that came through a relay. */
static bool input_unwrapped(struct input *in, uint8_t *frame, size_t len)
{
    struct gateway *gateway = in->gateway;
    uint8_t *datagram = frame + GW_RELAY_HEADER_LEN;
    const struct gw_tuple *tuple =
        gw_discovery_unwrap(gateway->discovery, in->now, &in->outer->tuple, frame, len);
    if (!tuple || gw_message_gate(datagram, len - GW_RELAY_HEADER_LEN) == GW_MESSAGE_RELAY)
        return false;
    if (in->train != &in->inner || !gw_tuple_equal(&in->inner.tuple, tuple)) {
        switch_train(in, &in->inner);
        in->inner = *in->outer;
        in->inner.tuple = *tuple;
    }
    input_datagram(in, datagram, len - GW_RELAY_HEADER_LEN);
    return true;
}

/* Returns how many datagrams of the train, from the i-th on, were dealt with. */
static unsigned input_relay(struct input *in, unsigned i)
{
    struct gateway *gateway = in->gateway;
    gateway->host.stats.datagrams_received++;
    if (input_unwrapped(in, gw_train_datagram(in->outer, i), gw_train_datagram_len(in->outer, i)))
        return 1;
    gateway->host.shared_at = in->now;
    if (gateway->anchor)
        return gw_anchor_forward(gateway->anchor, in->now, in->outer, i);
    gateway->host.stats.dropped_unknown++;
    return 1;
}

static void input_probe(struct input *in, const uint8_t *datagram)
{
    struct gateway *gateway = in->gateway;
    const struct gw_tuple *from = &in->train->tuple;
    bool is_known = !gw_tuple_is_relay(from) &&
                    ((gateway->anchor && gw_anchor_probe_input(gateway->anchor, in->now, from, datagram)) ||
                     gw_discovery_probe_input(gateway->discovery, in->now, from, datagram));
    gateway->host.stats.dropped_unknown += !is_known;
}

static void input_datagram(struct input *in, uint8_t *datagram, size_t len)
{
    struct gateway *gateway = in->gateway;
    gateway->host.stats.datagrams_received++;
    switch (gw_message_gate(datagram, len)) {
    case GW_MESSAGE_DATA:
    case GW_MESSAGE_FAST_DATA:
        input_data(in, datagram, len);
        break;
    case GW_MESSAGE_INITIATION:
    case GW_MESSAGE_RESPONSE:
        gw_handshakes_input(gateway, in->now, &in->train->tuple, datagram, len);
        break;
    case GW_MESSAGE_COOKIE_REPLY:
        gw_handshakes_input_cookie(gateway, in->now, datagram);
        break;
    case GW_MESSAGE_STUN:
        if (!gw_stun_input(gateway->stun, in->now, &in->train->tuple, datagram, len))
            gateway->host.stats.dropped_unknown++;
        break;
    case GW_MESSAGE_PROBE:
        input_probe(in, datagram);
        break;
    case GW_MESSAGE_RELAY:
    case GW_MESSAGE_ADMIT:
    case GW_MESSAGE_NONE:
    default:
        gateway->host.stats.dropped_malformed++;
        break;
    }
}

void gw_gateway_input(struct gateway *gateway, struct gw_mono now, struct gw_train *train)
{
    struct input in = {.gateway = gateway, .now = now, .train = train, .outer = train};
    gw_gateway_look_back(gateway, now);
    gateway->host.now = now;
    gateway->host.input = train;
    gateway->host.again_peer = NULL;
    for (unsigned i = 0; i < train->count;) {
        uint8_t *datagram = gw_train_datagram(train, i);
        size_t len = gw_train_datagram_len(train, i);
        if (gw_message_gate(datagram, len) == GW_MESSAGE_RELAY) {
            i += input_relay(&in, i);
            continue;
        }
        if (in.train != train)
            switch_train(&in, train);
        input_datagram(&in, datagram, len);
        i++;
    }
    if (in.peer)
        gw_peer_input_flush(in.peer, now, in.train);
    if (gateway->host.has_packets && gateway->host.events->on_packets_end)
        gateway->host.events->on_packets_end(gateway, now, gateway->host.events->ctx);
    gateway->host.has_packets = false;
    gateway->host.input = NULL;
    gateway->host.again_peer = NULL;
}
