/* SPDX-License-Identifier: MIT */
/* Text to peer keys. A public X25519 key has one spelling only (no top bit, below the prime), or else one
 * peer could stand in a list twice; and none of the few points of small order, with which every secret is
 * shared. */
#include "gateway/config/peer_key.h"

#include "gateway/base/err.h"
#include "gateway/config/identity.h"
#include "gateway/wire/peer_id.h"

#include <sodium.h>
#include <string.h>

static bool is_canonical(const uint8_t key[32])
{
    static const uint8_t prime[32] = {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    for (unsigned i = 32; i-- > 0;) {
        if (key[i] != prime[i])
            return key[i] < prime[i];
    }
    return false;
}

static bool has_small_order(const uint8_t key[32])
{
    static const uint8_t any_secret[32] = {1};
    uint8_t shared[32];
    return crypto_scalarmult(shared, any_secret, key) != 0;
}

int gw_peer_key_parse_x25519(uint8_t x25519[32], const char *text, const char **why)
{
    *why = NULL;
    if (gw_key_base64_parse(x25519, text) != 0)
        return GW_E_MALFORMED;
    *why = "this key is refused: not an X25519 public key in its only spelling";
    if (!is_canonical(x25519))
        return GW_E_INVAL;
    *why = "this key is refused: a point of small order, which anybody shares a secret with";
    if (has_small_order(x25519))
        return GW_E_INVAL;
    *why = NULL;
    return 0;
}

int gw_peer_key_parse_id(struct gw_peer_key *out, const char *text, const char **why)
{
    *why = NULL;
    int err = gw_peer_id_parse(out->ed25519, text);
    if (err == GW_E_INVAL)
        *why = "a peer ID of another kind of key; only those of Ed25519 keys hold the key";
    if (err)
        return err;
    *why = "this peer ID is refused: its key is no point of the curve that could be used";
    if (gw_identity_x25519_of(out->x25519, out->ed25519) != 0)
        return GW_E_INVAL;
    *why = NULL;
    out->has_ed25519 = true;
    return 0;
}

int gw_peer_key_parse(struct gw_peer_key *out, const char *text, const char **why)
{
    memset(out, 0, sizeof *out);
    int err = gw_peer_key_parse_id(out, text, why);
    if (err != GW_E_MALFORMED)
        return err;
    out->has_ed25519 = false;
    return gw_peer_key_parse_x25519(out->x25519, text, why);
}
