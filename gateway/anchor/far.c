/* SPDX-License-Identifier: MIT */
/* Channels of our clients whose other end is a client of a fellow anchor: what grants.c does for two of our own. */
#include "gateway/anchor/anchor_private.h"

#include <string.h>

#define LIFETIME_S 600u
#define OPENING_S 5u /* so long a channel that the fellow knows nothing of stays */

static struct gw_channel_side *find(struct gw_anchor_client *client, const uint8_t tag[GW_TAG_LEN],
                                    const struct gw_fleet_place *place)
{
    gw_list_for_each (node, &client->sides) {
        struct gw_channel_side *side = gw_list_entry(node, struct gw_channel_side, of_client);
        struct gw_channel_side *far = gw_channel_other_side(side);
        if (!far->client && memcmp(side->channel->tag, tag, GW_TAG_LEN) == 0 &&
            memcmp(far->far.anchor, place->anchor, GW_FLEET_ID_LEN) == 0)
            return far;
    }
    return NULL;
}

struct gw_channel_side *gw_anchor_far_side(struct gw_anchor *anchor, struct gw_anchor_client *client,
                                           const uint8_t tag[GW_TAG_LEN], const struct gw_fleet_place *place,
                                           struct gw_mono now)
{
    struct gw_channel_side *far = find(client, tag, place);
    bool is_over = far && (far->far.instance != place->instance || gw_mono_due(far->channel->expires, now));
    if (is_over) {
        gw_anchor_channel_free(anchor, far->channel);
        far = NULL;
    }
    if (far) {
        far->far.addr = place->addr;
        return far;
    }
    struct gw_channel *channel = gw_anchor_channel_new(anchor, client, NULL, place, tag, now);
    if (!channel)
        return NULL;
    channel->expires = gw_mono_add(now, GW_S(OPENING_S));
    return &channel->sides[1];
}

void gw_anchor_far_opened(struct gw_channel_side *far, uint32_t to_id, const uint8_t to_key[GW_RELAY_KEY_LEN],
                          struct gw_mono now)
{
    far->to_id = to_id;
    memcpy(far->to_key, to_key, GW_RELAY_KEY_LEN);
    far->channel->expires = gw_mono_add(now, GW_S(LIFETIME_S));
}
