/* SPDX-License-Identifier: MIT */
#include "gateway/session/session_private.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STATIC_INFO_MAX 192u

const char *const gw_session_state_names[5] = {"idle", "handshaking", "established", "stale", "failed"};
_Static_assert(GW_SESSION_FAILED == 4, "gw_session_state_names");

/* ---- our side */

static void init_map(struct gw_session_local *local, struct gw_map *map, size_t key_len)
{
    uint8_t seed[16];

    gw_random_fill(local->random, seed, sizeof seed);
    gw_map_init(map, key_len, seed);
}

int gw_session_local_init(struct gw_session_local *local, const struct gw_crypto *crypto,
                          struct gw_random *random, struct gw_wallclock *wallclock,
                          struct gw_deadlines *deadlines, const uint8_t secret[GW_KEY_LEN])
{
    if (gw_is_zero(secret, GW_KEY_LEN))
        return GW_E_INVAL;
    memset(local, 0, sizeof *local);
    local->crypto = crypto;
    local->random = random;
    local->wallclock = wallclock;
    local->deadlines = deadlines;
    memcpy(local->secret, secret, GW_KEY_LEN);
    crypto->dh_public(local->public_key, secret);
    init_map(local, &local->keypairs, sizeof(uint32_t));
    init_map(local, &local->handshakes, sizeof(uint32_t));
    init_map(local, &local->sessions, GW_KEY_LEN);
    gw_cookie_checker_init(&local->cookies, crypto, random, local->public_key);
    gw_tai64n_init(&local->tai64n, (struct gw_wall){0, 0});
    local->suites = crypto->fast_suites;
    return 0;
}

void gw_session_local_fini(struct gw_session_local *local)
{
    assert(local->sessions.len == 0);
    gw_map_fini(&local->keypairs);
    gw_map_fini(&local->handshakes);
    gw_map_fini(&local->sessions);
    gw_cookie_checker_fini(&local->cookies);
    gw_wipe(local, sizeof *local);
}

uint32_t gw_session_new_index(struct gw_session_local *local)
{
    uint32_t index;

    do
        index = gw_random_u32(local->random);
    while (gw_map_find(&local->keypairs, &index) != NULL || gw_map_find(&local->handshakes, &index) != NULL);
    return index;
}

/* ---- birth and death */

/* Below p = 2^255 - 19: X25519 takes other spellings of a key for the same, we do not, or one key would be two peers. */
static bool is_canonical(const uint8_t public_key[GW_KEY_LEN])
{
    if (public_key[GW_KEY_LEN - 1] != 0x7f)
        return public_key[GW_KEY_LEN - 1] < 0x7f;
    for (unsigned i = GW_KEY_LEN - 2; i > 0; i--) {
        if (public_key[i] != 0xff)
            return true;
    }
    return public_key[0] < 0xed;
}

static void set_psks(struct gw_session *session, const uint8_t (*psks)[GW_KEY_LEN], unsigned psk_count)
{
    assert(psk_count <= GW_PSK_MAX);
    gw_wipe(session->psks, sizeof session->psks);
    if (psk_count > 0)
        memcpy(session->psks, psks, psk_count * sizeof *psks);
    session->psk_count = psk_count > 0 ? psk_count : 1;
    session->psk_turn = session->psk_in_use = 0;
    session->is_psk_pending = false;
}

static void set_params(struct gw_session *session, const struct gw_session_params *params)
{
    memcpy(session->remote_public, params->remote_public, GW_KEY_LEN);
    set_psks(session, params->psks, params->psk_count);
    session->persistent_keepalive_ns = params->persistent_keepalive_ns;
    gw_session_set_connection_timeout(session, params->connection_timeout_ns);
    session->events = params->events;
    session->owner = params->owner;
}

/* What can fail: the key, and the places in the tables. */
static int enter(struct gw_session *session)
{
    struct gw_session_local *local = session->local;
    int err;

    if (!is_canonical(session->remote_public) ||
        memcmp(session->remote_public, local->public_key, GW_KEY_LEN) == 0)
        return GW_E_INVAL;
    if (!local->crypto->dh(session->static_static, local->secret, session->remote_public))
        return GW_E_INVAL;
    err = gw_deadlines_reserve(local->deadlines);
    if (err != 0)
        return err;
    err = gw_map_insert(&local->sessions, &session->by_key, session->remote_public);
    if (err != 0)
        gw_deadlines_release(local->deadlines);
    return err;
}

int gw_session_new(struct gw_session **out, struct gw_session_local *local,
                   const struct gw_session_params *params, struct gw_mono now)
{
    struct gw_session *session = calloc(1, sizeof *session);
    int err;

    if (session == NULL)
        return GW_E_NOMEM;
    session->local = local;
    set_params(session, params);
    err = enter(session);
    if (err != 0) {
        gw_wipe(session, sizeof *session);
        free(session);
        return err;
    }
    gw_cookie_init(&session->cookie, session->remote_public);
    session->initiation_sent = session->initiation_consumed = GW_NEVER;
    session->counts.last_handshake = session->counts.last_received = GW_NEVER;
    session->state_since = now;
    gw_timers_init(session, now);
    *out = session;
    return 0;
}

void gw_session_free(struct gw_session *session)
{
    struct gw_session_local *local = session->local;

    gw_timers_fini(session);
    gw_keyring_clear(session);
    (void)gw_session_forget_initiations(session, GW_NEVER);
    gw_deadlines_release(local->deadlines);
    gw_map_remove(&local->sessions, &session->by_key);
    gw_wipe(session, sizeof *session);
    free(session);
}

struct gw_session *gw_session_find(struct gw_session_local *local, const uint8_t remote_public[GW_KEY_LEN])
{
    struct gw_map_node *node = gw_map_find(&local->sessions, remote_public);

    return node == NULL ? NULL : gw_map_entry(node, struct gw_session, by_key);
}

void *gw_session_owner(const struct gw_session *session)
{
    return session->owner;
}

const uint8_t *gw_session_remote_public(const struct gw_session *session)
{
    return session->remote_public;
}

void gw_session_set_psks(struct gw_session *session, const uint8_t (*psks)[GW_KEY_LEN], unsigned psk_count)
{
    set_psks(session, psks, psk_count);
}

void gw_session_set_persistent_keepalive(struct gw_session *session, int64_t interval_ns, struct gw_mono now)
{
    if (session->persistent_keepalive_ns == interval_ns)
        return;
    session->persistent_keepalive_ns = interval_ns;
    gw_timers_keepalive_interval_changed(session, now);
}

void gw_session_set_connection_timeout(struct gw_session *session, int64_t timeout_ns)
{
    session->connection_timeout_ns = timeout_ns > 0 ? timeout_ns : GW_CONNECTION_TIMEOUT;
}

/* ---- state */

static enum gw_session_state work_out_state(const struct gw_session *session, struct gw_mono now)
{
    const struct gw_timers *timers = &session->timers;

    if (timers->has_failed)
        return GW_SESSION_FAILED;
    if (gw_timers_have_key(session, now))
        return timers->is_stale ? GW_SESSION_STALE : GW_SESSION_ESTABLISHED;
    return gw_mono_is_never(timers->give_up_at) ? GW_SESSION_IDLE : GW_SESSION_HANDSHAKING;
}

void gw_session_update_state(struct gw_session *session, struct gw_mono now)
{
    const struct gw_session_events *events = session->events;
    const enum gw_session_state old = session->state;
    const enum gw_session_state state = work_out_state(session, now);

    if (state == old)
        return;
    session->state = state;
    session->state_since = now;
    if (events != NULL && events->on_state != NULL)
        events->on_state(session, old, state, events->ctx);
}

/* ---- transport */

void gw_session_want_send(struct gw_session *session, struct gw_mono now)
{
    gw_timers_send_wanted(session, now);
}

struct gw_keypair *gw_session_sending_key(struct gw_session *session, struct gw_mono now)
{
    return gw_keyring_sending(&session->keyring, now);
}

struct gw_keypair *gw_session_receiving_key(struct gw_session_local *local, uint32_t index,
                                            struct gw_mono now)
{
    struct gw_map_node *node = gw_map_find(&local->keypairs, &index);
    struct gw_keypair *kp = node == NULL ? NULL : gw_map_entry(node, struct gw_keypair, by_index);

    return kp != NULL && gw_keypair_is_young(kp, now) ? kp : NULL;
}

void gw_session_packets_sent(struct gw_session *session, struct gw_keypair *kp, struct gw_mono now,
                             bool is_data, uint64_t bytes)
{
    session->counts.bytes_sent += bytes;
    gw_timers_packets_sent(session, kp, now, is_data);
}

void gw_session_packets_received(struct gw_session *session, struct gw_keypair *kp, struct gw_mono now,
                                 bool is_data, uint64_t bytes)
{
    session->counts.bytes_received += bytes;
    if (gw_keyring_received(session, kp, now) && !kp->is_initiator) {
        session->is_psk_pending = false;
        gw_timers_handshake_complete(session, now);
    }
    gw_timers_packets_received(session, kp, now, is_data);
    gw_session_update_state(session, now);
}

unsigned gw_session_wants(const struct gw_session *session)
{
    return session->wants;
}

void gw_session_kick(struct gw_session *session, struct gw_mono now)
{
    gw_timers_kicked(session, now);
}

void gw_session_ask_beside(struct gw_session *session, struct gw_mono now)
{
    gw_timers_hurried(session, now);
}

void gw_session_end(struct gw_session *session, struct gw_mono now)
{
    gw_keyring_clear(session);
    (void)gw_session_forget_initiations(session, GW_NEVER);
    gw_timers_ended(session, now);
}

void gw_session_leave(struct gw_session *session, struct gw_mono now)
{
    gw_keyring_end(session);
    (void)gw_session_forget_initiations(session, GW_NEVER);
    gw_timers_left(session, now);
}

void gw_session_doubt(struct gw_session *session, struct gw_mono now)
{
    gw_timers_doubted(session, now);
}

void gw_session_stats(const struct gw_session *session, struct gw_session_stats *out)
{
    *out = session->counts;
    out->state = session->state;
    out->state_since = session->state_since;
    out->missed_keepalives = session->timers.missed_keepalives;
    out->psk_in_use = session->psk_in_use;
}

static void kdf_of_dh(const uint8_t dh[GW_KEY_LEN], const char *label, const void *context,
                      size_t context_len, uint8_t out[GW_HASH_LEN])
{
    static const char salt[] = "peergate static v1";
    uint8_t secret[GW_HASH_LEN], info[STATIC_INFO_MAX];
    struct gw_writer w = gw_writer_of(info, sizeof info);

    gw_write_bytes(&w, label, strlen(label) + 1);
    gw_write_bytes(&w, context, context_len);
    assert(gw_writer_ok(&w));
    gw_hmac(secret, salt, sizeof salt - 1, dh, GW_KEY_LEN);
    gw_hkdf_expand(out, GW_HASH_LEN, secret, info, gw_writer_len(&w));
    gw_wipe(secret, sizeof secret);
}

void gw_session_static_kdf(const struct gw_session *session, const char *label, const void *context,
                           size_t context_len, uint8_t out[GW_HASH_LEN])
{
    kdf_of_dh(session->static_static, label, context, context_len, out);
}

bool gw_static_kdf(const struct gw_crypto *crypto, const uint8_t secret[GW_KEY_LEN],
                   const uint8_t public_key[GW_KEY_LEN], const char *label, const void *context,
                   size_t context_len, uint8_t out[GW_HASH_LEN])
{
    uint8_t dh[GW_KEY_LEN];
    bool is_good = crypto->dh(dh, secret, public_key);
    if (is_good)
        kdf_of_dh(dh, label, context, context_len, out);
    gw_wipe(dh, sizeof dh);
    return is_good;
}
