/* SPDX-License-Identifier: MIT */
/* Which of a session's key pairs is which: previous, current, next (docs/PROTOCOL.md "Crossing initiations"). Key pairs are born
 * in handshake.c, come in here, and die here. */
#include "gateway/session/session_private.h"

#include "gateway/base/secret.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool gw_keypair_is_young(const struct gw_keypair *kp, struct gw_mono now)
{
    return gw_mono_before(now, gw_mono_add(kp->born, GW_REJECT_AFTER_TIME));
}

struct gw_keypair *gw_keyring_sending(const struct gw_keyring *ring, struct gw_mono now)
{
    struct gw_keypair *kp = ring->current;

    if (kp == NULL || kp->send_counter >= GW_REJECT_AFTER_MESSAGES || !gw_keypair_is_young(kp, now))
        return NULL;
    return kp;
}

/* ---- birth and death */

struct gw_keypair *gw_keyring_create(struct gw_session *session, const struct gw_noise_keys *keys,
                                     bool is_initiator, uint32_t local_index, uint32_t remote_index,
                                     struct gw_mono now)
{
    struct gw_keypair *kp = malloc(sizeof *kp);

    if (kp == NULL)
        return NULL;
    gw_keypair_init(kp, session->local->crypto, keys, is_initiator, local_index, remote_index, now);
    kp->session = session;
    if (gw_map_insert(&session->local->keypairs, &kp->by_index, &kp->local_index) != 0) {
        gw_keypair_free(kp);
        return NULL;
    }
    if (session->local->keeper != NULL) {
        gw_keypair_share(kp);
        session->local->keeper->on_new(kp, session->local->keeper->ctx);
    }
    return kp;
}

void gw_keypair_free(struct gw_keypair *kp)
{
    gw_keypair_wipe(kp);
    free(kp);
}

/* NULL is allowed. The ring no longer points to it. */
static void destroy(struct gw_session *session, struct gw_keypair *kp)
{
    const struct gw_session_events *events = session->events;

    if (kp == NULL)
        return;
    if (events != NULL && events->on_keypair_gone != NULL)
        events->on_keypair_gone(session, kp, events->ctx);
    gw_map_remove(&session->local->keypairs, &kp->by_index);
    if (session->local->keeper != NULL)
        session->local->keeper->on_gone(kp, session->local->keeper->ctx);
    else
        gw_keypair_free(kp);
}

/* Key pairs end while a train is worked through whose packets may still point to them: they die a moment later. */
static void retire(struct gw_session *session, struct gw_keypair *kp)
{
    unsigned i = 0;

    if (kp == NULL)
        return;
    kp->is_retired = true;
    while (session->keyring.retired[i] != NULL)
        i++;
    assert(i < GW_RETIRED_MAX); /* there never are more key pairs: what adds one sweeps */
    session->keyring.retired[i] = kp;
}

void gw_keyring_sweep(struct gw_session *session)
{
    for (unsigned i = 0; i < GW_RETIRED_MAX; i++) {
        struct gw_keypair *kp = session->keyring.retired[i];

        session->keyring.retired[i] = NULL;
        destroy(session, kp);
    }
}

void gw_keyring_clear(struct gw_session *session)
{
    const struct gw_keyring ring = session->keyring;

    gw_keyring_sweep(session);
    memset(&session->keyring, 0, sizeof session->keyring);
    destroy(session, ring.current);
    destroy(session, ring.previous);
    for (unsigned i = 0; i < GW_NEXT_MAX; i++)
        destroy(session, ring.next[i]);
}

void gw_keyring_end(struct gw_session *session)
{
    struct gw_keyring *ring = &session->keyring;
    struct gw_keypair *current = ring->current, *previous = ring->previous;

    gw_keyring_sweep(session);
    ring->current = ring->previous = NULL;
    destroy(session, current);
    destroy(session, previous);
}

/* ---- next */

static void take_out_of_next(struct gw_keyring *ring, const struct gw_keypair *kp)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < GW_NEXT_MAX; i++) {
        if (ring->next[i] != kp)
            ring->next[kept++] = ring->next[i];
    }
    while (kept < GW_NEXT_MAX)
        ring->next[kept++] = NULL;
}

static void push_next(struct gw_session *session, struct gw_keypair *kp)
{
    struct gw_keyring *ring = &session->keyring;
    struct gw_keypair *oldest = ring->next[0];
    unsigned i = 0;

    if (ring->next[GW_NEXT_MAX - 1] != NULL) {
        take_out_of_next(ring, oldest);
        destroy(session, oldest);
    }
    while (ring->next[i] != NULL)
        i++;
    ring->next[i] = kp;
}

/* The peer uses kp, so what it did not take up before will never be used. */
static void drop_next_before(struct gw_session *session, const struct gw_keypair *kp)
{
    struct gw_keyring *ring = &session->keyring;

    for (unsigned i = 0; i < GW_NEXT_MAX && ring->next[i] != NULL;) {
        struct gw_keypair *other = ring->next[i];

        if (other->is_initiator != kp->is_initiator || gw_mono_before(kp->born, other->born)) {
            i++;
            continue;
        }
        take_out_of_next(ring, other);
        retire(session, other);
    }
}

/* ---- current */

static void make_current(struct gw_session *session, struct gw_keypair *kp, struct gw_mono now)
{
    const struct gw_session_events *events = session->events;
    struct gw_keyring *ring = &session->keyring;
    struct gw_keypair *dying = ring->previous == kp ? NULL : ring->previous;

    take_out_of_next(ring, kp);
    ring->previous = ring->current;
    ring->current = kp;
    retire(session, dying);
    drop_next_before(session, kp);
    session->psk_in_use = session->psk_turn = kp->psk;
    session->counts.last_handshake = kp->born;
    gw_timers_current_changed(session, now);
    if (events != NULL && events->on_keypair != NULL)
        events->on_keypair(session, kp, events->ctx);
}

static bool have_crossed(const struct gw_keypair *a, const struct gw_keypair *b)
{
    const int64_t apart = gw_mono_sub(a->born, b->born);

    return a->is_initiator != b->is_initiator && apart >= -GW_CROSSING_WINDOW && apart <= GW_CROSSING_WINDOW;
}

/* Of two that crossed, the one initiated by the lower static key. */
static bool is_preferred(const struct gw_session *session, const struct gw_keypair *kp)
{
    const bool we_are_lower = memcmp(session->local->public_key, session->remote_public, GW_KEY_LEN) < 0;

    return kp->is_initiator == we_are_lower;
}

/* The peer speaks on the other one for longer than a confirmation takes: it does not have this one (it restarted, say). */
static bool has_gone_quiet(const struct gw_session *session, const struct gw_keypair *kp, struct gw_mono now)
{
    const int64_t rtts = 3 * session->counts.handshake_rtt_ns;

    return gw_mono_sub(now, kp->last_received) > (rtts > GW_CROSSING_PATIENCE ? rtts : GW_CROSSING_PATIENCE);
}

/* Should this confirmed key pair replace the current one? */
static bool is_better(const struct gw_session *session, const struct gw_keypair *kp, struct gw_mono now)
{
    const struct gw_keypair *current = gw_keyring_sending(&session->keyring, now);

    if (current == NULL)
        return true;
    if (have_crossed(kp, current))
        return is_preferred(session, kp) || has_gone_quiet(session, current, now);
    return gw_mono_before(current->born, kp->born);
}

void gw_keyring_add_initiated(struct gw_session *session, struct gw_keypair *kp, struct gw_mono now)
{
    kp->is_confirmed = true;
    if (is_better(session, kp, now))
        make_current(session, kp, now);
    else
        push_next(session, kp);
    gw_keyring_sweep(session);
}

void gw_keyring_add_responded(struct gw_session *session, struct gw_keypair *kp)
{
    push_next(session, kp);
    gw_keyring_sweep(session);
}

bool gw_keyring_received(struct gw_session *session, struct gw_keypair *kp, struct gw_mono now)
{
    const bool is_news = !kp->is_confirmed;

    kp->is_confirmed = true;
    if (kp != session->keyring.current && !kp->is_retired && is_better(session, kp, now))
        make_current(session, kp, now);
    kp->last_received = now;
    return is_news;
}
