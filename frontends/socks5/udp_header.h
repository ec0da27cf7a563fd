/* SPDX-License-Identifier: MIT */
/* What stands before each datagram between a SOCKS5 client and its relay (RFC 1928, 7). */
#ifndef FRONTENDS_SOCKS5_UDP_HEADER_H
#define FRONTENDS_SOCKS5_UDP_HEADER_H

#include "frontends/socks5/parse.h"

/*  0                   1                   2                   3
 *  | 0             | 0             | FRAG          | ATYP          |
 *  | address (4, 16, or 1 + length) ...            | port          | */
#define GW_UDP_HEADER_MAX (4u + 1u + 255u + 2u)

/* Length of the header, with host, ip and port of *target set; or GW_E_MALFORMED; or GW_E_STATE: a fragment, which is dropped. */
int gw_udp_header_parse(struct gw_proxy_request *target, const uint8_t *bytes, size_t len);

#endif
