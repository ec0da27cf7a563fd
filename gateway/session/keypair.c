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
    memcpy(kp->send.chacha, keys->send, sizeof kp->send.chacha);
    memcpy(kp->receive.chacha, keys->receive, sizeof kp->receive.chacha);
    memcpy(kp->exporter, keys->exporter, sizeof kp->exporter);
    memcpy(kp->handshake_hash, keys->hash, sizeof kp->handshake_hash);
    kp->derived_suites = GW_SUITE_BIT(GW_SUITE_CHACHA20_POLY1305);
}

void gw_keypair_wipe(struct gw_keypair *kp)
{
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

static inline void write_header(const struct gw_keypair *kp, enum gw_suite suite, uint8_t *slot)
{
    if (suite == GW_SUITE_CHACHA20_POLY1305)
        memcpy(slot, (const uint8_t[4]){GW_MESSAGE_DATA, 0, 0, 0}, 4);
    else
        memcpy(slot, (const uint8_t[4]){GW_MESSAGE_FAST_DATA, (uint8_t)suite, 0 /* epoch */, 0}, 4);
    gw_store32_le(slot + 4, kp->remote_index);
    gw_store64_le(slot + 8, kp->send_counter);
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

size_t gw_keypair_seal(struct gw_keypair *kp, enum gw_suite suite, uint8_t *slot, size_t cap,
                       size_t plain_len)
{
    const struct gw_aead *aead = &kp->crypto->aead[suite];
    uint8_t *const inner = slot + GW_DATA_HEADER_LEN;
    uint8_t nonce[NONCE_MAX];
    const uint8_t *key;

    if (kp->send_counter >= GW_REJECT_AFTER_MESSAGES || !pad(suite, slot, cap, &plain_len))
        return 0;
    derive_once(kp, suite);
    key = key_of(&kp->send, suite);
    write_header(kp, suite, slot);
    make_nonce(nonce, suite, slot + 8, key);
    aead->seal(inner, inner + plain_len, inner, plain_len, slot, ad_len_of(suite), nonce, key);
    kp->send_counter++;
    return GW_DATA_HEADER_LEN + plain_len + aead->tag_len;
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

int gw_keypair_open(struct gw_keypair *kp, uint8_t *datagram, size_t len, struct gw_view *plain,
                    bool *is_highest)
{
    const enum gw_suite suite = parse_suite(datagram, len);
    uint8_t *const inner = datagram + GW_DATA_HEADER_LEN;
    uint8_t nonce[NONCE_MAX];
    const uint8_t *key;
    uint64_t counter;
    size_t plain_len;

    if (suite == GW_SUITE_COUNT)
        return GW_E_MALFORMED;
    counter = gw_load64_le(datagram + 8);
    if (counter >= GW_REJECT_AFTER_MESSAGES || !gw_replay_is_fresh(&kp->replay, counter))
        return GW_E_REPLAY;
    derive_once(kp, suite);
    key = key_of(&kp->receive, suite);
    make_nonce(nonce, suite, datagram + 8, key);
    plain_len = len - gw_suite_overhead(suite);
    if (!kp->crypto->aead[suite].open(inner, inner, plain_len, inner + plain_len, datagram, ad_len_of(suite),
                                      nonce, key))
        return GW_E_AUTH;
    if (!gw_replay_accept(&kp->replay, counter, is_highest))
        return GW_E_REPLAY;
    *plain = (struct gw_view){inner, plain_len};
    return 0;
}
