/* SPDX-License-Identifier: MIT */
/* Fragmenting IPv4 packets as a router does (RFC 791, 3.2): for what has to go where smaller packets go and does not forbid it. IPv6 knows no
 * such thing. */
#ifndef GATEWAY_PACKET_FRAGMENT_H
#define GATEWAY_PACKET_FRAGMENT_H

#include "gateway/packet/super.h"

/* IPv4, without DF. */
bool gw_fragment_may(const uint8_t *packet, const struct gw_ip *ip);

/* A packet (borrowed) on its way through the saw. Its layer-4 checksum is filled in. */
struct gw_fragmenter {
    const uint8_t *packet;
    uint32_t len;   /* what its header says */
    size_t room;    /* the longest that a fragment may be */
    uint32_t done;  /* bytes behind the header that are out */
    uint8_t header; /* its header's length */
};

/* packet: one that gw_ip_parse took and gw_fragment_may allows; room: at least GW_FRAGMENT_MIN. */
#define GW_FRAGMENT_MIN 68u /* what every module must carry: the longest header and 8 bytes */
void gw_fragmenter_init(struct gw_fragmenter *f, const uint8_t *packet, const struct gw_ip *ip, size_t room);
/* Writes the next fragment to out (room bytes). Its length; 0 when all are out. One that is a fragment already is cut into fragments of the same whole. Options go
 * into every fragment if they say so, and only into the first else. */
size_t gw_fragment_next(struct gw_fragmenter *f, uint8_t *out);

/* All fragments of a packet, or of each datagram of a UDP burst, as the source gave it (the checksum may be left out); what fits is not cut. `emit` is lent
 * each for the call. 0, GW_E_NOMEM, GW_E_MALFORMED: none came. */
int gw_fragment_each(const uint8_t *packet, const struct gw_ip *ip, const struct gw_super_hint *hint,
                     size_t room, void (*emit)(const uint8_t *packet, size_t len, void *ctx), void *ctx);

#endif
