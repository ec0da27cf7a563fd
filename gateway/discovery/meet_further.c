/* SPDX-License-Identifier: MIT */
/* Rounds of a meeting without a session that need more than the other's addresses: with foretold ports, or a search (rounds.c). For these each side has to hear from the other first, by the anchor:
 * PUNCH_ME_NOW goes to the anchor and from there, as INITIATE_PUNCH, to the other side, which answers the same way; what the anchor makes of the answer begins the round at both ends. Who numbers
 * its ports in a row sends nothing to the other before that: the port that it gets is the one that was foretold. Where an anchor is all that there is, its word alone does not make us
 * search: with what the other side says comes a vouch, which only the two of us can compute. (What it knows of itself is what anchors and STUN servers say: all of them have to agree.) */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <string.h>

#define RETRY_NS GW_MS(300) /* or 2 RTT; doubling */
#define TRIES 4u
#define MEASURE_NS GW_S(1)
#define ANSWERED_NS GW_S(3) /* so long who has answered waits for the round */
#define PLAIN_NS GW_S(1)    /* ... that it would have instead of the plain one */
#define REVIEW_NS GW_S(2)
#define START_MAX_MS 5000u
#define VOUCH_LABEL "peergate vouch v1"

static struct gw_anchor_use *anchor_of(const struct gw_reach *reach)
{
    struct gw_anchor_use *use = reach->discovery->slots[reach->meet.slot];
    return use && use->is_registered && reach->is_through[use->slot] ? use : NULL;
}

/* ---- vouches: "I am seen at this address", of one of the two to the other */

/* time u64 le | port u16 le | ip 16, by a key of the two and of who says it. */
static void vouch_mac(const struct gw_reach *reach, const uint8_t speaker[GW_KEY_LEN],
                      const struct gw_addr *seen, uint64_t time, uint8_t mac[GW_MAC_LEN])
{
    uint8_t key[GW_HASH_LEN], covered[26];
    gw_store64_le(covered, time);
    gw_store16_le(covered + 8, seen->port);
    memcpy(covered + 10, seen->ip, sizeof seen->ip);
    gw_session_static_kdf(reach->peer->session, VOUCH_LABEL, speaker, GW_KEY_LEN, key);
    gw_mac(mac, key, sizeof key, covered, sizeof covered);
    gw_wipe(key, sizeof key);
}

/* Somebody else sees us at another address: then we do not know where we are. */
static bool is_contradicted(const struct gw_discovery *discovery, const struct gw_addr *seen)
{
    gw_list_for_each (node, &discovery->anchors) {
        const struct gw_anchor_use *other = gw_list_entry(node, struct gw_anchor_use, node);
        if (!other->is_neighbour && other->observed.family == 4 && !gw_addr_same_ip(&other->observed, seen))
            return true;
    }
    for (unsigned i = 0; i < discovery->observed_count; i++) {
        if (discovery->observed[i].family == 4 && !gw_addr_same_ip(&discovery->observed[i], seen))
            return true;
    }
    return false;
}

/* false: the anchor has not said where it sees us, or is not the only one that does and the others say otherwise. */
static bool vouch(const struct gw_reach *reach, const struct gw_anchor_use *use, peergate_Vouch *out)
{
    const struct gw_session_local *local = &reach->discovery->host->local;
    const struct gw_candidate seen = {use->observed, GW_CANDIDATE_OBSERVED};
    if (seen.addr.family != 4 || use->is_neighbour || is_contradicted(reach->discovery, &seen.addr))
        return false;
    struct gw_wall wall = local->wallclock->read(local->wallclock);
    out->time = (uint64_t)wall.s * 1000u + (uint64_t)wall.ns / 1000000u;
    out->has_seen = true;
    gw_candidate_encode(&out->seen, &seen);
    vouch_mac(reach, local->public_key, &seen.addr, out->time, out->mac);
    return true;
}

/* Each is believed once: a later one has to follow, so that the anchor cannot tell us old addresses. */
static void take_vouch(struct gw_reach *reach, const peergate_Vouch *vouch)
{
    struct gw_candidate seen;
    uint8_t mac[GW_MAC_LEN];
    reach->meet.vouched = (struct gw_addr){.family = 0};
    if (!vouch->has_seen || vouch->time <= reach->meet.vouch_time ||
        gw_candidate_decode(&seen, &vouch->seen) != 0 || seen.addr.family != 4)
        return;
    vouch_mac(reach, reach->peer->config.public_key, &seen.addr, vouch->time, mac);
    if (!gw_secret_equal(mac, vouch->mac, sizeof mac))
        return;
    reach->meet.vouch_time = vouch->time;
    reach->meet.vouched = seen.addr;
}

/* ---- what goes to the anchor */

static void send_punch(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_meet *meet = &reach->meet;
    struct gw_anchor_use *use = anchor_of(reach);
    peergate_Control message = {.which_body = peergate_Control_punch_me_now_tag};
    peergate_PunchMeNow *punch = &message.body.punch_me_now;
    if (!use) {
        gw_meet_further_end(reach);
        return;
    }
    while (meet->number == 0)
        meet->number = gw_random_u32(reach->discovery->host->random);
    message.number = meet->number;
    punch->round = meet->failures + 1;
    punch->again = meet->again;
    punch->is_answer = !meet->is_asker;
    memcpy(punch->tag, reach->tags[use->slot], GW_TAG_LEN);
    punch->has_nat = true;
    gw_round_tell(reach, reach->direct.has_last, &punch->nat);
    punch->has_vouch = vouch(reach, use, &punch->vouch);
    gw_peer_send_message(use->peer, now, &message);
    int64_t rtts = 2 * gw_peer_rtt(use->peer);
    int64_t wait = (rtts > RETRY_NS ? rtts : RETRY_NS) << meet->further_tries++;
    /* Who answers is asked again, should the answer be lost. */
    meet->further_at = gw_mono_add(now, meet->is_asker ? wait : meet->has_plain ? PLAIN_NS : ANSWERED_NS);
}

/* Who numbers its ports in a row looks first which one is next. */
void gw_meet_arrange(struct gw_reach *reach, unsigned again, struct gw_mono now)
{
    struct gw_meet *meet = &reach->meet;
    meet->again = again;
    meet->number = 0; /* the anchor takes the same one for a repetition */
    meet->is_arranging = true;
    meet->further_tries = 0;
    reach->direct.has_last = false;
    meet->is_measuring = gw_round_wants_measure(reach) && gw_measure_briefly(reach->discovery, now);
    if (meet->is_measuring)
        meet->further_at = gw_mono_add(now, MEASURE_NS);
    else
        send_punch(reach, now);
}

void gw_meet_measured(struct gw_reach *reach, struct gw_mono now, bool has_seen)
{
    if (!reach->meet.is_measuring)
        return;
    reach->meet.is_measuring = false;
    reach->direct.has_last = has_seen;
    send_punch(reach, now);
}

void gw_meet_further_step(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_meet *meet = &reach->meet;
    if (!meet->is_arranging || !gw_mono_due(meet->further_at, now))
        return;
    if (meet->is_measuring)
        gw_meet_measured(reach, now, false);
    else if (meet->is_asker && meet->further_tries < TRIES)
        send_punch(reach, now);
    else
        gw_meet_further_end(reach);
    if (!meet->is_arranging && meet->has_plain)
        gw_meet_begun(reach, now, 0);
    else if (!meet->is_arranging && !reach->direct.punch.is_running)
        gw_meet_not_begun(reach, now);
}

void gw_meet_further_end(struct gw_reach *reach)
{
    reach->meet.is_arranging = reach->meet.is_measuring = false;
    reach->meet.further_at = GW_NEVER;
}

/* ---- when */

void gw_meet_begun(struct gw_reach *reach, struct gw_mono start, unsigned again)
{
    struct gw_direct *direct = &reach->direct;
    direct->again = again;
    reach->meet.has_plain = false;
    gw_meet_further_end(reach);
    gw_round_begin(reach, start, again);
    direct->review_at = reach->meet.is_asker ? gw_mono_add(start, REVIEW_NS) : GW_NEVER;
}

void gw_meet_review(struct gw_reach *reach, struct gw_mono now)
{
    const struct gw_direct *direct = &reach->direct;
    bool is_worth_it = direct->told.mapping == GW_NAT_UNKNOWN ? direct->again == 0 /* the answer tells */
                                                              : gw_round_helps(reach);
    if (reach->meet.is_asker && !reach->meet.is_arranging && is_worth_it)
        gw_meet_arrange(reach, direct->again + 1, now);
}

/* ---- what comes from the anchor */

static void begin(struct gw_reach *reach, const peergate_InitiatePunch *initiate, struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    struct gw_candidate seen;
    uint32_t start_ms = initiate->start_ms < START_MAX_MS ? initiate->start_ms : START_MAX_MS;
    gw_direct_take_addresses(reach, initiate->addresses, initiate->addresses_count, now);
    gw_round_told(direct, initiate->has_nat, &initiate->nat);
    take_vouch(reach, &initiate->vouch);
    direct->witness = (struct gw_addr){.family = 0};
    if (initiate->addresses_count > 0 && gw_candidate_decode(&seen, &initiate->addresses[0]) == 0 &&
        seen.kind == GW_CANDIDATE_OBSERVED)
        direct->witness = seen.addr;
    reach->meet.step = GW_MEET_PUNCHING;
    reach->meet.at = GW_NEVER;
    gw_meet_begun(reach, gw_mono_add(now, GW_MS(start_ms)), initiate->again);
}

/* Both ask at once: the one with the lower key gives way. */
static bool gives_way(const struct gw_reach *reach)
{
    return memcmp(reach->discovery->host->local.public_key, reach->peer->config.public_key, GW_KEY_LEN) < 0;
}

/* What we arranged; or what the other one, whose ports are in a row, made of the round that we asked for. */
static bool is_awaited(const struct gw_reach *reach, const peergate_InitiatePunch *initiate)
{
    const struct gw_meet *meet = &reach->meet;
    if (meet->is_arranging)
        return !meet->is_measuring && initiate->again == meet->again;
    return meet->is_asker && meet->step == GW_MEET_PUNCHING && initiate->again == reach->direct.again + 1;
}

/* The other one asks for a round, of the attempt under way or of one that begins with it. */
static bool may_answer(struct gw_reach *reach, const struct gw_anchor_use *use,
                       const peergate_InitiatePunch *initiate, struct gw_mono now)
{
    struct gw_meet *meet = &reach->meet;
    bool is_under_way = meet->step == GW_MEET_PUNCHING;
    if (meet->is_measuring || (meet->is_asker && meet->is_arranging && !gives_way(reach)))
        return false;
    if (is_under_way && use->slot == meet->slot)
        return meet->further_left > 0 && initiate->again > reach->direct.again;
    return !is_under_way && gw_meet_may_begin(reach, 0, initiate, now);
}

bool gw_meet_further_input(struct gw_reach *reach, const struct gw_anchor_use *use, uint32_t number,
                           const peergate_InitiatePunch *initiate, struct gw_mono now)
{
    struct gw_meet *meet = &reach->meet;
    if (initiate->again == 0)
        return false;
    if (initiate->refusal != peergate_Refusal_REFUSAL_NONE || initiate->again > GW_MEET_FURTHER_MAX ||
        (reach->direct.punch.is_running && reach->direct.punch.has_proven))
        return true;
    if (initiate->is_complete) {
        if (use->slot == meet->slot && is_awaited(reach, initiate) &&
            gw_meet_take_token(reach, initiate, now))
            begin(reach, initiate, now);
    } else if (number == 0 && may_answer(reach, use, initiate, now)) {
        gw_meet_answer(reach, use, initiate, now);
    }
    return true;
}

void gw_meet_answer(struct gw_reach *reach, const struct gw_anchor_use *use,
                    const peergate_InitiatePunch *initiate, struct gw_mono now)
{
    struct gw_meet *meet = &reach->meet;
    if (meet->step != GW_MEET_PUNCHING)
        meet->further_left = GW_MEET_FURTHER_LEFT;
    meet->further_left--;
    if (meet->step != GW_MEET_PUNCHING)
        reach->direct.again = 0;
    meet->step = GW_MEET_PUNCHING;
    meet->at = GW_NEVER;
    meet->is_asker = false;
    meet->slot = use->slot;
    meet->has_plain = initiate->again == 0;
    gw_round_told(&reach->direct, initiate->has_nat, &initiate->nat);
    gw_meet_arrange(reach, initiate->again > 0 ? initiate->again : 1, now);
}
