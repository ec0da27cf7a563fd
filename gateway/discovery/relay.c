/* SPDX-License-Identifier: MIT */
/* The channels that we hold: each is a path to a peer. Our frames leave by the path of our session with the relay, and only what comes from there counts. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <string.h>

#define LIFETIME_MAX_S 3600u
#define IN_USE_NS GW_S(30) /* sent to so lately */

/* ---- channels */

void gw_relay_channels_init(struct gw_reach *reach)
{
    for (unsigned i = 0; i < GW_PEER_RELAYS_MAX; i++) {
        struct gw_relay_channel *channel = &reach->channels[i];
        channel->reach = reach;
        channel->expires = channel->renew_at = GW_NEVER;
    }
}

struct gw_relay_channel *gw_relay_channel_of(struct gw_reach *reach, const struct gw_anchor_use *use)
{
    for (unsigned i = 0; i < GW_PEER_RELAYS_MAX; i++) {
        if (reach->channels[i].via == use)
            return &reach->channels[i];
    }
    return NULL;
}

/* A handle that no other channel has, nor had lately. */
static bool take_handle(struct gw_relay_channel *channel)
{
    struct gw_discovery *discovery = channel->reach->discovery;
    channel->tuple = (struct gw_tuple){.link = GW_LINK_RELAY | discovery->next_handle++};
    return gw_map_insert(&discovery->handles, &channel->by_handle, &channel->tuple.link) == 0;
}

void gw_relay_channel_end(struct gw_relay_channel *channel, struct gw_mono now, bool keeps_path)
{
    struct gw_discovery *discovery = channel->reach->discovery;
    gw_map_remove(&discovery->ids, &channel->by_id);
    channel->expires = channel->renew_at = GW_NEVER;
    gw_wipe(channel->send_key, sizeof channel->send_key);
    gw_wipe(channel->receive_key, sizeof channel->receive_key);
    if (keeps_path)
        return;
    gw_map_remove(&discovery->handles, &channel->by_handle);
    channel->via = NULL;
    gw_peer_remove_place(channel->reach->peer, now, &channel->tuple);
}

void gw_relay_channels_fini(struct gw_reach *reach, struct gw_mono now)
{
    for (unsigned i = 0; i < GW_PEER_RELAYS_MAX; i++) {
        if (reach->channels[i].via)
            gw_relay_channel_end(&reach->channels[i], now, false);
    }
}

static bool is_used(struct gw_peer *peer, struct gw_mono now)
{
    const struct gw_path *path = gw_paths_current(&peer->paths);
    return (peer->mux && gw_mux_has_streams(peer->mux)) ||
           (path && !gw_mono_is_never(path->last_sent) && gw_mono_sub(now, path->last_sent) < IN_USE_NS);
}

void gw_relay_left(struct gw_anchor_use *use, struct gw_mono now)
{
    gw_list_for_each (node, &use->discovery->reaches) {
        struct gw_reach *reach = gw_list_entry(node, struct gw_reach, node);
        struct gw_relay_channel *channel = gw_relay_channel_of(reach, use);
        reach->asks[use->slot] = (struct gw_ask){.at = now};
        if (!channel)
            continue;
        bool has_other = gw_paths_have_other(&reach->peer->paths);
        gw_relay_channel_end(channel, now, !has_other);
        if (!has_other && is_used(reach->peer, now))
            gw_reach_wanted(reach, now);
    }
}

/* A free one, which the one of an anchor that does not answer becomes, and for an anchor a neighbour's; NULL. */
static struct gw_relay_channel *free_channel(struct gw_reach *reach, const struct gw_anchor_use *use,
                                             struct gw_mono now)
{
    struct gw_relay_channel *channel = gw_relay_channel_of(reach, NULL);
    for (unsigned i = 0; i < GW_PEER_RELAYS_MAX && !channel; i++) {
        const struct gw_anchor_use *via = reach->channels[i].via;
        if (!via->is_silent && (use->is_neighbour || !via->is_neighbour))
            continue;
        channel = &reach->channels[i];
        gw_relay_channel_end(channel, now, false);
    }
    return channel;
}

bool gw_relay_channel_set(struct gw_reach *reach, struct gw_anchor_use *use,
                          const peergate_ChannelGrant *grant, struct gw_mono now)
{
    struct gw_discovery *discovery = reach->discovery;
    struct gw_relay_channel *channel = gw_relay_channel_of(reach, use);
    struct gw_map_node *other = gw_map_find(&discovery->ids, &grant->channel);
    if (grant->channel == 0 || grant->lifetime_s == 0 || (other && (!channel || other != &channel->by_id)))
        return false;
    if (!channel && !(channel = free_channel(reach, use, now)))
        return false;
    if (!channel->via && !take_handle(channel))
        return false;
    gw_map_remove(&discovery->ids, &channel->by_id);
    channel->via = use;
    channel->id = grant->channel;
    if (gw_map_insert(&discovery->ids, &channel->by_id, &channel->id) != 0) {
        gw_relay_channel_end(channel, now, false);
        return false;
    }
    memcpy(channel->send_key, grant->send_key, sizeof channel->send_key);
    memcpy(channel->receive_key, grant->receive_key, sizeof channel->receive_key);
    uint32_t lifetime_s = grant->lifetime_s < LIFETIME_MAX_S ? grant->lifetime_s : LIFETIME_MAX_S;
    channel->granted = now;
    channel->expires = gw_mono_add(now, GW_S(lifetime_s));
    channel->renew_at = gw_mono_add(now, GW_S(lifetime_s) / 2);
    gw_peer_add_relay(reach->peer, now, &channel->tuple);
    return true;
}

/* ---- frames */

static struct gw_relay_channel *by_handle(const struct gw_discovery *discovery, uint32_t link)
{
    struct gw_map_node *node = gw_map_find(&discovery->handles, &link);
    return node ? gw_map_entry(node, struct gw_relay_channel, by_handle) : NULL;
}

static struct gw_relay_channel *by_id(const struct gw_discovery *discovery, const uint8_t *frame)
{
    uint32_t id = gw_load32_le(frame + 4);
    struct gw_map_node *node = gw_map_find(&discovery->ids, &id);
    return node ? gw_map_entry(node, struct gw_relay_channel, by_id) : NULL;
}

/* Each datagram moves up to make room for the headers in front of it and of those before it; so the last one goes first. */
static void make_frames(struct gw_train *train, const struct gw_relay_channel *channel)
{
    size_t stride = train->stride + (size_t)GW_RELAY_HEADER_LEN;
    for (unsigned i = train->count; i-- > 0;) {
        size_t len = gw_train_datagram_len(train, i);
        uint8_t *frame = train->slab + i * stride;
        memmove(frame + GW_RELAY_HEADER_LEN, train->slab + (size_t)i * train->stride, len);
        gw_relay_frame_write(frame, GW_RELAY_HEADER_LEN + len, channel->id, channel->send_key);
    }
    train->stride = (uint16_t)stride;
    train->last_len = (uint16_t)(train->last_len + GW_RELAY_HEADER_LEN);
}

bool gw_discovery_wrap(struct gw_discovery *discovery, struct gw_mono now, struct gw_train *train)
{
    struct gw_relay_channel *channel = by_handle(discovery, train->tuple.link);
    if (!channel || !gw_map_node_is_linked(&channel->by_id) || gw_mono_due(channel->expires, now))
        return false;
    struct gw_path *path = gw_paths_current(&channel->via->peer->paths);
    if (!path || !path->is_validated || gw_tuple_is_relay(&path->tuple))
        return false;
    gw_direct_used(channel->reach, now);
    make_frames(train, channel);
    train->tuple = path->tuple;
    gw_path_sent(path, now, gw_train_len(train));
    if (gw_mono_is_never(path->awaiting) && gw_paths_have_other(&channel->via->peer->paths)) {
        gw_path_sent_data(path, now);
        gw_peer_rearm(channel->via->peer);
    }
    return true;
}

const struct gw_tuple *gw_discovery_unwrap(struct gw_discovery *discovery, struct gw_mono now,
                                           const struct gw_tuple *from, const uint8_t *frame, size_t len)
{
    struct gw_relay_channel *channel = by_id(discovery, frame);
    if (!channel || !gw_relay_frame_is_right(frame, len, channel->receive_key))
        return NULL;
    struct gw_path *path = gw_paths_find(&channel->via->peer->paths, from);
    if (!path || !path->is_validated)
        return NULL;
    gw_path_heard(path, now);
    return &channel->tuple;
}

struct gw_peer *gw_discovery_peer_of_frame(const struct gw_discovery *discovery, const uint8_t *frame)
{
    struct gw_relay_channel *channel = by_id(discovery, frame);
    return channel ? channel->reach->peer : NULL;
}

struct gw_peer *gw_discovery_relay_of(const struct gw_discovery *discovery, const struct gw_tuple *tuple)
{
    struct gw_relay_channel *channel = by_handle(discovery, tuple->link);
    return channel ? channel->via->peer : NULL;
}

void gw_discovery_relay_quiet(const struct gw_discovery *discovery, struct gw_mono now,
                              const struct gw_tuple *tuple)
{
    struct gw_relay_channel *channel = by_handle(discovery, tuple->link);
    if (channel)
        gw_anchor_use_touch(channel->via, now);
}
