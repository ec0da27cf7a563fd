/* SPDX-License-Identifier: MIT */
/* How a peer is, or is not, reached: plain data out of what discovery, punch and the paths know. */
#include "gateway/discovery/discovery_private.h"

#include <string.h>

const char *const gw_public_reason_names[GW_PUBLIC_REASONS] = {"advertised", "open", "firewall",
                                                               "untested",   "nat",  "unseen"};

static_assert(GW_VIEW_CANDIDATES_MAX >= GW_CHECKS_MAX && GW_VIEW_ANCHORS_MAX >= GW_ANCHORS_MAX &&
                  GW_VIEW_PATHS_MAX >= GW_PATHS_MAX,
              "everything has its place");

static void view_paths(const struct gw_peer *peer, struct gw_reach_view *out)
{
    for (unsigned i = 0; i < peer->paths.count; i++) {
        const struct gw_path *path = &peer->paths.list[i];
        bool is_current = (int)i == peer->paths.current;
        /* No challenge went there: what is known of the peer was measured on it. */
        int64_t rtt_ns = path->rtt_ns == 0 && is_current ? gw_peer_rtt(peer) : path->rtt_ns;
        out->paths[out->path_count++] = (struct gw_path_view){.tuple = path->tuple,
                                                              .is_current = is_current,
                                                              .is_validated = path->is_validated,
                                                              .rtt_ns = rtt_ns};
    }
}

static void view_candidates(const struct gw_punch *punch, struct gw_reach_view *out)
{
    for (unsigned i = 0; i < punch->count; i++) {
        const struct gw_check *check = &punch->checks[i];
        out->candidates[out->candidate_count++] =
            (struct gw_candidate_view){.candidate = check->remote,
                                       .is_reflexive = check->is_reflexive,
                                       .is_predicted = check->is_predicted,
                                       .outcome = gw_check_state_names[check->state],
                                       .sent = check->sent,
                                       .last_sent = check->last_sent,
                                       .answered = check->answered,
                                       .rtt_ns = check->rtt_ns,
                                       .error = check->error};
    }
}

static void view_anchors(struct gw_reach *reach, struct gw_reach_view *out)
{
    gw_list_for_each (node, &reach->discovery->anchors) {
        const struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        const struct gw_relay_channel *channel = gw_relay_channel_of(reach, use);
        const struct gw_ask *ask = &reach->asks[use->slot];
        if (!reach->is_through[use->slot])
            continue;
        out->asked[out->asked_count++] =
            (struct gw_asked_view){.anchor = use->peer,
                                   .is_neighbour = use->is_neighbour,
                                   .is_registered = use->is_registered,
                                   .has_channel = channel && gw_map_node_is_linked(&channel->by_id),
                                   .is_asked = ask->number != 0,
                                   .refusal = ask->refusal};
    }
}

void gw_discovery_reach_view(const struct gw_peer *peer, struct gw_reach_view *out)
{
    memset(out, 0, sizeof *out);
    out->next_attempt = GW_NEVER;
    view_paths(peer, out);
    if (!peer->reach)
        return;
    const struct gw_direct *direct = &peer->reach->direct;
    out->is_findable = peer->endpoints.is_findable;
    bool is_about_to = direct->punch.attempts == 0 && direct->failures == 0 && !gw_mono_is_never(direct->at);
    out->is_punching = direct->punch.is_running || direct->number != 0 ||
                       direct->waits != GW_DIRECT_WAITS_NOT || direct->has_hesitated || is_about_to;
    out->is_searching = direct->punch.search.is_on;
    out->has_told = direct->has_told;
    out->told_mapping = direct->told.mapping;
    out->told_ports = direct->told.ports;
    out->own = peer->reach->discovery->measure.result;
    out->meetings_failed = peer->reach->meet.failures;
    out->attempts = direct->punch.attempts;
    out->failures = direct->failures;
    out->attempts_max = gw_direct_attempts_max(peer->reach);
    out->next_attempt = direct->at;
    view_candidates(&direct->punch, out);
    view_anchors(peer->reach, out);
}

/* ---- this node itself */

static bool is_advertised(const struct gw_discovery *discovery, struct gw_addr *at)
{
    for (unsigned i = 0; i < discovery->own_count; i++) {
        if (discovery->own[i].kind != GW_CANDIDATE_CONFIGURED)
            continue;
        *at = discovery->own[i].addr;
        return true;
    }
    return false;
}

/* As the anchors see it; own: as one of those that it has itself, if any does. */
static bool is_seen(const struct gw_discovery *discovery, bool own, struct gw_addr *at)
{
    gw_list_for_each (node, &discovery->anchors) {
        const struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        if (use->is_neighbour || !gw_addr_is_set(&use->observed) ||
            (own && !gw_discovery_is_own(discovery, &use->observed)))
            continue;
        *at = use->observed;
        return true;
    }
    return false;
}

void gw_discovery_public_view(const struct gw_discovery *discovery, struct gw_public_view *out)
{
    const struct gw_inbound *inbound = &discovery->inbound;
    bool is_tried = inbound->answer != GW_NAT_UNTESTED && gw_discovery_is_own(discovery, &inbound->at);
    *out = (struct gw_public_view){.measured = is_tried ? inbound->measured : GW_NEVER,
                                   .is_running = inbound->is_due || inbound->step != GW_INBOUND_IDLE};
    if (is_advertised(discovery, &out->at))
        out->reason = GW_PUBLIC_ADVERTISED;
    else if (is_tried)
        out->reason = inbound->answer == GW_NAT_YES ? GW_PUBLIC_OPEN : GW_PUBLIC_FIREWALL;
    else if (is_seen(discovery, true, &out->at))
        out->reason = GW_PUBLIC_UNTESTED;
    else
        out->reason = is_seen(discovery, false, &out->at) ? GW_PUBLIC_NAT : GW_PUBLIC_UNSEEN;
    if (is_tried && out->reason != GW_PUBLIC_ADVERTISED)
        out->at = inbound->at;
}

void gw_discovery_try_inbound(struct gw_discovery *discovery, struct gw_mono now)
{
    gw_inbound_try(discovery, now);
}
