/* SPDX-License-Identifier: MIT */
/* Handshake messages meet the session: noise.c does the cryptography in locals, this file checks freshness and then commits everything in
 * one block. Ours and the peer's initiations have slots of their own, so crossing ones do not disturb each other. */
#include "gateway/session/session_private.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"

#include <string.h>

/* ---- our initiations */

static void forget(struct gw_session *session, struct gw_noise_initiator *slot)
{
    if (!slot->is_waiting)
        return;
    gw_map_remove(&session->local->handshakes, &slot->by_index);
    gw_wipe(slot, sizeof *slot);
}

struct gw_mono gw_session_forget_initiations(struct gw_session *session, struct gw_mono until)
{
    struct gw_mono oldest = GW_NEVER;

    for (unsigned i = 0; i < GW_INITIATORS; i++) {
        struct gw_noise_initiator *slot = &session->initiators[i];

        if (slot->is_waiting && gw_mono_due(slot->sent, until))
            forget(session, slot);
        if (slot->is_waiting)
            oldest = gw_mono_min(oldest, slot->sent);
    }
    return oldest;
}

/* The answered one and all before it. */
static void forget_up_to(struct gw_session *session, uint64_t number)
{
    for (unsigned i = 0; i < GW_INITIATORS; i++) {
        if (session->initiators[i].number <= number)
            forget(session, &session->initiators[i]);
    }
}

static bool is_within_spacing(struct gw_mono last, struct gw_mono now)
{
    return !gw_mono_is_never(last) && gw_mono_sub(now, last) < GW_INITIATION_SPACING;
}

/* Fills an empty slot and msg, macs included. */
static int fill_initiation(struct gw_session *session, struct gw_noise_initiator *slot, struct gw_mono now,
                           struct gw_initiation *msg)
{
    struct gw_session_local *local = session->local;
    const struct gw_noise_self self = gw_session_self(local);
    const struct gw_noise_remote remote = {session->remote_public, session->static_static};
    uint8_t ephemeral_secret[GW_KEY_LEN], timestamp[GW_TAI64N_LEN];
    int err;

    gw_random_fill(local->random, ephemeral_secret, sizeof ephemeral_secret);
    gw_tai64n_next(&local->tai64n, local->wallclock->read(local->wallclock), timestamp);
    err = gw_noise_create_initiation(&self, &remote, ephemeral_secret, timestamp, gw_session_new_index(local),
                                     slot, msg)
              ? gw_map_insert(&local->handshakes, &slot->by_index, &slot->local_index)
              : GW_E_INVAL;
    gw_wipe(ephemeral_secret, sizeof ephemeral_secret);
    if (err != 0) {
        gw_wipe(slot, sizeof *slot);
        return err;
    }
    gw_cookie_add_macs(&session->cookie, now, msg, sizeof *msg, slot->mac1);
    slot->session = session;
    slot->is_waiting = true;
    slot->number = ++session->initiation_number;
    slot->sent = now;
    return 0;
}

int gw_session_create_initiation(struct gw_session *session, struct gw_mono now, struct gw_initiation *msg)
{
    struct gw_noise_initiator *slot = &session->initiators[session->initiation_number % GW_INITIATORS];
    int err;

    session->wants &= ~(unsigned)GW_WANT_INITIATION;
    if (is_within_spacing(session->initiation_sent, now)) {
        gw_timers_initiation_deferred(session, now);
        return GW_E_LIMIT;
    }
    forget(session, slot);
    err = fill_initiation(session, slot, now, msg);
    session->initiation_sent = now;
    session->counts.handshakes_sent += err == 0;
    gw_timers_initiation_created(session, now); /* an error too is retried */
    return err;
}

/* ---- the peer's initiations */

static void count_replay(struct gw_session *session, const uint8_t timestamp[GW_TAI64N_LEN])
{
    int64_t behind;

    if (__builtin_sub_overflow(gw_tai64n_wall(session->greatest_timestamp).s, gw_tai64n_wall(timestamp).s,
                               &behind))
        behind = INT64_MAX;
    session->counts.handshakes_refused_as_replay++;
    if (behind > 1) {
        session->counts.handshakes_refused_clock++;
        session->counts.peer_clock_behind_s = behind;
    }
}

static int check_fresh(struct gw_session *session, const uint8_t timestamp[GW_TAI64N_LEN], struct gw_mono now)
{
    if (memcmp(timestamp, session->greatest_timestamp, GW_TAI64N_LEN) <= 0) {
        count_replay(session, timestamp);
        return GW_E_REPLAY;
    }
    return is_within_spacing(session->initiation_consumed, now) ? GW_E_LIMIT : 0;
}

/* The PSK for the next response: another one when the last response led to nothing. */
static unsigned choose_psk(const struct gw_session *session)
{
    return session->is_psk_pending ? (session->psk_turn + 1) % session->psk_count : session->psk_turn;
}

/* Makes the response and its key pair, and commits. */
static int respond(struct gw_session *session, const struct gw_noise_responder *slot,
                   const uint8_t timestamp[GW_TAI64N_LEN], struct gw_mono now, struct gw_response *msg)
{
    struct gw_session_local *local = session->local;
    const struct gw_noise_self self = gw_session_self(local);
    const uint32_t index = gw_session_new_index(local);
    const unsigned psk = choose_psk(session);
    uint8_t ephemeral_secret[GW_KEY_LEN];
    struct gw_noise_keys keys;
    struct gw_keypair *kp = NULL;
    int err = GW_E_AUTH;

    gw_random_fill(local->random, ephemeral_secret, sizeof ephemeral_secret);
    if (gw_noise_create_response(&self, slot, session->psks[psk], ephemeral_secret, index, msg, &keys)) {
        kp = gw_keyring_create(session, &keys, false, index, slot->remote_index, now);
        err = kp != NULL ? 0 : GW_E_NOMEM;
        gw_wipe(&keys, sizeof keys);
    }
    gw_wipe(ephemeral_secret, sizeof ephemeral_secret);
    if (err != 0)
        return err;

    kp->psk = (uint8_t)psk;
    memcpy(session->greatest_timestamp, timestamp, GW_TAI64N_LEN);
    session->initiation_consumed = now;
    session->psk_turn = psk;
    session->is_psk_pending = true;
    session->counts.handshakes_received++;
    session->counts.peer_clock_behind_s = 0;
    gw_cookie_add_macs(&session->cookie, now, msg, sizeof *msg, session->response_mac1);
    gw_keyring_add_responded(session, kp);
    gw_timers_keypair_derived(session, now);
    return 0;
}

/* The claimed sender is one whom we know. */
static int answer(struct gw_session *session, const struct gw_initiation *msg,
                  struct gw_noise_responder *slot, struct gw_mono now, struct gw_session **out,
                  struct gw_response *response)
{
    const struct gw_noise_self self = gw_session_self(session->local);
    uint8_t timestamp[GW_TAI64N_LEN];
    int err;

    if (!gw_noise_consume_timestamp(&self, msg, session->static_static, slot, timestamp))
        return GW_E_AUTH;
    *out = session;
    err = check_fresh(session, timestamp, now);
    return err != 0 ? err : respond(session, slot, timestamp, now, response);
}

int gw_session_consume_initiation(struct gw_session_local *local, const struct gw_initiation *msg,
                                  struct gw_mono now, struct gw_session **out, struct gw_response *response,
                                  uint8_t unknown_key[GW_KEY_LEN])
{
    const struct gw_noise_self self = gw_session_self(local);
    struct gw_noise_responder slot;
    struct gw_session *session;
    int err = GW_E_UNKNOWN;

    *out = NULL;
    if (!gw_noise_consume_initiation(&self, msg, &slot))
        return GW_E_AUTH;
    session = gw_session_find(local, slot.remote_static);
    if (session != NULL)
        err = answer(session, msg, &slot, now, out, response);
    else if (unknown_key != NULL)
        memcpy(unknown_key, slot.remote_static, GW_KEY_LEN);
    gw_wipe(&slot, sizeof slot);
    return err;
}

/* ---- responses and cookies */

static struct gw_noise_initiator *find_waiting(struct gw_session_local *local, const uint8_t index[4])
{
    const uint32_t key = gw_load32_le(index);
    struct gw_map_node *node = gw_map_find(&local->handshakes, &key);

    return node == NULL ? NULL : gw_map_entry(node, struct gw_noise_initiator, by_index);
}

struct gw_session *gw_session_of_initiation(struct gw_session_local *local, const struct gw_initiation *msg)
{
    const struct gw_noise_initiator *slot = find_waiting(local, msg->sender);

    return slot == NULL ? NULL : slot->session;
}

/* The handshake that slot began is done: kp is its key pair. */
static void commit_response(struct gw_session *session, const struct gw_noise_initiator *slot,
                            struct gw_keypair *kp, struct gw_mono now)
{
    session->counts.handshake_rtt_ns = gw_mono_sub(now, slot->sent);
    forget_up_to(session, slot->number);
    session->is_psk_pending = false;
    gw_timers_keypair_derived(session, now);
    gw_timers_response_received(session, now);
    gw_keyring_add_initiated(session, kp, now);
    gw_session_update_state(session, now);
}

int gw_session_consume_response(struct gw_session_local *local, const struct gw_response *msg,
                                struct gw_mono now, struct gw_session **out)
{
    const struct gw_noise_self self = gw_session_self(local);
    const struct gw_noise_initiator *slot = find_waiting(local, msg->receiver);
    struct gw_noise_keys keys;
    struct gw_session *session;
    struct gw_keypair *kp;
    unsigned psk;

    *out = NULL;
    if (slot == NULL)
        return GW_E_UNKNOWN;
    session = slot->session;
    *out = session;
    if (!gw_noise_consume_response(&self, slot, msg, (const uint8_t(*)[GW_KEY_LEN])session->psks,
                                   session->psk_count, &psk, &keys))
        return GW_E_AUTH;
    kp = gw_keyring_create(session, &keys, true, slot->local_index, gw_load32_le(msg->sender), now);
    gw_wipe(&keys, sizeof keys);
    if (kp == NULL)
        return GW_E_NOMEM;
    kp->psk = (uint8_t)psk;
    commit_response(session, slot, kp, now);
    return 0;
}

/* Whose message does the index name, and with which mac1? NULL: nobody's. */
static struct gw_session *find_asked(struct gw_session_local *local, const uint8_t index[4], uint8_t **mac1)
{
    struct gw_noise_initiator *slot = find_waiting(local, index);
    const uint32_t key = gw_load32_le(index);
    struct gw_map_node *node;
    struct gw_session *session;

    if (slot != NULL) {
        *mac1 = slot->mac1;
        return slot->session;
    }
    node = gw_map_find(&local->keypairs, &key);
    if (node == NULL)
        return NULL;
    session = gw_map_entry(node, struct gw_keypair, by_index)->session;
    *mac1 = session->response_mac1;
    return session;
}

int gw_session_consume_cookie(struct gw_session_local *local, const struct gw_cookie_reply *msg,
                              struct gw_mono now)
{
    uint8_t *mac1;
    struct gw_session *session = find_asked(local, msg->receiver, &mac1);

    if (session == NULL)
        return GW_E_UNKNOWN;
    if (!gw_cookie_consume_reply(&session->cookie, local->crypto, msg, mac1, now))
        return GW_E_AUTH;
    gw_wipe(mac1, GW_MAC_LEN); /* one reply for each message */
    return 0;
}
