/* SPDX-License-Identifier: MIT */
/* BLAKE2s (RFC 7693) by libb2, and what is built of it: WireGuard's HASH and MAC, HMAC (RFC 2104), HKDF (RFC 5869). */
#include "gateway/session/crypto.h"

#include "gateway/base/secret.h"

#include <assert.h>
#include <blake2.h>
#include <string.h>

#define BLOCK_LEN 64u

/* The parts of one hash input. */
struct part {
    const void *data;
    size_t len;
};

static void blake2s_parts(uint8_t *out, size_t out_len, const void *key, size_t key_len,
                          const struct part *parts, size_t count)
{
    blake2s_state state;

    if (key_len == 0)
        blake2s_init(&state, out_len);
    else
        blake2s_init_key(&state, out_len, key, key_len);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len != 0)
            blake2s_update(&state, parts[i].data, parts[i].len);
    }
    blake2s_final(&state, out, out_len);
    gw_wipe(&state, sizeof state);
}

void gw_hash(uint8_t out[GW_HASH_LEN], const void *a, size_t a_len, const void *b, size_t b_len)
{
    const struct part parts[] = {{a, a_len}, {b, b == NULL ? 0 : b_len}};

    blake2s_parts(out, GW_HASH_LEN, NULL, 0, parts, 2);
}

void gw_mac(uint8_t out[GW_MAC_LEN], const void *key, size_t key_len, const void *in, size_t len)
{
    const struct part part = {in, len};

    assert(key_len > 0 && key_len <= 32);
    blake2s_parts(out, GW_MAC_LEN, key, key_len, &part, 1);
}

/* HMAC of the parts. At most 4: what HKDF needs. */
static void hmac_parts(uint8_t out[GW_HASH_LEN], const void *key, size_t key_len, const struct part *parts,
                       size_t count)
{
    uint8_t pad[BLOCK_LEN] = {0}, inner[GW_HASH_LEN];
    struct part all[5];

    assert(count <= 4);
    if (key_len > BLOCK_LEN)
        gw_hash(pad, key, key_len, NULL, 0);
    else
        memcpy(pad, key, key_len);
    for (size_t i = 0; i < BLOCK_LEN; i++)
        pad[i] ^= 0x36;
    all[0] = (struct part){pad, BLOCK_LEN};
    memcpy(all + 1, parts, count * sizeof *parts);
    blake2s_parts(inner, sizeof inner, NULL, 0, all, count + 1);
    for (size_t i = 0; i < BLOCK_LEN; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    all[1] = (struct part){inner, sizeof inner};
    blake2s_parts(out, GW_HASH_LEN, NULL, 0, all, 2);
    gw_wipe(pad, sizeof pad);
    gw_wipe(inner, sizeof inner);
}

void gw_hmac(uint8_t out[GW_HASH_LEN], const void *key, size_t key_len, const void *in, size_t len)
{
    const struct part part = {in, len};

    hmac_parts(out, key, key_len, &part, 1);
}

/* T(i) = HMAC(secret, T(i-1) || info || i), and T(0) is empty. `block` is T(i-1) and becomes T(i). */
static void hkdf_block(uint8_t block[GW_HASH_LEN], uint8_t i, const uint8_t *secret, const void *info,
                       size_t info_len)
{
    const struct part parts[] = {{block, i == 1 ? 0 : GW_HASH_LEN}, {info, info_len}, {&i, 1}};

    hmac_parts(block, secret, GW_HASH_LEN, parts, 3);
}

void gw_kdf(uint8_t *out1, uint8_t *out2, uint8_t *out3, const uint8_t chaining_key[GW_HASH_LEN],
            const void *in, size_t len)
{
    uint8_t *const outs[] = {out1, out2, out3};
    uint8_t secret[GW_HASH_LEN], block[GW_HASH_LEN];

    gw_hmac(secret, chaining_key, GW_HASH_LEN, in, len);
    for (uint8_t i = 0; i < 3 && outs[i] != NULL; i++) {
        hkdf_block(block, (uint8_t)(i + 1), secret, NULL, 0);
        memcpy(outs[i], block, sizeof block);
    }
    gw_wipe(secret, sizeof secret);
    gw_wipe(block, sizeof block);
}

void gw_hkdf_expand(uint8_t *out, size_t len, const uint8_t secret[GW_HASH_LEN], const void *info,
                    size_t info_len)
{
    uint8_t block[GW_HASH_LEN];

    assert(len <= 255u * GW_HASH_LEN);
    for (uint8_t i = 1; len > 0; i++) {
        const size_t part = len < sizeof block ? len : sizeof block;

        hkdf_block(block, i, secret, info, info_len);
        memcpy(out, block, part);
        out += part;
        len -= part;
    }
    gw_wipe(block, sizeof block);
}
