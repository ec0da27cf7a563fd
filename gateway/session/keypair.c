/* SPDX-License-Identifier: MIT */
#include "gateway/session/keypair.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/session/noise.h"
#include "gateway/wire/message.h"

#include <assert.h>

#define NONCE_MAX 32u
#define PAD_TO 16u /* type 4 */
#define EXPORT_CONTEXT_MAX 128u
#define EXPORT_LABEL_MAX 64u
#define K_PQ_LEN 32u

void gw_keypair_init(struct gw_keypair *kp, const struct gw_crypto *crypto, const struct gw_noise_keys *keys,
                     bool is_initiator, uint32_t local_index, uint32_t remote_index, struct gw_mono born)
{
    memset(kp, 0, sizeof *kp);
    kp->crypto = crypto;
    kp->is_initiator = is_initiator;
    kp->local_index = local_index;
    kp->remote_index = remote_index;
    kp->born = kp->last_received = born;
    gw_replay_init(&kp->replay);
    gw_lock_init(&kp->lock);
    gw_list_init(&kp->limbo);
    memcpy(kp->send.chacha, keys->send, sizeof kp->send.chacha);
    memcpy(kp->receive.chacha, keys->receive, sizeof kp->receive.chacha);
    memcpy(kp->exporter, keys->exporter, sizeof kp->exporter);
    memcpy(kp->handshake_hash, keys->hash, sizeof kp->handshake_hash);
    kp->derived_suites = GW_SUITE_BIT(GW_SUITE_CHACHA20_POLY1305);
}

void gw_keypair_wipe(struct gw_keypair *kp)
{
    gw_lock_fini(&kp->lock);
    gw_wipe(kp, sizeof *kp);
}

void gw_keypair_export(const struct gw_keypair *kp, const char *label, const void *context,
                       size_t context_len, uint8_t *out, size_t len)
{
    uint8_t info[EXPORT_LABEL_MAX + EXPORT_CONTEXT_MAX];
    struct gw_writer w = gw_writer_of(info, sizeof info);

    gw_write_bytes(&w, label, strlen(label) + 1);
    gw_write_bytes(&w, context, context_len);
    assert(gw_writer_ok(&w));
    gw_hkdf_expand(out, len, kp->exporter, info, gw_writer_len(&w));
}

/* ---- keys and nonces */

static uint8_t *key_of(struct gw_keypair_keys *keys, enum gw_suite suite)
{
    switch (suite) {
    case GW_SUITE_AEGIS128L:
        return keys->aegis128l;
    case GW_SUITE_AEGIS256:
        return keys->aegis256;
    case GW_SUITE_CHACHA20_POLY1305:
    case GW_SUITE_COUNT:
        break;
    }
    return keys->chacha;
}

/* export("peergate seal", suite || epoch || k_pq) is the initiator's key || iv, then the responder's. */
static void derive(struct gw_keypair *kp, enum gw_suite suite)
{
    const size_t len = suite == GW_SUITE_AEGIS128L ? sizeof kp->send.aegis128l : sizeof kp->send.aegis256;
    const uint8_t context[2 + K_PQ_LEN] = {(uint8_t)suite, 0 /* epoch; and k_pq is zeros */};
    uint8_t material[2 * sizeof kp->send.aegis256];

    gw_keypair_export(kp, "peergate seal", context, sizeof context, material, 2 * len);
    memcpy(key_of(kp->is_initiator ? &kp->send : &kp->receive, suite), material, len);
    memcpy(key_of(kp->is_initiator ? &kp->receive : &kp->send, suite), material + len, len);
    gw_wipe(material, sizeof material);
    kp->derived_suites |= (uint8_t)GW_SUITE_BIT(suite);
}

static inline void derive_once(struct gw_keypair *kp, enum gw_suite suite)
{
    if (__builtin_expect((kp->derived_suites & GW_SUITE_BIT(suite)) == 0, 0))
        derive(kp, suite);
}

void gw_keypair_share(struct gw_keypair *kp)
{
    derive_once(kp, GW_SUITE_AEGIS128L);
    derive_once(kp, GW_SUITE_AEGIS256);
    kp->is_shared = true;
}

/* Type 4: 00000000 || counter le64. Type 5: counter le64 || iv. `counter` is the header's field. */
static inline void make_nonce(uint8_t nonce[NONCE_MAX], enum gw_suite suite, const uint8_t counter[8],
                              const uint8_t *key)
{
    if (suite == GW_SUITE_CHACHA20_POLY1305) {
        memset(nonce, 0, 4);
        memcpy(nonce + 4, counter, 8);
        return;
    }
    memcpy(nonce, counter, 8);
    if (suite == GW_SUITE_AEGIS128L)
        memcpy(nonce + 8, key + 16, 8);
    else
        memcpy(nonce + 8, key + 32, 24);
}

/* The associated data: nothing in type 4, the header in type 5. */
static inline size_t ad_len_of(enum gw_suite suite)
{
    return suite == GW_SUITE_CHACHA20_POLY1305 ? 0 : GW_DATA_HEADER_LEN;
}

/* ---- sealing */

/* Why no nonce can ever be used twice, whatever the threads do: this is the only place that changes the counter, it only counts up, and each call
 * leaves with numbers that it alone added (one atomic addition, or, before the key pair is shared, the engine's plain one). Nobody gives numbers back. It
 * cannot wrap: each of the sharers adds at most one batch after it saw the counter below the limit. A rekey makes another key pair, with keys
 * of its own and a counter from 0; this one's counter stays with its keys until both are wiped together. */
static_assert(GW_KEYPAIR_SHARERS_MAX * GW_KEYPAIR_BATCH_MAX < UINT64_MAX - GW_REJECT_AFTER_MESSAGES,
              "overshoot");

static inline bool take_counters(struct gw_keypair *kp, unsigned count, uint64_t *first)
{
    *first = atomic_load_explicit(&kp->send_counter, memory_order_relaxed);
    if (*first >= GW_REJECT_AFTER_MESSAGES)
        return false;
    if (kp->is_shared)
        *first = atomic_fetch_add_explicit(&kp->send_counter, count, memory_order_relaxed);
    else
        atomic_store_explicit(&kp->send_counter, *first + count, memory_order_relaxed);
    return *first + count <= GW_REJECT_AFTER_MESSAGES;
}

bool gw_keypair_take_counters(struct gw_keypair *kp, unsigned count, uint64_t *first)
{
    assert(count <= GW_KEYPAIR_BATCH_MAX);
    return take_counters(kp, count, first);
}

static inline void write_header(const struct gw_keypair *kp, enum gw_suite suite, uint8_t *slot,
                                uint64_t counter)
{
    if (suite == GW_SUITE_CHACHA20_POLY1305)
        memcpy(slot, (const uint8_t[4]){GW_MESSAGE_DATA, 0, 0, 0}, 4);
    else
        memcpy(slot, (const uint8_t[4]){GW_MESSAGE_FAST_DATA, (uint8_t)suite, 0 /* epoch */, 0}, 4);
    gw_store32_le(slot + 4, kp->remote_index);
    gw_store64_le(slot + 8, counter);
}

/* Type 4 pads to 16 bytes with zeros, but not beyond what the path carries (nor does WireGuard beyond its MTU); false when there is no room. */
static inline bool pad(enum gw_suite suite, uint8_t *slot, size_t cap, size_t *plain_len)
{
    const size_t len = *plain_len;
    size_t padded = len;

    if (len > cap || len + gw_suite_overhead(suite) > cap)
        return false;
    if (suite == GW_SUITE_CHACHA20_POLY1305)
        padded = (len + PAD_TO - 1) & ~(size_t)(PAD_TO - 1);
    if (padded + gw_suite_overhead(suite) > cap)
        padded = cap - gw_suite_overhead(suite);
    memset(slot + GW_DATA_HEADER_LEN + len, 0, padded - len);
    *plain_len = padded;
    return true;
}

/* plain: the slot's own inner bytes, or others that become those. */
static inline size_t seal(struct gw_keypair *kp, enum gw_suite suite, uint8_t *slot, const uint8_t *plain,
                          size_t plain_len, uint64_t counter)
{
    const struct gw_aead *aead = &kp->crypto->aead[suite];
    uint8_t *const inner = slot + GW_DATA_HEADER_LEN;
    uint8_t nonce[NONCE_MAX];
    const uint8_t *key;

    derive_once(kp, suite);
    key = key_of(&kp->send, suite);
    write_header(kp, suite, slot, counter);
    make_nonce(nonce, suite, slot + 8, key);
    aead->seal(inner, inner + plain_len, plain, plain_len, slot, ad_len_of(suite), nonce, key);
    return GW_DATA_HEADER_LEN + plain_len + aead->tag_len;
}

size_t gw_keypair_seal(struct gw_keypair *kp, enum gw_suite suite, uint8_t *slot, size_t cap,
                       size_t plain_len)
{
    uint64_t counter;

    if (!pad(suite, slot, cap, &plain_len) || !take_counters(kp, 1, &counter))
        return 0;
    return seal(kp, suite, slot, slot + GW_DATA_HEADER_LEN, plain_len, counter);
}

size_t gw_keypair_seal_from(struct gw_keypair *kp, enum gw_suite suite, uint8_t *slot, size_t cap,
                            const uint8_t *plain, size_t plain_len)
{
    uint64_t counter;

    if (plain_len + gw_suite_overhead(suite) > cap)
        return 0;
    if (suite == GW_SUITE_CHACHA20_POLY1305) { /* padded */
        memcpy(slot + GW_DATA_HEADER_LEN, plain, plain_len);
        return gw_keypair_seal(kp, suite, slot, cap, plain_len);
    }
    return take_counters(kp, 1, &counter) ? seal(kp, suite, slot, plain, plain_len, counter) : 0;
}

size_t gw_keypair_seal_as(struct gw_keypair *kp, enum gw_suite suite, uint8_t *slot, size_t cap,
                          size_t plain_len, uint64_t counter)
{
    return pad(suite, slot, cap, &plain_len)
               ? seal(kp, suite, slot, slot + GW_DATA_HEADER_LEN, plain_len, counter)
               : 0;
}

/* ---- opening */

/* Type, suite and length; GW_SUITE_COUNT when it is none of ours. */
static inline enum gw_suite parse_suite(const uint8_t *datagram, size_t len)
{
    enum gw_suite suite = GW_SUITE_COUNT;

    if (len < GW_DATA_HEADER_LEN)
        return suite;
    if (gw_load32_le(datagram) == GW_MESSAGE_DATA)
        suite = GW_SUITE_CHACHA20_POLY1305;
    else if (gw_load32_le(datagram) == (GW_MESSAGE_FAST_DATA | GW_SUITE_AEGIS128L << 8))
        suite = GW_SUITE_AEGIS128L;
    else if (gw_load32_le(datagram) == (GW_MESSAGE_FAST_DATA | GW_SUITE_AEGIS256 << 8))
        suite = GW_SUITE_AEGIS256;
    return suite != GW_SUITE_COUNT && len >= gw_suite_overhead(suite) ? suite : GW_SUITE_COUNT;
}

/* Checks the tag and decrypts in place; `counter` is the header's. */
static inline bool unseal(struct gw_keypair *kp, enum gw_suite suite, uint8_t *datagram, size_t len,
                          struct gw_view *plain)
{
    uint8_t *const inner = datagram + GW_DATA_HEADER_LEN;
    const size_t plain_len = len - gw_suite_overhead(suite);
    uint8_t nonce[NONCE_MAX];
    const uint8_t *key;

    derive_once(kp, suite);
    key = key_of(&kp->receive, suite);
    make_nonce(nonce, suite, datagram + 8, key);
    *plain = (struct gw_view){inner, plain_len};
    return kp->crypto->aead[suite].open(inner, inner, plain_len, inner + plain_len, datagram,
                                        ad_len_of(suite), nonce, key);
}

int gw_keypair_open(struct gw_keypair *kp, uint8_t *datagram, size_t len, struct gw_view *plain,
                    bool *is_highest)
{
    const enum gw_suite suite = parse_suite(datagram, len);
    struct gw_view opened;
    uint64_t counter;
    bool is_new;

    if (suite == GW_SUITE_COUNT)
        return GW_E_MALFORMED;
    counter = gw_load64_le(datagram + 8);
    if (counter >= GW_REJECT_AFTER_MESSAGES || (!kp->is_shared && !gw_replay_is_fresh(&kp->replay, counter)))
        return GW_E_REPLAY;
    if (!unseal(kp, suite, datagram, len, &opened))
        return GW_E_AUTH;
    if (kp->is_shared)
        gw_lock_take(&kp->lock);
    is_new = gw_replay_accept(&kp->replay, counter, is_highest);
    if (kp->is_shared)
        gw_lock_give(&kp->lock);
    if (!is_new)
        return GW_E_REPLAY;
    *plain = opened;
    return 0;
}

int gw_keypair_decrypt(struct gw_keypair *kp, uint8_t *datagram, size_t len, struct gw_view *plain,
                       uint64_t *counter)
{
    const enum gw_suite suite = parse_suite(datagram, len);

    if (suite == GW_SUITE_COUNT)
        return GW_E_MALFORMED;
    *counter = gw_load64_le(datagram + 8);
    if (*counter >= GW_REJECT_AFTER_MESSAGES)
        return GW_E_REPLAY;
    return unseal(kp, suite, datagram, len, plain) ? 0 : GW_E_AUTH;
}

bool gw_keypair_accept(struct gw_keypair *kp, const uint64_t *counters, bool *is_new, unsigned count)
{
    bool is_any_highest = false;

    if (kp->is_shared)
        gw_lock_take(&kp->lock);
    for (unsigned i = 0; i < count; i++) {
        bool is_highest = false;
        is_new[i] = gw_replay_accept(&kp->replay, counters[i], &is_highest);
        is_any_highest |= is_new[i] && is_highest;
    }
    if (kp->is_shared)
        gw_lock_give(&kp->lock);
    return is_any_highest;
}
