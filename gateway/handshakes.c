/* SPDX-License-Identifier: MIT */
/* Handshake messages between the wire and the sessions: queued in bounded room behind data, one worked on at a time, cookies when too many
 * wait (WireGuard paper 5.3; docs/PROTOCOL.md "Cookies and load"). Replies wait in a ring of their own: no reply is longer than what it
 * answers, and none goes to somebody who does not know our key. */
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/gateway_private.h"

#include <stdlib.h>
#include <string.h>

static int ring_init(struct gw_handshake_ring *ring, unsigned cap)
{
    ring->slots = calloc(cap, sizeof *ring->slots);
    ring->cap = cap;
    return ring->slots ? 0 : GW_E_NOMEM;
}

static bool ring_push(struct gw_handshake_ring *ring, const struct gw_tuple *tuple, const void *msg,
                      size_t len)
{
    if (ring->len == ring->cap)
        return false;
    struct gw_handshake_slot *slot = &ring->slots[(ring->head + ring->len++) % ring->cap];
    slot->tuple = *tuple;
    slot->len = (uint8_t)len;
    memcpy(slot->bytes, msg, len);
    return true;
}

static struct gw_handshake_slot *ring_pop(struct gw_handshake_ring *ring)
{
    if (ring->len == 0)
        return NULL;
    struct gw_handshake_slot *slot = &ring->slots[ring->head];
    ring->head = (ring->head + 1) % ring->cap;
    ring->len--;
    return slot;
}

int gw_handshakes_init(struct gateway *gateway)
{
    uint8_t seed[16];
    gw_random_fill(gateway->host.random, seed, sizeof seed);
    gateway->sources = gw_ratelimit_new(GW_HANDSHAKE_RATE, GW_HANDSHAKE_BURST, GW_HANDSHAKE_SOURCES, seed);
    int err = ring_init(&gateway->handshakes, GW_HANDSHAKES_MAX);
    if (!err)
        err = ring_init(&gateway->replies, GW_REPLIES_MAX);
    return gateway->sources ? err : GW_E_NOMEM;
}

void gw_handshakes_fini(struct gateway *gateway)
{
    free(gateway->handshakes.slots);
    free(gateway->replies.slots);
    gw_ratelimit_free(gateway->sources);
}

/* ---- in */

static size_t source_of(const struct gw_tuple *tuple, uint8_t out[GW_COOKIE_SOURCE_MAX])
{
    if (gw_tuple_is_relay(tuple)) {
        gw_store32_le(out, tuple->link);
        return 4;
    }
    memcpy(out, tuple->remote.ip, 16);
    out[16] = (uint8_t)(tuple->remote.port >> 8);
    out[17] = (uint8_t)tuple->remote.port;
    return 18;
}

static enum gw_cookie_verdict check(struct gateway *gateway, struct gw_mono now, const struct gw_tuple *tuple,
                                    const uint8_t *msg, size_t len)
{
    uint8_t source[GW_COOKIE_SOURCE_MAX];
    size_t source_len = source_of(tuple, source);
    return gw_cookie_check(&gateway->host.local.cookies, now, msg, len, source, source_len);
}

static void reply(struct gateway *gateway, const struct gw_tuple *tuple, const void *msg, size_t len)
{
    if (!ring_push(&gateway->replies, tuple, msg, len))
        gateway->host.stats.dropped_queue++;
}

static void reply_cookie(struct gateway *gateway, struct gw_mono now, const struct gw_tuple *tuple,
                         const uint8_t *msg, size_t len)
{
    struct gw_cookie_reply cookie;
    uint8_t source[GW_COOKIE_SOURCE_MAX];
    size_t source_len = source_of(tuple, source);
    gw_cookie_create_reply(&gateway->host.local.cookies, now, msg, len, source, source_len, &cookie);
    reply(gateway, tuple, &cookie, sizeof cookie);
    gateway->host.stats.cookies_sent++;
}

/* Under load: only who receives at its address gets further, and only so often. */
static bool passes_load(struct gateway *gateway, struct gw_mono now, const struct gw_tuple *tuple,
                        const uint8_t *msg, size_t len, enum gw_cookie_verdict verdict)
{
    uint8_t prefix[8];
    if (verdict != GW_COOKIE_VALID_MAC_AND_COOKIE) {
        reply_cookie(gateway, now, tuple, msg, len);
        return false;
    }
    if (gw_tuple_is_relay(tuple))
        gw_store64_le(prefix, (uint64_t)tuple->link << 32);
    else
        gw_addr_prefix(&tuple->remote, prefix);
    if (gw_ratelimit_take(gateway->sources, prefix, now))
        return true;
    gateway->host.stats.dropped_limit++;
    return false;
}

void gw_handshakes_input(struct gateway *gateway, struct gw_mono now, const struct gw_tuple *tuple,
                         const uint8_t *msg, size_t len)
{
    enum gw_cookie_verdict verdict = check(gateway, now, tuple, msg, len);
    if (verdict == GW_COOKIE_INVALID_MAC) {
        gateway->host.stats.dropped_mac++;
        return;
    }
    if (gateway->handshakes.len > GW_HANDSHAKES_LOADED &&
        !passes_load(gateway, now, tuple, msg, len, verdict))
        return;
    if (ring_push(&gateway->handshakes, tuple, msg, len))
        gateway->host.stats.handshakes_queued++;
    else
        gateway->host.stats.dropped_queue++;
}

void gw_handshakes_input_cookie(struct gateway *gateway, struct gw_mono now, const uint8_t *msg)
{
    struct gw_cookie_reply cookie;
    memcpy(&cookie, msg, sizeof cookie);
    if (gw_session_consume_cookie(&gateway->host.local, &cookie, now) != 0)
        gateway->host.stats.dropped_auth++;
}

/* ---- one at a time */

static void count_failure(struct gateway *gateway, int err)
{
    struct gw_gateway_stats *stats = &gateway->host.stats;
    if (err == GW_E_REPLAY)
        stats->dropped_replay++;
    else if (err == GW_E_UNKNOWN)
        stats->dropped_unknown++;
    else if (err == GW_E_LIMIT)
        stats->dropped_limit++;
    else
        stats->dropped_auth++;
}

static void log_failure(const char *what, const struct gw_tuple *tuple, int err)
{
    char text[GW_ADDR_STRLEN];
    gw_log_debug("%s from %s dropped: %s", what, gw_addr_log(&tuple->remote, text), gw_strerror(err));
}

static void work_on_initiation(struct gateway *gateway, struct gw_mono now,
                               const struct gw_handshake_slot *slot)
{
    struct gw_initiation msg;
    struct gw_response response;
    struct gw_session *session;
    uint8_t unknown_key[GW_KEY_LEN];
    memcpy(&msg, slot->bytes, sizeof msg);
    int err =
        gw_session_consume_initiation(&gateway->host.local, &msg, now, &session, &response, unknown_key);
    if (err) {
        count_failure(gateway, err);
        log_failure("initiation", &slot->tuple, err);
        if (session && err == GW_E_REPLAY)
            gw_peer_initiation_refused(gw_session_owner(session), now);
        return;
    }
    struct gw_peer *peer = gw_session_owner(session);
    if (!gw_paths_allow(&peer->paths, &slot->tuple))
        return; /* it is to come by a relay */
    peer->endpoints.response_tuple = slot->tuple;
    reply(gateway, &slot->tuple, &response, sizeof response);
}

static void work_on_response(struct gateway *gateway, struct gw_mono now,
                             const struct gw_handshake_slot *slot)
{
    struct gw_response msg;
    struct gw_session *session;
    memcpy(&msg, slot->bytes, sizeof msg);
    int err = gw_session_consume_response(&gateway->host.local, &msg, now, &session);
    struct gw_peer *peer = session ? gw_session_owner(session) : NULL;
    if (err) {
        count_failure(gateway, err);
        log_failure("response", &slot->tuple, err);
        if (peer && err == GW_E_AUTH)
            gw_peer_answer_refused(peer, now);
        return;
    }
    gw_peer_handshake_answered(peer, now, &slot->tuple);
    gw_peer_mark_ready(peer);
}

bool gw_gateway_handshake(struct gateway *gateway, struct gw_mono now)
{
    struct gw_handshake_slot *slot = ring_pop(&gateway->handshakes);
    if (!slot)
        return false;
    gateway->host.now = now;
    if (slot->len == GW_INITIATION_LEN)
        work_on_initiation(gateway, now, slot);
    else
        work_on_response(gateway, now, slot);
    return gateway->handshakes.len > 0;
}

/* ---- out */

bool gw_handshakes_output(struct gateway *gateway, struct gw_train *train)
{
    struct gw_handshake_slot *slot = ring_pop(&gateway->replies);
    if (!slot)
        return false;
    train->tuple = slot->tuple;
    train->count = 1;
    train->stride = train->last_len = slot->len;
    train->ecn = 0;
    memcpy(train->slab, slot->bytes, slot->len);
    return true;
}
