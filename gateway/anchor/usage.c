/* SPDX-License-Identifier: MIT */
/* What has passed between two clients. Rate and volume are theirs and not a channel's: a channel ends when its lifetime does, or with a client's goodbye, and another one is to be had at once, as
 * many at a time as the two like to have tags. So it is kept for as long as the hour that it counts in. */
#include "gateway/anchor/anchor_private.h"

#include <stdlib.h>
#include <string.h>

#define PERIOD_NS GW_S(3600)
#define KEPT_TIMES 2u /* as many as there may be channels */

/* Who is behind another anchor is known by the tag; no key of a client ends like that (session/session.c, is_canonical). */
static void name_pair(uint8_t pair[2 * GW_KEY_LEN], const struct gw_anchor_client *client,
                      const struct gw_anchor_client *other, const uint8_t tag[GW_TAG_LEN])
{
    const uint8_t *one = client->peer->config.public_key;
    const uint8_t *two = other ? other->peer->config.public_key : NULL;
    bool is_lower = !two || memcmp(one, two, GW_KEY_LEN) < 0;
    memset(pair, 0xff, 2 * GW_KEY_LEN);
    memcpy(pair + (is_lower ? 0 : GW_KEY_LEN), one, GW_KEY_LEN);
    if (two)
        memcpy(pair + (is_lower ? GW_KEY_LEN : 0), two, GW_KEY_LEN);
    else
        memcpy(pair + GW_KEY_LEN, tag, GW_TAG_LEN);
}

static void free_usage(struct gw_anchor *anchor, struct gw_anchor_usage *usage)
{
    gw_map_remove(&anchor->usages, &usage->node);
    free(usage);
}

/* Of those without a channel the one that is there for longest. */
static void make_room(struct gw_anchor *anchor)
{
    for (struct gw_map_node *node = gw_map_first(&anchor->usages); node;
         node = gw_map_next(&anchor->usages, node)) {
        struct gw_anchor_usage *usage = gw_map_entry(node, struct gw_anchor_usage, node);
        if (usage->channels > 0)
            continue;
        free_usage(anchor, usage);
        return;
    }
}

struct gw_anchor_usage *gw_anchor_usage_take(struct gw_anchor *anchor, const struct gw_anchor_client *client,
                                             const struct gw_anchor_client *other,
                                             const uint8_t tag[GW_TAG_LEN], struct gw_mono now)
{
    uint8_t pair[2 * GW_KEY_LEN];
    name_pair(pair, client, other, tag);
    struct gw_map_node *node = gw_map_find(&anchor->usages, pair);
    struct gw_anchor_usage *usage = node ? gw_map_entry(node, struct gw_anchor_usage, node) : NULL;
    if (!usage) {
        if (anchor->usages.len >= KEPT_TIMES * (size_t)anchor->params.max_channels)
            make_room(anchor);
        usage = calloc(1, sizeof *usage);
        if (!usage)
            return NULL;
        memcpy(usage->pair, pair, sizeof usage->pair);
        gw_bucket_init(&usage->rate, gw_anchor_burst(anchor->params.rate), now);
        usage->volume_began = now;
        if (gw_map_insert(&anchor->usages, &usage->node, usage->pair) != 0) {
            free(usage);
            return NULL;
        }
    }
    usage->channels++;
    return usage;
}

void gw_anchor_usage_leave(struct gw_anchor_usage *usage)
{
    if (usage)
        usage->channels--;
}

void gw_anchor_usage_look(struct gw_anchor_usage *usage, struct gw_mono now)
{
    if (gw_mono_sub(now, usage->volume_began) < PERIOD_NS)
        return;
    usage->volume_began = now;
    usage->volume = 0;
}

void gw_anchor_usages_sweep(struct gw_anchor *anchor, struct gw_mono now)
{
    struct gw_map_node *next;
    for (struct gw_map_node *node = gw_map_first(&anchor->usages); node; node = next) {
        struct gw_anchor_usage *usage = gw_map_entry(node, struct gw_anchor_usage, node);
        next = gw_map_next(&anchor->usages, node);
        gw_anchor_usage_look(usage, now);
        if (usage->channels == 0 && (usage->volume == 0 || anchor->params.volume == 0))
            free_usage(anchor, usage);
    }
}

void gw_anchor_usages_fini(struct gw_anchor *anchor)
{
    for (struct gw_map_node *node; (node = gw_map_first(&anchor->usages)) != NULL;)
        free_usage(anchor, gw_map_entry(node, struct gw_anchor_usage, node));
    gw_map_fini(&anchor->usages);
}
