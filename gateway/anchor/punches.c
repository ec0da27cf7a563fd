/* SPDX-License-Identifier: MIT */
/* INITIATE_PUNCH: two clients that share a tag begin at the same time, with a token that only they have besides us. What one gets is in the other's session, so the
 * start is counted from the receipt and moved by the two round trips. */
#include "gateway/anchor/anchor_private.h"

#include "gateway/base/secret.h"

#include <string.h>

/* Half of the longer round trip is how long the slower one takes to hear of it. */
static uint32_t start_of(const struct gw_anchor_client *client, const struct gw_anchor_client *other)
{
    int64_t own = gw_peer_rtt(client->peer), others = gw_peer_rtt(other->peer);
    return own >= others ? 0 : (uint32_t)((others - own) / 2 / GW_MS(1));
}

static void send(const struct gw_anchor_client *to, const struct gw_anchor_client *about, uint32_t number,
                 peergate_Control *message, const peergate_Nat *nat, struct gw_mono now)
{
    peergate_InitiatePunch *initiate = &message->body.initiate_punch;
    message->number = number;
    initiate->start_ms = start_of(to, about);
    initiate->addresses_count = (pb_size_t)gw_anchor_addresses(about, initiate->addresses);
    initiate->has_nat = nat != NULL;
    if (nat)
        initiate->nat = *nat;
    gw_peer_send_message(to->peer, now, message);
}

void gw_anchor_answer_punch(struct gw_anchor *anchor, struct gw_anchor_client *client,
                            const peergate_Control *message, struct gw_mono now)
{
    const peergate_PunchMeNow *request = &message->body.punch_me_now;
    peergate_Control out = {.number = message->number, .which_body = peergate_Control_initiate_punch_tag};
    peergate_InitiatePunch *initiate = &out.body.initiate_punch;
    struct gw_anchor_client *other = gw_anchor_other(anchor, client, request->tag, now);
    bool is_in_rate = gw_bucket_take(&client->punches, GW_ANCHOR_PUNCH_RATE, GW_ANCHOR_PUNCH_BURST, 1, now);
    memcpy(initiate->tag, request->tag, sizeof initiate->tag);
    if (!other || !is_in_rate) {
        initiate->refusal = other ? peergate_Refusal_REFUSAL_RATE : peergate_Refusal_REFUSAL_UNKNOWN;
        gw_peer_send_message(client->peer, now, &out);
        return;
    }
    gw_random_fill(anchor->host->random, initiate->token, sizeof initiate->token);
    gw_random_fill(anchor->host->random, initiate->secret, sizeof initiate->secret);
    initiate->round = request->round;
    anchor->stats.punches++;
    send(other, client, 0, &out, request->has_nat ? &request->nat : NULL, now);
    send(client, other, message->number, &out, other->has_nat ? &other->nat : NULL, now);
    client->has_nat = request->has_nat;
    client->nat = request->nat;
    gw_wipe(&out, sizeof out);
}
