/* SPDX-License-Identifier: MIT */
/* libsodium behind struct gw_crypto, and the choice of the suites that are fast on this machine. The only file of session/
 * that looks at a clock: once, to time the suites. */
#include "gateway/session/crypto.h"

#include "gateway/session/chacha.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

/* AEGIS in libsodium: tags of 32 bytes and nothing else. */
_Static_assert(crypto_aead_aegis128l_ABYTES == GW_TAG_LEN_AEGIS, "type 5 tag");
_Static_assert(crypto_aead_aegis256_ABYTES == GW_TAG_LEN_AEGIS, "type 5 tag");
_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == GW_TAG_LEN_CHACHA, "type 4 tag");

static bool dh(uint8_t out[GW_KEY_LEN], const uint8_t secret[GW_KEY_LEN],
               const uint8_t public_key[GW_KEY_LEN])
{
    return crypto_scalarmult_curve25519(out, secret, public_key) == 0;
}

static void dh_public(uint8_t out[GW_KEY_LEN], const uint8_t secret[GW_KEY_LEN])
{
    (void)crypto_scalarmult_curve25519_base(out, secret);
}

/* The three AEADs have one shape in libsodium, and one here. */
#define AEAD(name, sodium_name)                                                                            \
    static void name##_seal(uint8_t *dst, uint8_t *tag, const uint8_t *src, size_t len, const uint8_t *ad, \
                            size_t ad_len, const uint8_t *nonce, const uint8_t *key)                       \
    {                                                                                                      \
        (void)sodium_name##_encrypt_detached(dst, tag, NULL, src, len, ad, ad_len, NULL, nonce, key);      \
    }                                                                                                      \
    static bool name##_open(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *tag,              \
                            const uint8_t *ad, size_t ad_len, const uint8_t *nonce, const uint8_t *key)    \
    {                                                                                                      \
        return sodium_name##_decrypt_detached(dst, NULL, src, len, tag, ad, ad_len, nonce, key) == 0;      \
    }
AEAD(sodium_chacha, crypto_aead_chacha20poly1305_ietf)
AEAD(aegis256, crypto_aead_aegis256)
AEAD(aegis128l, crypto_aead_aegis128l)
#undef AEAD

static void chacha_seal(uint8_t *dst, uint8_t *tag, const uint8_t *src, size_t len, const uint8_t *ad,
                        size_t ad_len, const uint8_t *nonce, const uint8_t *key)
{
    if (ad_len == 0 && gw_chacha_is_better(len))
        gw_chacha_seal(dst, tag, src, len, nonce, key);
    else
        sodium_chacha_seal(dst, tag, src, len, ad, ad_len, nonce, key);
}

static bool chacha_open(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *tag, const uint8_t *ad,
                        size_t ad_len, const uint8_t *nonce, const uint8_t *key)
{
    return ad_len == 0 && gw_chacha_is_better(len)
               ? gw_chacha_open(dst, src, len, tag, nonce, key)
               : sodium_chacha_open(dst, src, len, tag, ad, ad_len, nonce, key);
}

static void xseal(uint8_t *out, const uint8_t *in, size_t len, const uint8_t *ad, size_t ad_len,
                  const uint8_t nonce[24], const uint8_t key[GW_KEY_LEN])
{
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, in, len, ad, ad_len, NULL, nonce, key);
}

static bool xopen(uint8_t *out, const uint8_t *in, size_t len, const uint8_t *ad, size_t ad_len,
                  const uint8_t nonce[24], const uint8_t key[GW_KEY_LEN])
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, ad, ad_len, nonce, key) == 0;
}

static struct gw_crypto system_crypto = {
    .dh = dh,
    .dh_public = dh_public,
    .aead = {[GW_SUITE_CHACHA20_POLY1305] = {32, 12, GW_TAG_LEN_CHACHA, chacha_seal, chacha_open},
             [GW_SUITE_AEGIS256] = {32, 32, GW_TAG_LEN_AEGIS, aegis256_seal, aegis256_open},
             [GW_SUITE_AEGIS128L] = {16, 16, GW_TAG_LEN_AEGIS, aegis128l_seal, aegis128l_open}},
    .xseal = xseal,
    .xopen = xopen,
};
static bool has_started;

/* ---- which suites are fast here */

#define TIMING_BUDGET_NS 2000000
#define TIMING_ROUNDS_MAX 64u
#define TIMING_PACKETS 4u /* packets in a round */
#define TIMING_LEN 1400u

struct timing {
    int64_t ns[GW_SUITE_COUNT][TIMING_ROUNDS_MAX];
    unsigned rounds;
};

static int64_t clock_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* How long one round of a suite takes. */
static int64_t time_suite(const struct gw_aead *aead, uint8_t packet[TIMING_LEN])
{
    static const uint8_t zeros[32];
    uint8_t tag[GW_TAG_LEN_AEGIS];
    const int64_t start = clock_ns();

    for (unsigned i = 0; i < TIMING_PACKETS; i++)
        aead->seal(packet, tag, packet, TIMING_LEN, NULL, 0, zeros, zeros);
    return clock_ns() - start;
}

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Suites take turns, so that a slow moment hits all of them; the first round only warms up. */
static void time_all(struct timing *timing)
{
    uint8_t packet[TIMING_LEN] = {0};
    const int64_t end = clock_ns() + TIMING_BUDGET_NS;

    timing->rounds = 0;
    for (unsigned s = 0; s < GW_SUITE_COUNT; s++)
        time_suite(&system_crypto.aead[s], packet);
    do {
        for (unsigned s = 0; s < GW_SUITE_COUNT; s++)
            timing->ns[s][timing->rounds] = time_suite(&system_crypto.aead[s], packet);
        timing->rounds++;
    } while (timing->rounds < TIMING_ROUNDS_MAX && clock_ns() < end);
}

static uint8_t measure_fast_suites(void)
{
    struct timing timing;
    int64_t median[GW_SUITE_COUNT];
    uint8_t fast = 0;

    time_all(&timing);
    for (unsigned s = 0; s < GW_SUITE_COUNT; s++) {
        qsort(timing.ns[s], timing.rounds, sizeof timing.ns[s][0], compare_ns);
        median[s] = timing.ns[s][timing.rounds / 2];
        if (median[s] < median[GW_SUITE_CHACHA20_POLY1305])
            fast |= (uint8_t)GW_SUITE_BIT(s);
    }
    return fast;
}

/* Software AES is slow and leaks keys through the cache: never that. */
static bool has_hardware_aes(void)
{
    return (sodium_runtime_has_aesni() && sodium_runtime_has_avx()) || sodium_runtime_has_armcrypto();
}

static void start(void)
{
    if (sodium_init() < 0)
        return;
    if (has_hardware_aes())
        system_crypto.fast_suites = measure_fast_suites();
    has_started = true;
}

const struct gw_crypto *gw_crypto_system(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, start);
    return has_started ? &system_crypto : NULL;
}
