/* SPDX-License-Identifier: MIT */
/* An anchor among others: that it is there, who else is, and what its clients have to know of the fleet. */
#include "gateway/anchor/fleet_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEAL_LABEL "peergate fleet directory v1"
#define PROOF_LABEL "peergate fleet v1"
#define BEAT_NS GW_S(10)
#define FELLOW_NS GW_S(35) /* three beats, and a little */

/* ---- names */

static void hex(char *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

/* "peergate:FLEET:what:REST" */
static void name_of(const struct gw_fleet *fleet, const char *what, const char *rest,
                    char out[GW_FLEET_NAME_MAX])
{
    char id[2 * GW_FLEET_ID_LEN + 1];
    hex(id, fleet->public_key, GW_FLEET_ID_LEN);
    snprintf(out, GW_FLEET_NAME_MAX, "peergate:%s:%s%s", id, what, rest);
}

void gw_fleet_record_name(const struct gw_fleet *fleet, const uint8_t tag[GW_TAG_LEN],
                          const uint8_t anchor[GW_FLEET_ID_LEN], char out[GW_FLEET_NAME_MAX])
{
    char rest[2 * GW_TAG_LEN + 1 + 2 * GW_FLEET_ID_LEN + 1];
    hex(rest, tag, GW_TAG_LEN);
    rest[2 * GW_TAG_LEN] = ':';
    hex(rest + 2 * GW_TAG_LEN + 1, anchor, GW_FLEET_ID_LEN);
    name_of(fleet, "tag:", rest, out);
}

static void topic_of(const struct gw_fleet *fleet, const uint8_t anchor[GW_FLEET_ID_LEN],
                     char out[GW_FLEET_NAME_MAX])
{
    char rest[2 * GW_FLEET_ID_LEN + 1];
    hex(rest, anchor, GW_FLEET_ID_LEN);
    name_of(fleet, "to:", rest, out);
}

void gw_fleet_client_id(const struct gw_fleet *fleet, const struct gw_anchor_client *client,
                        uint8_t out[GW_FLEET_ID_LEN])
{
    uint8_t hash[GW_HASH_LEN];
    gw_hmac(hash, fleet->key, sizeof fleet->key, client->peer->config.public_key, GW_KEY_LEN);
    memcpy(out, hash, GW_FLEET_ID_LEN);
}

/* ---- saying */

static const struct gw_crypto *crypto_of(const struct gw_fleet *fleet)
{
    return fleet->anchor->host->local.crypto;
}

void gw_fleet_say(struct gw_fleet *fleet, const uint8_t *to, struct gw_fleet_message *message)
{
    uint8_t plain[GW_FLEET_PLAIN_MAX], sealed[GW_FLEET_SEALED_MAX];
    char topic[GW_FLEET_NAME_MAX];
    if (!fleet->is_up || !gw_addr_is_set(&fleet->own.addr))
        return;
    message->from = fleet->own;
    size_t len = gw_fleet_message_encode(plain, sizeof plain, message);
    if (to)
        topic_of(fleet, to, topic);
    else
        snprintf(topic, sizeof topic, "%s", fleet->topics[0]);
    len = gw_fleet_seal(sealed, plain, len, topic, NULL, fleet->key, crypto_of(fleet),
                        fleet->anchor->host->random);
    fleet->params.ops->tell(topic, sealed, len, fleet->params.ops->ctx);
    gw_wipe(plain, sizeof plain);
}

static void say_present(struct gw_fleet *fleet, const uint8_t *to, bool is_asking)
{
    struct gw_fleet_message message = {
        .kind = GW_FLEET_PRESENT, .is_asking = is_asking, .knows_further = true};
    gw_fleet_say(fleet, to, &message);
}

/* ---- clients */

bool gw_fleet_introduce(const struct gw_fleet *fleet, const struct gw_anchor_client *client,
                        const peergate_RegisterRequest *request, peergate_RegisterReply *reply)
{
    uint8_t proof[GW_HASH_LEN];
    if (request->fleet.size == GW_FLEET_ID_LEN &&
        memcmp(request->fleet.bytes, fleet->public_key, GW_FLEET_ID_LEN) == 0)
        return false;
    if (!gw_static_kdf(crypto_of(fleet), fleet->params.secret, client->peer->config.public_key, PROOF_LABEL,
                       fleet->anchor->host->local.public_key, GW_KEY_LEN, proof))
        return false;
    reply->fleet.size = GW_KEY_LEN;
    memcpy(reply->fleet.bytes, fleet->public_key, GW_KEY_LEN);
    reply->fleet_proof.size = sizeof reply->fleet_proof.bytes;
    memcpy(reply->fleet_proof.bytes, proof, sizeof reply->fleet_proof.bytes);
    gw_wipe(proof, sizeof proof);
    return true;
}

/* ---- the others */

static struct gw_fellow *fellow_of(const struct gw_fleet *fleet, const uint8_t anchor[GW_FLEET_ID_LEN])
{
    for (unsigned i = 0; i < GW_FELLOWS_MAX; i++) {
        const struct gw_fellow *fellow = &fleet->fellows[i];
        if (!gw_mono_is_never(fellow->heard) && memcmp(fellow->place.anchor, anchor, GW_FLEET_ID_LEN) == 0)
            return (struct gw_fellow *)(uintptr_t)fellow;
    }
    return NULL;
}

bool gw_fleet_knows_further(const struct gw_fleet *fleet, const uint8_t anchor[GW_FLEET_ID_LEN])
{
    const struct gw_fellow *fellow = fellow_of(fleet, anchor);
    return fellow && fellow->knows_further;
}

/* A free slot, or that of the one heard longest ago. */
static struct gw_fellow *slot_for(struct gw_fleet *fleet)
{
    struct gw_fellow *slot = &fleet->fellows[0];
    for (unsigned i = 0; i < GW_FELLOWS_MAX; i++) {
        struct gw_fellow *fellow = &fleet->fellows[i];
        bool is_freer = gw_mono_is_never(fellow->heard) && !gw_mono_is_never(slot->heard);
        if (is_freer || (!gw_mono_is_never(slot->heard) && gw_mono_before(fellow->heard, slot->heard)))
            slot = fellow;
    }
    return slot;
}

/* It may be another version in its next life. */
static void know(struct gw_fleet *fleet, const struct gw_fleet_message *message, struct gw_mono now)
{
    struct gw_fellow *fellow = fellow_of(fleet, message->from.anchor);
    char text[GW_ADDR_STRLEN];
    bool is_same = fellow && fellow->place.instance == message->from.instance;
    bool knows_further = message->kind == GW_FLEET_PRESENT
                             ? message->knows_further
                             : gw_fleet_is_further(&message->punch) || (is_same && fellow->knows_further);
    if (!fellow) {
        fellow = slot_for(fleet);
        gw_log_info("fleet: another anchor at %s", gw_addr_log(&message->from.addr, text));
    }
    *fellow = (struct gw_fellow){message->from, now, knows_further};
}

static void forget_silent(struct gw_fleet *fleet, struct gw_mono now)
{
    char text[GW_ADDR_STRLEN];
    for (unsigned i = 0; i < GW_FELLOWS_MAX; i++) {
        struct gw_fellow *fellow = &fleet->fellows[i];
        if (gw_mono_is_never(fellow->heard) || gw_mono_sub(now, fellow->heard) < FELLOW_NS)
            continue;
        if (fleet->is_up)
            gw_log_info("fleet: the anchor at %s is gone", gw_addr_log(&fellow->place.addr, text));
        fellow->heard = GW_NEVER;
    }
}

void gw_anchor_fleet_heard(struct gw_anchor *anchor, const char *topic, struct gw_view bytes,
                           struct gw_mono now)
{
    struct gw_fleet *fleet = anchor->fleet;
    struct gw_fleet_message message;
    uint8_t plain[GW_FLEET_PLAIN_MAX];
    size_t len;
    if (!fleet)
        return;
    bool is_good = gw_fleet_open(plain, &len, bytes, topic, fleet->key, crypto_of(fleet)) &&
                   gw_fleet_message_decode(&message, (struct gw_view){plain, len}) == 0;
    if (!is_good) {
        fleet->dropped_garbage++;
        return;
    }
    if (memcmp(message.from.anchor, fleet->own.anchor, GW_FLEET_ID_LEN) == 0)
        return;
    bool is_about_punch = message.kind == GW_FLEET_PUNCH || message.kind == GW_FLEET_PUNCHED;
    know(fleet, &message, now);
    if (message.kind == GW_FLEET_PRESENT && message.is_asking)
        say_present(fleet, message.from.anchor, false);
    else if (message.kind != GW_FLEET_PRESENT && message.to_instance == fleet->own.instance)
        (is_about_punch ? gw_fleet_punch_input : gw_fleet_open_input)(fleet, &message, now);
    gw_wipe(plain, sizeof plain);
    gw_wipe(&message, sizeof message);
}

/* ---- time */

void gw_fleet_rearm(struct gw_fleet *fleet)
{
    struct gw_mono at =
        gw_mono_min(gw_mono_min(fleet->beat_at, fleet->publish_at), gw_fleet_find_deadline(fleet));
    gw_deadline_arm(&fleet->anchor->host->deadlines, &fleet->deadline, at);
}

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_fleet *fleet = gw_container_of(deadline, struct gw_fleet, deadline);
    gw_fleet_find_expire(fleet, now);
    gw_fleet_publish_expire(fleet, now);
    if (gw_mono_due(fleet->beat_at, now)) {
        say_present(fleet, NULL, false);
        forget_silent(fleet, now);
        fleet->beat_at = gw_mono_add(now, BEAT_NS);
    }
    gw_fleet_rearm(fleet);
}

/* The others are to know of us, and we of them; and of our clients. */
static void begin(struct gw_fleet *fleet, struct gw_mono now)
{
    fleet->up_count++;
    fleet->publish_at = now;
    fleet->beat_at = gw_mono_add(now, BEAT_NS);
    say_present(fleet, NULL, true);
    gw_fleet_rearm(fleet);
}

void gw_anchor_fleet_state(struct gw_anchor *anchor, bool is_up, struct gw_mono now)
{
    struct gw_fleet *fleet = anchor->fleet;
    if (!fleet || fleet->is_up == is_up)
        return;
    fleet->is_up = is_up;
    if (is_up)
        begin(fleet, now);
}

void gw_anchor_fleet_set_address(struct gw_anchor *anchor, const struct gw_addr *addr, struct gw_mono now)
{
    struct gw_fleet *fleet = anchor->fleet;
    if (!fleet)
        return;
    if (!gw_candidate_is_usable(addr) && !fleet->is_address_told) {
        gw_log_warn("fleet: this anchor has no address for the others to reach it: set `advertise`");
        fleet->is_address_told = true;
    }
    if (!gw_candidate_is_usable(addr) || gw_addr_equal(addr, &fleet->own.addr))
        return;
    fleet->own.addr = *addr;
    if (fleet->is_up)
        begin(fleet, now);
}

/* ---- life */

int gw_fleet_new(struct gw_fleet **out, struct gw_anchor *anchor, const struct gw_fleet_params *params)
{
    struct gw_fleet *fleet = calloc(1, sizeof *fleet);
    if (!fleet || gw_deadlines_reserve(&anchor->host->deadlines) != 0) {
        free(fleet);
        return GW_E_NOMEM;
    }
    fleet->anchor = anchor;
    fleet->params = *params;
    anchor->host->local.crypto->dh_public(fleet->public_key, params->secret);
    gw_hkdf_expand(fleet->key, sizeof fleet->key, params->secret, SEAL_LABEL, sizeof SEAL_LABEL - 1);
    memcpy(fleet->own.anchor, anchor->host->local.public_key, GW_FLEET_ID_LEN);
    fleet->own.instance = anchor->instance;
    gw_random_fill(anchor->host->random, fleet->mark, sizeof fleet->mark);
    for (unsigned i = 0; i < GW_FELLOWS_MAX; i++)
        fleet->fellows[i].heard = GW_NEVER;
    fleet->beat_at = fleet->publish_at = GW_NEVER;
    gw_list_init(&fleet->queries);
    gw_deadline_init(&fleet->deadline, on_deadline);
    name_of(fleet, "all", "", fleet->topics[0]);
    topic_of(fleet, fleet->own.anchor, fleet->topics[1]);
    *out = fleet;
    return 0;
}

void gw_fleet_free(struct gw_fleet *fleet)
{
    if (!fleet)
        return;
    while (!gw_list_is_empty(&fleet->queries))
        gw_fleet_query_end(fleet, gw_list_entry(fleet->queries.next, struct gw_fleet_query, node));
    gw_deadline_disarm(&fleet->anchor->host->deadlines, &fleet->deadline);
    gw_deadlines_release(&fleet->anchor->host->deadlines);
    gw_wipe(fleet, sizeof *fleet);
    free(fleet);
}

const char *gw_anchor_fleet_topic(const struct gw_anchor *anchor, unsigned which)
{
    return anchor->fleet ? anchor->fleet->topics[which] : NULL;
}

bool gw_anchor_fleet_stats(const struct gw_anchor *anchor, struct gw_fleet_stats *out)
{
    const struct gw_fleet *fleet = anchor->fleet;
    if (!fleet)
        return false;
    *out = (struct gw_fleet_stats){.is_up = fleet->is_up,
                                   .channels = anchor->far_count,
                                   .lookups = fleet->lookups,
                                   .dropped_garbage = fleet->dropped_garbage};
    for (unsigned i = 0; i < GW_FELLOWS_MAX; i++)
        out->fellows += !gw_mono_is_never(fleet->fellows[i].heard);
    return true;
}
