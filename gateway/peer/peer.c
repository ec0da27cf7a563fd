/* SPDX-License-Identifier: MIT */
/* The peer object: birth, configuration, readiness, status, death. What it does is in the files beside this one. */
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"
#include "gateway/peer/peer_private.h"

#include <stdlib.h>
#include <string.h>

const char *const gw_peer_kind_names[3] = {"unknown", "peergate", "wireguard"};

void gw_peer_mark_ready(struct gw_peer *peer)
{
    if (!gw_list_is_linked(&peer->ready))
        gw_list_push_back(&peer->host->ready, &peer->ready);
    if (peer->host->has_lanes && !gw_list_is_linked(&peer->changed))
        gw_list_push_back(&peer->host->changed, &peer->changed);
}

void gw_peer_rearm(struct gw_peer *peer)
{
    /* Without a path neither a HELLO nor a probe of its size can go. */
    const struct gw_path *path = gw_paths_current(&peer->paths);
    struct gw_mono at = path ? gw_peer_mtu_deadline(peer) : GW_NEVER;
    /* Nor can a HELLO on an unproven path that has brought too little: what comes in next goes on (gw_peer_paths_received, path_response_frame). */
    if (path && gw_peer_path_takes_data(path))
        at = gw_mono_min(at, gw_peer_hello_deadline(peer));
    if (!gw_peer_is_stock(peer))
        at =
            gw_mono_min(at, gw_paths_next_deadline(
                                &peer->paths, gw_paths_have_other(&peer->paths) ? gw_peer_silence(peer) : 0));
    gw_deadline_arm(&peer->host->deadlines, &peer->deadline, at);
}

void gw_peer_report(struct gw_peer *peer, struct gw_mono now)
{
    const struct gw_gateway_events *events = peer->host->events;
    peer->host->hooks.on_changed(peer, now, peer->host->hooks.ctx);
    if (events->on_peer)
        events->on_peer(peer->host->gateway, peer, now, events->ctx);
}

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_peer *peer = gw_container_of(deadline, struct gw_peer, deadline);
    (void)now;
    gw_peer_mark_ready(peer); /* output looks at what is due, and arms again */
}

/* ---- what the session tells */

static void on_session_state(struct gw_session *session, enum gw_session_state old,
                             enum gw_session_state state, void *ctx)
{
    struct gw_peer *peer = gw_session_owner(session);
    (void)ctx;
    gw_log_debug("peer %s: session %s -> %s", gw_peer_name(peer), gw_session_state_names[old],
                 gw_session_state_names[state]);
    if (state == GW_SESSION_FAILED)
        peer->is_unreachable_due = true;
    if (state == GW_SESSION_FAILED || state == GW_SESSION_IDLE)
        gw_peer_seal_forget(peer, peer->host->now);
    else if (state == GW_SESSION_ESTABLISHED)
        gw_peer_seal_check(peer, peer->host->now);
    if (state == GW_SESSION_ESTABLISHED) {
        peer->shut_out_at = peer->ended_at = GW_NEVER;
        gw_peer_try_relays(peer, peer->host->now);
        peer->is_retry_due = true;
    }
    gw_peer_mark_ready(peer);
    gw_peer_report(peer, peer->host->now);
}

static void on_keypair(struct gw_session *session, struct gw_keypair *kp, void *ctx)
{
    struct gw_peer *peer = gw_session_owner(session);
    (void)ctx;
    gw_peer_hello_begin(peer, kp, peer->host->now);
    gw_peer_mark_ready(peer);
}

static void on_keypair_gone(struct gw_session *session, struct gw_keypair *kp, void *ctx)
{
    struct gw_peer *peer = gw_session_owner(session);
    (void)ctx;
    if (peer->received.kp == kp)
        peer->received.kp = NULL;
    if (peer->hello.kp == kp)
        peer->hello = (struct gw_hello_state){.retry_at = GW_NEVER};
}

static void on_want(struct gw_session *session, void *ctx)
{
    (void)ctx;
    gw_peer_mark_ready(gw_session_owner(session));
}

void gw_peer_init_session_events(struct gw_peer_host *host)
{
    host->session_events =
        (struct gw_session_events){on_session_state, on_keypair, on_keypair_gone, on_want, host};
}

/* ---- life */

static void name_by_key(struct gw_peer_config *config)
{
    if (config->name[0])
        return;
    static const char digits[] = "0123456789abcdef";
    char *out = config->name;
    memcpy(out, "key-", 4);
    for (unsigned i = 0; i < 4; i++) {
        out[4 + 2 * i] = digits[config->public_key[i] >> 4];
        out[5 + 2 * i] = digits[config->public_key[i] & 15];
    }
    out[12] = '\0';
}

static int start_session(struct gw_peer *peer, struct gw_mono now)
{
    struct gw_session_params params = {.persistent_keepalive_ns = peer->config.keepalive_ns,
                                       .connection_timeout_ns = peer->config.connection_timeout_ns,
                                       .events = &peer->host->session_events,
                                       .owner = peer,
                                       .psk_count = peer->config.psk_count};
    memcpy(params.remote_public, peer->config.public_key, GW_KEY_LEN);
    memcpy(params.psks, peer->config.psks, sizeof params.psks);
    int err = gw_session_new(&peer->session, &peer->host->local, &params, now);
    gw_wipe(&params, sizeof params);
    return err;
}

void gw_peer_keepalive_fit(struct gw_peer *peer, struct gw_mono now)
{
    /* Who only relays is no anchor: it keeps its peers as it would without that. */
    bool is_client = peer->anchor_client != NULL && !peer->host->is_no_anchor;
    bool is_others_business = peer->endpoints.is_findable || is_client;
    bool is_kept =
        !is_others_business || peer->config.keeps_idle || (peer->mux && gw_mux_has_streams(peer->mux));
    int64_t interval = peer->config.keepalive_ns, most = peer->host->keepalive_most_ns;
    if (peer->anchor_use)
        interval = peer->anchor_keepalive_ns > 0 && interval > 0 ? peer->anchor_keepalive_ns : interval;
    else if (most > 0 && interval > most)
        interval = most;
    gw_session_set_persistent_keepalive(peer->session, is_kept ? interval : 0, now);
}

void gw_peer_set_findable(struct gw_peer *peer, struct gw_mono now, bool is_findable)
{
    peer->endpoints.is_findable = is_findable;
    gw_peer_keepalive_fit(peer, now);
}

int gw_peer_new(struct gw_peer **out, struct gw_peer_host *host, const struct gw_peer_config *config,
                struct gw_mono now)
{
    struct gw_peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return GW_E_NOMEM;
    peer->host = host;
    peer->config = *config;
    name_by_key(&peer->config);
    gw_list_init(&peer->ready);
    gw_list_init(&peer->changed);
    gw_paths_init(&peer->paths);
    peer->paths.policy = config->path;
    gw_peer_queues_init(&peer->queues);
    gw_deadline_init(&peer->deadline, on_deadline);
    peer->hello.retry_at = GW_NEVER;
    gw_peer_told_init(&peer->told, now);
    gw_peer_alias_configured(peer);
    peer->clock_told_at = UINT64_MAX;
    peer->shut_out_at = peer->ended_at = peer->flows_over_at = GW_NEVER;
    gw_peer_new_instance(peer);

    int err = gw_deadlines_reserve(&host->deadlines);
    if (err)
        goto no_deadline;
    err = gw_map_insert(&host->peers, &peer->by_key, peer->config.public_key);
    if (err)
        goto no_map;
    err = start_session(peer, now);
    if (err)
        goto no_session;
    err = gw_peer_route_added(peer);
    if (err)
        goto no_route;
    host->hooks.on_known(peer, now, host->hooks.ctx);
    if (config->is_eager && gw_peer_has_endpoint(peer))
        gw_peer_connect(peer, now);
    *out = peer;
    return 0;

no_route:
    gw_session_free(peer->session);
    gw_map_remove(&host->peers, &peer->by_key);
    gw_peer_route_all(host); /* nothing of it stays in there */
    goto no_map;
no_session:
    gw_map_remove(&host->peers, &peer->by_key);
no_map:
    gw_deadlines_release(&host->deadlines);
no_deadline:
    gw_wipe(peer, sizeof *peer);
    free(peer);
    return err;
}

int gw_peer_update(struct gw_peer *peer, const struct gw_peer_config *config, struct gw_mono now)
{
    if (memcmp(config->public_key, peer->config.public_key, GW_KEY_LEN) != 0)
        return GW_E_INVAL;
    bool are_endpoints_same =
        config->endpoint_count == peer->config.endpoint_count &&
        memcmp(config->endpoints, peer->config.endpoints, sizeof config->endpoints) == 0;
    bool is_seal_same = config->seal == peer->config.seal && config->hello == peer->config.hello;
    bool is_other_policy = config->path != peer->config.path;
    gw_wipe(peer->config.psks, sizeof peer->config.psks);
    peer->config = *config;
    name_by_key(&peer->config);
    gw_session_set_psks(peer->session, peer->config.psks, peer->config.psk_count);
    gw_session_set_connection_timeout(peer->session, config->connection_timeout_ns);
    if (gw_paths_set_policy(&peer->paths, now, config->path))
        gw_peer_path_changed(peer, now);
    if (is_other_policy && !gw_paths_current(&peer->paths))
        gw_session_doubt(peer->session, now); /* it has to be looked for */
    if (!are_endpoints_same)
        peer->endpoints.next = 0;
    gw_peer_alias_configured(peer);
    int err = gw_peer_route_all(peer->host);
    peer->host->hooks.on_known(peer, now, peer->host->hooks.ctx);
    gw_peer_keepalive_fit(peer, now);
    if (config->is_eager && gw_peer_has_endpoint(peer))
        gw_peer_connect(peer, now);
    if (!is_seal_same)
        gw_peer_seal_changed(peer, now);
    gw_peer_mark_ready(peer);
    return err;
}

void gw_peer_free(struct gw_peer *peer, struct gw_mono now, enum gw_reason reason)
{
    struct gw_peer_host *host = peer->host;
    gw_peer_flows_end(peer, now, reason);
    host->hooks.on_gone(peer, now, host->hooks.ctx);
    gw_session_free(peer->session);
    gw_map_remove(&host->peers, &peer->by_key);
    if (peer->lane)
        host->on_lane_peer_gone(host, peer->lane);
    gw_peer_route_all(host);
    gw_list_remove(&peer->ready);
    gw_list_remove(&peer->changed);
    gw_deadline_disarm(&host->deadlines, &peer->deadline);
    gw_deadlines_release(&host->deadlines);
    gw_peer_queues_fini(&peer->queues);
    gw_peer_frags_fini(peer);
    gw_wipe(peer, sizeof *peer);
    free(peer);
}

/* ---- use */

void gw_peer_connect(struct gw_peer *peer, struct gw_mono now)
{
    peer->host->now = now;
    gw_session_want_send(peer->session, now);
    gw_peer_mark_ready(peer);
}

void gw_peer_set_endpoints(struct gw_peer *peer, struct gw_mono now, const struct gw_addr *endpoints,
                           unsigned count)
{
    if (count > GW_PEER_ENDPOINTS_MAX)
        count = GW_PEER_ENDPOINTS_MAX;
    memset(peer->config.endpoints, 0, sizeof peer->config.endpoints);
    if (count > 0)
        memcpy(peer->config.endpoints, endpoints, count * sizeof *endpoints);
    peer->config.endpoint_count = count;
    peer->endpoints.next = 0;
    if (count > 0 && peer->config.is_eager)
        gw_peer_connect(peer, now);
}

const struct gw_peer_config *gw_peer_config(const struct gw_peer *peer)
{
    return &peer->config;
}

const char *gw_peer_name(const struct gw_peer *peer)
{
    return peer->config.name;
}

struct gateway *gw_peer_gateway(const struct gw_peer *peer)
{
    return peer->host->gateway;
}

void *gw_peer_user(const struct gw_peer *peer)
{
    return peer->user;
}

void gw_peer_set_user(struct gw_peer *peer, void *user)
{
    peer->user = user;
}

int64_t gw_peer_rtt(const struct gw_peer *peer)
{
    if (peer->mux) {
        struct gw_mux_stats flows;
        gw_mux_stats(peer->mux, &flows);
        if (flows.srtt_ns > 0)
            return flows.srtt_ns;
    }
    if (peer->ping_rtt_ns > 0)
        return peer->ping_rtt_ns;
    struct gw_session_stats session;
    gw_session_stats(peer->session, &session);
    return session.handshake_rtt_ns;
}

void gw_peer_status(const struct gw_peer *peer, struct gw_mono now, struct gw_peer_status *out)
{
    (void)now;
    *out = (struct gw_peer_status){.kind = gw_peer_is_stock(peer) ? GW_PEER_WIREGUARD : peer->kind,
                                   .rtt_ns = gw_peer_rtt(peer),
                                   .seal_conflict = peer->seal_conflict,
                                   .shut_out_at = peer->shut_out_at,
                                   .ended_at = peer->ended_at,
                                   .packets_refused = peer->queues.packets_refused,
                                   .ipv4 = peer->config.alias,
                                   .own_ipv4 = peer->hello_ipv4};
    if (peer->queues.packets)
        gw_packet_queue_stats(peer->queues.packets, &out->packets);
    gw_session_stats(peer->session, &out->session);
    if (peer->mux) {
        out->has_flows = true;
        gw_mux_stats(peer->mux, &out->flows);
    }
    if (peer->paths.current >= 0) {
        const struct gw_path *path = &peer->paths.list[peer->paths.current];
        out->has_path = true;
        out->path = path->tuple;
        out->is_relayed = gw_tuple_is_relay(&path->tuple);
        out->payload_len = path->mtu.len;
        out->mtu_state = path->mtu.state;
    }
    if (peer->hello.kp) {
        out->peer_suites = peer->hello.kp->peer_suites;
        out->sending_suite = gw_peer_suite(peer, peer->hello.kp);
    }
    memcpy(out->hello_name, peer->hello_name, sizeof out->hello_name);
}
