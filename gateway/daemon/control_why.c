/* SPDX-License-Identifier: MIT */
/* The command `why`: how a peer is reached, what was tried, and what would have to change. */
#include "gateway/daemon/daemon.h"

#include "gateway/base/err.h"
#include "gateway/daemon/advice.h"
#include "gateway/daemon/anchor_setup.h"
#include "gateway/daemon/json.h"
#include "gateway/wire/control.pb.h"

#include <string.h>

static const char *refusal_text(unsigned refusal)
{
    switch (refusal) {
    case peergate_Refusal_REFUSAL_NONE:
        return "does not answer";
    case peergate_Refusal_REFUSAL_UNKNOWN:
        return "the peer is not there, or does not have this node among its peers";
    case peergate_Refusal_REFUSAL_LIMIT:
        return "the anchor has no room for more";
    case peergate_Refusal_REFUSAL_RATE:
        return "the anchor was asked too often";
    case peergate_Refusal_REFUSAL_NO_RELAY:
        return "the anchor relays nothing";
    case peergate_Refusal_REFUSAL_VOLUME:
        return "what the anchor lets pass between two peers in an hour (its `anchor.volume`) has passed";
    case peergate_Refusal_REFUSAL_NO_ANCHOR:
        return "it is no anchor: it needs `role: anchor`";
    default:
        return "the anchor refused";
    }
}

static json_t *anchors(const struct gw_reach_view *view)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < view->asked_count; i++) {
        const struct gw_asked_view *asked = &view->asked[i];
        const char *state = !asked->is_registered ? "unreachable"
                            : asked->has_channel  ? "relays"
                            : asked->is_asked     ? "asked"
                            : asked->refusal      ? "refused"
                                                  : "not needed";
        json_t *object = json_pack("{s:s,s:b,s:s}", "name", gw_peer_name(asked->anchor), "neighbour",
                                   (int)asked->is_neighbour, "state", state);
        if (asked->refusal)
            json_object_set_new(object, "reason", json_string(refusal_text(asked->refusal)));
        json_array_append_new(list, object);
    }
    return list;
}

static bool is_private(const struct gw_addr *addr)
{
    const uint8_t *ip = addr->ip;
    if (addr->family == 6)
        return (ip[0] & 0xfe) == 0xfc;
    return ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) || (ip[0] == 192 && ip[1] == 168) ||
           (ip[0] == 100 && (ip[1] & 0xc0) == 64);
}

static const char *candidate_reason(const struct gw_candidate_view *view)
{
    if (view->error)
        return gw_strerror(view->error);
    if (strcmp(view->outcome, "silent") != 0)
        return NULL;
    if (view->is_predicted)
        return "a guess, and not the port that its router has for this node";
    if (view->candidate.kind != GW_CANDIDATE_HOST)
        return "a router, there or here, drops it or has another port for this pair";
    return is_private(&view->candidate.addr) ? "a private address, of use only in the peer's own network"
                                             : "a firewall there lets nothing in, or one here nothing out";
}

static const char *candidate_kind(const struct gw_candidate_view *view)
{
    return view->is_predicted   ? "guessed"
           : view->is_reflexive ? "from the peer's own check"
                                : gw_candidate_kind_names[view->candidate.kind];
}

static json_t *candidates(const struct gw_reach_view *view, struct gw_mono now)
{
    char at[GW_ADDR_STRLEN];
    json_t *list = json_array();
    for (unsigned i = 0; i < view->candidate_count; i++) {
        const struct gw_candidate_view *one = &view->candidates[i];
        const char *reason = candidate_reason(one);
        json_t *object =
            json_pack("{s:s,s:s,s:s,s:i}", "address", gw_addr_format(&one->candidate.addr, at), "kind",
                      candidate_kind(one), "outcome", one->outcome, "checks", (int)one->sent);
        json_object_set_new(object, "last_check_s", gw_json_ago(one->last_sent, now));
        json_object_set_new(object, "answered_s", gw_json_ago(one->answered, now));
        json_object_set_new(object, "rtt_ms",
                            gw_mono_is_never(one->answered) ? json_null() : gw_json_ms(one->rtt_ns));
        json_object_set_new(object, "reason", reason ? json_string(reason) : json_null());
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *paths(const struct gw_peer *peer, const struct gw_reach_view *view, struct gw_mono now)
{
    char at[GW_ADDR_STRLEN];
    json_t *list = json_array();
    for (unsigned i = 0; i < view->path_count; i++) {
        const struct gw_path_view *path = &view->paths[i];
        json_t *object = json_pack("{s:b,s:b}", "used", path->is_current, "works", path->is_validated);
        gw_anchor_setup_describe_path(object, peer, &path->tuple, now);
        /* Paths to one address that differ by ours. */
        bool has_local = gw_tuple_is_direct(&path->tuple) && gw_addr_is_set(&path->tuple.local);
        json_object_set_new(object, "local",
                            has_local ? json_string(gw_addr_format_ip(&path->tuple.local, at)) : json_null());
        json_object_set_new(object, "rtt_ms", path->rtt_ns > 0 ? gw_json_ms(path->rtt_ns) : json_null());
        json_array_append_new(list, object);
    }
    return list;
}

struct answer {
    const char *verdict, *advice;
};

static struct answer not_reached(const struct gw_peer *peer, const struct gw_reach_view *view)
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
    return (struct answer){"not connected, and nobody wants it to be",
                           "use it, and it is looked for: `peergate ping`"};
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

static struct answer conclude(const struct gw_peer *peer, const struct gw_peer_status *status,
                              const struct gw_reach_view *view, struct gw_mono now)
{
    bool is_up = status->session.state == GW_SESSION_ESTABLISHED && status->has_path;
    if (!gw_mono_is_never(status->shut_out_at))
        return (struct answer){
            gw_advice_shut_out,
            "there, `peergate authorize` this node's peer ID, or take `expires` from its line, and `reload`"};
    if (!is_up)
        return not_reached(peer, view);
    if (gw_tuple_is_carrier(&status->path))
        return (struct answer){
            "connected by TLS: the anchor does not answer by UDP from here, which goes on being tried",
            "allow UDP to its port in the firewall here, if that is yours"};
    return status->is_relayed ? relayed(peer, view, now) : (struct answer){"connected directly", NULL};
}

static json_t *nat_json(enum gw_nat_reach mapping, enum gw_nat_ports ports)
{
    return json_pack("{s:s,s:s}", "mapping", gw_nat_reach_names[mapping], "ports", gw_nat_ports_names[ports]);
}

static void why(struct gw_daemon *daemon, struct gw_control_client *client, const json_t *request,
                const struct gw_answer *answer)
{
    struct gw_mono now = gw_loop_now(daemon->loop);
    struct gw_peer_status status;
    struct gw_reach_view view;
    (void)request;
    if (!answer->peer) {
        gw_control_fail(client, "own-name", "%s is this node itself", answer->canonical);
        return;
    }
    gw_peer_status(answer->peer, now, &status);
    gw_peer_reach_view(answer->peer, &view);
    struct answer said = conclude(answer->peer, &status, &view, now);
    json_t *object = json_object();
    gw_json_add_who(object, answer->peer);
    gw_json_add_way(object, answer->peer, now);
    json_object_set_new(object, "verdict", json_string(said.verdict));
    json_object_set_new(object, "advice", said.advice ? json_string(said.advice) : json_null());
    json_object_set_new(object, "paths", paths(answer->peer, &view, now));
    json_object_set_new(object, "anchors", anchors(&view));
    json_object_set_new(object, "candidates", candidates(&view, now));
    json_object_set_new(object, "nat", nat_json(view.own.mapping, view.own.ports));
    json_object_set_new(object, "peer_nat",
                        view.has_told ? nat_json(view.told_mapping, view.told_ports) : json_null());
    json_object_set_new(object, "attempts", json_integer((json_int_t)view.attempts));
    json_object_set_new(object, "failures", json_integer((json_int_t)view.failures));
    json_object_set_new(object, "next_attempt_s",
                        gw_mono_is_never(view.next_attempt)
                            ? json_null()
                            : json_real((double)(gw_mono_sub(view.next_attempt, now) / GW_MS(1)) / 1000.0));
    gw_control_reply(client, object);
}

void gw_control_why(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    (void)now;
    gw_control_with_host(ctx, client, request, why);
}
