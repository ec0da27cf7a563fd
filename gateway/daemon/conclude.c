/* SPDX-License-Identifier: MIT */
/* From what is known about a peer's paths, its session, its anchors and what was tried, to one sentence. */
#include "gateway/daemon/conclude.h"

#include "gateway/daemon/advice.h"

#define SOON_NS GW_S(2) /* an attempt that begins so soon is waited for */

struct answer {
    const char *verdict, *advice;
};

/* Nothing is known to be wrong but that it says nothing. */
static struct answer no_answer(enum gw_session_state state)
{
    if (state == GW_SESSION_HANDSHAKING || state == GW_SESSION_ESTABLISHED)
        return (struct answer){"there is no answer yet", "wait a few seconds"};
    if (state == GW_SESSION_IDLE)
        return (struct answer){"not connected, and nobody wants it to be",
                               "use it, and it is looked for: `peergate ping`"};
    return (struct answer){
        state == GW_SESSION_STALE ? "it does not answer any more"
                                  : "it does not answer; tried again from time to time",
        "see that it runs, that its network is up, and that it has this node's peer ID among its peers"};
}

static struct answer not_reached(const struct gw_peer *peer, const struct gw_reach_view *view,
                                 enum gw_session_state state)
{
    bool has_endpoint = gw_peer_config(peer)->endpoint_count > 0, is_refused = false, has_anchor = false;
    for (unsigned i = 0; i < view->asked_count; i++) {
        has_anchor |= view->asked[i].is_registered;
        is_refused |= view->asked[i].is_registered && view->asked[i].refusal != 0;
    }
    if (!view->is_findable && gw_peer_config(peer)->path == GW_PATH_RELAY)
        return (struct answer){
            "its configuration says `path: relay`, and there is no anchor",
            "configure `anchors` on both nodes, or `relay: true` at a peer that both know"};
    if (!view->is_findable && !has_endpoint)
        return (struct answer){
            "nowhere to look for it",
            "give it an `endpoint`, or configure `anchors`, or `relay: true` at a peer that both nodes know"};
    if (!view->is_findable)
        return (struct answer){
            "its endpoint does not answer, and there is no anchor to ask",
            "see that it runs, lists this node's peer ID (no stranger gets an answer) and has that endpoint, and that "
            "its firewall lets UDP in, or configure `anchors` on both nodes, or `relay: true` at a peer that both know"};
    if (!has_anchor && gw_peer_config(peer)->path == GW_PATH_RELAY)
        return (struct answer){"its configuration says `path: relay`, and none of the anchors can be reached",
                               "check that the anchors run and have this node among their peers"};
    if (!has_anchor)
        return (struct answer){
            "none of the anchors can be reached",
            "check that this machine's network lets UDP out, and that the anchors run and have this node among their peers"};
    if (is_refused)
        return (struct answer){"no anchor can connect you with it: it is not registered there",
                               "start it, see that its network lets UDP out, and give it one of the same "
                               "anchors and this node's peer ID among its peers"};
    return no_answer(state);
}

/* ---- which of the two routers is in the way: as measured, else: one that has another port for each destination is seen at several by the anchors */

static bool is_moved(const struct gw_addr *a, const struct gw_addr *b)
{
    return gw_addr_is_set(a) && gw_addr_is_set(b) && gw_addr_same_ip(a, b) && a->port != b->port;
}

static bool is_ours_hard(const struct gateway *gateway, const struct gw_reach_view *reach, struct gw_mono now)
{
    if (reach->own.mapping != GW_NAT_UNKNOWN)
        return gw_nat_is_symmetric(reach->own.mapping);
    struct gw_anchor_view view;
    struct gw_addr first = {0};
    for (unsigned i = 0; gw_gateway_anchor_view(gateway, i, now, &view); i++) {
        if (is_moved(&first, &view.observed))
            return true;
        if (view.observed.family == 4)
            first = view.observed;
    }
    return false;
}

static bool is_theirs_hard(const struct gw_reach_view *view)
{
    if (view->has_told && view->told_mapping != GW_NAT_UNKNOWN)
        return gw_nat_is_symmetric(view->told_mapping);
    const struct gw_addr *first = NULL;
    for (unsigned i = 0; i < view->candidate_count; i++) {
        const struct gw_candidate_view *one = &view->candidates[i];
        if (one->candidate.kind != GW_CANDIDATE_OBSERVED || one->is_predicted || one->is_reflexive)
            continue;
        if (first && is_moved(first, &one->candidate.addr))
            return true;
        first = one->candidate.addr.family == 4 ? &one->candidate.addr : first;
    }
    return false;
}

/* ---- or neither: no UDP passes at one end, and its anchors are reached by TLS */

static bool is_ours_blocked(const struct gateway *gateway, struct gw_mono now)
{
    struct gw_anchor_view view;
    struct gw_peer_status status;
    bool is_any = false;
    for (unsigned i = 0; gw_gateway_anchor_view(gateway, i, now, &view); i++) {
        gw_peer_status(view.peer, now, &status);
        if (status.session.state != GW_SESSION_ESTABLISHED || !status.has_path)
            continue;
        if (!gw_tuple_is_carrier(&status.path))
            return false;
        is_any = true;
    }
    return is_any;
}

/* Nobody but the peer itself has seen it anywhere, and no anchor answers its NAT probes. */
static bool is_theirs_blocked(const struct gw_reach_view *view)
{
    if (view->has_told && view->told_mapping != GW_NAT_UNKNOWN)
        return false;
    for (unsigned i = 0; i < view->candidate_count; i++) {
        if (view->candidates[i].candidate.kind != GW_CANDIDATE_HOST)
            return false;
    }
    return true;
}

static struct answer in_the_way(bool is_ours, bool is_theirs)
{
    if (is_ours && is_theirs)
        return (struct answer){
            "relayed: the routers at both ends use another port for each destination, so that neither end can know where to send",
            "forward the UDP port in one of the two routers and say so by `advertise` there, use IPv6 at both, "
            "or have one of the routers keep its ports (\"full cone\", \"endpoint-independent NAT\")"};
    if (is_ours)
        return (struct answer){
            "relayed: the router here uses another port for each destination, and the one there lets in only what it has sent to",
            "forward the UDP port in either router and say so by `advertise` there, use IPv6 at both, "
            "or have the router here keep its ports (\"full cone\", \"endpoint-independent NAT\")"};
    if (is_theirs)
        return (struct answer){
            "relayed: the router there uses another port for each destination, and the one here lets in only what it has sent to",
            "forward the UDP port in either router and say so by `advertise` there, use IPv6 at both, "
            "or have the router there keep its ports (\"full cone\", \"endpoint-independent NAT\")"};
    return (struct answer){
        "relayed: none of its addresses answered, a firewall drops what comes from strangers",
        "allow UDP between the two in the firewalls, forward the UDP port in one of the two "
        "routers and say so by `advertise` there, or use IPv6 at both"};
}

static struct answer relayed(const struct gw_peer *peer, const struct gw_reach_view *view, struct gw_mono now)
{
    if (gw_peer_config(peer)->path == GW_PATH_RELAY)
        return (struct answer){"relayed: its configuration says `path: relay`", NULL};
    if (gw_peer_config(peer)->path == GW_PATH_DIRECT && !view->is_punching)
        return (struct answer){
            "no direct path was found, and its configuration says `path: direct`: no data passes",
            "allow the relay by `path: auto`, or forward the UDP port at one of the two sides and say so by `advertise` there"};
    for (unsigned i = 0; i < view->path_count; i++) {
        if (view->paths[i].is_validated && gw_tuple_is_direct(&view->paths[i].tuple))
            return (struct answer){"relayed: there is a direct path, and it is slower",
                                   "set `path: direct` for the peer, if that one is to be used nevertheless"};
    }
    /* Tried again now and then, which is no news. */
    if (is_ours_blocked(gw_peer_gateway(peer), now))
        return (struct answer){"relayed: this network lets no UDP out, the anchors are reached by TLS",
                               "allow UDP in the firewall here, if that is yours"};
    if (view->failures > 0 && is_theirs_blocked(view))
        return (struct answer){
            "relayed: nobody sees the peer by UDP, its network seems to let none out",
            "allow UDP in the firewall there, or forward its UDP port and say so by `advertise` there"};
    if (view->is_searching)
        return (struct answer){"relayed; many ports are being tried, since a NAT takes them at random",
                               "wait a few seconds"};
    if (view->is_punching)
        return (struct answer){"relayed; a direct path is being looked for", "wait a few seconds"};
    if (view->attempts_max == 0)
        return (struct answer){"relayed: direct paths are not looked for",
                               "set `protocol.max_punch_attempts` to more than 0"};
    if (view->attempts == 0 && view->failures == 0)
        return (struct answer){"relayed; no direct path was looked for yet", "use it for a moment"};
    return in_the_way(is_ours_hard(gw_peer_gateway(peer), view, now), is_theirs_hard(view));
}

/* A session that was given up is tried again with its old keys: it counts when something has come by it since, or keys are new. */
static bool is_up(const struct gw_peer_status *status)
{
    const struct gw_session_stats *session = &status->session;
    bool is_heard = !gw_mono_is_never(session->last_received) &&
                    !gw_mono_before(session->last_received, session->state_since);
    bool has_new_keys = !gw_mono_is_never(session->last_handshake) &&
                        !gw_mono_before(session->last_handshake, session->state_since);
    return session->state == GW_SESSION_ESTABLISHED && status->has_path && (is_heard || has_new_keys);
}

static struct answer say(const struct gw_peer *peer, const struct gw_peer_status *status,
                         const struct gw_reach_view *view, struct gw_mono now)
{
    if (!gw_mono_is_never(status->shut_out_at))
        return (struct answer){
            gw_advice_shut_out,
            "there, `peergate authorize` this node's peer ID, or take `expires` from its line, and `reload`"};
    if (!is_up(status) && !gw_mono_is_never(status->ended_at))
        return (struct answer){gw_advice_ended, "start it there"};
    if (!is_up(status))
        return not_reached(peer, view, status->session.state);
    if (gw_tuple_is_carrier(&status->path))
        return (struct answer){
            "connected by TLS: the anchor does not answer by UDP from here, which goes on being tried",
            "allow UDP to its port in the firewall here, if that is yours"};
    return status->is_relayed ? relayed(peer, view, now) : (struct answer){"connected directly", NULL};
}

/* Only the relay leads there, by which no data may go, and what else was to be tried has failed. */
static bool is_in_vain(const struct gw_reach_view *view, struct gw_mono now)
{
    bool has_failed = view->failures > 0 || view->attempts_max == 0;
    bool is_soon = !gw_mono_is_never(view->next_attempt) && gw_mono_sub(view->next_attempt, now) < SOON_NS;
    return has_failed && !is_soon && !view->is_punching && !view->is_searching;
}

struct gw_conclusion gw_conclude(const struct gw_peer *peer, const struct gw_peer_status *status,
                                 const struct gw_reach_view *view, struct gw_mono now)
{
    struct answer said = say(peer, status, view, now);
    bool has_way = is_up(status);
    bool is_kept_back = has_way && status->is_relayed && gw_peer_config(peer)->path == GW_PATH_DIRECT;
    return (struct gw_conclusion){.verdict = said.verdict,
                                  .advice = said.advice,
                                  .has_way = has_way,
                                  .is_blocked = !has_way || is_kept_back,
                                  .is_final = is_kept_back && is_in_vain(view, now)};
}

bool gw_hindered(struct gw_peer *peer, struct gw_hindrance *out, struct gw_mono now)
{
    struct gw_peer_status status;
    struct gw_reach_view view;
    gw_peer_status(peer, now, &status);
    gw_peer_reach_view(peer, &view);
    struct gw_conclusion said = gw_conclude(peer, &status, &view, now);
    *out = (struct gw_hindrance){said.verdict, said.advice ? said.advice : "", said.is_final};
    return said.is_blocked;
}
