/* SPDX-License-Identifier: MIT */
/* The outer messages, as they stand in a UDP datagram: WireGuard's four (paper 5.4), our types 5 to 7, and the
 * number reserved for admission. One function looks at type and length before any field is
 * read. */
#ifndef GATEWAY_WIRE_MESSAGE_H
#define GATEWAY_WIRE_MESSAGE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum gw_message_type {
    GW_MESSAGE_NONE = 0,       /* drop */
    GW_MESSAGE_INITIATION = 1, /* HANDSHAKE_INIT */
    GW_MESSAGE_RESPONSE = 2,   /* HANDSHAKE_RESPONSE */
    GW_MESSAGE_COOKIE_REPLY = 3,
    GW_MESSAGE_DATA = 4,      /* VPN_DATA; exact le32 4 */
    GW_MESSAGE_FAST_DATA = 5, /* by first byte */
    GW_MESSAGE_RELAY = 6,     /* relay frame */
    GW_MESSAGE_PROBE = 7,     /* of a punch, or of measuring a NAT */
    GW_MESSAGE_ADMIT = 8,     /* reserved: admission of keys not known before */
    GW_MESSAGE_STUN =
        0x100, /* by first bytes, cookie and length: an answer, if a transaction of ours is in it */
};

#define GW_INITIATION_LEN 148u
#define GW_RESPONSE_LEN 92u
#define GW_COOKIE_REPLY_LEN 64u
#define GW_DATA_MIN_LEN 32u /* header and tag: a keepalive */
#define GW_FAST_DATA_MIN_LEN 48u

/* Byte arrays only: no alignment, no byte order surprises; integers are little endian. */
struct gw_initiation {
    uint8_t type[4]; /* 01 00 00 00 */
    uint8_t sender[4];
    uint8_t ephemeral[32];
    uint8_t encrypted_static[32 + 16];
    uint8_t encrypted_timestamp[12 + 16];
    uint8_t mac1[16];
    uint8_t mac2[16];
};
static_assert(sizeof(struct gw_initiation) == GW_INITIATION_LEN, "WireGuard paper 5.4.2");

struct gw_response {
    uint8_t type[4]; /* 02 00 00 00 */
    uint8_t sender[4];
    uint8_t receiver[4];
    uint8_t ephemeral[32];
    uint8_t encrypted_nothing[16];
    uint8_t mac1[16];
    uint8_t mac2[16];
};
static_assert(sizeof(struct gw_response) == GW_RESPONSE_LEN, "WireGuard paper 5.4.3");

struct gw_cookie_reply {
    uint8_t type[4]; /* 03 00 00 00 */
    uint8_t receiver[4];
    uint8_t nonce[24];
    uint8_t encrypted_cookie[16 + 16];
};
static_assert(sizeof(struct gw_cookie_reply) == GW_COOKIE_REPLY_LEN, "WireGuard paper 5.4.7");

/* type 4: 04 00 00 00 | receiver le32 | counter le64 | ciphertext | tag 16
 * type 5: 05 suite epoch 00 | receiver le32 | counter le64 | ciphertext | tag 32 */
struct gw_data_header {
    uint8_t type[4];
    uint8_t receiver[4];
    uint8_t counter[8];
};
static_assert(sizeof(struct gw_data_header) == 16, "docs/PROTOCOL.md, Sealing");

/* The single gate for untrusted datagrams: the type if the first bytes and the length are right for it (exact
 * for 1-3; minimum for type 4, which stock peers pad to 16 but never beyond their MTU; type 5 suite 1..2 and zero byte), else GW_MESSAGE_NONE.
 * type 6 a minimum, type 7 exact; STUN as gw_stun_is. Type 8 is GW_MESSAGE_NONE until it exists. */
/* So many bytes, where the datagram has them, are all that it looks at. */
#define GW_MESSAGE_GATE_LEN 8u
enum gw_message_type gw_message_gate(const uint8_t *datagram, size_t len);

#endif
