/* SPDX-License-Identifier: MIT */
/* Reassembly of IP fragments, bounded hard: few datagrams at a time, each in one buffer, 15 s at most; what overlaps is an attack and its datagram is dropped
 * (RFC 5722, and the same for IPv4). No lists, no callbacks. */
#ifndef NETSTACK_FRAGMENT_H
#define NETSTACK_FRAGMENT_H

#include "gateway/base/mono.h"
#include "gateway/packet/ip.h"

#define GW_FRAGMENT_DATAGRAMS 8u
#define GW_FRAGMENT_HOLES 16u /* pieces of one datagram that are not contiguous yet */
#define GW_FRAGMENT_LEN_MAX 65535u
#define GW_FRAGMENT_TIMEOUT GW_S(15)

struct gw_fragment_piece {
    uint32_t from, to; /* payload bytes */
};

struct gw_fragment_slot {
    bool is_used, has_end;
    uint8_t version, protocol;
    uint64_t owner; /* the link */
    uint8_t addresses[32];
    uint32_t id;
    struct gw_mono started;
    uint32_t end; /* payload length, when has_end */
    unsigned piece_count;
    struct gw_fragment_piece pieces[GW_FRAGMENT_HOLES]; /* sorted, disjoint, not touching */
    size_t cap;
    uint8_t *bytes; /* a plain IP header, then the payload */
};

struct gw_fragments {
    struct gw_fragment_slot slots[GW_FRAGMENT_DATAGRAMS];
};

void gw_fragments_init(struct gw_fragments *fragments);
void gw_fragments_fini(struct gw_fragments *fragments);
/* A packet that gw_ip_parse took and called a fragment. Returns 0 (kept), GW_E_MALFORMED, GW_E_LIMIT (its datagram was dropped), or 1: *out is the whole
 * packet with a plain header, lent until the next call. */
int gw_fragments_add(struct gw_fragments *fragments, struct gw_mono now, uint64_t owner,
                     const uint8_t *packet, const struct gw_ip *ip, uint8_t **out, size_t *out_len);

#endif
