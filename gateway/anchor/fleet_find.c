/* SPDX-License-Identifier: MIT */
/* What a client asks about somebody who is not here: the records of the other anchors are looked up, and for a channel or a punch those that have the other one are
 * asked in turn. The client repeats its question until it is answered; one question of its kind is under way at a time. */
#include "gateway/anchor/fleet_private.h"

#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <stdlib.h>
#include <string.h>

#define LOOKUP_NS GW_S(1)
#define OPEN_NS GW_MS(400) /* twice at each */

/* ---- life of a question */

void gw_fleet_query_end(struct gw_fleet *fleet, struct gw_fleet_query *query)
{
    gw_list_remove(&query->node);
    fleet->query_count--;
    gw_wipe(&query->punch, sizeof query->punch);
    free(query);
}

static void answer(struct gw_fleet *fleet, struct gw_fleet_query *query, peergate_Control *message,
                   struct gw_mono now)
{
    message->number = query->number;
    gw_peer_send_message(query->client->peer, now, message);
    gw_fleet_query_end(fleet, query);
}

static void refuse(struct gw_fleet *fleet, struct gw_fleet_query *query, peergate_Refusal refusal,
                   struct gw_mono now)
{
    peergate_Control message = {.which_body = peergate_Control_endpoint_info_tag};
    if (refusal == peergate_Refusal_REFUSAL_UNKNOWN)
        fleet->anchor->stats.refused_unknown++;
    if (query->want == GW_FLEET_WANT_ENDPOINT) {
        message.body.endpoint_info.refusal = refusal;
    } else if (query->want == GW_FLEET_WANT_CHANNEL) {
        message.which_body = peergate_Control_channel_grant_tag;
        message.body.channel_grant.refusal = refusal;
        memcpy(message.body.channel_grant.tag, query->tag, GW_TAG_LEN);
    } else {
        message.which_body = peergate_Control_initiate_punch_tag;
        message.body.initiate_punch.refusal = refusal;
        memcpy(message.body.initiate_punch.tag, query->tag, GW_TAG_LEN);
    }
    answer(fleet, query, &message, now);
}

static struct gw_fleet_query *find(const struct gw_fleet *fleet, const struct gw_anchor_client *client,
                                   enum gw_fleet_want want, const uint8_t tag[GW_TAG_LEN])
{
    gw_list_for_each (node, &fleet->queries) {
        struct gw_fleet_query *query = gw_list_entry(node, struct gw_fleet_query, node);
        if (query->client == client && query->want == want && memcmp(query->tag, tag, GW_TAG_LEN) == 0)
            return query;
    }
    return NULL;
}

/* ---- the lookup */

static bool look_up(struct gw_fleet *fleet, struct gw_fleet_query *query)
{
    char names[GW_FELLOWS_MAX][GW_FLEET_NAME_MAX];
    for (unsigned i = 0; i < GW_FELLOWS_MAX; i++) {
        const struct gw_fellow *fellow = &fleet->fellows[i];
        if (gw_mono_is_never(fellow->heard))
            continue;
        memcpy(query->asked[query->asked_count], fellow->place.anchor, GW_FLEET_ID_LEN);
        gw_fleet_record_name(fleet, query->tag, fellow->place.anchor, names[query->asked_count++]);
    }
    const struct gw_fleet_ops *ops = fleet->params.ops;
    fleet->lookups += query->asked_count > 0;
    return query->asked_count > 0 &&
           ops->get(query->id, (const char(*)[GW_FLEET_NAME_MAX])names, query->asked_count, ops->ctx);
}

bool gw_fleet_ask(struct gw_fleet *fleet, struct gw_anchor_client *client, const peergate_Control *message,
                  const uint8_t tag[GW_TAG_LEN], struct gw_mono now)
{
    enum gw_fleet_want want =
        message->which_body == peergate_Control_channel_request_tag ? GW_FLEET_WANT_CHANNEL
        : message->which_body == peergate_Control_punch_me_now_tag  ? GW_FLEET_WANT_PUNCH
                                                                    : GW_FLEET_WANT_ENDPOINT;
    struct gw_fleet_query *query = find(fleet, client, want, tag);
    bool is_another = query && want == GW_FLEET_WANT_PUNCH && query->number != message->number;
    if (is_another) { /* another round: what comes of the last one would be taken for this one's */
        gw_fleet_query_end(fleet, query);
    } else if (query) {
        query->number = message->number;
        return true;
    }
    if (!fleet->is_up || fleet->query_count == GW_FLEET_QUERIES_MAX || !(query = calloc(1, sizeof *query)))
        return false;
    *query = (struct gw_fleet_query){.client = client,
                                     .id = ++fleet->last_id,
                                     .number = message->number,
                                     .want = want,
                                     .asked_at = now,
                                     .expires = gw_mono_add(now, LOOKUP_NS)};
    memcpy(query->tag, tag, GW_TAG_LEN);
    if (want == GW_FLEET_WANT_PUNCH)
        query->punch = client->punch;
    gw_list_push_back(&fleet->queries, &query->node);
    fleet->query_count++;
    if (!look_up(fleet, query)) {
        gw_fleet_query_end(fleet, query);
        return false;
    }
    gw_fleet_rearm(fleet);
    return true;
}

/* ---- what is found */

static bool open_record(struct gw_fleet *fleet, const struct gw_fleet_query *query, unsigned i,
                        struct gw_view value, struct gw_fleet_record *record)
{
    uint8_t plain[GW_FLEET_PLAIN_MAX];
    char name[GW_FLEET_NAME_MAX];
    size_t len;
    if (value.len == 0)
        return false;
    gw_fleet_record_name(fleet, query->tag, query->asked[i], name);
    bool is_good = gw_fleet_open(plain, &len, value, name, fleet->key, fleet->anchor->host->local.crypto) &&
                   gw_fleet_record_decode(record, (struct gw_view){plain, len}) == 0 &&
                   memcmp(record->place.anchor, query->asked[i], GW_FLEET_ID_LEN) == 0;
    fleet->dropped_garbage += !is_good;
    return is_good;
}

/* The one in the record who is not the asker; NULL. */
static const struct gw_fleet_registrant *other_in(const struct gw_fleet *fleet,
                                                  const struct gw_fleet_query *query,
                                                  const struct gw_fleet_record *record)
{
    uint8_t own[GW_FLEET_ID_LEN];
    gw_fleet_client_id(fleet, query->client, own);
    for (unsigned i = 0; i < record->count; i++) {
        if (memcmp(record->registrants[i].client, own, GW_FLEET_ID_LEN) != 0)
            return &record->registrants[i];
    }
    return NULL;
}

static void tell_endpoint(struct gw_fleet *fleet, struct gw_fleet_query *query,
                          const struct gw_fleet_registrant *other, struct gw_mono now)
{
    peergate_Control message = {.which_body = peergate_Control_endpoint_info_tag};
    peergate_EndpointInfo *info = &message.body.endpoint_info;
    for (unsigned i = 0; i < other->address_count; i++)
        gw_candidate_encode(&info->addresses[info->addresses_count++], &other->addresses[i]);
    answer(fleet, query, &message, now);
}

void gw_anchor_fleet_found(struct gw_anchor *anchor, uint32_t id, const struct gw_view *values,
                           unsigned count, struct gw_mono now)
{
    struct gw_fleet *fleet = anchor->fleet;
    struct gw_fleet_query *query = NULL;
    struct gw_fleet_record record;
    if (!fleet)
        return;
    gw_list_for_each (node, &fleet->queries) {
        if (gw_list_entry(node, struct gw_fleet_query, node)->id == id)
            query = gw_list_entry(node, struct gw_fleet_query, node);
    }
    if (!query || query->place_count > 0)
        return; /* it took too long */
    query->lookup_ns = gw_mono_sub(now, query->asked_at);
    for (unsigned i = 0; i < count && i < query->asked_count; i++) {
        const struct gw_fleet_registrant *other =
            open_record(fleet, query, i, values[i], &record) ? other_in(fleet, query, &record) : NULL;
        if (other && query->want == GW_FLEET_WANT_ENDPOINT) {
            tell_endpoint(fleet, query, other, now);
            return;
        }
        if (other)
            query->places[query->place_count++] = record.place;
    }
    gw_fleet_try_next(fleet, query, peergate_Refusal_REFUSAL_UNKNOWN, now);
}

/* ---- one anchor after the other */

/* NONE, or why that one need not be waited for. */
static peergate_Refusal ask_at(struct gw_fleet *fleet, struct gw_fleet_query *query,
                               const struct gw_fleet_place *place, struct gw_mono now)
{
    query->asked_at = now;
    if (query->want == GW_FLEET_WANT_CHANNEL)
        return gw_fleet_open_at(fleet, query, place, now);
    gw_fleet_punch_at(fleet, query, place, now);
    return peergate_Refusal_REFUSAL_NONE;
}

void gw_fleet_try_next(struct gw_fleet *fleet, struct gw_fleet_query *query, peergate_Refusal refusal,
                       struct gw_mono now)
{
    while (query->tried < query->place_count) {
        peergate_Refusal own = ask_at(fleet, query, &query->places[query->tried++], now);
        query->is_repeated = false;
        if (own == peergate_Refusal_REFUSAL_NONE) {
            query->expires = gw_mono_add(now, OPEN_NS);
            gw_fleet_rearm(fleet);
            return;
        }
        refusal = own;
    }
    refuse(fleet, query, refusal, now);
}

struct gw_fleet_query *gw_fleet_waiting(const struct gw_fleet *fleet, enum gw_fleet_want want,
                                        const struct gw_fleet_message *message)
{
    gw_list_for_each (node, &fleet->queries) {
        struct gw_fleet_query *query = gw_list_entry(node, struct gw_fleet_query, node);
        uint8_t client[GW_FLEET_ID_LEN];
        if (query->want != want || query->tried == 0 || memcmp(query->tag, message->tag, GW_TAG_LEN) != 0 ||
            memcmp(query->places[query->tried - 1].anchor, message->from.anchor, GW_FLEET_ID_LEN) != 0)
            continue;
        gw_fleet_client_id(fleet, query->client, client);
        if (memcmp(client, message->client, GW_FLEET_ID_LEN) == 0)
            return query;
    }
    return NULL;
}

struct gw_mono gw_fleet_find_deadline(const struct gw_fleet *fleet)
{
    struct gw_mono at = GW_NEVER;
    gw_list_for_each (node, &fleet->queries)
        at = gw_mono_min(at, gw_list_entry(node, struct gw_fleet_query, node)->expires);
    return at;
}

void gw_fleet_find_expire(struct gw_fleet *fleet, struct gw_mono now)
{
    gw_list_for_each (node, &fleet->queries) {
        struct gw_fleet_query *query = gw_list_entry(node, struct gw_fleet_query, node);
        if (!gw_mono_due(query->expires, now))
            continue;
        if (query->tried > 0 && !query->is_repeated) {
            query->is_repeated = true;
            query->expires = gw_mono_add(now, OPEN_NS);
            ask_at(fleet, query, &query->places[query->tried - 1], now);
        } else {
            gw_fleet_try_next(fleet, query, peergate_Refusal_REFUSAL_UNKNOWN, now);
        }
    }
}

void gw_fleet_client_gone(struct gw_fleet *fleet, const struct gw_anchor_client *client)
{
    gw_list_for_each (node, &fleet->queries) {
        struct gw_fleet_query *query = gw_list_entry(node, struct gw_fleet_query, node);
        if (query->client == client)
            gw_fleet_query_end(fleet, query);
    }
}
