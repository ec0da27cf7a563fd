/* SPDX-License-Identifier: MIT */
/* A key pair: the two transport keys of one handshake with their counters, replay window, birth date and exporter
 * (WireGuard paper 5.4.5-5.4.6; docs/PROTOCOL.md "Sealing"). Created by noise.c, owned by gw_session, found by its
 * local index. Seals and opens datagrams of type 4 and 5; knows nothing of timers, addresses or frames. */
#ifndef GATEWAY_SESSION_KEYPAIR_H
#define GATEWAY_SESSION_KEYPAIR_H

#include "gateway/base/list.h"
#include "gateway/base/lock.h"
#include "gateway/base/map.h"
#include "gateway/base/mono.h"
#include "gateway/session/crypto.h"
#include "gateway/session/replay.h"
#include "gateway/wire/cursor.h"

#include <stdatomic.h>

struct gw_session;
struct gw_noise_keys;

#define GW_REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13))
#define GW_REJECT_AFTER_TIME GW_S(180)
#define GW_REKEY_AFTER_MESSAGES (UINT64_C(1) << 60)
#define GW_DATA_HEADER_LEN 16u
#define GW_KEYPAIR_SHARERS_MAX 64u /* threads that may use one key pair at a time */
#define GW_KEYPAIR_BATCH_MAX 64u   /* counters taken at a time: a train's */

/* What of a transport packet is not inner bytes: 32 for type 4, 48 for type 5. */
static inline size_t gw_suite_overhead(enum gw_suite suite)
{
    return GW_DATA_HEADER_LEN + (suite == GW_SUITE_CHACHA20_POLY1305 ? GW_TAG_LEN_CHACHA : GW_TAG_LEN_AEGIS);
}

/* Inner bytes that fit in a datagram of `payload` bytes. */
static inline size_t gw_suite_room(enum gw_suite suite, size_t payload)
{
    return payload - gw_suite_overhead(suite);
}

/* One direction's. The AEGIS ones are derived from the exporter when first needed. */
struct gw_keypair_keys {
    uint8_t chacha[32];
    uint8_t aegis128l[16 + 8]; /* key || iv; nonce = counter le64 || iv */
    uint8_t aegis256[32 + 24];
};

struct gw_keypair {
    struct gw_map_node by_index; /* in gw_session_local.keypairs, key = local_index */
    uint32_t local_index, remote_index;
    struct gw_session *session;
    const struct gw_crypto *crypto;
    struct gw_mono born;
    bool is_initiator;
    bool is_retired;              /* about to die: opens what is under way, and is never chosen */
    bool is_confirmed;            /* the peer is known to have it: we got its response, or a packet on it */
    uint8_t derived_suites;       /* bits: the AEGIS keys that are there */
    struct gw_mono last_received; /* on this key pair; its birth before that */
    uint8_t psk;                  /* place in the session's list of the PSK that made it */
    bool is_shared;               /* lanes seal and open with it, too: gw_keypair_share */
    /* The next to use, for both types. Only gw_keypair_take_counters changes it. */
    _Atomic uint64_t send_counter;
    struct gw_replay replay;
    struct gw_lock lock;  /* guards replay while is_shared */
    struct gw_list limbo; /* out of every table, and waiting for the lanes to look away */
    struct gw_keypair_keys send, receive;
    uint8_t exporter[GW_HASH_LEN];       /* X; wiped with the key pair */
    uint8_t handshake_hash[GW_HASH_LEN]; /* H, public but bound to this handshake */

    /* What HELLO said on this very key pair; written by peer/hello.c, zero at birth. */
    bool has_hello;
    uint8_t peer_suites; /* bits; type 5 may be sent with these */
    uint64_t peer_instance;
};

/* Everything zero but what the arguments say. Indices are in host order. */
void gw_keypair_init(struct gw_keypair *kp, const struct gw_crypto *crypto, const struct gw_noise_keys *keys,
                     bool is_initiator, uint32_t local_index, uint32_t remote_index, struct gw_mono born);
void gw_keypair_wipe(struct gw_keypair *kp);

/* From now on up to GW_KEYPAIR_SHARERS_MAX threads may use the functions below at a time. All keys are derived here, so that afterwards only the counter
 * (atomic) and the window (under the lock) change of what they read; everything else in the struct stays the engine's alone. For good. */
void gw_keypair_share(struct gw_keypair *kp);

/* export(label, context, n): HKDF-BLAKE2s over X, info = label || 00 || context. label is NUL-terminated ASCII; context_len <= 128, len <= 255 * 32. */
void gw_keypair_export(const struct gw_keypair *kp, const char *label, const void *context,
                       size_t context_len, uint8_t *out, size_t len);

/* Takes `count` (1 to GW_KEYPAIR_BATCH_MAX) counters in a row, *first and those behind it, which nobody else ever gets. false: the key pair has
 * sent GW_REJECT_AFTER_MESSAGES. What is not used of them is lost, and that is all. */
__attribute__((warn_unused_result)) bool gw_keypair_take_counters(struct gw_keypair *kp, unsigned count,
                                                                  uint64_t *first);
/* Length of the datagram that plain_len inner bytes become where there is room for `cap` bytes, and they fit. */
static inline size_t gw_keypair_sealed_len(enum gw_suite suite, size_t plain_len, size_t cap)
{
    size_t padded = suite == GW_SUITE_CHACHA20_POLY1305 ? (plain_len + 15) & ~(size_t)15 : plain_len;
    size_t len = padded + gw_suite_overhead(suite);
    return len < cap ? len : cap;
}
/* As gw_keypair_seal, with a counter that was taken for this datagram and is used for no other. */
size_t gw_keypair_seal_as(struct gw_keypair *kp, enum gw_suite suite, uint8_t *slot, size_t cap,
                          size_t plain_len, uint64_t counter);

/* Seals slot[16 .. 16 + plain_len) in place, writes header and tag, counts the counter up. CHACHA20_POLY1305 makes a
 * type 4 datagram padded with zeros to 16 bytes as far as cap allows, the others type 5 without padding. `cap` is the room in slot; returns the
 * datagram's length, 0 when it does not fit or the key pair has sent GW_REJECT_AFTER_MESSAGES. plain_len 0 is a keepalive. */
size_t gw_keypair_seal(struct gw_keypair *kp, enum gw_suite suite, uint8_t *slot, size_t cap,
                       size_t plain_len);

/* The same with the inner bytes elsewhere: plain[0 .. plain_len), which is not in slot, is only read. */
size_t gw_keypair_seal_from(struct gw_keypair *kp, enum gw_suite suite, uint8_t *slot, size_t cap,
                            const uint8_t *plain, size_t plain_len);

/* Opens a type 4 or 5 datagram in place: length, suite, replay check, tag, then the window moves. On 0 *plain is the inner bytes
 * (within datagram; len 0 = keepalive; type 4 padding included), *is_highest as in gw_replay_accept. Else GW_E_MALFORMED, GW_E_AUTH,
 * GW_E_REPLAY and nothing changed. Does not look at the key pair's age. */
__attribute__((warn_unused_result)) int gw_keypair_open(struct gw_keypair *kp, uint8_t *datagram, size_t len,
                                                        struct gw_view *plain, bool *is_highest);

/* The halves of gw_keypair_open, for a whole train: first each datagram by itself (0, GW_E_MALFORMED, GW_E_AUTH, GW_E_REPLAY when no
 * counter can be that high) ... */
__attribute__((warn_unused_result)) int gw_keypair_decrypt(struct gw_keypair *kp, uint8_t *datagram,
                                                           size_t len, struct gw_view *plain,
                                                           uint64_t *counter);
/* ... then the window for all of them, under one lock: is_new[i] says whether counters[i] was not seen before. true: one of them is above all
 * before it. A datagram that is not new is a replay: nothing of it may be used. */
bool gw_keypair_accept(struct gw_keypair *kp, const uint64_t *counters, bool *is_new, unsigned count);

#endif
