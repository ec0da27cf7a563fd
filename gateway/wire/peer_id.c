/* SPDX-License-Identifier: MIT */
/* Text forms of public keys: libp2p peer IDs (base58btc, or a CIDv1 in base32) and WireGuard's base64.
 *
 * An Ed25519 peer ID is 38 bytes, an "identity" multihash, which holds the key instead of a hash of it:
 *
 *     00 24             multihash: identity, 36 bytes
 *     08 01             protobuf PublicKey, field 1: key type 1 (Ed25519)
 *     12 20 key[32]     field 2: 32 bytes
 *
 * A CIDv1 puts 01 72 (version 1, content type libp2p-key) in front. */
#include "gateway/wire/peer_id.h"

#include "gateway/base/err.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#define KEY_LEN 32
#define CID_LEN 2

static const uint8_t id_prefix[6] = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20};
static const uint8_t cid_prefix[CID_LEN] = {0x01, 0x72};
#define ID_LEN (sizeof id_prefix + KEY_LEN)

/* The longest that we decode at all: more than any peer ID that holds a key or a SHA-256 hash. */
#define DECODED_MAX 48
#define TEXT_MAX 72 /* with the NUL */
static_assert(TEXT_MAX * 5 / 8 <= DECODED_MAX, "base32_decode need not look for the end of its output");

static const char base58_digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";

/* The place of c in digits, or -1. */
static int digit_value(const char *digits, char c)
{
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* number (big endian) = number * base + add; returns the carry that did not fit. */
static unsigned multiply_add(uint8_t *number, size_t len, unsigned base, unsigned add)
{
    unsigned carry = add;
    for (size_t i = len; i-- > 0;) {
        carry += number[i] * base;
        number[i] = (uint8_t)carry;
        carry >>= 8;
    }
    return carry;
}

/* number (big endian) /= divisor; returns the remainder. */
static unsigned divide(uint8_t *number, size_t len, unsigned divisor)
{
    unsigned rest = 0;
    for (size_t i = 0; i < len; i++) {
        rest = rest << 8 | number[i];
        number[i] = (uint8_t)(rest / divisor);
        rest %= divisor;
    }
    return rest;
}

static size_t count_leading(const char *text, char c)
{
    size_t n = 0;
    while (text[n] == c)
        n++;
    return n;
}

/* The bytes are one large number; leading zero bytes, which that loses, are leading '1's. 0: no base58. */
static size_t base58_decode(uint8_t out[DECODED_MAX], const char *text)
{
    uint8_t number[DECODED_MAX] = {0};
    size_t zeros = count_leading(text, base58_digits[0]);
    for (const char *at = text; *at != '\0'; at++) {
        int digit = digit_value(base58_digits, *at);
        if (digit < 0 || multiply_add(number, sizeof number, 58, (unsigned)digit) != 0)
            return 0;
    }
    size_t first = 0;
    while (first < sizeof number && number[first] == 0)
        first++;
    size_t len = zeros + sizeof number - first;
    if (len > DECODED_MAX)
        return 0;
    memset(out, 0, zeros);
    memcpy(out + zeros, number + first, sizeof number - first);
    return len;
}

/* Groups of 5 bits, most significant first, no padding characters; bits left over must be zero and less than
 * a digit, so that every key has one text. 0 when it is none. */
static size_t base32_decode(uint8_t out[DECODED_MAX], const char *text)
{
    size_t len = 0;
    unsigned bits = 0, bit_count = 0;
    for (; *text != '\0'; text++) {
        int digit = digit_value(base32_digits, *text);
        if (digit < 0)
            return 0;
        bits = bits << 5 | (unsigned)digit;
        bit_count += 5;
        if (bit_count < 8)
            continue;
        bit_count -= 8;
        out[len++] = (uint8_t)(bits >> bit_count);
        bits &= (1u << bit_count) - 1;
    }
    return bit_count < 5 && bits == 0 ? len : 0;
}

/* An RSA, secp256k1 or ECDSA key's peer ID: a SHA-256 multihash, or an identity one of another key type? */
static bool is_other_key(const uint8_t *id, size_t len)
{
    bool is_sha256 = len == 34 && id[0] == 0x12 && id[1] == 0x20;
    bool is_identity = len >= 6 && id[0] == 0x00 && id[1] == len - 2;
    return is_sha256 || (is_identity && id[2] == 0x08 && id[3] != 0x01 && id[3] <= 0x03 && id[4] == 0x12);
}

static int key_of_id(uint8_t ed25519[32], const uint8_t *id, size_t len)
{
    if (len == ID_LEN && memcmp(id, id_prefix, sizeof id_prefix) == 0) {
        memcpy(ed25519, id + sizeof id_prefix, KEY_LEN);
        return 0;
    }
    return is_other_key(id, len) ? GW_E_INVAL : GW_E_MALFORMED;
}

char *gw_peer_id_format(const uint8_t ed25519[32], char out[GW_PEER_ID_STRLEN])
{
    uint8_t number[ID_LEN];
    char digits[GW_PEER_ID_STRLEN];
    size_t at = sizeof digits - 1;
    memcpy(number, id_prefix, sizeof id_prefix);
    memcpy(number + sizeof id_prefix, ed25519, KEY_LEN);
    digits[at] = '\0';
    while (!sodium_is_zero(number, sizeof number))
        digits[--at] = base58_digits[divide(number, sizeof number, 58)];
    digits[--at] = base58_digits[0]; /* the prefix has one leading zero byte, always */
    memcpy(out, digits + at, sizeof digits - at);
    return out;
}

int gw_peer_id_parse(uint8_t ed25519[32], const char *text)
{
    uint8_t id[DECODED_MAX];
    if (strnlen(text, TEXT_MAX) == TEXT_MAX)
        return GW_E_MALFORMED;
    /* As libp2p tells them apart: "1" or "Qm" begins a base58 ID, the multibase letter 'b' a base32 CID. */
    if (text[0] == '1' || strncmp(text, "Qm", 2) == 0)
        return key_of_id(ed25519, id, base58_decode(id, text));
    size_t len = text[0] == 'b' ? base32_decode(id, text + 1) : 0;
    if (len < CID_LEN || memcmp(id, cid_prefix, CID_LEN) != 0)
        return GW_E_MALFORMED;
    return key_of_id(ed25519, id + CID_LEN, len - CID_LEN);
}

char *gw_key_base64_format(const uint8_t key[32], char out[GW_KEY_BASE64_STRLEN])
{
    return sodium_bin2base64(out, GW_KEY_BASE64_STRLEN, key, KEY_LEN, sodium_base64_VARIANT_ORIGINAL);
}

int gw_key_base64_parse(uint8_t key[32], const char *text)
{
    size_t text_len = strnlen(text, GW_KEY_BASE64_STRLEN);
    size_t len = 0;
    if (text_len == GW_KEY_BASE64_STRLEN - 1 &&
        sodium_base642bin(key, KEY_LEN, text, text_len, NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) ==
            0 &&
        len == KEY_LEN)
        return 0;
    sodium_memzero(key, KEY_LEN); /* it may have been a secret one, nearly */
    return GW_E_MALFORMED;
}
