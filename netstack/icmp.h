/* SPDX-License-Identifier: MIT */
/* ICMP and ICMPv6 echo (RFC 792, RFC 4443) for the gateway's own virtual addresses: a peer's ping is answered, and ours asks
 * peers that have only packets (a stock WireGuard peer). Pure functions over whole IP packets; nothing here keeps state. */
#ifndef NETSTACK_ICMP_H
#define NETSTACK_ICMP_H

#include "gateway/wire/addr.h"

#define GW_ICMP_REQUEST_LEN_MAX 128u

struct gw_icmp_echo {
    struct gw_addr from, to; /* ports 0 */
    uint16_t id, seq;
    bool is_reply;
};

/* Is this packet a whole, unfragmented echo request or reply with a right checksum? */
bool gw_icmp_parse(const uint8_t *packet, size_t len, struct gw_icmp_echo *out);
/* Turns an echo request that gw_icmp_parse took into its reply, in place; the length stays. */
void gw_icmp_answer(uint8_t *packet, size_t len);
/* Writes an echo request of `payload_len` payload bytes; returns its length, 0 when it does not fit or the families differ. */
size_t gw_icmp_request(uint8_t *out, size_t cap, const struct gw_icmp_echo *echo, size_t payload_len);

#endif
