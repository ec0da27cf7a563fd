/* SPDX-License-Identifier: MIT */
/* The next train that leaves, whose turn it is; and what becomes of one that the link could not send. */
#include "gateway/base/err.h"
#include "gateway/gateway_private.h"

#include <string.h>

#define FAREWELLS 3u

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

bool gw_gateway_is_shared(const struct gateway *gateway, struct gw_mono now)
{
    return gw_mono_sub(now, gateway->host.shared_at) < GW_SHARED_NS;
}

/* ---- not sent */

static bool is_address_gone(int err)
{
    return err == -EINVAL || err == -EADDRNOTAVAIL;
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
