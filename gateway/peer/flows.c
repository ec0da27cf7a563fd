/* SPDX-License-Identifier: MIT */
/* The flows with a peer: one mux for each pair of instances. A peer that comes back as another instance has forgotten every
 * stream, so ours end with PEER_RESTARTED; a rekey or a new path changes nothing for them. */
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/peer/peer_private.h"

#include <string.h>

#define IP_UDP_V4 28u
#define IP_UDP_V6 48u
#define RTT_HINT_MAX_NS GW_S(10)
#define TELL_TOO_LONG_NS GW_S(60)
#define GONE_PROBES 4u /* unanswered: the peer may have forgotten our keys */

static void on_open(struct gw_mux *mux, struct gw_stream *stream, const struct gw_open *open,
                    struct gw_mono now, void *ctx)
{
    struct gw_peer *peer = ctx;
    struct gw_peer_host *host = peer->host;
    (void)mux;
    host->shared_at = now;
    if (host->events->on_open)
        host->events->on_open(host->gateway, peer, stream, open, now, host->events->ctx);
    else
        gw_stream_reset(stream, now, GW_REASON_NOT_LISTED);
}

static void on_output(struct gw_mux *mux, void *ctx)
{
    (void)mux;
    gw_peer_mark_ready(ctx);
}

/* Nobody else would say so: to the program that sent it, it is one datagram that was lost, and again each time. */
static void on_too_long(struct gw_mux *mux, size_t len, size_t max, void *ctx)
{
    struct gw_peer *peer = ctx;
    struct gw_peer_host *host = peer->host;
    (void)mux;
    host->stats.dropped_too_long++;
    peer->too_long++;
    if (!gw_mono_due(peer->too_long_tell_at, host->now))
        return;
    peer->too_long_tell_at = gw_mono_add(host->now, TELL_TOO_LONG_NS);
    gw_peer_tell(peer, host->now, GW_LOG_WARN,
                 "a datagram of %zu bytes is lost: the path carries %zu at most (%llu so far)", len, max,
                 (unsigned long long)peer->too_long);
}

struct gw_mux *gw_peer_flows(struct gw_peer *peer, struct gw_mono now)
{
    struct gw_peer_host *host = peer->host;
    if (peer->mux)
        return peer->mux;
    peer->mux_events = (struct gw_mux_events){on_open, on_output, peer, on_too_long};
    struct gw_mux_params params = {
        .deadlines = &host->deadlines,
        .random = host->random,
        .budget = host->budget,
        .events = &peer->mux_events,
        .cc = peer->config.cc,
        .is_lower = memcmp(host->local.public_key, peer->config.public_key, GW_KEY_LEN) < 0};
    if (gw_mux_new(&peer->mux, &params, now) != 0)
        return NULL;
    peer->has_mux_bound = peer->has_remote_instance && peer->hello.kp && peer->hello.kp->has_hello;
    peer->mux_max_plain = 0;
    return peer->mux;
}

void gw_peer_new_instance(struct gw_peer *peer)
{
    do /* 0 means "none yet" in HELLO */
        peer->instance = gw_random_u64(peer->host->random);
    while (peer->instance == 0);
}

void gw_peer_flows_end(struct gw_peer *peer, struct gw_mono now, enum gw_reason reason)
{
    struct gw_mux *mux = peer->mux;
    peer->is_unreachable_due = false;
    if (!mux)
        return;
    /* Out of reach first: a callback that opens a stream again gets a new mux. */
    peer->mux = NULL;
    peer->has_mux_bound = false;
    /* The peer may still remember streams and packet numbers that are forgotten here. (After its own restart it does not, and a HELLO
     * with our instance may be on its way.) */
    if (reason != GW_REASON_PEER_RESTARTED)
        gw_peer_new_instance(peer);
    gw_mux_free(mux, now, reason);
}

void gw_peer_flows_end_both(struct gw_peer *peer, struct gw_mono now, enum gw_reason reason)
{
    if (peer->mux)
        gw_mux_end(peer->mux, now, reason);
}

bool gw_peer_flows_may_use(const struct gw_peer *peer, const struct gw_keypair *kp)
{
    return gw_mono_is_never(peer->flows_over_at) || gw_mono_before(peer->flows_over_at, kp->born);
}

/* What is on its way belongs to flows that are over, and nothing in it would tell: it would break the next ones, too. So these have keys of their own. */
void gw_peer_flows_mend(struct gw_peer *peer, struct gw_mono now)
{
    if (!peer->mux || !gw_mux_is_broken(peer->mux))
        return;
    peer->host->stats.false_acks++;
    gw_peer_tell(peer, now, GW_LOG_WARN,
                 "acknowledged what was never sent: its flows are over, and begin anew on new keys");
    peer->flows_over_at = now;
    gw_peer_flows_end(peer, now, GW_REASON_PROTOCOL);
    gw_session_doubt(peer->session, now);
}

void gw_peer_flows_bind(struct gw_peer *peer, uint64_t instance, struct gw_mono now)
{
    if (peer->mux && peer->has_mux_bound && peer->remote_instance != instance) {
        gw_peer_tell(peer, now, GW_LOG_INFO, "restarted, its flows are over");
        gw_peer_flows_end(peer, now, GW_REASON_PEER_RESTARTED);
    }
    bool is_new = !peer->has_remote_instance || peer->remote_instance != instance;
    peer->has_remote_instance = true;
    peer->remote_instance = instance;
    if (peer->mux)
        peer->has_mux_bound = true;
    if (is_new)
        gw_peer_report(peer, now);
}

bool gw_peer_flows_may_send(const struct gw_peer *peer)
{
    if (!peer->mux || gw_peer_is_stock(peer) ||
        (peer->hello.kp && !gw_peer_flows_may_use(peer, peer->hello.kp)))
        return false;
    /* Known by peer ID: surely one of ours, so an open may ride with the first HELLO. */
    return peer->kind == GW_PEER_PEERGATE || peer->config.has_ed25519;
}

/* Keys that were made while probes went unanswered are not what is wrong. The peer may have lost those too, since then: as long again as it took to make them, and twice that the next time. */
static bool may_lack_keys(const struct gw_peer *peer, struct gw_mono now)
{
    struct gw_session_stats session;
    gw_session_stats(peer->session, &session);
    return gw_mono_is_never(session.last_handshake) ||
           gw_mono_sub(now, session.last_handshake) >=
               gw_mono_sub(session.last_handshake, peer->probes_since);
}

void gw_peer_flows_doubt(struct gw_peer *peer, struct gw_mono now)
{
    unsigned probes = peer->mux ? gw_mux_unanswered_probes(peer->mux) : 0;
    if (probes == peer->probes_seen)
        return;
    if (peer->probes_seen == 0 || probes < peer->probes_seen)
        peer->probes_since = now;
    peer->probes_seen = probes;
    if (probes > 0) /* the way may have become narrower without a word */
        gw_peer_mtu_doubt(peer);
    struct gw_path *path = gw_paths_current(&peer->paths);
    if (probes > 0 && path && gw_tuple_is_relay(&path->tuple)) /* is the relay still there? */
        peer->host->hooks.on_wanted(peer, now, peer->host->hooks.ctx);
    if (probes > 0 && path && gw_paths_have_other(&peer->paths))
        gw_path_probe(path, now, peer->host->random);
    if (probes >= GONE_PROBES && may_lack_keys(peer, now))
        gw_session_doubt(peer->session, now);
}

void gw_peer_flows_try_again(struct gw_peer *peer, struct gw_mono now)
{
    bool is_due = peer->is_retry_due;
    peer->is_retry_due = false;
    if (is_due && peer->mux)
        gw_mux_try_again(peer->mux, now);
}

/* What left there arrives, as far as anybody knows. */
static bool is_well(struct gw_peer *peer, const struct gw_tuple *tuple)
{
    const struct gw_path *path = gw_paths_find(&peer->paths, tuple);
    return path && path->is_validated && !path->is_doubted;
}

void gw_peer_flows_fit(struct gw_peer *peer, struct gw_mono now, const struct gw_path *path,
                       enum gw_suite suite)
{
    size_t ip_len = path->tuple.remote.family == 6 ? IP_UDP_V6 : IP_UDP_V4;
    if (gw_tuple_is_relay(&path->tuple))
        ip_len += GW_PATH_RELAY_OVERHEAD;
    size_t plain = path->mtu.len - gw_suite_overhead(suite);
    if (suite == GW_SUITE_CHACHA20_POLY1305)
        plain &= ~(size_t)15;     /* type 4 pads to 16 */
    size_t max_plain = plain - 1; /* the byte that says "frames" */
    size_t overhead = gw_suite_overhead(suite) + 1 + ip_len;
    bool is_new = !gw_addr_equal(&path->tuple.remote, &peer->mux_tuple.remote) ||
                  path->tuple.link != peer->mux_tuple.link;
    if (peer->mux_max_plain == max_plain && peer->mux_overhead == overhead && !is_new)
        return;
    int64_t hint = gw_peer_rtt(peer);
    gw_mux_set_path(peer->mux, now, max_plain, overhead, hint < RTT_HINT_MAX_NS ? hint : 0, is_new);
    if (is_new && peer->mux_max_plain > 0 && !is_well(peer, &peer->mux_tuple))
        gw_mux_path_lost(peer->mux, now);
    peer->mux_max_plain = max_plain;
    peer->mux_overhead = overhead;
    peer->mux_tuple = path->tuple;
}

/* Somebody waits for a session. */
static void knock(struct gw_peer *peer, struct gw_mono now)
{
    struct gw_session_stats session;
    gw_session_stats(peer->session, &session);
    if (session.state == GW_SESSION_FAILED || session.state == GW_SESSION_STALE || gw_peer_has_ended(peer))
        gw_session_kick(peer->session, now); /* not at the pace of the backoff */
    gw_session_want_send(peer->session, now);
    gw_peer_mark_ready(peer);
}

int gw_peer_open(struct gw_peer *peer, struct gw_mono now, const struct gw_open *open,
                 const struct gw_stream_ops *ops, void *user, struct gw_stream **out)
{
    peer->host->now = now;
    if (gw_peer_is_stock(peer))
        return -EPROTONOSUPPORT;
    if (peer->seal_conflict != GW_SEAL_AGREED)
        return GW_E_NO_SEAL;
    if (!gw_peer_has_endpoint(peer))
        return gw_peer_is_shut_out(peer) ? GW_E_SHUT_OUT : -EHOSTUNREACH;
    if (gw_peer_was_just_shut_out(peer, now)) {
        knock(peer, now);
        return GW_E_SHUT_OUT;
    }
    struct gw_mux *mux = gw_peer_flows(peer, now);
    if (!mux)
        return GW_E_NOMEM;
    int err = gw_stream_open(mux, now, open, ops, user, out);
    if (err)
        return err;
    peer->host->shared_at = now;
    knock(peer, now);
    return 0;
}
