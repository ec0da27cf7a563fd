/* SPDX-License-Identifier: MIT */
/* The machine woke, or is somewhere else: what is known of a peer's paths may be wrong. Whoever is in use is looked for at once, at all places that are known, beside each other and not one after
 * the other; whoever is not is left alone (docs/PROTOCOL.md, "Our own addresses changed"). */
#include "gateway/peer/peer_private.h"

#include <string.h>

#define IN_USE_NS GW_S(30) /* sent to so lately */
#define ATTEMPTS_TOGETHER \
    9u /* while streams wait: so many initiations go to all places together, then to one at a time */

/* ---- places that initiations go to first */

void gw_peer_due_add(struct gw_peer *peer, const struct gw_tuple *tuple)
{
    struct gw_endpoints *endpoints = &peer->endpoints;
    for (unsigned i = 0; i < endpoints->due_count; i++) {
        if (gw_tuple_same_remote(&endpoints->due[i], tuple))
            return;
    }
    if (endpoints->due_count < GW_INITIATORS) /* no more can be answered */
        endpoints->due[endpoints->due_count++] = *tuple;
}

void gw_peer_due_remove(struct gw_peer *peer, const struct gw_tuple *tuple)
{
    struct gw_endpoints *endpoints = &peer->endpoints;
    unsigned kept = 0;
    for (unsigned i = 0; i < endpoints->due_count; i++) {
        if (!gw_tuple_equal(&endpoints->due[i], tuple))
            endpoints->due[kept++] = endpoints->due[i];
    }
    endpoints->due_count = kept;
}

bool gw_peer_due_take(struct gw_peer *peer, struct gw_mono now, struct gw_tuple *out)
{
    struct gw_endpoints *endpoints = &peer->endpoints;
    if (endpoints->due_count == 0)
        return false;
    *out = endpoints->due[0];
    memmove(endpoints->due, endpoints->due + 1, --endpoints->due_count * sizeof *endpoints->due);
    if (endpoints->due_count > 0)
        gw_session_ask_beside(peer->session, now);
    return true;
}

/* The path, the channels, the addresses that the configuration has. */
static void fill(struct gw_peer *peer)
{
    struct gw_endpoints *endpoints = &peer->endpoints;
    const struct gw_path *current = gw_paths_current(&peer->paths);
    unsigned known = gw_peer_usable_endpoints(peer);
    if (current)
        gw_peer_due_add(peer, &current->tuple);
    for (unsigned i = 0; i < endpoints->relay_count; i++)
        gw_peer_due_add(peer, &endpoints->relays[i]);
    for (unsigned i = 0; i < known && endpoints->due_count < GW_INITIATORS; i++) {
        struct gw_tuple tuple = {.remote = peer->config.endpoints[endpoints->next++ % known],
                                 .link = GW_LINK_PRIMARY};
        gw_peer_due_add(peer, &tuple);
    }
}

static bool has_streams(const struct gw_peer *peer)
{
    return peer->mux && gw_mux_has_streams(peer->mux);
}

void gw_peer_due_again(struct gw_peer *peer)
{
    const struct gw_endpoints *endpoints = &peer->endpoints;
    if (endpoints->due_count == 0 && endpoints->attempts <= ATTEMPTS_TOGETHER && endpoints->relay_count > 0 &&
        has_streams(peer))
        fill(peer);
}

void gw_peer_initiation_unsent(struct gw_peer *peer, struct gw_mono now)
{
    struct gw_endpoints *endpoints = &peer->endpoints;
    unsigned places = gw_peer_usable_endpoints(peer) + endpoints->relay_count;
    /* Once round: without any network, none leaves. */
    if (endpoints->due_count > 0 || endpoints->unsent++ >= places)
        return;
    endpoints->is_instead = true;
    gw_session_ask_beside(peer->session, now);
    gw_peer_mark_ready(peer);
}

/* ---- awake */

/* Is it worth packets to know at once where it can be reached now? */
static bool is_cared_for(const struct gw_peer *peer, const struct gw_path *current, struct gw_mono now)
{
    bool is_in_use =
        !gw_mono_is_never(current->last_sent) && gw_mono_sub(now, current->last_sent) < IN_USE_NS;
    return is_in_use || peer->config.is_anchor || peer->anchor_use || has_streams(peer);
}

/* There are keys: all that is known is asked, from whatever address we have. Not the relays: they have to learn of our new address themselves
 * first, and then are asked (gw_peer_relay_works). */
static void ask_all(struct gw_peer *peer, const struct gw_path *current, struct gw_mono now)
{
    struct gw_addr was_at[GW_PATHS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < peer->paths.count; i++) {
        struct gw_path *path = &peer->paths.list[i];
        if (!gw_tuple_is_direct(&path->tuple))
            continue;
        if (path->is_validated)
            gw_path_probe_urgently(path, now, peer->host->random);
        /* It answered there once: maybe it does again, now that our side is another one. */
        if (path == current || (!path->is_validated && path->proven_sent > 0))
            was_at[count++] = path->tuple.remote;
    }
    for (unsigned i = 0; i < gw_peer_usable_endpoints(peer); i++) {
        struct gw_tuple tuple = {.remote = peer->config.endpoints[i], .link = GW_LINK_PRIMARY};
        gw_paths_ask(&peer->paths, now, &tuple, peer->host->random);
    }
    for (unsigned i = 0; i < count; i++) {
        struct gw_tuple tuple = {.remote = was_at[i], .link = GW_LINK_PRIMARY};
        gw_paths_ask(&peer->paths, now, &tuple, peer->host->random);
    }
    gw_peer_rearm(peer);
}

/* There are none any more. */
static void shake_hands(struct gw_peer *peer, struct gw_mono now)
{
    const struct gw_peer_hooks *hooks = &peer->host->hooks;
    peer->endpoints.attempts = 0;
    fill(peer);
    if (!peer->config.is_anchor) /* for channels that ended meanwhile, as soon as the anchors are there */
        hooks->on_wanted(peer, now, hooks->ctx);
}

void gw_peer_kick(struct gw_peer *peer, struct gw_mono now)
{
    struct gw_session_stats session;
    struct gw_path *current = gw_paths_current(&peer->paths);
    if (has_streams(peer))
        gw_session_want_send(peer->session, now);
    gw_session_kick(peer->session, now);
    gw_session_stats(peer->session, &session);
    peer->is_retry_due = true;
    gw_peer_mark_ready(peer);
    if (session.state != GW_SESSION_HANDSHAKING &&
        (!current || session.state != GW_SESSION_ESTABLISHED || gw_peer_is_stock(peer) ||
         !is_cared_for(peer, current, now)))
        return;
    peer->is_doubted = true;
    if (++peer->moves == 0)
        peer->moves = 1;
    gw_paths_doubt(&peer->paths, NULL);
    if (session.state == GW_SESSION_HANDSHAKING)
        shake_hands(peer, now);
    else
        ask_all(peer, current, now);
}

void gw_peer_proven(struct gw_peer *peer, struct gw_mono now)
{
    const struct gw_peer_hooks *hooks = &peer->host->hooks;
    if (!peer->is_doubted || gw_paths_are_doubted(&peer->paths))
        return;
    peer->is_doubted = false;
    peer->is_retry_due = true; /* not at the pace of what was sent while there was no way */
    hooks->on_proven(peer, now, hooks->ctx);
}

void gw_peer_relay_works(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple)
{
    struct gw_session_stats session;
    gw_session_stats(peer->session, &session);
    if (session.state == GW_SESSION_HANDSHAKING) {
        gw_peer_due_add(peer, tuple);
        gw_session_kick(peer->session, now);
    } else if (session.state == GW_SESSION_ESTABLISHED && peer->is_doubted) {
        gw_paths_add_relay(&peer->paths, now, tuple, peer->host->random);
        if (gw_paths_relay_works(&peer->paths, now, tuple))
            gw_peer_path_changed(peer, now);
        gw_peer_rearm(peer);
    } else {
        return;
    }
    gw_peer_mark_ready(peer);
}
