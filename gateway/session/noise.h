/* SPDX-License-Identifier: MIT */
/* Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s as WireGuard uses it (paper 5.4.2 to 5.4.5):
 *
 *     <- s
 *     ...
 *     -> e, es, s, ss, {timestamp}          initiation
 *     <- e, ee, se, psk, {}                 response
 *
 * Pure functions from keys and bytes to keys and bytes: no session, no clock, no randomness (ephemeral keys are arguments).
 * Every create_ and consume_ works in locals and writes its results in one block at the end; a false leaves them alone. */
#ifndef GATEWAY_SESSION_NOISE_H
#define GATEWAY_SESSION_NOISE_H

#include "gateway/base/map.h"
#include "gateway/base/mono.h"
#include "gateway/session/crypto.h"
#include "gateway/session/tai64n.h"
#include "gateway/wire/message.h"

struct gw_session;

/* Ours: borrowed pointers. */
struct gw_noise_self {
    const struct gw_crypto *crypto;
    const uint8_t *secret, *public_key;
};

/* C and H of the pattern. */
struct gw_noise_state {
    uint8_t chaining_key[GW_HASH_LEN];
    uint8_t hash[GW_HASH_LEN];
};

/* An initiation of ours that may still be answered. */
struct gw_noise_initiator {
    struct gw_map_node by_index; /* in gw_session_local.handshakes while is_waiting, key = local_index */
    struct gw_session *session;
    bool is_waiting;
    uint32_t local_index;
    uint64_t number; /* counts the session's initiations up */
    struct gw_mono sent;
    uint8_t ephemeral_secret[GW_KEY_LEN];
    uint8_t mac1[GW_MAC_LEN]; /* a cookie reply is sealed to it */
    struct gw_noise_state state;
};

/* An initiation of the peer's between consuming it and answering. */
struct gw_noise_responder {
    uint32_t remote_index;
    uint8_t remote_static[GW_KEY_LEN];
    uint8_t remote_ephemeral[GW_KEY_LEN];
    struct gw_noise_state state;
};

/* What a handshake yields. */
struct gw_noise_keys {
    uint8_t send[GW_KEY_LEN], receive[GW_KEY_LEN]; /* WireGuard's transport keys */
    uint8_t exporter[GW_HASH_LEN];                 /* X */
    uint8_t hash[GW_HASH_LEN];                     /* H */
};

struct gw_noise_remote {
    const uint8_t *public_key;
    const uint8_t *static_static; /* DH(our static, theirs) */
};

/* Fills all of msg but the macs, and ephemeral_secret, local_index and state of slot. False: the peer's key is of small order. */
__attribute__((warn_unused_result)) bool gw_noise_create_initiation(
    const struct gw_noise_self *self, const struct gw_noise_remote *remote,
    const uint8_t ephemeral_secret[GW_KEY_LEN], const uint8_t timestamp[GW_TAI64N_LEN], uint32_t local_index,
    struct gw_noise_initiator *slot, struct gw_initiation *msg);

/* In two steps, because DH(our static, theirs) is known only to the one who knows the peer: e, es, s ... */
__attribute__((warn_unused_result)) bool gw_noise_consume_initiation(const struct gw_noise_self *self,
                                                                     const struct gw_initiation *msg,
                                                                     struct gw_noise_responder *slot);
/* ... then ss and the timestamp; only now is the sender known to hold slot->remote_static's secret. */
__attribute__((warn_unused_result)) bool gw_noise_consume_timestamp(const struct gw_noise_self *self,
                                                                    const struct gw_initiation *msg,
                                                                    const uint8_t static_static[GW_KEY_LEN],
                                                                    struct gw_noise_responder *slot,
                                                                    uint8_t timestamp[GW_TAI64N_LEN]);

/* Fills all of msg but the macs, and keys as the responder's. False: a key of the peer's is of small order. */
__attribute__((warn_unused_result)) bool gw_noise_create_response(
    const struct gw_noise_self *self, const struct gw_noise_responder *slot, const uint8_t psk[GW_KEY_LEN],
    const uint8_t ephemeral_secret[GW_KEY_LEN], uint32_t local_index, struct gw_response *msg,
    struct gw_noise_keys *keys);

/* psks: psk_count keys of 32 bytes, at least one; the responder chose one, only the psk token is repeated for each. *psk_used: which. */
__attribute__((warn_unused_result)) bool gw_noise_consume_response(
    const struct gw_noise_self *self, const struct gw_noise_initiator *slot, const struct gw_response *msg,
    const uint8_t (*psks)[GW_KEY_LEN], unsigned psk_count, unsigned *psk_used, struct gw_noise_keys *keys);

#endif
