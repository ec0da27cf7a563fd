/* SPDX-License-Identifier: MIT */
/* Channels given: to two clients that registered the same tag, a number and keys of its own for each. Asking again prolongs. Whoever did not ask is told,
 * and told again when frames come for it, until it says that it knows. */
#include "gateway/anchor/fleet_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <stdlib.h>
#include <string.h>

#define LIFETIME_S 600u
#define OFFER_SPACING_NS GW_MS(200)
#define SPENT_SPACING_NS GW_S(1)

/* ---- life */

void gw_anchor_channel_free(struct gw_anchor *anchor, struct gw_channel *channel)
{
    for (unsigned i = 0; i < 2; i++) {
        struct gw_channel_side *side = &channel->sides[i];
        gw_map_remove(&anchor->sides, &side->by_id);
        anchor->far_count -= gw_addr_is_set(&side->far.addr);
        if (!side->client)
            continue;
        gw_list_remove(&side->of_client);
        side->client->channel_count--;
    }
    anchor->channel_count--;
    gw_anchor_usage_leave(channel->usage);
    gw_wipe(channel, sizeof *channel);
    free(channel);
}

/* client NULL: the side of that place. */
static int init_side(struct gw_anchor *anchor, struct gw_channel *channel, unsigned which,
                     struct gw_anchor_client *client, const struct gw_fleet_place *place)
{
    struct gw_channel_side *side = &channel->sides[which];
    struct gw_random *random = anchor->host->random;
    gw_list_init(&side->of_client);
    side->channel = channel;
    side->offered = GW_NEVER;
    do
        side->id = gw_random_u32(random);
    while (side->id == 0 || gw_map_find(&anchor->sides, &side->id));
    gw_random_fill(random, side->from_key, sizeof side->from_key);
    gw_random_fill(random, side->to_key, sizeof side->to_key);
    int err = gw_map_insert(&anchor->sides, &side->by_id, &side->id);
    if (err)
        return err;
    if (!client) {
        side->far = *place;
        anchor->far_count++;
        return 0;
    }
    side->to_id = side->id;
    side->client = client;
    gw_list_push_back(&client->sides, &side->of_client);
    client->channel_count++;
    return 0;
}

static bool is_full(const struct gw_anchor *anchor, const struct gw_anchor_client *client,
                    const struct gw_anchor_client *other)
{
    return anchor->channel_count >= anchor->params.max_channels ||
           client->channel_count >= anchor->params.max_per_client ||
           (other && other->channel_count >= anchor->params.max_per_client);
}

struct gw_channel *gw_anchor_channel_new(struct gw_anchor *anchor, struct gw_anchor_client *client,
                                         struct gw_anchor_client *other, const struct gw_fleet_place *place,
                                         const uint8_t tag[GW_TAG_LEN], struct gw_mono now)
{
    struct gw_channel *channel = is_full(anchor, client, other) ? NULL : calloc(1, sizeof *channel);
    if (!channel)
        return NULL;
    anchor->channel_count++;
    memcpy(channel->tag, tag, GW_TAG_LEN);
    channel->usage = gw_anchor_usage_take(anchor, client, other, tag, now);
    channel->spent_told = GW_NEVER;
    if (!channel->usage || init_side(anchor, channel, 0, client, NULL) != 0 ||
        init_side(anchor, channel, 1, other, place) != 0) {
        gw_anchor_channel_free(anchor, channel);
        return NULL;
    }
    return channel;
}

void gw_anchor_channels_end(struct gw_anchor *anchor, struct gw_anchor_client *client)
{
    while (!gw_list_is_empty(&client->sides))
        gw_anchor_channel_free(anchor,
                               gw_list_entry(client->sides.next, struct gw_channel_side, of_client)->channel);
}

void gw_anchor_channels_sweep(struct gw_anchor *anchor, struct gw_anchor_client *client, struct gw_mono now)
{
    gw_list_for_each (node, &client->sides) {
        struct gw_channel *channel = gw_list_entry(node, struct gw_channel_side, of_client)->channel;
        if (gw_mono_due(channel->expires, now))
            gw_anchor_channel_free(anchor, channel);
    }
}

void gw_anchor_channels_forgotten(struct gw_anchor_client *client)
{
    gw_list_for_each (node, &client->sides)
        gw_list_entry(node, struct gw_channel_side, of_client)->is_taken = false;
}

/* ---- telling */

static uint64_t volume_left(const struct gw_anchor *anchor, const struct gw_channel *channel)
{
    uint64_t limit = anchor->params.volume;
    uint64_t volume = channel->usage->volume;
    return limit == 0 ? 0 : limit > volume ? limit - volume : 1;
}

static void send_grant(struct gw_anchor *anchor, const struct gw_channel_side *side, uint32_t number,
                       struct gw_mono now)
{
    peergate_Control message = {.number = number, .which_body = peergate_Control_channel_grant_tag};
    peergate_ChannelGrant *grant = &message.body.channel_grant;
    memcpy(grant->tag, side->channel->tag, sizeof grant->tag);
    grant->channel = side->id;
    memcpy(grant->send_key, side->from_key, sizeof grant->send_key);
    memcpy(grant->receive_key, side->to_key, sizeof grant->receive_key);
    grant->lifetime_s = (uint32_t)(gw_mono_sub(side->channel->expires, now) / GW_S(1));
    grant->bytes_left = volume_left(anchor, side->channel);
    grant->bytes_per_second = anchor->params.rate;
    int err = gw_peer_send_message(side->client->peer, now, &message);
    if (err)
        gw_log_debug("%s: cannot tell it of its channel: %s", gw_peer_name(side->client->peer),
                     gw_strerror(err));
    gw_wipe(&message, sizeof message);
}

static bool is_spent(const struct gw_anchor *anchor, const struct gw_channel *channel, struct gw_mono now)
{
    gw_anchor_usage_look(channel->usage, now);
    return anchor->params.volume > 0 && channel->usage->volume + GW_RELAY_MIN_LEN > anchor->params.volume;
}

void gw_anchor_offer(struct gw_anchor *anchor, struct gw_channel_side *side, struct gw_mono now)
{
    bool was_told_now =
        !gw_mono_is_never(side->offered) && gw_mono_sub(now, side->offered) < OFFER_SPACING_NS;
    if (!side->client || side->is_taken || was_told_now || is_spent(anchor, side->channel, now))
        return;
    side->offered = now;
    send_grant(anchor, side, 0, now);
}

void gw_anchor_channel_taken(struct gw_anchor_client *client, uint32_t id)
{
    gw_list_for_each (node, &client->sides) {
        struct gw_channel_side *side = gw_list_entry(node, struct gw_channel_side, of_client);
        if (side->id == id)
            side->is_taken = true;
    }
}

/* ---- asked */

static struct gw_channel_side *find_side(struct gw_anchor_client *client,
                                         const struct gw_anchor_client *other, const uint8_t tag[GW_TAG_LEN])
{
    gw_list_for_each (node, &client->sides) {
        struct gw_channel_side *side = gw_list_entry(node, struct gw_channel_side, of_client);
        if (memcmp(side->channel->tag, tag, GW_TAG_LEN) == 0 && gw_channel_other_side(side)->client == other)
            return side;
    }
    return NULL;
}

static void refuse(struct gw_anchor *anchor, struct gw_anchor_client *client, const peergate_Control *request,
                   peergate_Refusal refusal, struct gw_mono now)
{
    peergate_Control message = {.number = request->number, .which_body = peergate_Control_channel_grant_tag};
    message.body.channel_grant.refusal = refusal;
    memcpy(message.body.channel_grant.tag, request->body.channel_request.tag, GW_TAG_LEN);
    if (refusal == peergate_Refusal_REFUSAL_LIMIT)
        anchor->stats.refused_limit++;
    if (refusal == peergate_Refusal_REFUSAL_UNKNOWN)
        anchor->stats.refused_unknown++;
    gw_peer_send_message(client->peer, now, &message);
}

/* Unasked: nothing passes it any more. */
static void tell_both(const struct gw_channel *channel, peergate_Refusal refusal, struct gw_mono now)
{
    peergate_Control message = {.which_body = peergate_Control_channel_grant_tag};
    message.body.channel_grant.refusal = refusal;
    memcpy(message.body.channel_grant.tag, channel->tag, GW_TAG_LEN);
    for (unsigned i = 0; i < 2; i++) {
        if (channel->sides[i].client)
            gw_peer_send_message(channel->sides[i].client->peer, now, &message);
    }
}

void gw_anchor_tell_spent(struct gw_channel *channel, struct gw_mono now)
{
    bool was_told_now =
        !gw_mono_is_never(channel->spent_told) && gw_mono_sub(now, channel->spent_told) < SPENT_SPACING_NS;
    if (was_told_now)
        return;
    channel->spent_told = now;
    tell_both(channel, peergate_Refusal_REFUSAL_VOLUME, now);
}

void gw_anchor_channels_stop(struct gw_anchor *anchor, struct gw_mono now)
{
    gw_list_for_each (node, &anchor->clients) {
        struct gw_anchor_client *client = gw_list_entry(node, struct gw_anchor_client, node);
        while (!gw_list_is_empty(&client->sides)) {
            struct gw_channel *channel =
                gw_list_entry(client->sides.next, struct gw_channel_side, of_client)->channel;
            tell_both(channel, peergate_Refusal_REFUSAL_NO_RELAY, now);
            gw_anchor_channel_free(anchor, channel);
        }
    }
}

void gw_anchor_grant(struct gw_anchor *anchor, struct gw_channel_side *side, uint32_t number,
                     struct gw_mono now)
{
    if (is_spent(anchor, side->channel, now)) {
        peergate_Control message = {.number = number, .which_body = peergate_Control_channel_grant_tag};
        message.body.channel_grant.refusal = peergate_Refusal_REFUSAL_VOLUME;
        memcpy(message.body.channel_grant.tag, side->channel->tag, GW_TAG_LEN);
        gw_peer_send_message(side->client->peer, now, &message);
        return;
    }
    side->channel->expires = gw_mono_add(now, GW_S(LIFETIME_S));
    side->is_taken = true;
    send_grant(anchor, side, number, now);
}

/* Who is reached by another relay only is not reached by this one. */
static bool is_near(const struct gw_anchor_client *client)
{
    const struct gw_path *path = gw_paths_current(&client->peer->paths);
    return !path || !gw_tuple_is_relay(&path->tuple);
}

void gw_anchor_answer_channel(struct gw_anchor *anchor, struct gw_anchor_client *client,
                              const peergate_Control *message, struct gw_mono now)
{
    const uint8_t *tag = message->body.channel_request.tag;
    struct gw_anchor_client *other = gw_anchor_other(anchor, client, tag, now);
    if (other && !is_near(other))
        other = NULL;
    if (!other && anchor->fleet && gw_fleet_ask(anchor->fleet, client, message, tag, now))
        return;
    if (!other || !anchor->params.relays) {
        refuse(anchor, client, message,
               other ? peergate_Refusal_REFUSAL_NO_RELAY : peergate_Refusal_REFUSAL_UNKNOWN, now);
        return;
    }
    struct gw_channel_side *side = find_side(client, other, tag);
    if (side && gw_mono_due(side->channel->expires, now)) {
        gw_anchor_channel_free(anchor, side->channel);
        side = NULL;
    }
    if (!side) {
        struct gw_channel *channel = gw_anchor_channel_new(anchor, client, other, NULL, tag, now);
        side = channel ? &channel->sides[0] : NULL;
    }
    if (!side) {
        refuse(anchor, client, message, peergate_Refusal_REFUSAL_LIMIT, now);
        return;
    }
    gw_anchor_grant(anchor, side, message->number, now);
    /* The other side, too: its end of the channel would end sooner than this one, or may be forgotten. */
    gw_channel_other_side(side)->is_taken = false;
    gw_anchor_offer(anchor, gw_channel_other_side(side), now);
}
