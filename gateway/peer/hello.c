/* SPDX-License-Identifier: MIT */
/* HELLO: what each side says of itself on every new key pair (docs/PROTOCOL.md, "HELLO"). It confirms the key to the
 * responder, says which seals may be used on this key pair, names the instance that flows belong to, proves an Ed25519 identity where the
 * key does not imply it. Once one of ours was acknowledged, the next goes in the first probe of the path's size (mtu.c). */
#include "gateway/base/log.h"
#include "gateway/base/secret.h"
#include "gateway/peer/peer_private.h"

#include <sodium.h>
#include <string.h>

#define RETRY_NS GW_MS(300)
#define IDENTITY_LABEL "peergate identity v1"
#define IDENTITY_BODY_LEN (1u + GW_HASH_LEN)
#define IDENTITY_SIGNED_LEN (sizeof IDENTITY_LABEL + 8 + IDENTITY_BODY_LEN)

static void became(struct gw_peer *peer, enum gw_peer_kind kind, struct gw_mono now)
{
    if (peer->kind == kind)
        return;
    peer->kind = kind;
    gw_peer_tell(peer, now, GW_LOG_INFO, "%s",
                 kind == GW_PEER_PEERGATE ? "runs peergate"
                                          : "does not answer HELLO, taken for a stock WireGuard peer");
    gw_peer_report(peer, now);
    gw_peer_seal_check(peer, now);
}

void gw_peer_hello_begin(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now)
{
    peer->hello = (struct gw_hello_state){.kp = kp, .retry_at = GW_NEVER};
    if (peer->config.hello == GW_HELLO_NEVER)
        return;
    /* A bare key that never answered one is a stock peer: it is left alone until it sends a HELLO itself. */
    if (peer->kind == GW_PEER_WIREGUARD && !peer->config.has_ed25519)
        return;
    peer->hello.retry_at = now;
    gw_peer_rearm(peer);
}

void gw_peer_hello_again(struct gw_peer *peer)
{
    if (peer->kind != GW_PEER_PEERGATE || !peer->hello.kp || peer->hello.acked == 0)
        return; /* the first one says it */
    peer->hello.is_answer_due = true;
    gw_peer_mark_ready(peer);
}

bool gw_peer_hello_is_due(const struct gw_peer *peer, struct gw_mono now)
{
    return peer->hello.kp && (peer->hello.is_answer_due || gw_mono_due(peer->hello.retry_at, now));
}

bool gw_peer_hello_is_pending(const struct gw_peer *peer)
{
    return peer->hello.kp && peer->hello.acked == 0 && !gw_mono_is_never(peer->hello.retry_at);
}

struct gw_mono gw_peer_hello_deadline(const struct gw_peer *peer)
{
    return peer->hello.kp ? peer->hello.retry_at : GW_NEVER;
}

void gw_peer_hello_expire(struct gw_peer *peer, struct gw_mono now)
{
    struct gw_hello_state *state = &peer->hello;
    if (!state->kp || !gw_mono_due(state->retry_at, now))
        return;
    if (state->acked > 0) {
        state->retry_at = GW_NEVER;
    } else if (state->tries >= GW_HELLO_TRIES && !peer->config.has_ed25519 &&
               peer->kind != GW_PEER_PEERGATE) {
        state->retry_at = GW_NEVER;
        became(peer, GW_PEER_WIREGUARD, now);
    } /* else it is one of ours and will answer: the retries go on, slower */
    gw_peer_rearm(peer);
}

/* ---- identity: "peergate <purpose> v1" 0x00 || length || body, body = role || H */

static void identity_message(uint8_t out[IDENTITY_SIGNED_LEN], const struct gw_keypair *kp, bool is_initiator)
{
    struct gw_writer w = gw_writer_of(out, IDENTITY_SIGNED_LEN);
    gw_write_bytes(&w, IDENTITY_LABEL, sizeof IDENTITY_LABEL);
    gw_write_u64_be(&w, IDENTITY_BODY_LEN);
    gw_write_u8(&w, is_initiator);
    gw_write_bytes(&w, kp->handshake_hash, GW_HASH_LEN);
}

static void prove_identity(const struct gw_peer *peer, struct gw_hello *hello)
{
    const struct gw_peer_host *host = peer->host;
    if (!host->has_ed25519 || host->is_derived)
        return;
    uint8_t message[IDENTITY_SIGNED_LEN];
    identity_message(message, peer->hello.kp, peer->hello.kp->is_initiator);
    hello->flags |= GW_HELLO_IDENTITY;
    memcpy(hello->ed25519, host->ed25519, sizeof hello->ed25519);
    crypto_sign_detached(hello->signature, NULL, message, sizeof message, host->ed25519_secret);
}

/* A proof that does not hold is a lie on an authenticated session: the whole HELLO is void. */
static bool is_identity_right(const struct gw_keypair *kp, const struct gw_hello *hello)
{
    uint8_t message[IDENTITY_SIGNED_LEN];
    if (!(hello->flags & GW_HELLO_IDENTITY))
        return true;
    identity_message(message, kp, !kp->is_initiator);
    return crypto_sign_verify_detached(hello->signature, message, sizeof message, hello->ed25519) == 0;
}

/* ---- out */

static void fill(const struct gw_peer *peer, struct gw_hello *hello)
{
    const struct gw_peer_host *host = peer->host;
    *hello = (struct gw_hello){
        .version = GW_HELLO_VERSION,
        .seq = peer->hello.seq,
        .ack = peer->hello.peer_seq,
        .suites = gw_peer_advertised_suites(peer),
        .instance = peer->instance,
        .to_instance = peer->has_mux_bound ? peer->remote_instance : 0,
        .capabilities = GW_CAP_FLOWS | GW_CAP_FRAG | (host->takes_partial ? GW_CAP_PARTIAL_CSUM : 0u) |
                        (host->offers_relay && peer->config.is_listed ? GW_CAP_RELAY : 0u),
        .mtu = host->mtu_v4};
    if (peer->config.seal == GW_SEAL_REQUIRED)
        hello->flags |= GW_HELLO_DEMANDS_SEAL;
    memcpy(hello->name, host->hostname, sizeof hello->name);
    for (unsigned i = 0; i < 2; i++) {
        if (!gw_addr_is_set(&host->addresses[i]))
            continue;
        hello->addrs[hello->addr_count].family = host->addresses[i].family;
        memcpy(hello->addrs[hello->addr_count++].ip, host->addresses[i].ip, 16);
    }
    prove_identity(peer, hello);
}

static int64_t retry_after(const struct gw_peer *peer)
{
    int64_t two_rtts = 2 * gw_peer_rtt(peer);
    return (two_rtts > RETRY_NS ? two_rtts : RETRY_NS) << (peer->hello.tries > 4 ? 4 : peer->hello.tries);
}

void gw_peer_hello_output(struct gw_peer *peer, struct gw_writer *w, struct gw_mono now)
{
    struct gw_hello_state *state = &peer->hello;
    struct gw_hello hello;
    bool is_retry = gw_mono_due(state->retry_at, now), is_answer = state->is_answer_due;
    bool is_eliciting = state->acked == 0;

    /* The one under way is not repeated in front of each train as a new one: same number, same answer. */
    if (state->seq == 0 || is_retry || is_answer)
        state->seq++;
    fill(peer, &hello);
    if (is_eliciting)
        hello.flags |= GW_HELLO_ELICIT;
    struct gw_writer body = gw_frame_begin(w, GW_FRAME_HELLO, GW_HELLO_MAX);
    gw_hello_encode(&body, &hello);
    gw_frame_finish(w, &body);

    state->is_answer_due = false;
    if (is_eliciting && (is_retry || gw_mono_is_never(state->retry_at))) {
        state->eliciting_seq = state->seq;
        state->retry_at = gw_mono_add(now, retry_after(peer));
        state->tries++;
    } else if (!is_eliciting && !is_answer) {
        state->retry_at = GW_NEVER;
    }
    gw_peer_rearm(peer);
}

/* ---- in */

static void take_acks(struct gw_peer *peer, const struct gw_hello *hello)
{
    struct gw_hello_state *state = &peer->hello;
    if (hello->ack > state->seq || hello->ack <= state->acked)
        return;
    state->acked = hello->ack;
    if (state->acked < state->eliciting_seq)
        return;
    state->tries = 0;
    peer->hello_rounds_lost = 0;
    state->retry_at = GW_NEVER;
}

bool gw_peer_hello_input(struct gw_peer *peer, struct gw_keypair *kp, struct gw_view body, uint64_t counter,
                         struct gw_mono now)
{
    struct gw_hello_state *state = &peer->hello;
    struct gw_hello hello;
    if (gw_hello_decode(&hello, body) != 0 || !is_identity_right(kp, &hello)) {
        peer->host->stats.dropped_inner++;
        return true;
    }
    bool is_asked = (hello.flags & GW_HELLO_ELICIT) != 0;
    kp->has_hello = true;
    kp->peer_suites = hello.suites;
    kp->peer_instance = hello.instance;
    if (kp != state->kp) /* an older key pair's: nothing to negotiate on it any more */
        return is_asked;

    memcpy(peer->hello_name, hello.name, sizeof peer->hello_name);
    bool is_news = (peer->remote_capabilities ^ hello.capabilities) & GW_CAP_RELAY;
    peer->remote_capabilities = hello.capabilities;
    peer->remote_mtu = hello.mtu;
    gw_peer_alias_told(peer, &hello);
    peer->demands_seal = hello.flags & GW_HELLO_DEMANDS_SEAL;
    became(peer, GW_PEER_PEERGATE, now);
    if (is_news)
        gw_peer_report(peer, now);
    gw_peer_flows_bind(peer, hello.instance, now);
    gw_peer_seal_check(peer, now);
    bool are_bound = hello.to_instance == 0 || hello.to_instance == peer->instance;
    if (are_bound && !state->are_flows_bound)
        state->flows_floor = counter;
    state->are_flows_bound = are_bound;
    if (hello.seq > state->peer_seq)
        state->peer_seq = hello.seq;
    take_acks(peer, &hello);
    if (is_asked)
        state->is_answer_due = true;
    gw_peer_rearm(peer);
    gw_peer_mark_ready(peer);
    return is_asked;
}
