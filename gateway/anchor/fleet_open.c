/* SPDX-License-Identifier: MIT */
/* Channels whose other end is a client of another anchor. Each of the two anchors has a channel of its own, one side of which is its client and the other the
 * fellow anchor; frames between the anchors have numbers and keys like those of clients. */
#include "gateway/anchor/fleet_private.h"

#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <string.h>

/* The message that tells the other end where frames for this channel go. */
static struct gw_fleet_message message_of(enum gw_fleet_kind kind, const struct gw_channel_side *far,
                                          const uint8_t tag[GW_TAG_LEN],
                                          const uint8_t client[GW_FLEET_ID_LEN], uint64_t to_instance)
{
    struct gw_fleet_message message = {.kind = kind, .to_instance = to_instance};
    memcpy(message.tag, tag, GW_TAG_LEN);
    memcpy(message.client, client, GW_FLEET_ID_LEN);
    if (!far)
        return message;
    message.channel = far->id;
    memcpy(message.key, far->from_key, sizeof message.key);
    return message;
}

peergate_Refusal gw_fleet_open_at(struct gw_fleet *fleet, const struct gw_fleet_query *query,
                                  const struct gw_fleet_place *place, struct gw_mono now)
{
    uint8_t client[GW_FLEET_ID_LEN];
    struct gw_anchor *anchor = fleet->anchor;
    if (!anchor->params.relays)
        return peergate_Refusal_REFUSAL_NO_RELAY;
    struct gw_channel_side *far = gw_anchor_far_side(anchor, query->client, query->tag, place, now);
    if (!far) {
        anchor->stats.refused_limit++;
        return peergate_Refusal_REFUSAL_LIMIT;
    }
    gw_fleet_client_id(fleet, query->client, client);
    struct gw_fleet_message message = message_of(GW_FLEET_OPEN, far, query->tag, client, place->instance);
    gw_fleet_say(fleet, place->anchor, &message);
    gw_wipe(&message, sizeof message);
    return peergate_Refusal_REFUSAL_NONE;
}

struct gw_anchor_client *gw_fleet_partner(struct gw_fleet *fleet, const struct gw_fleet_message *message,
                                          struct gw_mono now)
{
    struct gw_registrant *both[2];
    struct gw_mono expires;
    unsigned count = gw_directory_both(&fleet->anchor->directory, message->tag, now, both, &expires);
    for (unsigned i = 0; i < count; i++) {
        struct gw_anchor_client *client = gw_container_of(both[i], struct gw_anchor_client, registrant);
        uint8_t id[GW_FLEET_ID_LEN];
        gw_fleet_client_id(fleet, client, id);
        if (memcmp(id, message->client, GW_FLEET_ID_LEN) != 0)
            return client;
    }
    return NULL;
}

/* Our client is told as one that did not ask. */
static void take(struct gw_anchor *anchor, struct gw_channel_side *far,
                 const struct gw_fleet_message *message, struct gw_mono now)
{
    struct gw_channel_side *side = gw_channel_other_side(far);
    gw_anchor_far_opened(far, message->channel, message->key, now);
    side->is_taken = false;
    gw_anchor_offer(anchor, side, now);
}

static void asked(struct gw_fleet *fleet, const struct gw_fleet_message *message, struct gw_mono now)
{
    struct gw_anchor *anchor = fleet->anchor;
    struct gw_anchor_client *client = gw_fleet_partner(fleet, message, now);
    struct gw_channel_side *far = NULL;
    if (client && anchor->params.relays)
        far = gw_anchor_far_side(anchor, client, message->tag, &message->from, now);
    struct gw_fleet_message answer = message_of(far ? GW_FLEET_OPENED : GW_FLEET_REFUSED, far, message->tag,
                                                message->client, message->from.instance);
    if (far)
        take(anchor, far, message, now);
    else
        answer.refusal = !client                 ? peergate_Refusal_REFUSAL_UNKNOWN
                         : anchor->params.relays ? peergate_Refusal_REFUSAL_LIMIT
                                                 : peergate_Refusal_REFUSAL_NO_RELAY;
    gw_fleet_say(fleet, message->from.anchor, &answer);
    gw_wipe(&answer, sizeof answer);
}

static void opened(struct gw_fleet *fleet, const struct gw_fleet_message *message, struct gw_mono now)
{
    struct gw_fleet_query *query = gw_fleet_waiting(fleet, GW_FLEET_WANT_CHANNEL, message);
    if (!query)
        return;
    struct gw_anchor *anchor = fleet->anchor;
    struct gw_channel_side *far =
        gw_anchor_far_side(anchor, query->client, message->tag, &message->from, now);
    if (!far)
        return; /* the client is told when the question expires */
    gw_anchor_far_opened(far, message->channel, message->key, now);
    gw_anchor_grant(anchor, gw_channel_other_side(far), query->number, now);
    gw_fleet_query_end(fleet, query);
}

peergate_Refusal gw_fleet_refusal_of(const struct gw_fleet_message *message)
{
    bool is_known = message->refusal >= peergate_Refusal_REFUSAL_UNKNOWN &&
                    message->refusal <= peergate_Refusal_REFUSAL_NO_RELAY;
    return is_known ? (peergate_Refusal)message->refusal : peergate_Refusal_REFUSAL_UNKNOWN;
}

static void refused(struct gw_fleet *fleet, const struct gw_fleet_message *message, struct gw_mono now)
{
    struct gw_fleet_query *query = gw_fleet_waiting(fleet, GW_FLEET_WANT_CHANNEL, message);
    if (query)
        gw_fleet_try_next(fleet, query, gw_fleet_refusal_of(message), now);
}

void gw_fleet_open_input(struct gw_fleet *fleet, const struct gw_fleet_message *message, struct gw_mono now)
{
    if (message->kind == GW_FLEET_REFUSED)
        refused(fleet, message, now);
    else if (message->channel == 0)
        fleet->dropped_garbage++;
    else if (message->kind == GW_FLEET_OPEN)
        asked(fleet, message, now);
    else if (message->kind == GW_FLEET_OPENED)
        opened(fleet, message, now);
}
