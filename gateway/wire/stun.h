/* SPDX-License-Identifier: MIT */
/* STUN (RFC 8489), as much of it as a client of binding requests needs, with the attributes by which a NAT is measured (RFC 5780). Nothing here
 * answers anybody: a request is only read to know our own when a NAT turns it round. */
#ifndef GATEWAY_WIRE_STUN_H
#define GATEWAY_WIRE_STUN_H

#include "gateway/wire/addr.h"

#define GW_STUN_ID_LEN 12u
#define GW_STUN_HEADER_LEN 20u
#define GW_STUN_REQUEST_MAX 36u   /* header, CHANGE-REQUEST, FINGERPRINT */
#define GW_STUN_MESSAGE_MAX 1280u /* longer ones are not read */

/* The message types that are read (RFC 8489, section 5: class and method Binding). */
#define GW_STUN_REQUEST 0x0001u
#define GW_STUN_SUCCESS 0x0101u
#define GW_STUN_ERROR 0x0111u

struct gw_stun_message {
    uint16_t type;
    uint8_t id[GW_STUN_ID_LEN];
    struct gw_addr mapped; /* XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of an old server; family 0 = none */
    struct gw_addr other;  /* OTHER-ADDRESS, or CHANGED-ADDRESS of an old server */
    struct gw_addr origin; /* RESPONSE-ORIGIN */
    unsigned error;        /* ERROR-CODE, 300 to 699; 0 = none */
};

/* Is it one of the three, by its first bytes, the magic cookie and the length? Whose it is only its transaction says. */
bool gw_stun_is(const uint8_t *datagram, size_t len);

/* A binding request with FINGERPRINT; with CHANGE-REQUEST where one is asked for (RFC 5780, 7.2). Returns its length. */
size_t gw_stun_encode_request(uint8_t out[GW_STUN_REQUEST_MAX], const uint8_t id[GW_STUN_ID_LEN],
                              bool change_ip, bool change_port);

/* 0, or GW_E_MALFORMED: lengths that do not fit, a wrong FINGERPRINT, an attribute that must be understood and is not. Addresses are as the server says: not
 * checked for use. */
int gw_stun_decode(struct gw_stun_message *out, const uint8_t *datagram, size_t len);

#endif
