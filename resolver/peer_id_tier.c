/* SPDX-License-Identifier: MIT */
#include "resolver/peer_id_tier.h"

#include <sodium.h>

bool gw_peer_id_tier_find(struct gw_resolver *resolver, const uint8_t ed25519[32], struct gw_answer *answer)
{
    uint8_t x25519[GW_KEY_LEN];
    if (crypto_sign_ed25519_pk_to_curve25519(x25519, ed25519) != 0)
        return false;
    answer->tier = "peer-id";
    return gw_resolver_find_key(resolver, "", x25519, &answer->gateway, &answer->peer);
}
