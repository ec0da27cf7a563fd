/* SPDX-License-Identifier: MIT */
/* ICMP and ICMPv6 error messages about a packet that cannot go on (RFC 792, RFC 1191, RFC 4443), and the TCP MSS option of a SYN (RFC 6691). Pure
 * functions over whole packets. */
#ifndef FRONTENDS_TUN_ICMP_ERROR_H
#define FRONTENDS_TUN_ICMP_ERROR_H

#include "gateway/packet/ip.h"

#define GW_ICMP_ERROR_MAX GW_IP_MIN_MTU_V6

enum gw_icmp_error {
    GW_ICMP_NO_ROUTE,         /* no peer has this address */
    GW_ICMP_HOST_UNREACHABLE, /* one has, and cannot be reached */
    GW_ICMP_TOO_BIG,
};

/* Writes to `out` (GW_ICMP_ERROR_MAX bytes) what `from` (same family) says about the packet. mtu: for TOO_BIG. Its length, or 0: such a packet is not
 * answered (an error itself, a later fragment, to or from an address that is not one machine's). */
size_t gw_icmp_error(uint8_t *out, enum gw_icmp_error error, uint32_t mtu, const struct gw_addr *from,
                     const uint8_t *packet, const struct gw_ip *ip);

/* When the packet is a TCP SYN whose MSS does not fit packets of `room` bytes: writes the one that does, and (unless it is left out) corrects the
 * checksum. */
void gw_tcp_clamp_mss(uint8_t *packet, const struct gw_ip *ip, size_t room, bool is_checksum_left);

#endif
