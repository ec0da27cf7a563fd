/* SPDX-License-Identifier: MIT */
/* TCP segments without data that end a connection from in between: each end believes a reset only with the number that it expects next, which the other end's packets tell. */
#ifndef GATEWAY_PACKET_RESET_H
#define GATEWAY_PACKET_RESET_H

#include "gateway/packet/ip.h"
#include "gateway/wire/addr.h"

#define GW_RESET_MAX (GW_IP_V6_HEADER + GW_TCP_HEADER + 1)

/* For a packet that gw_ip_parse took, with a whole TCP header and not a fragment. Both return the length, 0 for what is a reset itself. */

/* What its sender would get from a closed port (RFC 9293, 3.10.7.1). */
size_t gw_reset_sender(uint8_t out[GW_RESET_MAX], const uint8_t *packet, const struct gw_ip *ip);
/* In the sender's name to whom it was for, instead of the packet. */
size_t gw_reset_receiver(uint8_t out[GW_RESET_MAX], const uint8_t *packet, const struct gw_ip *ip);
/* To whom has the connection: a segment that fits in nowhere, which is answered with one that has the right numbers (RFC 9293, 3.10.7.4). It has a byte of data:
 * of those without any Linux answers one in half a second (tcp_invalid_ratelimit), and an acknowledgement that was overtaken may have been it. */
size_t gw_reset_probe(uint8_t out[GW_RESET_MAX], const struct gw_addr *from, const struct gw_addr *to,
                      uint32_t seq);

#endif
