/* SPDX-License-Identifier: MIT */
/* One more packet of the flow that the one before was of, with nothing in it that anybody decides by: what was found out about that one (whose address it is, who
 * gets it) holds for this one, for as long as nothing else happens in between. Most packets of a train are such. */
#ifndef GATEWAY_PACKET_AGAIN_H
#define GATEWAY_PACKET_AGAIN_H

#include "gateway/packet/ip.h"

/* Zeros: no packet. */
struct gw_again {
    uint8_t version, protocol;
    uint8_t ends[36]; /* addresses and ports, as they stand in the packet */
};

/* Notes a packet that gw_ip_parse took, if it is a TCP segment that neither begins nor ends anything, or a datagram, whole and without extension headers; else nothing
 * is like it. */
void gw_again_set(struct gw_again *again, const uint8_t *packet, const struct gw_ip *ip);
/* Is this one more? Then *ip is as gw_ip_parse would have it. */
bool gw_again_is(const struct gw_again *again, struct gw_ip *ip, const uint8_t *packet, size_t len);

#endif
