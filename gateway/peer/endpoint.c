/* SPDX-License-Identifier: MIT */
/* Addresses of a peer: where handshakes go, which packets prove what about a path (docs/PROTOCOL.md, "Paths"). */
#include "gateway/base/log.h"
#include "gateway/peer/peer_private.h"

#include <string.h>

#define ATTEMPTS_ON_PATH \
    2u /* so many initiations try the current path before the configured addresses get their turn */

/* What is taken for the round trip may be the time that somebody slept. */
#define SILENCE_MAX_NS GW_S(3)
#define FOUND_TRIES 3u /* initiations to a place where the peer answered a probe */

unsigned gw_peer_usable_endpoints(const struct gw_peer *peer)
{
    return peer->config.path == GW_PATH_RELAY ? 0 : peer->config.endpoint_count;
}

bool gw_peer_has_address(const struct gw_peer *peer)
{
    return gw_peer_usable_endpoints(peer) > 0 || peer->paths.current >= 0 ||
           peer->endpoints.relay_count > 0 || peer->endpoints.found_tries > 0;
}

bool gw_peer_has_endpoint(const struct gw_peer *peer)
{
    return gw_peer_has_address(peer) || peer->endpoints.is_findable;
}

static void remember_asked(struct gw_endpoints *endpoints, const struct gw_tuple *tuple)
{
    endpoints->sent_to[endpoints->sent_count++ % GW_INITIATORS] = *tuple;
}

/* Configured addresses and relays in turn. */
static struct gw_tuple known_place(struct gw_peer *peer)
{
    struct gw_endpoints *endpoints = &peer->endpoints;
    unsigned i = endpoints->next++ % (gw_peer_usable_endpoints(peer) + endpoints->relay_count);
    if (i < endpoints->relay_count)
        return endpoints->relays[i];
    return (struct gw_tuple){.remote = peer->config.endpoints[i - endpoints->relay_count],
                             .link = GW_LINK_PRIMARY};
}

bool gw_peer_endpoint_next(struct gw_peer *peer, struct gw_mono now, struct gw_tuple *out)
{
    struct gw_endpoints *endpoints = &peer->endpoints;
    struct gw_path *current = gw_paths_current(&peer->paths);
    unsigned attempt = endpoints->attempts++;
    bool has_known = gw_peer_usable_endpoints(peer) + endpoints->relay_count > 0;
    if (endpoints->found_tries > 0) {
        endpoints->found_tries--;
        *out = endpoints->found;
        remember_asked(endpoints, out);
        return true;
    }
    if (!endpoints->is_instead)
        endpoints->unsent = 0;
    endpoints->is_instead = false;
    if (attempt > 0)
        gw_peer_due_again(peer);
    if (gw_peer_due_take(peer, now, out)) {
        remember_asked(endpoints, out);
        return true;
    }
    /* A path that worked comes first, then it takes turns with the configured addresses. */
    if (current && (!has_known || attempt < ATTEMPTS_ON_PATH || attempt % 2 == 0))
        *out = current->tuple;
    else if (has_known)
        *out = known_place(peer);
    else
        return false;
    remember_asked(endpoints, out);
    return true;
}

/* Our initiations went there, so an answer from there proves a round trip. */
static bool was_asked(const struct gw_peer *peer, const struct gw_tuple *tuple)
{
    for (unsigned i = 0; i < GW_INITIATORS; i++) {
        if (gw_tuple_same_remote(&peer->endpoints.sent_to[i], tuple))
            return true;
    }
    return false;
}

/* ---- places found */

void gw_peer_found(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple, int64_t rtt_ns,
                   bool is_asker)
{
    struct gw_session_stats session;
    gw_session_stats(peer->session, &session);
    if (session.state == GW_SESSION_ESTABLISHED) {
        if (gw_paths_add_proven(&peer->paths, now, tuple, rtt_ns, peer->host->random))
            gw_peer_path_changed(peer, now);
        return;
    }
    if (!gw_paths_allow(&peer->paths, tuple) || (peer->endpoints.found_tries > 0 && is_asker))
        return;
    peer->endpoints.found = *tuple;
    peer->endpoints.found_tries = FOUND_TRIES;
    if (is_asker)
        gw_session_kick(peer->session, now);
    gw_peer_mark_ready(peer);
}

void gw_peer_call(struct gw_peer *peer, struct gw_mono now, const struct gw_addr *place)
{
    const struct gw_tuple tuple = {.remote = *place, .link = GW_LINK_PRIMARY};
    struct gw_session_stats session;
    gw_session_stats(peer->session, &session);
    bool is_alone = gw_mono_is_never(session.last_handshake) && peer->endpoints.attempts == 0;
    if (!is_alone || peer->endpoints.found_tries > 0 || !gw_paths_allow(&peer->paths, &tuple))
        return;
    peer->endpoints.found = tuple;
    peer->endpoints.found_tries = FOUND_TRIES;
    gw_session_want_send(peer->session, now);
    gw_session_kick(peer->session, now); /* one that began without an address is to begin again */
    gw_peer_mark_ready(peer);
}

/* ---- relays and carriers */

static bool is_place(const struct gw_endpoints *endpoints, const struct gw_tuple *tuple)
{
    for (unsigned i = 0; i < endpoints->relay_count; i++) {
        if (gw_tuple_equal(&endpoints->relays[i], tuple))
            return true;
    }
    return false;
}

static bool add_place(struct gw_endpoints *endpoints, const struct gw_tuple *tuple)
{
    if (is_place(endpoints, tuple) || endpoints->relay_count == GW_PEER_RELAYS_MAX)
        return false;
    endpoints->relays[endpoints->relay_count++] = *tuple;
    return true;
}

void gw_peer_add_relay(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple)
{
    struct gw_endpoints *endpoints = &peer->endpoints;
    struct gw_session_stats session;
    bool is_new = add_place(endpoints, tuple);
    if (!is_new && !is_place(endpoints, tuple))
        return;
    gw_session_stats(peer->session, &session);
    /* Where a handshake waits, it is this channel's turn, not that of a path that may be gone. */
    if (is_new && session.state == GW_SESSION_HANDSHAKING)
        gw_peer_due_add(peer, tuple);
    if (session.state == GW_SESSION_ESTABLISHED)
        gw_paths_add_relay(&peer->paths, now, tuple, peer->host->random);
    else if (is_new && session.state != GW_SESSION_IDLE)
        gw_session_kick(peer->session, now);
    gw_peer_mark_ready(peer); /* an initiation may wait for an address */
}

void gw_peer_try_relays(struct gw_peer *peer, struct gw_mono now)
{
    struct gw_session_stats session;
    gw_session_stats(peer->session, &session);
    if (session.state != GW_SESSION_ESTABLISHED)
        return;
    gw_peer_mark_ready(peer);
    for (unsigned i = 0; i < peer->endpoints.relay_count; i++)
        gw_paths_add_relay(&peer->paths, now, &peer->endpoints.relays[i], peer->host->random);
}

void gw_peer_relay_data(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple)
{
    struct gw_path *path = gw_paths_find(&peer->paths, tuple);
    bool was_armed = !path || !gw_mono_is_never(path->doubt_at);
    if (was_armed)
        return;
    gw_path_received_data(path, now);
    gw_peer_rearm(peer);
}

void gw_peer_add_carrier(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple)
{
    struct gw_endpoints *endpoints = &peer->endpoints;
    if (!add_place(endpoints, tuple))
        return;
    /* The next initiation goes there, at once; and if there are keys, it is asked with those. */
    endpoints->next = endpoints->relay_count - 1;
    endpoints->attempts = ATTEMPTS_ON_PATH | 1;
    gw_paths_add_candidate(&peer->paths, now, tuple, peer->host->random);
    gw_session_kick(peer->session, now);
    gw_peer_rearm(peer);
    gw_peer_mark_ready(peer);
}

void gw_peer_remove_place(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple)
{
    struct gw_endpoints *endpoints = &peer->endpoints;
    for (unsigned i = 0; i < endpoints->relay_count; i++) {
        if (gw_tuple_equal(&endpoints->relays[i], tuple))
            endpoints->relays[i--] = endpoints->relays[--endpoints->relay_count];
    }
    gw_peer_due_remove(peer, tuple);
    bool was_used = gw_paths_current(&peer->paths) != NULL;
    if (gw_paths_remove(&peer->paths, now, tuple))
        gw_peer_path_changed(peer, now);
    if (was_used && !gw_paths_current(&peer->paths) && peer->mux && gw_mux_has_streams(peer->mux))
        gw_session_doubt(peer->session, now); /* it has to be looked for */
}

/* ---- paths */

bool gw_peer_holds_data(const struct gw_peer *peer, const struct gw_tuple *tuple)
{
    return peer->config.path == GW_PATH_DIRECT && gw_tuple_is_relay(tuple);
}

void gw_peer_path_changed(struct gw_peer *peer, struct gw_mono now)
{
    char text[GW_ADDR_STRLEN];
    const struct gw_peer_hooks *hooks = &peer->host->hooks;
    const struct gw_path *path = gw_paths_current(&peer->paths);
    const struct gw_peer *relay =
        path && gw_tuple_is_relay(&path->tuple) ? hooks->relay_of(&path->tuple, hooks->ctx) : NULL;
    gw_log_debug("peer %s: path %s%s%s", gw_peer_name(peer),
                 !path                             ? "none"
                 : gw_tuple_is_relay(&path->tuple) ? "by relay"
                                                   : gw_addr_log(&path->tuple.remote, text),
                 relay ? " " : "", relay ? gw_peer_name(relay) : "");
    gw_peer_rearm(peer); /* its size may not be known */
    gw_peer_mark_ready(peer);
    gw_peer_report(peer, now);
}

void gw_peer_path_left(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *old)
{
    const struct gw_path *path = gw_paths_find(&peer->paths, old);
    if (path && gw_tuple_is_relay(old) && !gw_mono_is_never(path->awaiting))
        peer->host->hooks.on_wanted(peer, now, peer->host->hooks.ctx);
}

int64_t gw_peer_silence(const struct gw_peer *peer)
{
    int64_t ns = 3 * gw_peer_rtt(peer);
    if (ns > SILENCE_MAX_NS)
        return SILENCE_MAX_NS;
    return ns > GW_PATH_SILENCE_NS ? ns : GW_PATH_SILENCE_NS;
}

void gw_peer_paths_received(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple,
                            uint64_t bytes, bool is_highest, bool proves_round_trip)
{
    enum gw_path_rule rule = gw_peer_is_stock(peer) ? GW_PATH_RULE_WIREGUARD : GW_PATH_RULE_CHALLENGE;
    struct gw_path *path = gw_paths_find(&peer->paths, tuple);
    const struct gw_path *was = gw_paths_current(&peer->paths);
    const struct gw_tuple old = was ? was->tuple : *tuple;
    bool is_current = path && path == was;
    bool is_changed = gw_paths_received(&peer->paths, now, tuple, bytes, is_highest, proves_round_trip, rule,
                                        is_current ? 0 : gw_peer_silence(peer), peer->host->random);
    const struct gw_path *current = gw_paths_current(&peer->paths);
    /* A challenge is due, or a HELLO that was too long for an unproven path may fit now. */
    if (!path || gw_mono_due(path->challenge_at, now) ||
        (current && gw_mono_due(current->challenge_at, now)) ||
        (!path->is_validated && gw_peer_hello_is_pending(peer)))
        gw_peer_mark_ready(peer);
    if (proves_round_trip)
        gw_peer_proven(peer, now);
    if (is_changed) {
        gw_peer_path_changed(peer, now);
        gw_peer_path_left(peer, now, &old);
    }
}

void gw_peer_answer_refused(struct gw_peer *peer, struct gw_mono now)
{
    if (!peer->endpoints.is_refusal_logged)
        gw_peer_tell(
            peer, now, GW_LOG_WARN,
            "its answer to our handshake cannot be opened: do both sides have the same preshared key?");
    peer->endpoints.is_refusal_logged = true;
}

void gw_peer_initiation_refused(struct gw_peer *peer, struct gw_mono now)
{
    struct gw_session_stats session;
    gw_session_stats(peer->session, &session);
    /* A duplicate on the network is no news. */
    if (session.peer_clock_behind_s == 0 || session.handshakes_received == peer->clock_told_at)
        return;
    peer->clock_told_at = session.handshakes_received;
    gw_peer_tell(
        peer, now, GW_LOG_WARN,
        "its handshake is refused as a replay, %lld s older than one before: its clock was set back, or somebody plays "
        "an old one",
        (long long)session.peer_clock_behind_s);
    gw_peer_report(peer, now);
}

void gw_peer_handshake_answered(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple)
{
    peer->endpoints.is_refusal_logged = false;
    peer->endpoints.attempts = 0;
    peer->endpoints.found_tries = 0;
    peer->endpoints.due_count = 0;
    gw_peer_paths_received(peer, now, tuple, GW_RESPONSE_LEN, true, was_asked(peer, tuple));
}

void gw_peer_challenge_input(struct gw_peer *peer, const struct gw_tuple *tuple, struct gw_view body)
{
    if (body.len < GW_PATH_CHALLENGE_LEN || !gw_paths_allow(&peer->paths, tuple))
        return; /* a path that we do not want is not shown to work */
    peer->host->hooks.on_challenged(peer, peer->host->now, tuple, peer->host->hooks.ctx);
    gw_paths_asked(&peer->paths, peer->host->now, tuple, peer->host->random);
    uint8_t moves = body.len > GW_PATH_CHALLENGE_LEN ? body.data[GW_PATH_CHALLENGE_LEN] : 0;
    if (moves > 0 && moves != peer->paths.moves)
        peer->is_retry_due = true;
    if (moves > 0 && gw_paths_peer_moved(&peer->paths, peer->host->now, tuple, moves, peer->host->random))
        gw_peer_path_changed(peer, peer->host->now);
    if (peer->path_response_count == GW_PATH_RESPONSES_MAX)
        return; /* the peer asks again */
    struct gw_path_response *response = &peer->path_responses[peer->path_response_count++];
    response->tuple = *tuple;
    memcpy(response->challenge, body.data, GW_PATH_CHALLENGE_LEN);
    gw_peer_mark_ready(peer);
}
