/* SPDX-License-Identifier: MIT */
/* Reaching a peer that there is no session with, and that no anchor relays to: REQUEST_ENDPOINT says whether it is there and where, PUNCH_ME_NOW to that anchor makes it send INITIATE_PUNCH
 * to both, with a token for probes (type 7). The first address that answers is where the handshake goes. Whoever did not ask takes part a few times a minute, for a
 * token it has not seen, while nothing of its own runs: so a replay, or an anchor that makes it up, costs a few small packets. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/log.h"

#include <string.h>

#define RETRY_NS GW_MS(300) /* or 2 RTT; doubling */
#define TRIES 4u
#define BACKOFF_NS GW_S(10) /* between attempts; doubling */
#define BACKOFF_MAX_NS GW_S(3600)
#define RELAY_NS GW_S(2) /* a relay that has led to no session by then is not enough */
#define START_MAX_MS 5000u
#define UNASKED_RATE (1.0 / 30)
#define UNASKED_BURST 5.0
#define ANSWERS_MAX 400u /* probes answered for one token */

static bool has_session(const struct gw_reach *reach)
{
    struct gw_session_stats session;
    gw_session_stats(reach->peer->session, &session);
    return session.state == GW_SESSION_ESTABLISHED;
}

static void enter(struct gw_reach *reach, enum gw_meet_step step, struct gw_mono at)
{
    reach->meet.step = step;
    reach->meet.tries = 0;
    reach->meet.at = at;
}

static void failed(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_meet *meet = &reach->meet;
    int64_t wait = BACKOFF_NS << (meet->failures < 9 ? meet->failures : 9);
    meet->failures++;
    bool is_over = meet->failures >= gw_direct_attempts_max(reach);
    enter(reach, GW_MEET_IDLE,
          is_over ? GW_NEVER : gw_mono_add(now, wait < BACKOFF_MAX_NS ? wait : BACKOFF_MAX_NS));
    gw_log_debug("%s: not met in attempt %u%s", gw_peer_name(reach->peer), meet->failures,
                 is_over ? "; tried again when something changes" : "");
}

/* ---- asking the anchor */

/* An anchor that knows the peer and does not relay to it, or whose relay leads nowhere. */
static struct gw_anchor_use *anchor_to_ask(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_anchor_use *best = NULL;
    for (unsigned i = 0; i < GW_ANCHORS_MAX; i++) {
        struct gw_anchor_use *use = reach->discovery->slots[i];
        unsigned refusal = reach->asks[i].refusal;
        if (!use || !use->is_registered || use->is_silent || !reach->is_through[i])
            continue;
        const struct gw_relay_channel *channel = gw_relay_channel_of(reach, use);
        bool is_relayed = channel && gw_map_node_is_linked(&channel->by_id);
        bool is_useless = is_relayed && gw_mono_sub(now, channel->granted) >= RELAY_NS;
        bool is_refused = !is_relayed && (refusal == peergate_Refusal_REFUSAL_NO_RELAY ||
                                          refusal == peergate_Refusal_REFUSAL_LIMIT ||
                                          refusal == peergate_Refusal_REFUSAL_RATE);
        if ((is_useless || is_refused) && (!best || gw_peer_rtt(use->peer) < gw_peer_rtt(best->peer)))
            best = use;
    }
    return best;
}

static bool is_wished(const struct gw_reach *reach, struct gw_mono now)
{
    return gw_reach_is_wanted(reach, now) && !has_session(reach) &&
           reach->peer->config.path != GW_PATH_RELAY && gw_direct_attempts_max(reach) > 0;
}

static void send_punch(struct gw_reach *reach, struct gw_anchor_use *use, struct gw_mono now)
{
    struct gw_meet *meet = &reach->meet;
    peergate_Control message = {.which_body = peergate_Control_punch_me_now_tag};
    peergate_PunchMeNow *punch = &message.body.punch_me_now;
    while (meet->number == 0)
        meet->number = gw_random_u32(reach->discovery->host->random);
    message.number = meet->number;
    punch->round = meet->failures + 1;
    memcpy(punch->tag, reach->tags[use->slot], GW_TAG_LEN);
    punch->has_nat = true;
    gw_round_tell(reach, false, &punch->nat);
    gw_peer_send_message(use->peer, now, &message);
}

void gw_meet_step(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_meet *meet = &reach->meet;
    if (meet->is_arranging)
        gw_meet_further_step(reach, now);
    if (meet->step == GW_MEET_PUNCHING || meet->is_arranging || !gw_mono_due(meet->at, now))
        return;
    struct gw_anchor_use *use = is_wished(reach, now) ? anchor_to_ask(reach, now) : NULL;
    if (!use) {
        meet->step = GW_MEET_IDLE; /* what makes it wished comes by here again */
        return;
    }
    if (meet->tries >= TRIES) {
        failed(reach, now);
        return;
    }
    if (meet->step == GW_MEET_IDLE) {
        enter(reach, GW_MEET_ASKING, now);
        meet->number = 0;
    }
    int64_t rtts = 2 * gw_peer_rtt(use->peer);
    meet->at = gw_mono_add(now, (rtts > RETRY_NS ? rtts : RETRY_NS) << meet->tries++);
    if (meet->step == GW_MEET_ASKING)
        gw_round_ask_anchor(reach, use, now);
    else
        send_punch(reach, use, now);
}

void gw_meet_info(struct gw_reach *reach, const peergate_EndpointInfo *info, struct gw_mono now)
{
    if (has_session(reach)) /* the peer itself says what it wants to be reached at */
        return;
    gw_direct_take_addresses(reach, info->addresses, info->addresses_count, now);
    if (reach->meet.step != GW_MEET_ASKING)
        return;
    enter(reach, GW_MEET_INITIATING, now);
    struct gw_anchor_use *use = gw_round_wants_measure(reach) ? anchor_to_ask(reach, now) : NULL;
    if (use) {
        reach->meet.slot = use->slot;
        reach->meet.is_asker = true;
        reach->direct.again = 0;
        gw_meet_arrange(reach, 1, now); /* not the plain round: it would use up what can be foretold */
    } else {
        gw_meet_step(reach, now);
    }
    gw_reach_rearm(reach, now);
}

void gw_meet_not_begun(struct gw_reach *reach, struct gw_mono now)
{
    if (reach->meet.is_asker)
        failed(reach, now);
    else
        enter(reach, GW_MEET_IDLE, now);
}

/* ---- INITIATE_PUNCH */

static bool is_token_new(struct gw_meet *meet, const uint8_t token[GW_TOKEN_ID_LEN])
{
    for (unsigned i = 0; i < GW_MEET_TOKENS; i++) {
        if (memcmp(meet->seen[i], token, GW_TOKEN_ID_LEN) == 0)
            return false;
    }
    memcpy(meet->seen[meet->seen_count++ % GW_MEET_TOKENS], token, GW_TOKEN_ID_LEN);
    return true;
}

/* Ours was asked for; of the others, few are taken. */
bool gw_meet_may_begin(struct gw_reach *reach, uint32_t number, const peergate_InitiatePunch *initiate,
                       struct gw_mono now)
{
    struct gw_meet *meet = &reach->meet;
    bool is_ours = number != 0;
    if (is_ours && (meet->step != GW_MEET_INITIATING || number != meet->number))
        return false;
    if (reach->direct.punch.is_running || reach->peer->config.path == GW_PATH_RELAY ||
        gw_direct_attempts_max(reach) == 0 || !is_token_new(meet, initiate->token))
        return false;
    return is_ours || gw_bucket_take(&meet->unasked, UNASKED_RATE, UNASKED_BURST, 1, now);
}

static bool take_token(struct gw_reach *reach, const peergate_InitiatePunch *initiate, struct gw_mono now)
{
    struct gw_token *token = &reach->meet.token;
    if (!gw_token_set(reach->discovery, token, reach->peer->session, reach->peer->config.public_key,
                      initiate->token, initiate->secret, now))
        return false;
    token->reach = reach;
    return true;
}

bool gw_meet_take_token(struct gw_reach *reach, const peergate_InitiatePunch *initiate, struct gw_mono now)
{
    return is_token_new(&reach->meet, initiate->token) && take_token(reach, initiate, now);
}

void gw_meet_initiate_input(struct gw_reach *reach, struct gw_anchor_use *use, uint32_t number,
                            const peergate_InitiatePunch *initiate, struct gw_mono now)
{
    struct gw_meet *meet = &reach->meet;
    if (gw_meet_further_input(reach, use, number, initiate, now)) {
        gw_reach_rearm(reach, now);
        return;
    }
    if (number != 0 && initiate->refusal != peergate_Refusal_REFUSAL_NONE) {
        if (meet->step == GW_MEET_INITIATING && number == meet->number)
            failed(reach, now);
        gw_reach_rearm(reach, now);
        return;
    }
    if (!reach->is_through[use->slot] || !gw_meet_may_begin(reach, number, initiate, now))
        return;
    if (!take_token(reach, initiate, now))
        return;
    meet->is_asker = number != 0;
    meet->slot = use->slot;
    gw_direct_take_addresses(reach, initiate->addresses, initiate->addresses_count, now);
    gw_round_told(&reach->direct, initiate->has_nat, &initiate->nat);
    if (number == 0 && gw_round_wants_measure(reach)) {
        gw_meet_answer(reach, use, initiate, now);
        gw_reach_rearm(reach, now);
        return;
    }
    uint32_t start_ms = initiate->start_ms < START_MAX_MS ? initiate->start_ms : START_MAX_MS;
    gw_log_debug("%s: anchor %s says when to punch", gw_peer_name(reach->peer), gw_peer_name(use->peer));
    meet->further_left = GW_MEET_FURTHER_LEFT;
    enter(reach, GW_MEET_PUNCHING, GW_NEVER);
    gw_meet_begun(reach, gw_mono_add(now, GW_MS(start_ms)), 0);
    gw_reach_rearm(reach, now);
}

/* ---- probes */

void gw_meet_output(struct gw_reach *reach, struct gw_mono now)
{
    const struct gw_meet *meet = &reach->meet;
    struct gw_punch_packet packet;
    while (meet->step == GW_MEET_PUNCHING && !has_session(reach) &&
           gw_punch_take(&reach->direct.punch, now, reach->discovery->host->random, &packet)) {
        struct gw_probe probe = {.seq = gw_load32_le(packet.nonce), .role = !meet->is_asker};
        struct gw_tuple tuple = {.remote = packet.to, .link = packet.link};
        memcpy(probe.token, meet->token.id, sizeof probe.token);
        gw_probes_push(&reach->discovery->host->probes, &tuple, &probe, meet->token.key);
    }
}

static void answer(struct gw_reach *reach, const struct gw_tuple *from, const struct gw_probe *probe)
{
    struct gw_meet *meet = &reach->meet;
    struct gw_probe reply = {
        .seq = probe->seq, .role = !meet->is_asker, .is_reply = true, .seen = from->remote};
    if (meet->token.answers++ >= ANSWERS_MAX)
        return;
    memcpy(reply.token, meet->token.id, sizeof reply.token);
    gw_probes_push(&reach->discovery->host->probes, from, &reply, meet->token.key);
}

void gw_meet_probe(struct gw_reach *reach, struct gw_mono now, const struct gw_tuple *from,
                   const struct gw_probe *probe)
{
    struct gw_meet *meet = &reach->meet;
    uint8_t nonce[4];
    struct gw_tuple path;
    int64_t rtt_ns;
    if (probe->role != meet->is_asker) /* our own, back */
        return;
    if (!probe->is_reply) {
        answer(reach, from, probe);
        gw_direct_challenged(reach, from, now);
        gw_reach_rearm(reach, now);
        return;
    }
    gw_store32_le(nonce, probe->seq);
    if (!gw_direct_answered(reach, now, from, nonce, sizeof nonce, &path, &rtt_ns))
        return;
    meet->failures = 0;
    gw_peer_found(reach->peer, now, &path, rtt_ns, meet->is_asker);
}

/* ---- ends */

void gw_meet_over(struct gw_reach *reach, struct gw_mono now)
{
    if (reach->meet.step != GW_MEET_PUNCHING)
        return;
    gw_meet_further_end(reach);
    if (!reach->direct.punch.has_proven && reach->meet.is_asker)
        failed(reach, now);
    else
        enter(reach, GW_MEET_IDLE, gw_mono_add(now, BACKOFF_NS)); /* the handshake has so long */
}

void gw_meet_end(struct gw_reach *reach)
{
    struct gw_meet *meet = &reach->meet;
    gw_token_clear(reach->discovery, &meet->token);
    gw_meet_further_end(reach);
    meet->step = GW_MEET_IDLE;
    meet->failures = 0;
    meet->at = reach->discovery->host->now;
}

void gw_meet_init(struct gw_reach *reach, struct gw_mono now)
{
    reach->meet.at = now;
    reach->meet.further_at = GW_NEVER;
    gw_bucket_init(&reach->meet.unasked, UNASKED_BURST, now);
}
