/* SPDX-License-Identifier: MIT */
/* The records of an anchor's clients: who is registered here for a tag, and where; put into the store when that changes, and taken out of it when nobody is any more. */
#include "gateway/anchor/fleet_private.h"

#include <string.h>

#define PUBLISH_NS GW_MS(20)
#define PUBLISH_CLIENTS 4u /* put again in one go, when the store has come back */

static bool can_publish(const struct gw_fleet *fleet)
{
    return fleet->is_up && gw_addr_is_set(&fleet->own.addr);
}

static void add_registrant(const struct gw_fleet *fleet, struct gw_fleet_record *record,
                           const struct gw_anchor_client *client)
{
    struct gw_fleet_registrant *registrant = &record->registrants[record->count++];
    gw_fleet_client_id(fleet, client, registrant->client);
    registrant->address_count = gw_anchor_candidates(client, registrant->addresses);
}

/* false: there is nobody, so nothing to put. */
static bool put(struct gw_fleet *fleet, const uint8_t tag[GW_TAG_LEN], const char *name, struct gw_mono now)
{
    struct gw_fleet_record record = {.place = fleet->own};
    struct gw_registrant *both[2];
    uint8_t plain[GW_FLEET_PLAIN_MAX], sealed[GW_FLEET_SEALED_MAX];
    struct gw_mono expires;
    unsigned count = gw_directory_both(&fleet->anchor->directory, tag, now, both, &expires);
    if (count == 0)
        return false;
    for (unsigned i = 0; i < count; i++)
        add_registrant(fleet, &record, gw_container_of(both[i], struct gw_anchor_client, registrant));
    size_t len = gw_fleet_record_encode(plain, sizeof plain, &record);
    len = gw_fleet_seal(sealed, plain, len, name, fleet->mark, fleet->key, fleet->anchor->host->local.crypto,
                        fleet->anchor->host->random);
    unsigned ttl_s = (unsigned)(gw_mono_sub(expires, now) / GW_S(1)) + 1;
    fleet->params.ops->put(name, sealed, len, ttl_s, fleet->params.ops->ctx);
    return true;
}

/* ---- records to be forgotten, some at a time */

struct forgotten {
    char names[GW_FLEET_FORGET_MAX][GW_FLEET_NAME_MAX];
    unsigned count;
};

static void forget(const struct gw_fleet *fleet, struct forgotten *forgotten)
{
    if (forgotten->count > 0)
        fleet->params.ops->forget((const char(*)[GW_FLEET_NAME_MAX])forgotten->names, forgotten->count,
                                  fleet->mark, fleet->params.ops->ctx);
    forgotten->count = 0;
}

static void publish(struct gw_fleet *fleet, const uint8_t tag[GW_TAG_LEN], struct forgotten *forgotten,
                    struct gw_mono now)
{
    char *name = forgotten->names[forgotten->count];
    gw_fleet_record_name(fleet, tag, fleet->own.anchor, name);
    if (!put(fleet, tag, name, now) && ++forgotten->count == GW_FLEET_FORGET_MAX)
        forget(fleet, forgotten);
}

/* ---- when */

void gw_fleet_publish(struct gw_fleet *fleet, const uint8_t tag[GW_TAG_LEN], struct gw_mono now)
{
    struct forgotten forgotten = {.count = 0};
    if (!can_publish(fleet))
        return;
    publish(fleet, tag, &forgotten, now);
    forget(fleet, &forgotten);
}

void gw_fleet_withdraw(struct gw_fleet *fleet, struct gw_anchor_client *client, struct gw_mono now)
{
    struct gw_directory *directory = &fleet->anchor->directory;
    struct forgotten forgotten = {.count = 0};
    uint8_t tag[GW_TAG_LEN];
    if (!can_publish(fleet))
        return;
    while (gw_directory_remove_one(directory, &client->registrant, tag))
        publish(fleet, tag, &forgotten, now);
    forget(fleet, &forgotten);
}

static void publish_one(const uint8_t tag[GW_TAG_LEN], struct gw_mono now, void *ctx)
{
    gw_fleet_publish(ctx, tag, now);
}

/* The store has lost what was in it, or was away: a few clients at a time. */
void gw_fleet_publish_expire(struct gw_fleet *fleet, struct gw_mono now)
{
    unsigned count = 0;
    if (!gw_mono_due(fleet->publish_at, now))
        return;
    gw_list_for_each (node, &fleet->anchor->clients) {
        struct gw_anchor_client *client = gw_list_entry(node, struct gw_anchor_client, node);
        if (client->publish_count == fleet->up_count)
            continue;
        if (count++ == PUBLISH_CLIENTS) {
            fleet->publish_at = gw_mono_add(now, PUBLISH_NS);
            return;
        }
        client->publish_count = fleet->up_count;
        gw_directory_each(&client->registrant, now, publish_one, fleet);
    }
    fleet->publish_at = GW_NEVER;
}
