/* SPDX-License-Identifier: MIT */
/* One peer that can be found through anchors. As soon as somebody wants it and its own addresses do not answer, the anchors are asked for a channel to it, the nearest first; with
 * more than one anchor, a second channel is held for the case that the first fails. Requests are repeated until they are answered; a refused one is asked again
 * later, for as long as the peer is wanted. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <stdlib.h>
#include <string.h>

#define TAG_LABEL "peergate rendezvous v1"
#define RETRY_NS GW_MS(300) /* or 2 RTT; doubling */
#define RETRY_MAX_NS GW_S(5)
#define TRIES 5u
#define REFUSED_NS GW_S(1) /* doubling with each refusal */
#define REFUSED_MAX_NS GW_S(8)
#define DOUBT_NS GW_S(2)    /* a channel younger than this is not asked for again */
#define WANTED_NS GW_S(30)  /* so long after it was wanted last it is looked for */
#define IN_USE_NS GW_S(180) /* heard of so lately: channels are renewed */

/* Does the owner want the peer to be found through that anchor? */
static bool may_use(const struct gw_peer *peer, const struct gw_anchor_use *use)
{
    if (use->peer == peer) /* nobody is found through itself */
        return false;
    for (unsigned i = 0; i < peer->config.anchor_count; i++) {
        if (memcmp(peer->config.anchors[i], use->peer->config.public_key, GW_KEY_LEN) == 0)
            return true;
    }
    return !peer->config.has_anchors;
}

/* tag = KDF(DH(a, B), label || anchor key): the same for both of us, of no meaning to the anchor, another one with each anchor. */
void gw_reach_compute_tag(struct gw_reach *reach, const struct gw_anchor_use *use)
{
    uint8_t out[GW_HASH_LEN];
    const uint8_t *key = use->has_fleet ? use->fleet : use->peer->config.public_key;
    gw_session_static_kdf(reach->peer->session, TAG_LABEL, key, GW_KEY_LEN, out);
    memcpy(reach->tags[use->slot], out, GW_TAG_LEN);
    gw_wipe(out, sizeof out);
    reach->asks[use->slot] = (struct gw_ask){.at = reach->discovery->host->now};
    reach->is_through[use->slot] = may_use(reach->peer, use);
}

void gw_reach_configured(struct gw_reach *reach, struct gw_mono now)
{
    bool is_any = false;
    gw_list_for_each (node, &reach->discovery->anchors) {
        struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        struct gw_relay_channel *channel = gw_relay_channel_of(reach, use);
        bool is_through = may_use(reach->peer, use);
        is_any |= is_through;
        if (reach->is_through[use->slot] == is_through)
            continue;
        reach->is_through[use->slot] = is_through;
        if (!is_through && channel)
            gw_relay_channel_end(channel, now, false);
        gw_anchor_use_renew(use, now); /* a tag that is not told any more ends with its lifetime */
    }
    gw_peer_set_findable(reach->peer, now, is_any);
}

/* ---- asking */

static int64_t backoff(int64_t first, unsigned times, int64_t max)
{
    int64_t wait = first << (times < 16 ? times : 16);
    return wait < max ? wait : max;
}

static void send_request(struct gw_reach *reach, struct gw_anchor_use *use, struct gw_mono now)
{
    struct gw_ask *ask = &reach->asks[use->slot];
    peergate_Control message = {.which_body = peergate_Control_channel_request_tag};
    int64_t rtts = 2 * gw_peer_rtt(use->peer);
    while (ask->number == 0)
        ask->number = gw_random_u32(reach->discovery->host->random);
    message.number = ask->number;
    memcpy(message.body.channel_request.tag, reach->tags[use->slot], GW_TAG_LEN);
    int err = gw_peer_send_message(use->peer, now, &message);
    if (err)
        gw_log_debug("anchor %s: cannot ask for %s: %s", gw_peer_name(use->peer), gw_peer_name(reach->peer),
                     gw_strerror(err));
    ask->at = gw_mono_add(now, backoff(rtts > RETRY_NS ? rtts : RETRY_NS, ask->tries++, RETRY_MAX_NS));
}

static void refused(struct gw_ask *ask, unsigned refusal, struct gw_mono now)
{
    ask->number = 0;
    ask->tries = 0;
    ask->refusal = refusal;
    ask->at = gw_mono_add(now, backoff(REFUSED_NS, ask->refused_count++, REFUSED_MAX_NS));
}

/* Anchors first, then neighbours; of these, the nearest. */
static bool goes_before(const struct gw_anchor_use *a, const struct gw_anchor_use *b)
{
    if (a->is_neighbour != b->is_neighbour)
        return b->is_neighbour;
    return gw_peer_rtt(a->peer) < gw_peer_rtt(b->peer);
}

/* Nothing goes by a relay behind a relay. */
static bool is_near(const struct gw_anchor_use *use)
{
    const struct gw_path *path = gw_paths_current(&use->peer->paths);
    return !use->is_neighbour || (path && !gw_tuple_is_relay(&path->tuple));
}

/* Registered ones that answer, that are not among `done`. */
static struct gw_anchor_use *nearest(const struct gw_reach *reach, const bool done[GW_ANCHORS_MAX])
{
    struct gw_anchor_use *best = NULL;
    for (unsigned i = 0; i < GW_ANCHORS_MAX; i++) {
        struct gw_anchor_use *use = reach->discovery->slots[i];
        if (use && !done[i] && reach->is_through[i] && use->is_registered && !use->is_silent &&
            is_near(use) && (!best || goes_before(use, best)))
            best = use;
    }
    return best;
}

static bool is_in_use(const struct gw_reach *reach, struct gw_mono now)
{
    struct gw_session_stats session;
    gw_session_stats(reach->peer->session, &session);
    return session.state == GW_SESSION_ESTABLISHED && !gw_mono_is_never(session.last_received) &&
           gw_mono_sub(now, session.last_received) < IN_USE_NS;
}

bool gw_reach_is_wanted(const struct gw_reach *reach, struct gw_mono now)
{
    return !gw_mono_is_never(reach->wanted) && gw_mono_sub(now, reach->wanted) < WANTED_NS;
}

/* What is to be done with one anchor; returns true when it has, or may get, a channel by it. *next becomes the earliest of what is to come. */
static bool step_one(struct gw_reach *reach, struct gw_anchor_use *use, struct gw_mono now,
                     struct gw_mono *next)
{
    struct gw_ask *ask = &reach->asks[use->slot];
    struct gw_relay_channel *channel = gw_relay_channel_of(reach, use);
    bool has_channel = channel && gw_map_node_is_linked(&channel->by_id);
    if (has_channel && ask->number == 0 && !gw_mono_due(channel->renew_at, now)) {
        *next = gw_mono_min(*next, channel->renew_at);
        return true;
    }
    if (gw_mono_due(ask->at, now)) {
        if (ask->number != 0)
            gw_anchor_use_unanswered(use, now);
        if (ask->number != 0 && ask->tries >= TRIES)
            refused(ask, peergate_Refusal_REFUSAL_NONE, now);
        else
            send_request(reach, use, now);
    }
    *next = gw_mono_min(*next, ask->at);
    return has_channel || ask->number != 0;
}

static void end_expired(struct gw_reach *reach, struct gw_mono now, struct gw_mono *next)
{
    for (unsigned i = 0; i < GW_PEER_RELAYS_MAX; i++) {
        struct gw_relay_channel *channel = &reach->channels[i];
        if (channel->via && gw_mono_due(channel->expires, now))
            gw_relay_channel_end(channel, now, false);
        else if (channel->via)
            *next = gw_mono_min(*next, channel->expires);
    }
}

static void step(struct gw_reach *reach, struct gw_mono now)
{
    bool done[GW_ANCHORS_MAX] = {false};
    struct gw_mono next = GW_NEVER;
    unsigned count = 0;
    bool has_anchor = false;
    end_expired(reach, now, &next);
    bool is_looked_for = gw_reach_is_wanted(reach, now) || is_in_use(reach, now);
    for (struct gw_anchor_use *use;
         is_looked_for && count < GW_PEER_RELAYS_MAX && (use = nearest(reach, done)) != NULL;) {
        if (use->is_neighbour && has_anchor)
            break; /* an anchor does it, or may */
        /* Once there is a session, only what there is already is kept. */
        bool is_asked = gw_reach_is_wanted(reach, now) || gw_relay_channel_of(reach, use);
        done[use->slot] = true;
        bool is_through = is_asked && step_one(reach, use, now, &next);
        count += is_through;
        has_anchor |= is_through && !use->is_neighbour;
    }
    reach->step_at = next;
    gw_meet_step(reach, now);
    gw_reach_rearm(reach, now);
}

/* Nothing to be woken for as long as it is not ours to act: an anchor's answer comes by gw_meet_step then. */
static struct gw_mono wake_for_meet(const struct gw_reach *reach, struct gw_mono now)
{
    bool is_idle_and_due = reach->meet.step == GW_MEET_IDLE && gw_mono_due(reach->meet.at, now);
    return is_idle_and_due ? GW_NEVER : reach->meet.at;
}

void gw_reach_rearm(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_mono at =
        gw_mono_min(gw_mono_min(reach->step_at, reach->offer_at), gw_direct_next_deadline(reach));
    if (reach->meet.step != GW_MEET_IDLE || gw_reach_is_wanted(reach, now))
        at = gw_mono_min(at, reach->meet.step == GW_MEET_PUNCHING || reach->meet.is_arranging
                                 ? reach->meet.further_at
                                 : wake_for_meet(reach, now));
    gw_deadline_arm(&reach->discovery->host->deadlines, &reach->deadline, at);
}

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_reach *reach = gw_container_of(deadline, struct gw_reach, deadline);
    if (gw_mono_due(reach->offer_at, now))
        gw_neighbour_changed(reach->discovery, reach->peer, now);
    gw_direct_expire(reach, now);
    gw_meet_step(reach, now);
    gw_meet_output(reach, now);
    gw_peer_mark_ready(reach->peer); /* a check may be due */
    if (gw_mono_due(reach->step_at, now))
        step(reach, now);
    else if (gw_mono_before(now, gw_direct_next_deadline(reach)))
        gw_reach_rearm(reach, now);
    /* else: a check is due, and rearms when it is taken */
}

/* What goes through the channels stays unanswered: is the relay there, does the peer still know of its end? true: one is to be asked for again. */
static bool doubt_channels(struct gw_reach *reach, struct gw_mono now)
{
    bool is_due = false;
    for (unsigned i = 0; i < GW_PEER_RELAYS_MAX; i++) {
        struct gw_relay_channel *channel = &reach->channels[i];
        if (!channel->via)
            continue;
        gw_anchor_use_touch(channel->via, now);
        if (!gw_map_node_is_linked(&channel->by_id) || gw_mono_sub(now, channel->granted) < DOUBT_NS)
            continue;
        channel->renew_at = now;
        is_due = true;
    }
    return is_due;
}

void gw_reach_wanted(struct gw_reach *reach, struct gw_mono now)
{
    bool was_wanted = gw_reach_is_wanted(reach, now);
    reach->wanted = now;
    bool is_due = doubt_channels(reach, now);
    for (unsigned i = 0; i < GW_ANCHORS_MAX && !was_wanted; i++) {
        if (reach->asks[i].number == 0)
            reach->asks[i] = (struct gw_ask){.at = now};
    }
    if (!was_wanted && reach->meet.step == GW_MEET_IDLE)
        gw_meet_end(reach); /* begins anew */
    if (is_due || !was_wanted)
        step(reach, now);
}

void gw_reach_anchors_changed(struct gw_reach *reach, struct gw_mono now)
{
    if (gw_reach_is_wanted(reach, now))
        step(reach, now);
}

/* ---- answers */

static void take(struct gw_reach *reach, struct gw_anchor_use *use, uint32_t number,
                 const peergate_ChannelGrant *grant, struct gw_mono now)
{
    peergate_Control taken = {.which_body = peergate_Control_channel_taken_tag};
    bool is_new = !gw_relay_channel_of(reach, use);
    if (!gw_relay_channel_set(reach, use, grant, now))
        return;
    if (is_new)
        gw_peer_tell(reach->peer, now, GW_LOG_INFO, "reachable through %s %s", gw_anchor_use_kind(use),
                     gw_peer_name(use->peer));
    if (number != 0)
        return;
    taken.body.channel_taken.channel = grant->channel;
    gw_peer_send_message(use->peer, now, &taken);
}

static const char *reason_of(unsigned refusal)
{
    switch (refusal) {
    case peergate_Refusal_REFUSAL_UNKNOWN:
        return "is not there, or does not authorize this node";
    case peergate_Refusal_REFUSAL_LIMIT:
        return "the anchor has no room for more";
    case peergate_Refusal_REFUSAL_RATE:
        return "the anchor was asked too often";
    case peergate_Refusal_REFUSAL_NO_RELAY:
        return "the anchor relays nothing";
    case peergate_Refusal_REFUSAL_VOLUME:
        return "what the anchor lets pass in an hour has passed";
    default:
        return "the anchor refused";
    }
}

void gw_reach_granted(struct gw_reach *reach, struct gw_anchor_use *use, uint32_t number,
                      const peergate_ChannelGrant *grant, struct gw_mono now)
{
    struct gw_ask *ask = &reach->asks[use->slot];
    if (number != 0 && number != ask->number)
        return; /* an answer to what was answered already */
    if (!reach->is_through[use->slot])
        return;
    if (grant->refusal != peergate_Refusal_REFUSAL_NONE) {
        struct gw_relay_channel *channel = gw_relay_channel_of(reach, use);
        /* Also of the channel that there is, and unasked: its volume has passed, or the anchor was told to relay no more. */
        bool is_over = grant->refusal == peergate_Refusal_REFUSAL_VOLUME ||
                       grant->refusal == peergate_Refusal_REFUSAL_NO_RELAY;
        if (number == 0 && !is_over)
            return;
        if (is_over && channel) {
            gw_peer_tell(reach->peer, now, GW_LOG_INFO, "%s %s relays no more to it: %s",
                         gw_anchor_use_kind(use), gw_peer_name(use->peer), reason_of(grant->refusal));
            gw_relay_channel_end(channel, now, false);
        }
        if (ask->refusal != grant->refusal)
            gw_log_debug("%s: not by %s %s: %s", gw_peer_name(reach->peer), gw_anchor_use_kind(use),
                         gw_peer_name(use->peer), reason_of(grant->refusal));
        refused(ask, grant->refusal, now);
    } else {
        *ask = (struct gw_ask){.at = now};
        take(reach, use, number, grant, now);
    }
    step(reach, now);
}

/* ---- life */

int gw_reach_new(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now)
{
    struct gw_reach *reach = calloc(1, sizeof *reach);
    if (!reach || gw_deadlines_reserve(&discovery->host->deadlines) != 0) {
        free(reach);
        return GW_E_NOMEM;
    }
    reach->discovery = discovery;
    reach->peer = peer;
    reach->wanted = GW_NEVER;
    reach->step_at = GW_NEVER;
    gw_neighbour_init(reach, now);
    gw_deadline_init(&reach->deadline, on_deadline);
    gw_direct_init(&reach->direct, now);
    gw_meet_init(reach, now);
    gw_observation_init(&reach->observation, now);
    gw_relay_channels_init(reach);
    gw_list_push_back(&discovery->reaches, &reach->node);
    peer->reach = reach;
    gw_list_for_each (node, &discovery->anchors) {
        struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        gw_reach_compute_tag(reach, use);
        gw_anchor_use_renew(use, now);
    }
    gw_reach_configured(reach, now);
    return 0;
}

void gw_reach_free(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_discovery *discovery = reach->discovery;
    gw_list_for_each (node, &discovery->anchors)
        gw_anchor_use_forget(gw_list_entry(node, struct gw_anchor_use, node), reach, now);
    gw_relay_channels_fini(reach, now);
    gw_direct_fini(reach);
    gw_meet_end(reach);
    gw_deadline_disarm(&discovery->host->deadlines, &reach->deadline);
    gw_deadlines_release(&discovery->host->deadlines);
    gw_list_remove(&reach->node);
    gw_peer_set_findable(reach->peer, now, false);
    reach->peer->reach = NULL;
    gw_wipe(reach, sizeof *reach);
    free(reach);
}
