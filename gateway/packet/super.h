/* SPDX-License-Identifier: MIT */
/* A super-packet: one IP packet, or a TCP or UDP burst of one flow under one header as a TUN with segmentation offload gives it (up to
 * 64 KB), waiting to be cut into packets of at most the path's size. Headers are parsed, not trusted. */
#ifndef GATEWAY_PACKET_SUPER_H
#define GATEWAY_PACKET_SUPER_H

#include "gateway/base/list.h"
#include "gateway/base/mono.h"
#include "gateway/packet/ip.h"

#define GW_SUPER_MAX 65535u
/* Room before the packet for what an interface puts there. */
#define GW_SUPER_HEADROOM 16u
/* IPv6 and TCP with all its options: headers that are in the way of cutting are none of those (has_extensions). */
#define GW_SUPER_HEADER_MAX 100u

/* What the source said beside the bytes (the virtio-net header of a TUN, in our words). */
struct gw_super_hint {
    uint16_t segment_len;  /* payload bytes of each segment; 0 = one packet, to go as it is */
    bool is_checksum_left; /* the layer-4 checksum is not filled in */
};

struct gw_super {
    struct gw_list node;   /* in the queue's flow */
    struct gw_mono queued; /* set by the queue */
    struct gw_ip ip;
    struct gw_super_hint hint;
    uint32_t flow; /* hash; set by the queue */
    uint32_t len;  /* bytes in data */
    uint32_t done; /* payload bytes that went out */
    uint32_t
        ip_sum; /* set with the first segment: of an IPv4 header's words but for length, identification and checksum */
    uint16_t segments; /* that went out */
    _Alignas(16) uint8_t headroom[GW_SUPER_HEADROOM];
    uint8_t data[]; /* the packet; of one that is cut, then its header as it came */
};

/* Copies len bytes. 0, GW_E_NOMEM, GW_E_MALFORMED. */
int gw_super_new(struct gw_super **out, const uint8_t *packet, size_t len, const struct gw_super_hint *hint);
/* One to read a packet into: up to GW_SUPER_MAX bytes at data, headroom before them. It is none until gw_super_set took it. NULL without memory. */
struct gw_super *gw_super_blank(void);
/* Makes one of a blank one whose packet is in place. 0, GW_E_MALFORMED. */
int gw_super_set(struct gw_super *super, size_t len, const struct gw_super_hint *hint);
void gw_super_free(struct gw_super *super);

/* The header that all its packets are made of. */
static inline uint8_t *gw_super_header(struct gw_super *super)
{
    bool is_begun = super->segments > 0 && super->hint.segment_len > 0;
    return is_begun ? super->data + super->len : super->data;
}

/* The longest packet that will come of it; 0: as long as the path asks, since TCP's segments are cut anyhow. */
static inline size_t gw_super_longest(const struct gw_ip *ip, const struct gw_super_hint *hint)
{
    if (hint->segment_len == 0)
        return ip->total_len;
    return ip->protocol == GW_IP_TCP ? 0 : (size_t)ip->header_len + hint->segment_len;
}

/* Bytes of the next packet when packets may have `room` bytes; 0 when the super-packet is used up. A single packet that is longer than room gives its
 * length all the same: the caller refuses it. */
size_t gw_super_next_len(const struct gw_super *super, size_t room);
/* That packet, in the super-packet's own bytes, where the one before it was: good (and the caller's to change) until the next call or gw_super_free. keep_partial:
 * leave layer-4 checksums out (the receiver is one of ours and completes them); *is_partial tells whether one is left out. */
uint8_t *gw_super_next(struct gw_super *super, size_t *len, size_t room, bool keep_partial, bool *is_partial);
/* The same, copied to `out`. Returns its length. */
size_t gw_super_take(struct gw_super *super, uint8_t *out, size_t room, bool keep_partial, bool *is_partial);
bool gw_super_is_done(const struct gw_super *super);

#endif
