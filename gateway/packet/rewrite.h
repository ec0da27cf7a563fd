/* SPDX-License-Identifier: MIT */
/* One IPv4 address for another at the tunnel's edge, 1:1 and without state: a peer calls itself otherwise than it is called here. All checksums that cover the
 * address follow by difference (RFC 1624), so a wrong one stays wrong and nothing is read that is not there. */
#ifndef GATEWAY_PACKET_REWRITE_H
#define GATEWAY_PACKET_REWRITE_H

#include "gateway/packet/ip.h"

enum gw_rewrite_side { GW_REWRITE_SOURCE, GW_REWRITE_DESTINATION };

/* In an IPv4 packet that gw_ip_parse took: `from` becomes `to` on this side of the header; and in a packet that an ICMP error quotes, which went the other way, on
 * the other side. Whatever is not `from` stays. Fragments: the layer-4 checksum is changed in the one that holds it. is_checksum_left: the
 * layer-4 checksum is not filled in, and not touched. */
void gw_ip_rewrite(uint8_t *packet, const struct gw_ip *ip, enum gw_rewrite_side side, const uint8_t from[4],
                   const uint8_t to[4], bool is_checksum_left);

#endif
