/* SPDX-License-Identifier: MIT */
/* A libp2p peer ID of an Ed25519 key: base58btc of the identity multihash of its protobuf public key,
 * "12D3KooW..." (libp2p specs, peer-ids). Also the text forms of the other keys: base64 (WireGuard's, 44
 * characters). */
#ifndef GATEWAY_WIRE_PEER_ID_H
#define GATEWAY_WIRE_PEER_ID_H

#include <stddef.h>
#include <stdint.h>

#define GW_PEER_ID_STRLEN 64 /* 52 characters and NUL, with room */
#define GW_KEY_BASE64_STRLEN 45

/* Writes the NUL-terminated text; returns out. */
char *gw_peer_id_format(const uint8_t ed25519[32], char out[GW_PEER_ID_STRLEN]);
/* Base58 "12D3KooW..." or the CIDv1 base32 form "bafz..."; 0, or GW_E_MALFORMED (not a peer ID), GW_E_INVAL
 * (a peer ID of another key type). */
int gw_peer_id_parse(uint8_t ed25519[32], const char *text);
char *gw_key_base64_format(const uint8_t key[32], char out[GW_KEY_BASE64_STRLEN]);
/* Exactly 44 characters of base64 with padding; 0 or GW_E_MALFORMED. */
int gw_key_base64_parse(uint8_t key[32], const char *text);

#endif
