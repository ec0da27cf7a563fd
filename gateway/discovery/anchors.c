/* SPDX-License-Identifier: MIT */
/* Registration with one anchor. A round tells all tags, page by page, when the session comes up, when the anchor has forgotten us (its instance is another), when
 * something changed, and before the lifetime ends. Between rounds a request without tags goes out at each keepalive interval (as long as the NAT allows, see lifetime.h): it keeps the NAT open
 * and finds out about a restarted anchor at once, since an answer is owed. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <stdlib.h>
#include <string.h>

#define LIFETIME_S 600u
#define KEEPALIVE_NS GW_S(25) /* when the configuration has none: 144 an hour */
#define FLEET_LABEL "peergate fleet v1"
/* Each time all tags are computed and registered anew, at once. What is left out comes again with the next answer. */
#define FLEETS_RATE (1.0 / 60)
#define FLEETS_BURST 4.0
#define RETRY_NS GW_MS(300) /* or 2 RTT; doubling */
#define RETRY_MAX_NS GW_S(5)
#define DOUBT_TRIES 1u      /* unanswered: does the anchor still have our keys? */
#define SILENT_TRIES 2u     /* unanswered: others are asked, for as long as it says nothing */
#define PATIENCE_NS GW_S(2) /* of a person who looks: initiations go out after 0, 0.3, 0.9 s */
#define SETTLE_NS GW_MS(50) /* changes come in groups */
#define TOUCH_NS GW_MS(500) /* heard of so lately: it is there */
#define REFUSED_WAIT_NS GW_S(60)
#define RETURN_NS GW_S(1)     /* after a goodbye, unless persistent keepalive makes the session ask sooner */
#define RENEWAL_NS GW_S(165)  /* of the 180 s that keys hold, from 120 s on whoever sends renews them */
#define RECONNECT_NS GW_S(15) /* to a neighbour that is needed */
#define ANSWERED_NS GW_S(10)  /* what an anchor says so soon after a request is about it */

static void arm(struct gw_anchor_use *use, struct gw_mono at)
{
    gw_deadline_arm(&use->discovery->host->deadlines, &use->deadline, at);
}

static bool is_connected(const struct gw_anchor_use *use)
{
    struct gw_session_stats session;
    gw_session_stats(use->peer->session, &session);
    return session.state == GW_SESSION_ESTABLISHED || session.state == GW_SESSION_STALE;
}

/* Registered: there was a handshake. */
static struct gw_mono keys_born(const struct gw_anchor_use *use)
{
    struct gw_session_stats session;
    gw_session_stats(use->peer->session, &session);
    return session.last_handshake;
}

int64_t gw_anchor_use_configured(const struct gw_anchor_use *use)
{
    int64_t interval = use->peer->config.keepalive_ns;
    return interval > 0 ? interval : KEEPALIVE_NS;
}

const struct gw_path *gw_anchor_use_v4_way(const struct gw_anchor_use *use)
{
    const struct gw_path *path = gw_paths_current(&use->peer->paths);
    return !use->is_neighbour && use->is_registered && path && path->is_validated &&
                   gw_tuple_is_direct(&path->tuple) && path->tuple.remote.family == 4
               ? path
               : NULL;
}

static int64_t keepalive_of(const struct gw_anchor_use *use)
{
    return use->interval_ns > 0 ? use->interval_ns : gw_anchor_use_configured(use);
}

static void fit(struct gw_anchor_use *use, struct gw_mono now)
{
    int64_t configured = gw_anchor_use_configured(use);
    use->interval_ns = gw_lifetime_interval(use->discovery, use, configured);
    use->peer->anchor_keepalive_ns = use->interval_ns == configured ? 0 : use->interval_ns;
    gw_peer_keepalive_fit(use->peer, now);
}

/* ---- requests */

static struct gw_reach *first_reach(const struct gw_discovery *discovery)
{
    return gw_list_is_empty(&discovery->reaches)
               ? NULL
               : gw_list_entry(discovery->reaches.next, struct gw_reach, node);
}

static struct gw_reach *next_reach(const struct gw_discovery *discovery, const struct gw_reach *reach)
{
    return reach->node.next == &discovery->reaches ? NULL
                                                   : gw_list_entry(reach->node.next, struct gw_reach, node);
}

static void add_tags(struct gw_anchor_use *use, peergate_RegisterRequest *request)
{
    struct gw_reach *reach = use->first;
    for (; reach && request->tags_count < GW_REGISTER_TAGS; reach = next_reach(use->discovery, reach)) {
        if (reach->is_through[use->slot])
            memcpy(request->tags[request->tags_count++], reach->tags[use->slot], GW_TAG_LEN);
    }
    use->next = reach;
}

static void send_request(struct gw_anchor_use *use, struct gw_mono now)
{
    peergate_Control message = {.number = use->number, .which_body = peergate_Control_register_request_tag};
    peergate_RegisterRequest *request = &message.body.register_request;
    request->instance = use->discovery->instance;
    request->lifetime_s = LIFETIME_S;
    if (use->has_fleet) {
        request->fleet.size = sizeof request->fleet.bytes;
        memcpy(request->fleet.bytes, use->fleet, sizeof request->fleet.bytes);
    }
    add_tags(use, request);
    if (use->is_round_due)
        request->addresses_count = (pb_size_t)gw_discovery_offer(use->discovery, request->addresses);
    int err = gw_peer_send_message(use->peer, now, &message);
    if (err)
        gw_log_debug("anchor %s: cannot ask: %s", gw_peer_name(use->peer), gw_strerror(err));
    int64_t rtts = 2 * gw_peer_rtt(use->peer);
    int64_t wait = (rtts > RETRY_NS ? rtts : RETRY_NS) << (use->tries < 5 ? use->tries : 5);
    use->tries++;
    arm(use, gw_mono_add(now, wait < RETRY_MAX_NS ? wait : RETRY_MAX_NS));
}

static void begin_request(struct gw_anchor_use *use, struct gw_reach *first, struct gw_mono now)
{
    do
        use->number = gw_random_u32(use->discovery->host->random);
    while (use->number == 0);
    struct gw_session_stats session;
    gw_session_stats(use->peer->session, &session);
    use->silence_ns = gw_mono_is_never(session.last_received) ? 0 : gw_mono_sub(now, session.last_received);
    use->tries = 0;
    use->began = now;
    use->first = first;
    send_request(use, now);
}

static void begin_round(struct gw_anchor_use *use, struct gw_mono now)
{
    use->is_round_due = true;
    use->tags = 0;
    begin_request(use, first_reach(use->discovery), now);
}

/* Peers that are waited for may be found through it from now on, or have to be found through others. */
static void tell_reaches(struct gw_anchor_use *use, struct gw_mono now)
{
    gw_list_for_each (node, &use->discovery->reaches)
        gw_reach_anchors_changed(gw_list_entry(node, struct gw_reach, node), now);
}

/* It answers again: so may what goes through it. */
static void no_longer_silent(struct gw_anchor_use *use, struct gw_mono now)
{
    tell_reaches(use, now);
    gw_list_for_each (node, &use->discovery->reaches) {
        struct gw_reach *reach = gw_list_entry(node, struct gw_reach, node);
        if (gw_relay_channel_of(reach, use))
            gw_peer_try_relays(reach->peer, now);
    }
}

static void became_silent(struct gw_anchor_use *use, struct gw_mono now)
{
    use->is_silent = true;
    gw_log_debug("%s %s does not answer", gw_anchor_use_kind(use), gw_peer_name(use->peer));
    tell_reaches(use, now);
    gw_neighbours_wake(use->discovery, now);
    gw_lifetime_moved(use->discovery, now); /* others may have to be spoken to more often */
}

/* An anchor always is. */
static bool is_needed(const struct gw_anchor_use *use)
{
    return !use->is_neighbour || gw_neighbours_are_needed(use->discovery);
}

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_anchor_use *use = gw_container_of(deadline, struct gw_anchor_use, deadline);
    if (!is_connected(use)) {
        use->number = 0;
        if (use->is_neighbour)
            arm(use, is_needed(use) ? gw_mono_add(now, RECONNECT_NS) : GW_NEVER);
        if (is_needed(use))
            gw_peer_connect(use->peer, now); /* gw_anchor_use_changed goes on */
        return;
    }
    if (use->number != 0) {
        unsigned tries = use->tries;
        gw_carrier_wanted(use, now);
        if (tries == DOUBT_TRIES)
            gw_session_doubt(use->peer->session, now);
        send_request(use, now);
        if (tries == SILENT_TRIES)
            became_silent(use, now);
    } else if (use->is_round_due || gw_mono_before(use->round_at, gw_mono_add(now, keepalive_of(use)))) {
        begin_round(use, now);
    } else {
        begin_request(use, NULL, now);
    }
}

/* ---- replies */

static void refused(struct gw_anchor_use *use, const peergate_RegisterReply *reply, struct gw_mono now)
{
    if (reply->refusal == use->refusal)
        return;
    if (reply->refusal == peergate_Refusal_REFUSAL_NO_ANCHOR)
        gw_peer_tell(use->peer, now, GW_LOG_WARN,
                     "it is no anchor: it needs `role: anchor` in its configuration");
    else if (reply->refusal != peergate_Refusal_REFUSAL_NONE)
        gw_peer_tell(use->peer, now, GW_LOG_WARN,
                     "this anchor takes no more than %u of our peers: the others are not found through it",
                     use->tags);
}

static void end_round(struct gw_anchor_use *use, struct gw_mono now, uint32_t lifetime_s)
{
    if (!use->is_registered)
        gw_peer_tell(use->peer, now, GW_LOG_INFO, "registered with this %s for %u peer%s",
                     gw_anchor_use_kind(use), use->tags, use->tags == 1 ? "" : "s");
    if (!use->is_neighbour && !use->is_registered && use->discovery->measure.result.anchors < 2)
        gw_measure_renew(use->discovery, now, false);
    if (!use->is_registered && gw_discovery_is_own(use->discovery, &use->observed))
        gw_inbound_renew(use->discovery, now);
    use->is_round_due = false;
    use->is_registered = true;
    use->round_at = gw_mono_add(now, GW_S(lifetime_s) / 2);
    tell_reaches(use, now);
    gw_lifetime_moved(use->discovery, now);
}

/* Channels by this anchor are gone with its memory; the paths wait for new ones. */
static void end_channels(struct gw_anchor_use *use, struct gw_mono now, bool keeps_paths)
{
    gw_list_for_each (node, &use->discovery->reaches) {
        struct gw_reach *reach = gw_list_entry(node, struct gw_reach, node);
        struct gw_relay_channel *channel = gw_relay_channel_of(reach, use);
        reach->asks[use->slot] = (struct gw_ask){.at = now};
        if (channel)
            gw_relay_channel_end(channel, now, keeps_paths);
        if (channel && keeps_paths)
            gw_reach_wanted(reach, now);
    }
}

static void compute_tags(struct gw_anchor_use *use)
{
    gw_list_for_each (node, &use->discovery->reaches)
        gw_reach_compute_tag(gw_list_entry(node, struct gw_reach, node), use);
}

/* The anchor has another instance: it has forgotten all that is not in this very request. */
static bool has_forgotten(struct gw_anchor_use *use, uint64_t instance, struct gw_mono now)
{
    bool is_other = use->has_instance && use->instance != instance;
    use->has_instance = true;
    use->instance = instance;
    if (is_other)
        end_channels(use, now, true);
    return is_other && !use->is_round_due;
}

/* The anchor shares its directory, or does not any more: the tags are of another key. true: they have to be registered. */
static bool take_fleet(struct gw_anchor_use *use, const peergate_RegisterReply *reply, struct gw_mono now)
{
    const struct gw_session_local *local = &use->discovery->host->local;
    uint8_t proof[GW_HASH_LEN];
    if (use->has_fleet && reply->fleet.size == GW_KEY_LEN &&
        memcmp(reply->fleet.bytes, use->peer->config.public_key, GW_KEY_LEN) == 0) {
        if (!gw_bucket_take(&use->fleets, FLEETS_RATE, FLEETS_BURST, 1, now))
            return false;
        use->has_fleet = false; /* it has left it */
        compute_tags(use);
        return true;
    }
    if (reply->fleet.size != GW_KEY_LEN || reply->fleet_proof.size != sizeof reply->fleet_proof.bytes)
        return false;
    /* Only who has the fleet's secret can say that it belongs to it: nobody else learns its tags. */
    bool is_proven = gw_static_kdf(local->crypto, local->secret, reply->fleet.bytes, FLEET_LABEL,
                                   use->peer->config.public_key, GW_KEY_LEN, proof) &&
                     gw_secret_equal(proof, reply->fleet_proof.bytes, sizeof reply->fleet_proof.bytes);
    gw_wipe(proof, sizeof proof);
    bool is_same = use->has_fleet && memcmp(use->fleet, reply->fleet.bytes, GW_KEY_LEN) == 0;
    if (!is_proven || is_same || !gw_bucket_take(&use->fleets, FLEETS_RATE, FLEETS_BURST, 1, now))
        return false;
    use->has_fleet = true;
    memcpy(use->fleet, reply->fleet.bytes, GW_KEY_LEN);
    compute_tags(use);
    gw_log_debug("anchor %s belongs to a fleet", gw_peer_name(use->peer));
    return true;
}

/* Counted from the request, not from its answer: the session's own keepalive, which counts from what was sent, has nothing to say then. A round waits for the
 * beat before its time. */
static struct gw_mono next_beat(const struct gw_anchor_use *use, struct gw_mono now)
{
    struct gw_mono at = gw_mono_add(use->began, keepalive_of(use));
    struct gw_mono least = gw_mono_add(now, keepalive_of(use) / 2), together = GW_NEVER;
    /* Keys may have been born between beats, and then both of the next may miss the time in which they are renewed. */
    struct gw_mono renewal = gw_mono_add(keys_born(use), RENEWAL_NS);
    if (gw_mono_before(renewal, at) && !gw_mono_before(renewal, least))
        at = renewal;
    /* A little earlier, with another anchor: a phone's radio wakes once for both, and from then on always. */
    gw_list_for_each (node, &use->discovery->anchors) {
        const struct gw_anchor_use *other = gw_list_entry(node, struct gw_anchor_use, node);
        struct gw_mono its = other->deadline.at;
        if (other == use || other->number != 0 || gw_mono_before(at, its) || gw_mono_before(its, least))
            continue;
        if (gw_mono_is_never(together) || gw_mono_before(together, its))
            together = its;
    }
    if (!gw_mono_is_never(together))
        return together;
    return gw_mono_before(at, now) ? now : at;
}

void gw_anchor_use_reply(struct gw_anchor_use *use, uint32_t number, const peergate_RegisterReply *reply,
                         struct gw_mono now)
{
    if (use->number == 0 || number != use->number)
        return;
    bool is_page = use->is_round_due;
    bool was_silent = use->is_silent;
    use->is_silent = false;
    uint32_t lifetime_s = reply->lifetime_s < 20 ? 20 : reply->lifetime_s;
    use->number = 0;
    use->tags += is_page ? reply->accepted : 0;
    refused(use, reply, now);
    use->refusal = reply->refusal;
    if (reply->has_observed && gw_neighbour_is_believed(use))
        gw_anchor_use_observed(use, &reply->observed, now);
    if (reply->refusal == peergate_Refusal_REFUSAL_NO_ANCHOR) {
        use->is_registered = false;
        arm(use, gw_mono_add(now, REFUSED_WAIT_NS));
        return;
    }
    bool is_forgotten = has_forgotten(use, reply->instance, now);
    if (take_fleet(use, reply, now) || is_forgotten) {
        begin_round(use, now);
        return;
    }
    if (is_page && use->next && reply->refusal == peergate_Refusal_REFUSAL_NONE) {
        begin_request(use, use->next, now);
        return;
    }
    if (is_page)
        end_round(use, now, lifetime_s);
    if (was_silent) {
        no_longer_silent(use, now);
        gw_lifetime_moved(use->discovery, now);
    }
    fit(use, now);
    arm(use, is_needed(use) ? next_beat(use, now) : use->round_at);
}

void gw_anchor_use_resume(struct gw_anchor_use *use, struct gw_mono now)
{
    if (use->number == 0)
        arm(use, now);
}

void gw_anchor_use_refit(struct gw_anchor_use *use, struct gw_mono now)
{
    fit(use, now);
    if (use->is_registered && use->number == 0 && is_needed(use) && is_connected(use)) {
        struct gw_mono at = gw_mono_max(now, gw_mono_add(use->began, keepalive_of(use)));
        arm(use, gw_mono_min(use->deadline.at, at));
    }
}

/* Its NAT forgot the way while nothing went over it, as far as the anchor's word tells. */
static void seen_elsewhere(struct gw_anchor_use *use, const struct gw_addr *seen, struct gw_mono now)
{
    if (seen->family == 4 && gw_addr_same_ip(&use->observed, seen) && !use->is_neighbour &&
        gw_mono_sub(now, use->began) < ANSWERED_NS)
        gw_lifetime_lost(use->discovery, use->silence_ns, use->began, now);
}

void gw_anchor_use_observed(struct gw_anchor_use *use, const peergate_Address *address, struct gw_mono now)
{
    struct gw_candidate observed;
    char text[GW_ADDR_STRLEN];
    /* What is left out here comes again with the answer to the next keepalive. */
    if (gw_candidate_decode(&observed, address) != 0 || gw_addr_equal(&observed.addr, &use->observed) ||
        !gw_bucket_take(&use->observations, GW_OBSERVED_RATE, GW_OBSERVED_BURST, 1, now))
        return;
    const struct gw_peer_host *host = use->discovery->host;
    if (gw_addr_is_set(&use->observed) && !gw_addr_same_ip(&use->observed, &observed.addr))
        gw_measure_renew(use->discovery, now, true);
    if (gw_addr_is_set(&use->observed) && host->events->on_seen_elsewhere)
        host->events->on_seen_elsewhere(host->gateway, now, host->events->ctx);
    if (gw_addr_is_set(&use->observed))
        seen_elsewhere(use, &observed.addr, now);
    use->observed = observed.addr;
    gw_lifetime_moved(use->discovery, now);
    if (gw_discovery_is_own(use->discovery, &use->observed))
        gw_inbound_renew(use->discovery, now);
    gw_log_debug("anchor %s sees us at %s", gw_peer_name(use->peer), gw_addr_log(&observed.addr, text));
    gw_discovery_observed(use->discovery, now);
}

/* ---- what happens to it */

void gw_anchor_use_renew(struct gw_anchor_use *use, struct gw_mono now)
{
    use->is_round_due = true;
    use->number = 0; /* what is under way may be from before the change */
    if (is_connected(use))
        arm(use, gw_mono_add(now, SETTLE_NS));
}

static bool was_heard(const struct gw_anchor_use *use, struct gw_mono now)
{
    struct gw_session_stats session;
    gw_session_stats(use->peer->session, &session);
    return !gw_mono_is_never(session.last_received) && gw_mono_sub(now, session.last_received) < TOUCH_NS;
}

void gw_anchor_use_touch(struct gw_anchor_use *use, struct gw_mono now)
{
    if (!is_connected(use) || use->number != 0)
        return;
    if (was_heard(use, now)) /* before it went silent, maybe */
        arm(use, gw_mono_min(use->deadline.at, gw_mono_add(now, TOUCH_NS)));
    else
        begin_request(use, use->is_round_due ? first_reach(use->discovery) : NULL, now);
}

void gw_anchor_use_unanswered(struct gw_anchor_use *use, struct gw_mono now)
{
    if (!is_connected(use) || was_heard(use, now))
        return;
    gw_session_doubt(use->peer->session, now);
    gw_anchor_use_touch(use, now);
}

/* It said goodbye: others are asked in its place, and it may be back in a moment. */
static void left(struct gw_anchor_use *use, struct gw_mono now)
{
    gw_relay_left(use, now);
    tell_reaches(use, now);
    arm(use, gw_mono_add(now, use->is_neighbour ? RETRY_MAX_NS : RETURN_NS));
}

void gw_anchor_use_changed(struct gw_anchor_use *use, struct gw_mono now)
{
    if (!is_connected(use)) {
        bool was_registered = use->is_registered;
        use->is_registered = use->is_silent = false;
        use->number = 0;
        if (was_registered)
            gw_lifetime_moved(use->discovery, now);
        if (was_registered && gw_peer_has_ended(use->peer))
            left(use, now);
        else if (use->is_neighbour)
            arm(use, gw_mono_add(now, RETRY_MAX_NS));
        if (was_registered && !use->is_neighbour)
            gw_neighbours_wake(use->discovery, now);
        return;
    }
    bool is_restarted = use->peer->has_remote_instance && use->remote_instance != use->peer->remote_instance;
    if (use->is_registered && !is_restarted)
        return;
    if (use->number != 0 && !is_restarted)
        return;
    use->remote_instance = use->peer->remote_instance;
    use->number = 0;
    use->is_round_due = true;
    arm(use, now);
}

void gw_anchor_use_forget(struct gw_anchor_use *use, const struct gw_reach *reach, struct gw_mono now)
{
    if (use->first == reach || use->next == reach)
        gw_anchor_use_renew(use, now);
    if (use->first == reach)
        use->first = NULL;
    if (use->next == reach)
        use->next = NULL;
}

/* ---- life */

int gw_anchor_use_new(struct gw_discovery *discovery, struct gw_peer *peer, bool is_neighbour,
                      struct gw_mono now)
{
    unsigned slot = 0;
    while (slot < GW_ANCHORS_MAX && discovery->slots[slot])
        slot++;
    if (slot == GW_ANCHORS_MAX)
        return GW_E_LIMIT;
    struct gw_anchor_use *use = calloc(1, sizeof *use);
    struct gw_deadlines *deadlines = &discovery->host->deadlines;
    if (!use || gw_deadlines_reserve(deadlines) != 0) {
        free(use);
        return GW_E_NOMEM;
    }
    if (gw_deadlines_reserve(deadlines) != 0) { /* carrier.c's */
        gw_deadlines_release(deadlines);
        free(use);
        return GW_E_NOMEM;
    }
    use->discovery = discovery;
    use->peer = peer;
    use->is_neighbour = is_neighbour;
    use->slot = slot;
    use->round_at = GW_NEVER;
    gw_bucket_init(&use->observations, GW_OBSERVED_BURST, now);
    gw_bucket_init(&use->fleets, FLEETS_BURST, now);
    gw_deadline_init(&use->deadline, on_deadline);
    gw_carrier_init(use);
    gw_list_push_back(&discovery->anchors, &use->node);
    discovery->slots[slot] = use;
    peer->anchor_use = use;
    gw_list_for_each (node, &discovery->reaches) {
        struct gw_reach *reach = gw_list_entry(node, struct gw_reach, node);
        gw_reach_compute_tag(reach, use);
        gw_reach_configured(reach, now);
    }
    gw_anchor_use_changed(use, now);
    return 0;
}

void gw_anchor_use_free(struct gw_anchor_use *use)
{
    struct gw_deadlines *deadlines = &use->discovery->host->deadlines;
    end_channels(use, use->discovery->host->now, false);
    gw_measure_forget(use->discovery, use, use->discovery->host->now);
    gw_lifetime_forget(use->discovery, use, use->discovery->host->now);
    gw_inbound_forget(use->discovery, use, use->discovery->host->now);
    use->discovery->slots[use->slot] = NULL;
    use->peer->anchor_use = NULL;
    use->peer->anchor_keepalive_ns = 0;
    gw_list_remove(&use->node);
    gw_list_for_each (node, &use->discovery->reaches)
        gw_reach_configured(gw_list_entry(node, struct gw_reach, node), use->discovery->host->now);
    gw_deadline_disarm(deadlines, &use->deadline);
    gw_deadline_disarm(deadlines, &use->carrier.deadline);
    gw_deadlines_release(deadlines);
    gw_deadlines_release(deadlines);
    free(use);
}

void gw_anchor_use_view(const struct gw_anchor_use *use, struct gw_mono now, struct gw_anchor_view *out)
{
    struct gw_session_stats session;
    gw_session_stats(use->peer->session, &session);
    *out = (struct gw_anchor_view){.peer = use->peer,
                                   .is_neighbour = use->is_neighbour,
                                   .is_connected = is_connected(use),
                                   .is_connecting = session.state == GW_SESSION_HANDSHAKING &&
                                                    gw_mono_sub(now, session.state_since) < PATIENCE_NS,
                                   .has_ended = gw_peer_has_ended(use->peer),
                                   .is_registered = use->is_registered,
                                   .is_refused = use->refusal != peergate_Refusal_REFUSAL_NONE,
                                   .refusal = use->refusal,
                                   .tags = use->tags,
                                   .observed = use->observed,
                                   .rtt_ns = gw_peer_rtt(use->peer),
                                   .keepalive_ns = keepalive_of(use)};
}
