/* SPDX-License-Identifier: MIT */
/* INITIATE_PUNCH: two clients that share a tag begin at the same time, with a token that only they have besides us. What one gets is in the other's session, so the
 * start is counted from the receipt and moved by the two round trips. The other one may be a fellow anchor's client (fleet_punch.c). */
#include "gateway/anchor/fleet_private.h"

#include "gateway/base/secret.h"

#include <string.h>

#define START_MAX_MS 5000
#define WORDS_NS GW_S(5)

void gw_anchor_initiate(struct gw_anchor_client *to, uint32_t number, const struct gw_anchor_punch *punch,
                        int64_t start_ns, peergate_Control *message, struct gw_mono now)
{
    peergate_InitiatePunch *initiate = &message->body.initiate_punch;
    int64_t start_ms = start_ns / GW_MS(1);
    message->number = number;
    message->which_body = peergate_Control_initiate_punch_tag;
    memcpy(initiate->tag, punch->tag, sizeof initiate->tag);
    memcpy(initiate->token, punch->token, sizeof initiate->token);
    memcpy(initiate->secret, punch->secret, sizeof initiate->secret);
    initiate->round = punch->round;
    initiate->again = punch->again;
    initiate->is_complete = punch->is_complete;
    initiate->start_ms = (uint32_t)(start_ms < 0 ? 0 : start_ms > START_MAX_MS ? START_MAX_MS : start_ms);
    gw_peer_send_message(to->peer, now, message);
    gw_wipe(message, sizeof *message);
}

static void refuse(struct gw_anchor_client *client, uint32_t number, const uint8_t tag[GW_TAG_LEN],
                   peergate_Refusal refusal, struct gw_mono now)
{
    peergate_Control message = {.number = number, .which_body = peergate_Control_initiate_punch_tag};
    message.body.initiate_punch.refusal = refusal;
    memcpy(message.body.initiate_punch.tag, tag, GW_TAG_LEN);
    gw_peer_send_message(client->peer, now, &message);
}

/* The same for a request that is repeated: one of the two may have begun. */
static const struct gw_anchor_punch *punch_of(struct gw_anchor *anchor, struct gw_anchor_client *client,
                                              const peergate_Control *message, struct gw_mono now)
{
    const peergate_PunchMeNow *request = &message->body.punch_me_now;
    struct gw_anchor_punch *punch = &client->punch;
    bool is_repeated = !gw_mono_due(client->punch_expires, now) && client->punch_number == message->number &&
                       memcmp(punch->tag, request->tag, GW_TAG_LEN) == 0;
    if (is_repeated)
        return punch;
    client->punch_number = message->number;
    client->punch_expires = gw_mono_add(now, GW_S(GW_TOKEN_LIFE_S));
    memcpy(punch->tag, request->tag, GW_TAG_LEN);
    gw_random_fill(anchor->host->random, punch->token, sizeof punch->token);
    gw_random_fill(anchor->host->random, punch->secret, sizeof punch->secret);
    punch->round = request->round;
    punch->again = request->again;
    punch->is_complete = request->again > 0 && request->is_answer;
    return punch;
}

void gw_anchor_words(const struct gw_anchor_client *client, const uint8_t tag[GW_TAG_LEN], struct gw_mono now,
                     struct gw_anchor_words *out)
{
    bool is_of_now = !gw_mono_is_never(client->spoke) && gw_mono_sub(now, client->spoke) < WORDS_NS &&
                     memcmp(client->spoke_tag, tag, sizeof client->spoke_tag) == 0;
    *out = client->words;
    out->nat.has_last &= is_of_now;
    out->has_vouch &= is_of_now;
}

static void remember(struct gw_anchor_client *client, const peergate_PunchMeNow *request, struct gw_mono now)
{
    client->words =
        (struct gw_anchor_words){request->has_nat, request->nat, request->has_vouch, request->vouch};
    client->spoke = now;
    memcpy(client->spoke_tag, request->tag, sizeof client->spoke_tag);
}

/* Half of the longer round trip is how long the slower one takes to hear of it. */
static void send(struct gw_anchor_client *to, const struct gw_anchor_client *about, uint32_t number,
                 const struct gw_anchor_punch *punch, struct gw_mono now)
{
    peergate_Control message = peergate_Control_init_zero;
    peergate_InitiatePunch *initiate = &message.body.initiate_punch;
    struct gw_anchor_words words;
    gw_anchor_words(about, punch->tag, now, &words);
    initiate->addresses_count = (pb_size_t)gw_anchor_addresses(about, initiate->addresses);
    initiate->has_nat = words.has_nat;
    initiate->nat = words.nat;
    initiate->has_vouch = words.has_vouch;
    initiate->vouch = words.vouch;
    gw_anchor_initiate(to, number, punch, (gw_peer_rtt(about->peer) - gw_peer_rtt(to->peer)) / 2, &message,
                       now);
}

void gw_anchor_answer_punch(struct gw_anchor *anchor, struct gw_anchor_client *client,
                            const peergate_Control *message, struct gw_mono now)
{
    const peergate_PunchMeNow *request = &message->body.punch_me_now;
    struct gw_anchor_client *other = gw_anchor_other(anchor, client, request->tag, now);
    remember(client, request, now);
    if (!gw_bucket_take(&client->punches, GW_ANCHOR_PUNCH_RATE, GW_ANCHOR_PUNCH_BURST, 1, now)) {
        anchor->stats.refused_rate++;
        refuse(client, message->number, request->tag,
               other ? peergate_Refusal_REFUSAL_RATE : peergate_Refusal_REFUSAL_UNKNOWN, now);
        return;
    }
    const struct gw_anchor_punch *punch = punch_of(anchor, client, message, now);
    if (!other && anchor->fleet && gw_fleet_ask(anchor->fleet, client, message, request->tag, now))
        return;
    if (!other) {
        anchor->stats.refused_unknown++;
        refuse(client, message->number, request->tag, peergate_Refusal_REFUSAL_UNKNOWN, now);
        return;
    }
    anchor->stats.punches++;
    send(other, client, 0, punch, now);
    send(client, other, message->number, punch, now);
}
