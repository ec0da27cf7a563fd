/* SPDX-License-Identifier: MIT */
/* Words as in the Noise specification and WireGuard's paper: C the chaining key, H the hash, k a key that is used once with nonce 0. */
#include "gateway/session/noise.h"

#include "gateway/base/secret.h"
#include "gateway/wire/cursor.h"

#include <string.h>

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";
static const char exporter_label[] = "peergate exporter v1";
static const uint8_t nonce_zero[12];

/* ---- the symmetric state */

/* H = HASH(H || data) */
static void mix_hash(struct gw_noise_state *state, const void *data, size_t len)
{
    gw_hash(state->hash, state->hash, sizeof state->hash, data, len);
}

/* C = KDF1(C, data), or with k (C, k) = KDF2(C, data) */
static void mix_key(struct gw_noise_state *state, uint8_t *k, const void *data, size_t len)
{
    gw_kdf(state->chaining_key, k, NULL, state->chaining_key, data, len);
}

/* (C, tau, k) = KDF3(C, psk), H = HASH(H || tau) */
static void mix_psk(struct gw_noise_state *state, uint8_t k[GW_KEY_LEN], const uint8_t psk[GW_KEY_LEN])
{
    uint8_t tau[GW_HASH_LEN];

    gw_kdf(state->chaining_key, tau, k, state->chaining_key, psk, GW_KEY_LEN);
    mix_hash(state, tau, sizeof tau);
    gw_wipe(tau, sizeof tau);
}

/* (C, k) = KDF2(C, DH(secret, public_key)); false when the DH is all zeros */
static bool mix_dh(const struct gw_crypto *crypto, struct gw_noise_state *state, uint8_t *k,
                   const uint8_t *secret, const uint8_t *public_key)
{
    uint8_t shared[GW_KEY_LEN];
    const bool is_good = crypto->dh(shared, secret, public_key);

    if (is_good)
        mix_key(state, k, shared, sizeof shared);
    gw_wipe(shared, sizeof shared);
    return is_good;
}

/* The key e: C = KDF1(C, e), H = HASH(H || e) */
static void mix_ephemeral(struct gw_noise_state *state, const uint8_t public_key[GW_KEY_LEN])
{
    mix_key(state, NULL, public_key, GW_KEY_LEN);
    mix_hash(state, public_key, GW_KEY_LEN);
}

/* out = AEAD(k, 0, in, H) with its tag behind, H = HASH(H || out) */
static void encrypt_and_hash(const struct gw_crypto *crypto, struct gw_noise_state *state, const uint8_t *k,
                             uint8_t *out, const uint8_t *in, size_t len)
{
    crypto->aead[GW_SUITE_CHACHA20_POLY1305].seal(out, out + len, in, len, state->hash, sizeof state->hash,
                                                  nonce_zero, k);
    mix_hash(state, out, len + GW_TAG_LEN_CHACHA);
}

/* in has len + 16 bytes */
static bool decrypt_and_hash(const struct gw_crypto *crypto, struct gw_noise_state *state, const uint8_t *k,
                             uint8_t *out, const uint8_t *in, size_t len)
{
    if (!crypto->aead[GW_SUITE_CHACHA20_POLY1305].open(out, in, len, in + len, state->hash,
                                                       sizeof state->hash, nonce_zero, k))
        return false;
    mix_hash(state, in, len + GW_TAG_LEN_CHACHA);
    return true;
}

/* C = HASH(construction), H = HASH(HASH(C || identifier) || the responder's public key) */
static void start(struct gw_noise_state *state, const uint8_t responder_public[GW_KEY_LEN])
{
    gw_hash(state->chaining_key, construction, sizeof construction - 1, NULL, 0);
    memcpy(state->hash, state->chaining_key, sizeof state->hash);
    mix_hash(state, identifier, sizeof identifier - 1);
    mix_hash(state, responder_public, GW_KEY_LEN);
}

/* X = HMAC(C, label || H), then (T initiator, T responder) = KDF2(C, ""). */
static void split(struct gw_noise_state *state, bool is_initiator, struct gw_noise_keys *keys)
{
    uint8_t input[sizeof exporter_label - 1 + GW_HASH_LEN];

    memcpy(input, exporter_label, sizeof exporter_label - 1);
    memcpy(input + sizeof exporter_label - 1, state->hash, GW_HASH_LEN);
    gw_hmac(keys->exporter, state->chaining_key, sizeof state->chaining_key, input, sizeof input);
    gw_kdf(is_initiator ? keys->send : keys->receive, is_initiator ? keys->receive : keys->send, NULL,
           state->chaining_key, NULL, 0);
    memcpy(keys->hash, state->hash, sizeof keys->hash);
}

/* ---- the initiation */

bool gw_noise_create_initiation(const struct gw_noise_self *self, const struct gw_noise_remote *remote,
                                const uint8_t ephemeral_secret[GW_KEY_LEN],
                                const uint8_t timestamp[GW_TAI64N_LEN], uint32_t local_index,
                                struct gw_noise_initiator *slot, struct gw_initiation *msg)
{
    const struct gw_crypto *crypto = self->crypto;
    struct gw_noise_state state;
    uint8_t k[GW_KEY_LEN];
    bool is_good = false;

    memcpy(msg->type, (const uint8_t[4]){GW_MESSAGE_INITIATION, 0, 0, 0}, sizeof msg->type);
    gw_store32_le(msg->sender, local_index);
    start(&state, remote->public_key);

    /* e */
    crypto->dh_public(msg->ephemeral, ephemeral_secret);
    mix_ephemeral(&state, msg->ephemeral);
    /* es */
    if (!mix_dh(crypto, &state, k, ephemeral_secret, remote->public_key))
        goto out;
    /* s */
    encrypt_and_hash(crypto, &state, k, msg->encrypted_static, self->public_key, GW_KEY_LEN);
    /* ss */
    mix_key(&state, k, remote->static_static, GW_KEY_LEN);
    /* {t} */
    encrypt_and_hash(crypto, &state, k, msg->encrypted_timestamp, timestamp, GW_TAI64N_LEN);

    slot->local_index = local_index;
    memcpy(slot->ephemeral_secret, ephemeral_secret, sizeof slot->ephemeral_secret);
    slot->state = state;
    is_good = true;
out:
    gw_wipe(k, sizeof k);
    gw_wipe(&state, sizeof state);
    return is_good;
}

bool gw_noise_consume_initiation(const struct gw_noise_self *self, const struct gw_initiation *msg,
                                 struct gw_noise_responder *slot)
{
    const struct gw_crypto *crypto = self->crypto;
    struct gw_noise_state state;
    uint8_t k[GW_KEY_LEN], remote_static[GW_KEY_LEN];
    bool is_good = false;

    start(&state, self->public_key);

    /* e */
    mix_ephemeral(&state, msg->ephemeral);
    /* es */
    if (!mix_dh(crypto, &state, k, self->secret, msg->ephemeral))
        goto out;
    /* s */
    if (!decrypt_and_hash(crypto, &state, k, remote_static, msg->encrypted_static, sizeof remote_static))
        goto out;

    slot->remote_index = gw_load32_le(msg->sender);
    memcpy(slot->remote_static, remote_static, sizeof slot->remote_static);
    memcpy(slot->remote_ephemeral, msg->ephemeral, sizeof slot->remote_ephemeral);
    slot->state = state;
    is_good = true;
out:
    gw_wipe(k, sizeof k);
    gw_wipe(&state, sizeof state);
    return is_good;
}

bool gw_noise_consume_timestamp(const struct gw_noise_self *self, const struct gw_initiation *msg,
                                const uint8_t static_static[GW_KEY_LEN], struct gw_noise_responder *slot,
                                uint8_t timestamp[GW_TAI64N_LEN])
{
    struct gw_noise_state state = slot->state;
    uint8_t k[GW_KEY_LEN], stamp[GW_TAI64N_LEN];
    bool is_good = false;

    /* ss */
    mix_key(&state, k, static_static, GW_KEY_LEN);
    /* {t} */
    if (!decrypt_and_hash(self->crypto, &state, k, stamp, msg->encrypted_timestamp, sizeof stamp))
        goto out;

    memcpy(timestamp, stamp, sizeof stamp);
    slot->state = state;
    is_good = true;
out:
    gw_wipe(k, sizeof k);
    gw_wipe(&state, sizeof state);
    return is_good;
}

/* ---- the response */

bool gw_noise_create_response(const struct gw_noise_self *self, const struct gw_noise_responder *slot,
                              const uint8_t psk[GW_KEY_LEN], const uint8_t ephemeral_secret[GW_KEY_LEN],
                              uint32_t local_index, struct gw_response *msg, struct gw_noise_keys *keys)
{
    const struct gw_crypto *crypto = self->crypto;
    struct gw_noise_state state = slot->state;
    uint8_t k[GW_KEY_LEN];
    bool is_good = false;

    memcpy(msg->type, (const uint8_t[4]){GW_MESSAGE_RESPONSE, 0, 0, 0}, sizeof msg->type);
    gw_store32_le(msg->sender, local_index);
    gw_store32_le(msg->receiver, slot->remote_index);

    /* e */
    crypto->dh_public(msg->ephemeral, ephemeral_secret);
    mix_ephemeral(&state, msg->ephemeral);
    /* ee */
    if (!mix_dh(crypto, &state, NULL, ephemeral_secret, slot->remote_ephemeral))
        goto out;
    /* se */
    if (!mix_dh(crypto, &state, NULL, ephemeral_secret, slot->remote_static))
        goto out;
    /* psk */
    mix_psk(&state, k, psk);
    /* {} */
    encrypt_and_hash(crypto, &state, k, msg->encrypted_nothing, msg->encrypted_nothing, 0);

    split(&state, false, keys);
    is_good = true;
out:
    gw_wipe(k, sizeof k);
    gw_wipe(&state, sizeof state);
    return is_good;
}

/* psk and {}, for one psk: the only part of the response that depends on it. */
static bool try_psk(const struct gw_crypto *crypto, const struct gw_noise_state *before,
                    const struct gw_response *msg, const uint8_t psk[GW_KEY_LEN],
                    struct gw_noise_state *after)
{
    uint8_t k[GW_KEY_LEN], nothing[1];
    bool is_good;

    *after = *before;
    /* psk */
    mix_psk(after, k, psk);
    /* {} */
    is_good = decrypt_and_hash(crypto, after, k, nothing, msg->encrypted_nothing, 0);
    gw_wipe(k, sizeof k);
    return is_good;
}

bool gw_noise_consume_response(const struct gw_noise_self *self, const struct gw_noise_initiator *slot,
                               const struct gw_response *msg, const uint8_t (*psks)[GW_KEY_LEN],
                               unsigned psk_count, unsigned *psk_used, struct gw_noise_keys *keys)
{
    struct gw_noise_state state = slot->state, after;
    bool is_good = false;
    unsigned i;

    /* e */
    mix_ephemeral(&state, msg->ephemeral);
    /* ee */
    if (!mix_dh(self->crypto, &state, NULL, slot->ephemeral_secret, msg->ephemeral))
        goto out;
    /* se */
    if (!mix_dh(self->crypto, &state, NULL, self->secret, msg->ephemeral))
        goto out;
    /* psk, {} */
    for (i = 0; i < psk_count && !is_good; i++)
        is_good = try_psk(self->crypto, &state, msg, psks[i], &after);

    if (is_good) {
        *psk_used = i - 1;
        split(&after, true, keys);
    }
    gw_wipe(&after, sizeof after);
out:
    gw_wipe(&state, sizeof state);
    return is_good;
}
