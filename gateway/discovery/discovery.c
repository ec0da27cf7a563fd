/* SPDX-License-Identifier: MIT */
/* Which peers are anchors, which are to be found, and where we are ourselves. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <stdlib.h>
#include <string.h>

#define OWN_MAX (GW_CANDIDATES_MAX - 2u) /* two places are for observed addresses */

int gw_discovery_new(struct gw_discovery **out, struct gw_peer_host *host, bool watches_public)
{
    struct gw_discovery *discovery = calloc(1, sizeof *discovery);
    if (!discovery)
        return GW_E_NOMEM;
    uint8_t seed[16];
    discovery->host = host;
    gw_random_fill(host->random, seed, sizeof seed);
    gw_map_init(&discovery->handles, sizeof(uint32_t), seed);
    gw_map_init(&discovery->ids, sizeof(uint32_t), seed);
    gw_map_init(&discovery->tokens, GW_TOKEN_ID_LEN, seed);
    gw_list_init(&discovery->anchors);
    gw_list_init(&discovery->reaches);
    if (gw_links_init(&discovery->links, host) != 0 || gw_measure_init(discovery) != 0 ||
        gw_lifetime_init(discovery) != 0 || gw_inbound_init(discovery, watches_public) != 0) {
        free(discovery);
        return GW_E_NOMEM;
    }
    discovery->instance = gw_random_u64(host->random);
    *out = discovery;
    return 0;
}

void gw_discovery_free(struct gw_discovery *discovery)
{
    if (!discovery)
        return;
    gw_inbound_fini(discovery);
    gw_lifetime_fini(discovery);
    gw_measure_fini(discovery);
    gw_links_fini(&discovery->links);
    gw_map_fini(&discovery->tokens);
    gw_map_fini(&discovery->handles);
    gw_map_fini(&discovery->ids);
    free(discovery);
}

/* ---- peers */

void gw_discovery_peer_gone(struct gw_discovery *discovery, struct gw_peer *peer)
{
    if (peer->anchor_use)
        gw_anchor_use_free(peer->anchor_use);
    if (peer->reach)
        gw_reach_free(peer->reach, discovery->host->now);
}

void gw_discovery_peer_known(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now)
{
    bool is_anchor = peer->config.is_anchor;
    bool is_found = !is_anchor && peer->config.hello != GW_HELLO_NEVER;
    int err = 0;
    if (peer->anchor_use && (is_anchor == peer->anchor_use->is_neighbour || (!is_anchor && !is_found)))
        gw_anchor_use_free(peer->anchor_use);
    if (peer->reach && !is_found)
        gw_reach_free(peer->reach, now);
    if (is_anchor && !peer->anchor_use)
        err = gw_anchor_use_new(discovery, peer, false, now);
    if (err == GW_E_LIMIT && gw_neighbours_make_room(discovery))
        err = gw_anchor_use_new(discovery, peer, false, now);
    if (is_found && !peer->reach)
        err = gw_reach_new(discovery, peer, now);
    else if (is_found)
        gw_reach_configured(peer->reach, now);
    if (err == GW_E_LIMIT)
        gw_log_warn("anchor %s is not used: there are %u already", gw_peer_name(peer), GW_ANCHORS_MAX);
    else if (err)
        gw_log_warn("%s: cannot be found through anchors: %s", gw_peer_name(peer), gw_strerror(err));
    gw_neighbour_changed(discovery, peer, now);
}

static void session_changed(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_session_stats session;
    gw_session_stats(reach->peer->session, &session);
    /* Nobody is at the other ends of its channels: the next use begins with new ones. */
    if (gw_peer_has_ended(reach->peer))
        gw_relay_channels_fini(reach, now);
    if (session.state == GW_SESSION_ESTABLISHED && reach->meet.step != GW_MEET_PUNCHING)
        gw_meet_end(reach);
    if (session.state != GW_SESSION_ESTABLISHED && session.state != GW_SESSION_STALE &&
        reach->meet.step != GW_MEET_PUNCHING)
        gw_direct_stop(reach);
    gw_direct_changed(reach, now);
}

void gw_discovery_peer_changed(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now)
{
    gw_neighbour_changed(discovery, peer, now);
    if (peer->anchor_use) {
        gw_anchor_use_changed(peer->anchor_use, now);
        gw_carrier_path_changed(peer->anchor_use, now);
    }
    if (peer->reach)
        gw_observation_changed(peer->reach, now);
    if (peer->reach)
        session_changed(peer->reach, now);
}

bool gw_discovery_take_check(struct gw_peer *peer, struct gw_mono now, struct gw_tuple *to,
                             uint8_t nonce[GW_PATH_CHALLENGE_LEN])
{
    return (peer->anchor_use && gw_carrier_take_check(peer->anchor_use, now, to, nonce)) ||
           (peer->reach && gw_direct_take_check(peer->reach, now, to, nonce));
}

bool gw_discovery_check_answered(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *from,
                                 const uint8_t nonce[GW_PATH_CHALLENGE_LEN], struct gw_tuple *path,
                                 int64_t *rtt_ns)
{
    return (peer->anchor_use && gw_carrier_answered(peer->anchor_use, now, from, nonce, path, rtt_ns)) ||
           (peer->reach &&
            gw_direct_answered(peer->reach, now, from, nonce, GW_PATH_CHALLENGE_LEN, path, rtt_ns));
}

void gw_discovery_challenged(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *from)
{
    if (peer->reach)
        gw_direct_challenged(peer->reach, from, now);
}

void gw_discovery_send_failed(struct gw_peer *peer, const struct gw_addr *addr, int err)
{
    if (peer->reach)
        gw_punch_send_failed(&peer->reach->direct.punch, addr, err);
}

void gw_discovery_peer_wanted(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now)
{
    (void)discovery;
    if (peer->anchor_use)
        gw_carrier_wanted(peer->anchor_use, now);
    if (peer->reach)
        gw_reach_wanted(peer->reach, now);
}

/* An anchor knows where we are again: so may the peers behind it. */
void gw_discovery_peer_proven(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now)
{
    gw_list_for_each (node, &discovery->reaches) {
        struct gw_reach *reach = gw_list_entry(node, struct gw_reach, node);
        struct gw_relay_channel *channel =
            peer->anchor_use ? gw_relay_channel_of(reach, peer->anchor_use) : NULL;
        if (channel && gw_map_node_is_linked(&channel->by_id))
            gw_peer_relay_works(reach->peer, now, &channel->tuple);
    }
}

void gw_discovery_look_again(struct gw_discovery *discovery, struct gw_mono now)
{
    gw_list_for_each (node, &discovery->anchors)
        gw_carrier_look_again(gw_list_entry(node, struct gw_anchor_use, node), now);
    gw_lifetime_disturbed(discovery, now);
}

/* The peer that an anchor's message is about. */
static struct gw_reach *reach_of_tag(struct gw_discovery *discovery, const struct gw_anchor_use *use,
                                     const uint8_t tag[GW_TAG_LEN])
{
    gw_list_for_each (node, &discovery->reaches) {
        struct gw_reach *reach = gw_list_entry(node, struct gw_reach, node);
        if (gw_secret_equal(reach->tags[use->slot], tag, GW_TAG_LEN))
            return reach;
    }
    return NULL;
}

static void grant_input(struct gw_discovery *discovery, struct gw_anchor_use *use,
                        const peergate_Control *message, struct gw_mono now)
{
    const peergate_ChannelGrant *grant = &message->body.channel_grant;
    struct gw_reach *reach = use ? reach_of_tag(discovery, use, grant->tag) : NULL;
    if (reach)
        gw_reach_granted(reach, use, message->number, grant, now);
}

static void initiate_input(struct gw_discovery *discovery, struct gw_anchor_use *use,
                           const peergate_Control *message, struct gw_mono now)
{
    const peergate_InitiatePunch *initiate = &message->body.initiate_punch;
    struct gw_reach *reach = use ? reach_of_tag(discovery, use, initiate->tag) : NULL;
    if (reach)
        gw_meet_initiate_input(reach, use, message->number, initiate, now);
}

static void tell_again(struct gw_discovery *discovery, struct gw_mono now);

bool gw_discovery_control(struct gw_discovery *discovery, struct gw_peer *peer,
                          const peergate_Control *message, struct gw_mono now)
{
    struct gw_anchor_use *use = peer->anchor_use;
    switch (message->which_body) {
    case peergate_Control_register_reply_tag:
        if (use)
            gw_anchor_use_reply(use, message->number, &message->body.register_reply, now);
        return true;
    case peergate_Control_observed_address_tag:
        if (use && message->body.observed_address.has_address && gw_neighbour_is_believed(use))
            gw_anchor_use_observed(use, &message->body.observed_address.address, now);
        if (peer->reach && message->body.observed_address.has_address &&
            gw_observation_input(peer->reach, &message->body.observed_address.address, now))
            tell_again(discovery, now);
        return true;
    case peergate_Control_channel_grant_tag:
        grant_input(discovery, use, message, now);
        return true;
    case peergate_Control_endpoint_info_tag:
        gw_list_for_each (node, &discovery->reaches) {
            struct gw_reach *reach = gw_list_entry(node, struct gw_reach, node);
            if (use && reach->direct.info_slot == use->slot)
                gw_direct_info_input(reach, message->number, &message->body.endpoint_info, now);
        }
        return true;
    case peergate_Control_nat_probe_tag:
        if (use && message->body.nat_probe.is_answer) {
            gw_measure_answer(discovery, use, message->number, &message->body.nat_probe, now);
            gw_inbound_answer(discovery, use, message->number, &message->body.nat_probe, now);
            gw_lifetime_answer(discovery, use, message->number, &message->body.nat_probe, now);
        }
        return message->body.nat_probe.is_answer;
    case peergate_Control_initiate_punch_tag:
        initiate_input(discovery, use, message, now);
        return true;
    case peergate_Control_punch_me_now_tag:
        if (!gw_is_zero(message->body.punch_me_now.tag, GW_TAG_LEN))
            return false; /* for an anchor */
        if (peer->reach)
            gw_direct_punch_input(peer->reach, message->number, &message->body.punch_me_now, now);
        return true;
    case peergate_Control_add_address_tag:
        if (peer->reach)
            gw_direct_add_input(peer->reach, &message->body.add_address, now);
        return true;
    case peergate_Control_remove_address_tag:
        if (peer->reach)
            gw_direct_remove_input(peer->reach, &message->body.remove_address);
        return true;
    default:
        return false;
    }
}

/* ---- our own addresses */

static bool is_offered(const struct gw_candidate *list, unsigned count, const struct gw_addr *addr)
{
    for (unsigned i = 0; i < count; i++) {
        if (gw_addr_equal(&list[i].addr, addr))
            return true;
    }
    return false;
}

bool gw_discovery_is_own(const struct gw_discovery *discovery, const struct gw_addr *addr)
{
    return gw_addr_is_set(addr) && is_offered(discovery->own, discovery->own_count, addr);
}

struct gw_addr gw_discovery_own_v4(const struct gw_discovery *discovery)
{
    struct gw_addr ip = {.family = 4};
    for (unsigned i = 0; i < discovery->own_count; i++) {
        const struct gw_candidate *own = &discovery->own[i];
        if (own->kind == GW_CANDIDATE_HOST && own->addr.family == 4) {
            ip = own->addr;
            break;
        }
    }
    ip.port = 0;
    return ip;
}

/* Peers that we have a session with hear of it, and what failed is tried anew. */
static void tell_peers(struct gw_discovery *discovery, struct gw_mono now)
{
    peergate_Control add = {.which_body = peergate_Control_add_address_tag};
    add.body.add_address.addresses_count =
        (pb_size_t)gw_discovery_offer(discovery, add.body.add_address.addresses);
    gw_list_for_each (node, &discovery->reaches) {
        struct gw_reach *reach = gw_list_entry(node, struct gw_reach, node);
        struct gw_session_stats session;
        gw_session_stats(reach->peer->session, &session);
        if (session.state == GW_SESSION_ESTABLISHED && reach->peer->kind == GW_PEER_PEERGATE &&
            reach->peer->config.path != GW_PATH_RELAY)
            gw_peer_send_message(reach->peer, now, &add);
        gw_direct_restart(reach, now);
    }
}

/* What is not offered any more is taken back. */
static void take_back(struct gw_discovery *discovery, struct gw_mono now, const struct gw_candidate *old,
                      unsigned count)
{
    peergate_Control message = {.which_body = peergate_Control_remove_address_tag};
    peergate_RemoveAddress *remove = &message.body.remove_address;
    for (unsigned i = 0; i < count; i++) {
        if (!is_offered(discovery->own, discovery->own_count, &old[i].addr))
            gw_candidate_encode(&remove->addresses[remove->addresses_count++], &old[i]);
    }
    if (remove->addresses_count == 0)
        return;
    gw_list_for_each (node, &discovery->reaches) {
        struct gw_reach *reach = gw_list_entry(node, struct gw_reach, node);
        struct gw_session_stats session;
        gw_session_stats(reach->peer->session, &session);
        if (session.state == GW_SESSION_ESTABLISHED && reach->peer->kind == GW_PEER_PEERGATE)
            gw_peer_send_message(reach->peer, now, &message);
    }
}

static void renew_all(struct gw_discovery *discovery, struct gw_mono now)
{
    gw_list_for_each (node, &discovery->anchors)
        gw_anchor_use_renew(gw_list_entry(node, struct gw_anchor_use, node), now);
}

/* Anchors and peers: what we offer is something else now. */
static void tell_again(struct gw_discovery *discovery, struct gw_mono now)
{
    renew_all(discovery, now);
    tell_peers(discovery, now);
}

void gw_discovery_set_addresses(struct gw_discovery *discovery, struct gw_mono now,
                                const struct gw_candidate *list, unsigned count)
{
    struct gw_candidate own[OWN_MAX];
    unsigned own_count = 0;
    memset(own, 0, sizeof own);
    for (unsigned i = 0; i < count && own_count < OWN_MAX; i++) {
        if (gw_candidate_is_usable(&list[i].addr))
            own[own_count++] = list[i];
    }
    if (own_count == discovery->own_count && memcmp(own, discovery->own, sizeof own) == 0)
        return;
    struct gw_candidate old[OWN_MAX];
    unsigned old_count = discovery->own_count;
    memcpy(old, discovery->own, sizeof old);
    memcpy(discovery->own, own, sizeof own);
    discovery->own_count = own_count;
    renew_all(discovery, now);
    gw_measure_renew(discovery, now, true);
    gw_inbound_renew(discovery, now);
    gw_lifetime_disturbed(discovery, now);
    gw_lifetime_moved(discovery, now);
    take_back(discovery, now, old, old_count);
    tell_peers(discovery, now);
}

void gw_discovery_set_observed(struct gw_discovery *discovery, struct gw_mono now, const struct gw_addr *list,
                               unsigned count)
{
    count = count < GW_CANDIDATES_MAX ? count : GW_CANDIDATES_MAX;
    if (count == discovery->observed_count &&
        (count == 0 || memcmp(list, discovery->observed, count * sizeof *list) == 0))
        return;
    if (count > 0)
        memcpy(discovery->observed, list, count * sizeof *list);
    discovery->observed_count = count;
    tell_again(discovery, now);
}

void gw_discovery_observed(struct gw_discovery *discovery, struct gw_mono now)
{
    tell_peers(discovery, now); /* each anchor knows its own observation */
}

unsigned gw_discovery_offer(const struct gw_discovery *discovery, peergate_Address *out)
{
    struct gw_candidate list[GW_CANDIDATES_MAX];
    unsigned count = discovery->own_count;
    memcpy(list, discovery->own, count * sizeof *list);
    gw_list_for_each (node, &discovery->anchors) {
        const struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        if (count < GW_CANDIDATES_MAX && gw_addr_is_set(&use->observed) && gw_neighbour_is_believed(use) &&
            !is_offered(list, count, &use->observed))
            list[count++] = (struct gw_candidate){use->observed, GW_CANDIDATE_OBSERVED};
    }
    for (unsigned i = 0; i < discovery->observed_count && count < GW_CANDIDATES_MAX; i++) {
        if (!is_offered(list, count, &discovery->observed[i]))
            list[count++] = (struct gw_candidate){discovery->observed[i], GW_CANDIDATE_OBSERVED};
    }
    struct gw_addr agreed[GW_OBSERVATIONS_OFFERED];
    unsigned agreed_count = gw_observations_agreed(discovery, agreed, GW_OBSERVATIONS_OFFERED);
    for (unsigned i = 0; i < agreed_count && count < GW_CANDIDATES_MAX; i++) {
        if (!is_offered(list, count, &agreed[i]))
            list[count++] = (struct gw_candidate){agreed[i], GW_CANDIDATE_OBSERVED};
    }
    for (unsigned i = 0; i < count; i++)
        gw_candidate_encode(&out[i], &list[i]);
    return count;
}

/* ---- to read */

const struct gw_nat_behaviour *gw_discovery_nat(const struct gw_discovery *discovery)
{
    return &discovery->measure.result;
}

void gw_discovery_nat_lifetime(const struct gw_discovery *discovery, struct gw_nat_behaviour *out)
{
    const struct gw_lifetime_network *here = discovery->lifetime.here;
    out->lifetime_min_ns = here ? here->alive_ns : 0;
    out->lifetime_max_ns = here ? here->dead_ns : 0;
}

const struct gw_anchor_use *gw_discovery_next_anchor(const struct gw_discovery *discovery,
                                                     const struct gw_anchor_use *use)
{
    const struct gw_list *node = use ? use->node.next : discovery->anchors.next;
    return node == &discovery->anchors ? NULL : gw_list_entry(node, struct gw_anchor_use, node);
}
