/* SPDX-License-Identifier: MIT */
/* The command `why`: how a peer is reached, what was tried, and what would have to change. */
#include "gateway/daemon/daemon.h"

#include "gateway/base/err.h"
#include "gateway/daemon/anchor_setup.h"
#include "gateway/daemon/conclude.h"
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

static json_t *paths(const struct gw_peer *peer, const struct gw_reach_view *view, bool has_session,
                     struct gw_mono now)
{
    char at[GW_ADDR_STRLEN];
    json_t *list = json_array();
    for (unsigned i = 0; i < view->path_count; i++) {
        const struct gw_path_view *path = &view->paths[i];
        json_t *object =
            json_pack("{s:b,s:b}", "used", path->is_current, "works", path->is_validated && has_session);
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
    struct gw_conclusion said = gw_conclude(answer->peer, &status, &view, now);
    json_t *object = json_object();
    gw_json_add_who(object, answer->peer);
    gw_json_add_way(object, answer->peer, now);
    json_object_set_new(object, "verdict", json_string(said.verdict));
    json_object_set_new(object, "advice", said.advice ? json_string(said.advice) : json_null());
    json_object_set_new(object, "paths", paths(answer->peer, &view, said.has_way, now));
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
