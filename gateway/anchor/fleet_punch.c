/* SPDX-License-Identifier: MIT */
/* Punches between clients of two anchors. The one that was asked tells the other with what token, and where its client is; that one tells its own client at once, and
 * answers with where that is. Both clients are to begin at the same time: each anchor says how long it takes until its own does, the way through the store included. What comes again
 * has the same token, which a client takes once. */
#include "gateway/anchor/fleet_private.h"

#include "gateway/base/secret.h"

#include <string.h>

#define DELAY_MAX_MS 5000u

static uint32_t delay_of(int64_t ns)
{
    int64_t ms = ns / GW_MS(1);
    return (uint32_t)(ms < 0 ? 0 : ms > DELAY_MAX_MS ? DELAY_MAX_MS : ms);
}

static int64_t delay_told(const struct gw_fleet_punch *punch)
{
    return GW_MS(punch->delay_ms < DELAY_MAX_MS ? punch->delay_ms : DELAY_MAX_MS);
}

/* A vouch that no address can be read from is worth nothing to anybody. */
static bool is_sound(const peergate_Vouch *vouch)
{
    struct gw_candidate seen;
    return vouch->has_seen && gw_candidate_decode(&seen, &vouch->seen) == 0;
}

static void about(const struct gw_anchor_client *client, const uint8_t tag[GW_TAG_LEN], struct gw_mono now,
                  struct gw_fleet_punch *out)
{
    struct gw_anchor_words words;
    gw_anchor_words(client, tag, now, &words);
    out->address_count = gw_anchor_candidates(client, out->addresses);
    out->has_nat = words.has_nat;
    out->nat = words.nat;
    out->has_vouch = words.has_vouch && is_sound(&words.vouch);
    if (out->has_vouch)
        out->vouch = words.vouch;
}

/* For that anchor: a plain round, where it knows no other. */
static void fit(const struct gw_fleet *fleet, const uint8_t *anchor, struct gw_fleet_punch *punch)
{
    if (gw_fleet_knows_further(fleet, anchor))
        return;
    punch->again = 0;
    punch->is_complete = punch->has_vouch = false;
}

void gw_fleet_punch_at(struct gw_fleet *fleet, const struct gw_fleet_query *query,
                       const struct gw_fleet_place *place, struct gw_mono now)
{
    struct gw_fleet_message message = {.kind = GW_FLEET_PUNCH, .to_instance = place->instance};
    struct gw_fleet_punch *punch = &message.punch;
    memcpy(message.tag, query->tag, sizeof message.tag);
    gw_fleet_client_id(fleet, query->client, message.client);
    memcpy(punch->token, query->punch.token, sizeof punch->token);
    memcpy(punch->secret, query->punch.secret, sizeof punch->secret);
    punch->round = query->punch.round;
    punch->again = (uint8_t)(query->punch.again < UINT8_MAX ? query->punch.again : UINT8_MAX);
    punch->is_complete = query->punch.is_complete;
    /* The answer passes the store, too; its other half is as far away as ours, for all that is known. */
    punch->delay_ms = delay_of(query->lookup_ns + gw_peer_rtt(query->client->peer) / 2);
    about(query->client, query->tag, now, punch);
    fit(fleet, place->anchor, punch);
    gw_fleet_say(fleet, place->anchor, &message);
    gw_wipe(&message, sizeof message);
}

/* INITIATE_PUNCH to our client, about the fellow's. */
static void initiate(struct gw_anchor_client *to, uint32_t number, const struct gw_fleet_message *message,
                     int64_t start_ns, struct gw_mono now)
{
    const struct gw_fleet_punch *told = &message->punch;
    peergate_Control out = peergate_Control_init_zero;
    peergate_InitiatePunch *body = &out.body.initiate_punch;
    struct gw_anchor_punch punch = {
        .round = told->round, .again = told->again, .is_complete = told->is_complete};
    memcpy(punch.tag, message->tag, sizeof punch.tag);
    memcpy(punch.token, told->token, sizeof punch.token);
    memcpy(punch.secret, told->secret, sizeof punch.secret);
    for (unsigned i = 0; i < told->address_count; i++)
        gw_candidate_encode(&body->addresses[body->addresses_count++], &told->addresses[i]);
    body->has_nat = told->has_nat;
    body->nat = told->nat;
    body->has_vouch = told->has_vouch;
    body->vouch = told->vouch;
    gw_anchor_initiate(to, number, &punch, start_ns, &out, now);
    gw_wipe(&punch, sizeof punch);
}

static void asked(struct gw_fleet *fleet, const struct gw_fleet_message *message, struct gw_mono now)
{
    struct gw_anchor_client *client = gw_fleet_partner(fleet, message, now);
    struct gw_fleet_message answer = {.kind = GW_FLEET_PUNCHED, .to_instance = message->from.instance};
    memcpy(answer.tag, message->tag, sizeof answer.tag);
    memcpy(answer.client, message->client, sizeof answer.client);
    memcpy(answer.punch.token, message->punch.token, sizeof answer.punch.token);
    if (!client) {
        answer.refusal = peergate_Refusal_REFUSAL_UNKNOWN;
    } else if (!gw_bucket_take(&client->called, GW_ANCHOR_PUNCH_RATE, GW_ANCHOR_PUNCH_BURST, 1, now)) {
        fleet->anchor->stats.refused_rate++;
        answer.refusal = peergate_Refusal_REFUSAL_RATE;
    } else {
        int64_t half = gw_peer_rtt(client->peer) / 2, its = delay_told(&message->punch);
        answer.punch.delay_ms = delay_of(its > half ? its : half);
        memcpy(answer.punch.secret, message->punch.secret, sizeof answer.punch.secret);
        answer.punch.round = message->punch.round;
        answer.punch.again = message->punch.again;
        answer.punch.is_complete = message->punch.is_complete;
        about(client, message->tag, now, &answer.punch);
        fit(fleet, message->from.anchor, &answer.punch);
        fleet->anchor->stats.punches++;
        initiate(client, 0, message, its - half, now);
    }
    gw_fleet_say(fleet, message->from.anchor, &answer);
    gw_wipe(&answer, sizeof answer);
}

static void answered(struct gw_fleet *fleet, const struct gw_fleet_message *message, struct gw_mono now)
{
    struct gw_fleet_query *query = gw_fleet_waiting(fleet, GW_FLEET_WANT_PUNCH, message);
    if (!query || memcmp(query->punch.token, message->punch.token, sizeof query->punch.token) != 0)
        return;
    if (message->refusal != peergate_Refusal_REFUSAL_NONE) {
        gw_fleet_try_next(fleet, query, gw_fleet_refusal_of(message), now);
        return;
    }
    if (memcmp(query->punch.secret, message->punch.secret, sizeof query->punch.secret) != 0)
        return;
    /* The other one counts from when PUNCH came there: half of the time that has passed. */
    int64_t passed = gw_mono_sub(now, query->asked_at) / 2, half = gw_peer_rtt(query->client->peer) / 2;
    fleet->anchor->stats.punches++;
    initiate(query->client, query->number, message, delay_told(&message->punch) - passed - half, now);
    gw_fleet_query_end(fleet, query);
}

void gw_fleet_punch_input(struct gw_fleet *fleet, const struct gw_fleet_message *message, struct gw_mono now)
{
    if (message->kind == GW_FLEET_PUNCH)
        asked(fleet, message, now);
    else
        answered(fleet, message, now);
}
