/* SPDX-License-Identifier: MIT */
/* The primitives a session is made of, behind one struct: the real ones are libsodium's, a fast fake exists only in
 * tests (the simulator runs thousands of handshakes). Hashes (BLAKE2s by libb2) are never faked. No function allocates or blocks. */
#ifndef GATEWAY_SESSION_CRYPTO_H
#define GATEWAY_SESSION_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_KEY_LEN 32
#define GW_HASH_LEN 32
#define GW_MAC_LEN 16
#define GW_TAG_LEN_CHACHA 16
#define GW_TAG_LEN_AEGIS 32

/* How transport packets are sealed. The numbers of 1 and 2 are on the wire (type 5, docs/PROTOCOL.md). */
enum gw_suite {
    GW_SUITE_CHACHA20_POLY1305 = 0,
    GW_SUITE_AEGIS256 = 1,
    GW_SUITE_AEGIS128L = 2,
    GW_SUITE_COUNT = 3
};
#define GW_SUITE_BIT(suite) (1u << (suite))

struct gw_aead {
    uint8_t key_len, nonce_len, tag_len;
    /* dst may equal src; tag is written apart (detached). ad may be NULL when ad_len is 0. */
    void (*seal)(uint8_t *dst, uint8_t *tag, const uint8_t *src, size_t len, const uint8_t *ad, size_t ad_len,
                 const uint8_t *nonce, const uint8_t *key);
    /* false = wrong tag; dst is then undefined. dst may equal src. */
    bool (*open)(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *tag, const uint8_t *ad,
                 size_t ad_len, const uint8_t *nonce, const uint8_t *key);
};

struct gw_crypto {
    /* X25519 (RFC 7748). false when the result is all zero (small order). */
    bool (*dh)(uint8_t out[GW_KEY_LEN], const uint8_t secret[GW_KEY_LEN],
               const uint8_t public_key[GW_KEY_LEN]);
    void (*dh_public)(uint8_t out[GW_KEY_LEN], const uint8_t secret[GW_KEY_LEN]);
    struct gw_aead aead[GW_SUITE_COUNT];
    /* XChaCha20-Poly1305 for cookies; combined mode. xseal: out has len + 16 bytes. xopen: len includes the tag, out has len - 16 bytes. */
    void (*xseal)(uint8_t *out, const uint8_t *in, size_t len, const uint8_t *ad, size_t ad_len,
                  const uint8_t nonce[24], const uint8_t key[GW_KEY_LEN]);
    bool (*xopen)(uint8_t *out, const uint8_t *in, size_t len, const uint8_t *ad, size_t ad_len,
                  const uint8_t nonce[24], const uint8_t key[GW_KEY_LEN]);
    /* Suites worth advertising here: hardware AES and measured faster than ChaCha20-Poly1305. Bits GW_SUITE_BIT. */
    uint8_t fast_suites;
};

/* libsodium's; runs sodium_init and, once, the 2 ms self-timing that decides fast_suites. NULL when libsodium does not start. */
const struct gw_crypto *gw_crypto_system(void);

/* BLAKE2s as WireGuard uses it. HASH(a || b), MAC = keyed BLAKE2s-128, HMAC = RFC 2104 over BLAKE2s-256, KDFn (HKDF, RFC 5869). b, and out2/out3, may be NULL. */
void gw_hash(uint8_t out[GW_HASH_LEN], const void *a, size_t a_len, const void *b, size_t b_len);
void gw_mac(uint8_t out[GW_MAC_LEN], const void *key, size_t key_len, const void *in, size_t len);
void gw_hmac(uint8_t out[GW_HASH_LEN], const void *key, size_t key_len, const void *in, size_t len);
void gw_kdf(uint8_t *out1, uint8_t *out2, uint8_t *out3, const uint8_t chaining_key[GW_HASH_LEN],
            const void *in, size_t len);
/* HKDF-Expand: len <= 255 * 32 bytes of key material from a 32-byte secret. */
void gw_hkdf_expand(uint8_t *out, size_t len, const uint8_t secret[GW_HASH_LEN], const void *info,
                    size_t info_len);

#endif
