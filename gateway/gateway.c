/* SPDX-License-Identifier: MIT */
/* The engine's root: trains in, trains out, deadlines, peers. It only dispatches: first bytes to a message type, receiver index to a
 * key pair, key pair to its peer; what they mean is in session/, path/, flow/ and peer/. */
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"
#include "gateway/gateway_private.h"
#include "gateway/wire/relay_frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PEERS 4096u
#define FAREWELLS 3u
#define MTU_V4 1472u /* 1500 - 20 - 8 */
#define MTU_V6 1452u /* 1500 - 40 - 8 */

/* ---- life */

static void init_host(struct gateway *gateway, const struct gw_gateway_params *params)
{
    struct gw_peer_host *host = &gateway->host;
    uint8_t seed[16];
    host->gateway = gateway;
    host->random = params->random;
    host->budget = params->budget;
    host->events = params->events;
    host->max_peers = params->max_peers ? params->max_peers : MAX_PEERS;
    host->mtu_v4 = params->mtu_v4 ? params->mtu_v4 : MTU_V4;
    host->mtu_v6 = params->mtu_v6 ? params->mtu_v6 : MTU_V6;
    host->has_ed25519 = params->has_ed25519;
    host->is_derived = params->is_derived;
    memcpy(host->ed25519, params->ed25519, sizeof host->ed25519);
    memcpy(host->ed25519_secret, params->ed25519_seed, 32);
    memcpy(host->ed25519_secret + 32, params->ed25519, 32);
    memcpy(host->hostname, params->hostname, sizeof host->hostname);
    host->hostname[sizeof host->hostname - 1] = '\0';
    memcpy(host->addresses, params->addresses, sizeof host->addresses);
    gw_list_init(&host->ready);
    gw_list_init(&host->changed);
    gw_random_fill(params->random, seed, sizeof seed);
    gw_map_init(&host->peers, GW_KEY_LEN, seed);
    gw_random_fill(params->random, host->packet_seed, sizeof host->packet_seed);
    gw_allowedips_init(&host->allowedips);
    host->takes_partial = params->takes_partial;
    gw_deadlines_init(&host->deadlines);
    gw_peer_init_session_events(host);
    gw_hooks_init(gateway);
}

/* Where STUN servers see us. */
static void on_observed(struct gw_mono now, void *ctx)
{
    struct gateway *gateway = ctx;
    struct gw_addr observed[GW_STUN_SERVERS_MAX];
    unsigned count = gw_stun_observed(gateway->stun, observed, GW_STUN_SERVERS_MAX);
    gw_discovery_set_observed(gateway->discovery, now, observed, count);
}

static int make_stun(struct gateway *gateway)
{
    const struct gw_stun_params params = {.random = gateway->host.random,
                                          .deadlines = &gateway->host.deadlines,
                                          .on_observed = on_observed,
                                          .ctx = gateway};
    return gw_stun_new(&gateway->stun, &params);
}

int gw_gateway_new(struct gateway **out, const struct gw_gateway_params *params, struct gw_mono now)
{
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (!gateway)
        return GW_E_NOMEM;
    init_host(gateway, params);
    gateway->host.now = now;
    int err = gw_session_local_init(&gateway->host.local, params->crypto, params->random, params->wallclock,
                                    &gateway->host.deadlines, params->secret);
    if (err)
        goto no_local;
    err = gw_handshakes_init(gateway);
    if (err)
        goto no_handshakes;
    err = gw_discovery_new(&gateway->discovery, &gateway->host,
                           params->anchor.is_enabled && params->anchor.is_auto);
    if (err)
        goto no_handshakes;
    gateway->is_anchor_auto = params->anchor.is_auto;
    gateway->host.offers_relay = params->anchor.is_enabled && params->anchor.relays && params->anchor.offers;
    gateway->host.is_no_anchor = gateway->host.offers_relay && params->anchor.only_listed;
    err = make_stun(gateway);
    if (!err && params->anchor.is_enabled)
        err = gw_anchor_new(&gateway->anchor, &gateway->host, &params->anchor, now);
    if (err)
        goto no_anchor;
    *out = gateway;
    return 0;

no_anchor:
    gw_stun_free(gateway->stun);
    gw_discovery_free(gateway->discovery);
no_handshakes:
    gw_handshakes_fini(gateway);
    gw_session_local_fini(&gateway->host.local);
no_local:
    gw_map_fini(&gateway->host.peers);
    gw_deadlines_fini(&gateway->host.deadlines);
    gw_wipe(gateway, sizeof *gateway);
    free(gateway);
    return err;
}

void gw_gateway_end_flows(struct gateway *gateway, struct gw_mono now)
{
    gateway->host.now = now;
    for (struct gw_map_node *node = gw_map_first(&gateway->host.peers); node;
         node = gw_map_next(&gateway->host.peers, node))
        gw_peer_flows_end_both(gw_map_entry(node, struct gw_peer, by_key), now, GW_REASON_SHUTTING_DOWN);
}

void gw_gateway_free(struct gateway *gateway, struct gw_mono now)
{
    if (!gateway)
        return;
    assert(!gateway->lanes);
    gateway->host.now = now;
    for (struct gw_map_node *node; (node = gw_map_first(&gateway->host.peers)) != NULL;)
        gw_peer_free(gw_map_entry(node, struct gw_peer, by_key), now, GW_REASON_SHUTTING_DOWN);
    gw_stun_free(gateway->stun);
    gw_discovery_free(gateway->discovery);
    gw_anchor_free(gateway->anchor);
    gw_handshakes_fini(gateway);
    gw_session_local_fini(&gateway->host.local);
    gw_map_fini(&gateway->host.peers);
    gw_allowedips_clear(&gateway->host.allowedips);
    gw_deadlines_fini(&gateway->host.deadlines);
    gw_wipe(gateway, sizeof *gateway);
    free(gateway);
}

/* ---- in */

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
    gateway->host.now = now;
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
}

/* ---- out */

/* What goes to a relay's channel becomes frames to the relay. false: there is no way to it now, so it is lost. */
static bool wrap(struct gateway *gateway, struct gw_mono now, struct gw_train *train)
{
    return !gw_tuple_is_relay(&train->tuple) || gw_discovery_wrap(gateway->discovery, now, train);
}

static bool output_peers(struct gateway *gateway, struct gw_mono now, struct gw_train *train)
{
    struct gw_peer_host *host = &gateway->host;
    for (struct gw_list *node; (node = gw_list_pop_front(&host->ready)) != NULL;) {
        struct gw_peer *peer = gw_list_entry(node, struct gw_peer, ready);
        if (!gw_peer_output(peer, now, train))
            continue;             /* whatever makes it ready links it again */
        gw_peer_mark_ready(peer); /* maybe more, after the others had their turn */
        if (wrap(gateway, now, train))
            return true;
    }
    return false;
}

/* Others' frames and our own trains in turn. */
static bool output_any(struct gateway *gateway, struct gw_mono now, struct gw_train *train)
{
    while (gw_handshakes_output(gateway, train)) {
        if (wrap(gateway, now, train))
            return true;
    }
    if (gw_probes_output(&gateway->host.probes, train) || gw_stun_output(gateway->stun, now, train))
        return true;
    gateway->is_forward_turn = gateway->anchor && !gateway->is_forward_turn;
    if (gateway->is_forward_turn)
        return gw_anchor_output(gateway->anchor, train) || output_peers(gateway, now, train);
    return output_peers(gateway, now, train) || (gateway->anchor && gw_anchor_output(gateway->anchor, train));
}

bool gw_gateway_output(struct gateway *gateway, struct gw_mono now, struct gw_train *train)
{
    gateway->host.now = now;
    if (gateway->lanes)
        gw_lanes_publish(gateway, now);
    if (!output_any(gateway, now, train))
        return false;
    gateway->host.stats.datagrams_sent += train->count;
    return true;
}

bool gw_gateway_dismiss(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                        struct gw_train *train)
{
    gateway->host.now = now;
    if (!gw_peer_dismiss(peer, now, train) || !wrap(gateway, now, train))
        return false;
    gateway->host.stats.datagrams_sent += train->count;
    return true;
}

bool gw_gateway_farewell(struct gateway *gateway, struct gw_mono now, struct gw_farewell *farewell,
                         struct gw_train *train)
{
    gateway->host.now = now;
    for (;;) {
        struct gw_peer *peer = farewell->peer = gw_gateway_next_peer(gateway, farewell->peer);
        if (!peer && ++farewell->round == FAREWELLS) {
            if (farewell->are_relays)
                return false;
            farewell->are_relays = true;
            farewell->round = 0;
        }
        if (peer && (peer->anchor_use != NULL) == farewell->are_relays &&
            gw_peer_say_goodbye(peer, now, train) && wrap(gateway, now, train)) {
            gateway->host.stats.datagrams_sent += train->count;
            return true;
        }
    }
}

void gw_gateway_call(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                     const struct gw_addr *place)
{
    gateway->host.now = now;
    gw_peer_call(peer, now, place);
}

bool gw_gateway_client_place(const struct gateway *gateway, const struct gw_peer *peer, struct gw_addr *out)
{
    return gateway->anchor && gw_anchor_client_place(peer, out);
}

bool gw_gateway_is_shared(const struct gateway *gateway, struct gw_mono now)
{
    return gw_mono_sub(now, gateway->host.shared_at) < GW_SHARED_NS;
}

static bool is_address_gone(int err)
{
    return err == -EINVAL || err == -EADDRNOTAVAIL;
}

/* What they know of every peer depends on our own address, too. */
static void tell_lanes(struct gateway *gateway)
{
    struct gw_peer_host *host = &gateway->host;
    for (struct gw_map_node *node = gw_map_first(&host->peers); node && host->has_lanes;
         node = gw_map_next(&host->peers, node))
        gw_peer_mark_ready(gw_map_entry(node, struct gw_peer, by_key));
}

void gw_gateway_set_addresses(struct gateway *gateway, const struct gw_addr addresses[2])
{
    struct gw_peer_host *host = &gateway->host;
    if (memcmp(host->addresses, addresses, sizeof host->addresses) == 0)
        return;
    memcpy(host->addresses, addresses, sizeof host->addresses);
    tell_lanes(gateway);
    for (struct gw_map_node *node = gw_map_first(&host->peers); node; node = gw_map_next(&host->peers, node))
        gw_peer_hello_again(gw_map_entry(node, struct gw_peer, by_key));
}

void gw_gateway_set_own_alias(struct gateway *gateway, const struct gw_addr *alias)
{
    gateway->host.own_alias = *alias;
    tell_lanes(gateway);
}

void gw_gateway_path_failed(struct gateway *gateway, struct gw_mono now, const struct gw_tuple *tuple,
                            size_t len, int err)
{
    for (struct gw_map_node *node = gw_map_first(&gateway->host.peers); node;
         node = gw_map_next(&gateway->host.peers, node)) {
        struct gw_peer *peer = gw_map_entry(node, struct gw_peer, by_key);
        struct gw_path *path = gw_paths_find(&peer->paths, tuple);
        if (!path) {
            gw_discovery_send_failed(peer, &tuple->remote, err);
            continue;
        }
        if (err == -EMSGSIZE && peer->kind != GW_PEER_PEERGATE)
            gw_peer_path_refused(peer, path, len, now);
        else if (err == -EMSGSIZE)
            gw_peer_mtu_refused(peer, path, now, len);
        else
            gw_mtu_unsent(&path->mtu);
        if (is_address_gone(err))
            memset(&path->tuple.local, 0, sizeof path->tuple.local);
        gw_peer_mark_ready(peer);
    }
}

/* Its way to the relay does not take frames of this length. */
static void refuse_relayed(struct gw_peer *peer, struct gw_mono now, const struct gw_train *frames)
{
    struct gw_path *path = gw_paths_current(&peer->paths);
    if (path && gw_tuple_is_relay(&path->tuple))
        gw_peer_mtu_refused(peer, path, now, frames->stride - GW_PATH_RELAY_OVERHEAD);
}

static void unsent_initiation(struct gateway *gateway, struct gw_mono now, const struct gw_train *train)
{
    struct gw_initiation msg;
    memcpy(&msg, train->slab, sizeof msg);
    struct gw_session *session = gw_session_of_initiation(&gateway->host.local, &msg);
    if (session)
        gw_peer_initiation_unsent(gw_session_owner(session), now);
}

void gw_gateway_send_failed(struct gateway *gateway, struct gw_mono now, const struct gw_train *train,
                            int err)
{
    gateway->host.stats.send_errors++;
    struct gw_peer *relayed = gw_message_gate(train->slab, train->stride) == GW_MESSAGE_RELAY
                                  ? gw_discovery_peer_of_frame(gateway->discovery, train->slab)
                                  : NULL;
    if (relayed && err == -EMSGSIZE)
        refuse_relayed(relayed, now, train);
    if (gw_message_gate(train->slab, train->stride) == GW_MESSAGE_INITIATION)
        unsent_initiation(gateway, now, train);
    gw_gateway_path_failed(gateway, now, &train->tuple, train->stride, err);
}

struct gw_mono gw_gateway_next_deadline(const struct gateway *gateway)
{
    return gw_deadlines_next(&gateway->host.deadlines);
}

void gw_gateway_expire(struct gateway *gateway, struct gw_mono now)
{
    gateway->host.now = now;
    gw_deadlines_expire(&gateway->host.deadlines, now);
}

/* ---- peers */

/* Makes room among provisional peers: the one that was added first goes. */
static bool evict_provisional(struct gateway *gateway, struct gw_mono now)
{
    for (struct gw_map_node *node = gw_map_first(&gateway->host.peers); node;
         node = gw_map_next(&gateway->host.peers, node)) {
        struct gw_peer *peer = gw_map_entry(node, struct gw_peer, by_key);
        if (peer->config.is_provisional) {
            gw_peer_free(peer, now, GW_REASON_LIMIT);
            return true;
        }
    }
    return false;
}

int gw_gateway_add_peer(struct gateway *gateway, struct gw_mono now, const struct gw_peer_config *config,
                        struct gw_peer **out)
{
    gateway->host.now = now;
    if (gateway->host.peers.len >= gateway->host.max_peers &&
        (config->is_provisional || !evict_provisional(gateway, now)))
        return GW_E_LIMIT;
    return gw_peer_new(out, &gateway->host, config, now);
}

int gw_gateway_update_peer(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                           const struct gw_peer_config *config)
{
    gateway->host.now = now;
    return gw_peer_update(peer, config, now);
}

void gw_gateway_remove_peer(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer)
{
    gateway->host.now = now;
    gw_peer_free(peer, now, GW_REASON_UNREACHABLE);
}

struct gw_peer *gw_gateway_find_peer(struct gateway *gateway, const uint8_t public_key[GW_KEY_LEN])
{
    return gw_peer_by_key(&gateway->host, public_key);
}

struct gw_peer *gw_gateway_next_peer(const struct gateway *gateway, const struct gw_peer *peer)
{
    struct gw_map_node *node =
        peer ? gw_map_next(&gateway->host.peers, &peer->by_key) : gw_map_first(&gateway->host.peers);
    return node ? gw_map_entry(node, struct gw_peer, by_key) : NULL;
}

struct gw_peer *gw_gateway_route(const struct gateway *gateway, const struct gw_addr *ip)
{
    return gw_peer_by_address(&gateway->host, ip);
}

void gw_gateway_set_log_suffix(struct gateway *gateway, const char *suffix)
{
    gateway->host.log_suffix = suffix;
}

void gw_gateway_kick(struct gateway *gateway, struct gw_mono now)
{
    gateway->host.now = now;
    for (struct gw_map_node *node = gw_map_first(&gateway->host.peers); node;
         node = gw_map_next(&gateway->host.peers, node)) {
        struct gw_peer *peer = gw_map_entry(node, struct gw_peer, by_key);
        gw_peer_mtu_look_again(peer, now);
        gw_peer_kick(peer, now);
    }
    gw_stun_ask(gateway->stun, now);
    gw_discovery_look_again(gateway->discovery, now);
}

/* ---- carriers */

void gw_gateway_carrier_up(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                           const struct gw_tuple *tuple)
{
    gateway->host.now = now;
    gw_peer_add_carrier(peer, now, tuple);
}

void gw_gateway_carrier_down(struct gateway *gateway, struct gw_mono now, const struct gw_tuple *tuple)
{
    gateway->host.now = now;
    for (struct gw_peer *peer = NULL; (peer = gw_gateway_next_peer(gateway, peer)) != NULL;)
        gw_peer_remove_place(peer, now, tuple);
}

bool gw_gateway_carrier_is_used(const struct gateway *gateway, const struct gw_tuple *tuple)
{
    for (struct gw_peer *peer = NULL; (peer = gw_gateway_next_peer(gateway, peer)) != NULL;) {
        const struct gw_path *path = gw_paths_find(&peer->paths, tuple);
        if (path && path->is_validated)
            return true;
    }
    return false;
}

/* ---- anchors */

void gw_gateway_set_candidates(struct gateway *gateway, struct gw_mono now, const struct gw_candidate *list,
                               unsigned count)
{
    gateway->host.now = now;
    gw_discovery_set_addresses(gateway->discovery, now, list, count);
}

void gw_gateway_set_stun(struct gateway *gateway, struct gw_mono now, const struct gw_addr *servers,
                         unsigned count)
{
    gateway->host.now = now;
    gw_stun_set_servers(gateway->stun, now, servers, count);
}

void gw_gateway_ask_stun(struct gateway *gateway, struct gw_mono now)
{
    gateway->host.now = now;
    gw_stun_ask(gateway->stun, now);
}

const struct gw_stun *gw_gateway_stun(const struct gateway *gateway)
{
    return gateway->stun;
}

bool gw_gateway_anchor_view(const struct gateway *gateway, unsigned index, struct gw_mono now,
                            struct gw_anchor_view *out)
{
    const struct gw_anchor_use *use = NULL;
    do
        use = gw_discovery_next_anchor(gateway->discovery, use);
    while (use && index-- > 0);
    if (use)
        gw_anchor_use_view(use, now, out);
    return use != NULL;
}

void gw_gateway_public_view(const struct gateway *gateway, struct gw_public_view *out)
{
    gw_discovery_public_view(gateway->discovery, out);
}

void gw_gateway_try_inbound(struct gateway *gateway, struct gw_mono now)
{
    gw_discovery_try_inbound(gateway->discovery, now);
}

void gw_gateway_nat_view(const struct gateway *gateway, struct gw_nat_behaviour *out)
{
    *out = *gw_discovery_nat(gateway->discovery);
    gw_discovery_nat_lifetime(gateway->discovery, out);
}

void gw_peer_reach_view(const struct gw_peer *peer, struct gw_reach_view *out)
{
    gw_discovery_reach_view(peer, out);
}

struct gw_peer *gw_gateway_relay_of(const struct gateway *gateway, const struct gw_tuple *tuple)
{
    return gw_discovery_relay_of(gateway->discovery, tuple);
}

bool gw_gateway_anchor_stats(const struct gateway *gateway, struct gw_anchor_stats *out)
{
    if (gateway->anchor)
        gw_anchor_stats(gateway->anchor, out);
    return gw_hooks_is_anchor(gateway);
}

struct gw_anchor *gw_gateway_anchor(const struct gateway *gateway)
{
    return gateway->anchor;
}

/* ---- to read */

void gw_gateway_stats(const struct gateway *gateway, struct gw_gateway_stats *out)
{
    *out = gateway->host.stats;
    gw_lanes_add_stats(gateway, out);
}

const uint8_t *gw_gateway_public_key(const struct gateway *gateway)
{
    return gateway->host.local.public_key;
}

struct gw_session_local *gw_gateway_local(struct gateway *gateway)
{
    return &gateway->host.local;
}
