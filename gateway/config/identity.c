/* SPDX-License-Identifier: MIT */
/* The identity's file is libp2p's protobuf PrivateKey, in base64 on one line:
 *
 *     08 01             field 1: key type 1 (Ed25519)
 *     12 40             field 2: 64 bytes
 *     seed[32] public[32]
 *
 * Older libp2p wrote the public half twice (12 60); that is read, too, and both without base64. */
#include "gateway/config/identity.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/config/atomic_file.h"
#include "gateway/config/file.h"

#include <sodium.h>
#include <string.h>

#define HEADER_LEN 4u
#define KEY_LEN 32u
#define BINARY_LEN (HEADER_LEN + 2 * KEY_LEN)
#define BINARY_OLD_LEN (HEADER_LEN + 3 * KEY_LEN)
#define TEXT_LEN sodium_base64_ENCODED_LEN(BINARY_LEN, sodium_base64_VARIANT_ORIGINAL)
#define FILE_MAX 4096u

static const uint8_t header[HEADER_LEN] = {0x08, 0x01, 0x12, 2 * KEY_LEN};
static const uint8_t header_old[HEADER_LEN] = {0x08, 0x01, 0x12, 3 * KEY_LEN};

/* ---- making */

static void derive(struct gw_identity *identity)
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    crypto_sign_seed_keypair(identity->ed25519, secret, identity->ed25519_seed);
    crypto_sign_ed25519_sk_to_curve25519(identity->x25519_secret, secret);
    crypto_scalarmult_base(identity->x25519, identity->x25519_secret);
    identity->is_derived = true;
    gw_wipe(secret, sizeof secret);
}

/* Zeroed; between guard pages, and locked in memory where the system lets us. */
static int allocate(struct gw_identity **out)
{
    *out = sodium_init() < 0 ? NULL : sodium_malloc(sizeof **out);
    if (!*out)
        return GW_E_NOMEM;
    memset(*out, 0, sizeof **out);
    return 0;
}

static int from_seed(struct gw_identity **out, const uint8_t seed[32])
{
    int err = allocate(out);
    if (err)
        return err;
    memcpy((*out)->ed25519_seed, seed, sizeof(*out)->ed25519_seed);
    (*out)->has_ed25519 = true;
    derive(*out);
    return 0;
}

int gw_identity_from_x25519(struct gw_identity **out, const uint8_t secret[32])
{
    int err = allocate(out);
    if (!err)
        gw_identity_replace_x25519(*out, secret);
    return err;
}

int gw_identity_generate(struct gw_identity **out, struct gw_random *random)
{
    uint8_t seed[KEY_LEN];
    gw_random_fill(random, seed, sizeof seed);
    int err = from_seed(out, seed);
    gw_wipe(seed, sizeof seed);
    return err;
}

void gw_identity_replace_x25519(struct gw_identity *identity, const uint8_t secret[32])
{
    memcpy(identity->x25519_secret, secret, KEY_LEN);
    crypto_scalarmult_base(identity->x25519, secret);
    identity->is_derived = false;
}

void gw_identity_free(struct gw_identity *identity)
{
    sodium_free(identity); /* wipes */
}

int gw_identity_x25519_of(uint8_t x25519[32], const uint8_t ed25519[32])
{
    return crypto_sign_ed25519_pk_to_curve25519(x25519, ed25519) == 0 ? 0 : GW_E_INVAL;
}

/* ---- reading */

static bool has_header(const uint8_t *data, size_t len, const uint8_t expected[HEADER_LEN],
                       size_t expected_len)
{
    return len == expected_len && memcmp(data, expected, HEADER_LEN) == 0;
}

/* The seed must make the public half that stands beside it, or the file is damaged. */
static int parse_binary(struct gw_identity **out, const uint8_t *data, size_t len)
{
    bool is_old = has_header(data, len, header_old, BINARY_OLD_LEN);
    const uint8_t *seed = data + HEADER_LEN, *public_key = seed + KEY_LEN;
    if (!is_old && !has_header(data, len, header, BINARY_LEN))
        return GW_E_MALFORMED;
    int err = from_seed(out, seed);
    if (err)
        return err;
    if (memcmp((*out)->ed25519, public_key, KEY_LEN) == 0 &&
        (!is_old || memcmp(public_key, public_key + KEY_LEN, KEY_LEN) == 0))
        return 0;
    gw_identity_free(*out);
    *out = NULL;
    return GW_E_MALFORMED;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int gw_identity_parse(struct gw_identity **out, const void *data, size_t len)
{
    const char *text = data;
    uint8_t binary[BINARY_OLD_LEN];
    size_t binary_len = 0;
    *out = NULL;
    int err = parse_binary(out, data, len);
    if (err != GW_E_MALFORMED)
        return err;
    while (len > 0 && is_space(text[len - 1]))
        len--;
    if (sodium_base642bin(binary, sizeof binary, text, len, NULL, &binary_len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) == 0)
        err = parse_binary(out, binary, binary_len);
    gw_wipe(binary, sizeof binary);
    return err;
}

static int parse_file(struct gw_identity **out, const struct gw_file *file, const char *path,
                      struct gw_diag *diag)
{
    int err = gw_file_check_mode(path, file->mode, true, diag);
    if (!err)
        err = gw_file_check_folder(path, diag);
    if (err)
        return err;
    err = gw_identity_parse(out, file->data, file->len);
    if (err == GW_E_MALFORMED)
        gw_diag_error(
            diag, path, 0,
            "not an Ed25519 identity: expected the line that `peergate init` writes, or libp2p's private key");
    else if (err)
        gw_diag_error(diag, path, 0, "%s", gw_strerror(err));
    return err;
}

int gw_identity_load(struct gw_identity **out, const char *path, struct gw_diag *diag)
{
    struct gw_file file;
    *out = NULL;
    int err = gw_file_read(&file, path, FILE_MAX, diag);
    if (err == -ENOENT)
        gw_diag_error(diag, path, 0, "there is no identity yet; `peergate init` makes one");
    if (err)
        return err;
    err = parse_file(out, &file, path, diag);
    gw_file_free(&file);
    return err;
}

/* ---- writing */

int gw_identity_save_new(const struct gw_identity *identity, const char *path)
{
    uint8_t binary[BINARY_LEN];
    char text[TEXT_LEN + 1];
    memcpy(binary, header, HEADER_LEN);
    memcpy(binary + HEADER_LEN, identity->ed25519_seed, KEY_LEN);
    memcpy(binary + HEADER_LEN + KEY_LEN, identity->ed25519, KEY_LEN);
    sodium_bin2base64(text, sizeof text, binary, sizeof binary, sodium_base64_VARIANT_ORIGINAL);
    size_t len = strlen(text);
    text[len] = '\n';
    int err = gw_atomic_write(NULL, path, text, len + 1, GW_ATOMIC_NEW);
    gw_wipe(binary, sizeof binary);
    gw_wipe(text, sizeof text);
    return err;
}
