/* SPDX-License-Identifier: MIT */
/* How the owner's files name a peer: by peer ID, or by an X25519 key in base64. Either gives the X25519
 * key that everything is keyed by. Keys that cannot be a peer's are refused here, once for all files. */
#ifndef GATEWAY_CONFIG_PEER_KEY_H
#define GATEWAY_CONFIG_PEER_KEY_H

#include <stdbool.h>
#include <stdint.h>

struct gw_peer_key {
    uint8_t x25519[32];
    bool has_ed25519; /* it was a peer ID */
    uint8_t ed25519[32];
};

/* All: 0, or GW_E_MALFORMED or GW_E_INVAL with *why, a static phrase, or NULL when there is no more to say
 * than that it is none. */
int gw_peer_key_parse(struct gw_peer_key *out, const char *text, const char **why);
int gw_peer_key_parse_id(struct gw_peer_key *out, const char *text, const char **why);
int gw_peer_key_parse_x25519(uint8_t x25519[32], const char *text, const char **why);

#endif
