/* SPDX-License-Identifier: MIT */
/* The unit of the data path: up to 64 datagrams of one stride, to or from one address, in one slab, as UDP
 * GSO and GRO carry them. All datagrams are `stride` bytes but the last, which is `last_len` <= stride. A
 * received train is lent to the engine, which opens it in place; an outgoing one is filled by the engine in
 * the caller's slab. A slab never changes owner and an engine owns none. */
#ifndef GATEWAY_WIRE_TRAIN_H
#define GATEWAY_WIRE_TRAIN_H

#include "gateway/wire/addr.h"

#define GW_TRAIN_SLAB 65536u   /* bytes in a slab */
#define GW_TRAIN_BYTES 65200u  /* most bytes of datagrams in a train: below UDP's 65,507 */
#define GW_TRAIN_DATAGRAMS 64u /* UDP_MAX_SEGMENTS of the kernels we run on */
#define GW_DATAGRAM_MAX 65507u

/* Which socket, which addresses: what a path is made of on our side of it. */
struct gw_tuple {
    struct gw_addr local; /* ours, if the socket told it (IP_PKTINFO); family 0 lets the kernel choose */
    struct gw_addr remote;
    uint32_t link; /* id of the link (socket) within the gateway; GW_LINK_PRIMARY */
};
static_assert(sizeof(struct gw_tuple) == 52, "a map key without padding");

#define GW_LINK_PRIMARY 0u
#define GW_LINK_SECOND 1u /* an anchor's second port, which measuring takes */
/* A link with this bit is no socket but a channel of a relay; the other bits number it. Both addresses are unset then. */
#define GW_LINK_RELAY 0x80000000u

/* A link with this bit is no socket of ours that others' datagrams come to, but a TLS connection to or from an anchor; the other bits number it. The addresses are the
 * connection's. */
#define GW_LINK_CARRIER 0x40000000u

static inline bool gw_tuple_is_relay(const struct gw_tuple *tuple)
{
    return (tuple->link & GW_LINK_RELAY) != 0;
}
static inline bool gw_tuple_is_carrier(const struct gw_tuple *tuple)
{
    return (tuple->link & (GW_LINK_RELAY | GW_LINK_CARRIER)) == GW_LINK_CARRIER;
}
/* Datagrams to an address, without anything of ours between. */
static inline bool gw_tuple_is_direct(const struct gw_tuple *tuple)
{
    return (tuple->link & (GW_LINK_RELAY | GW_LINK_CARRIER)) == 0;
}
static inline bool gw_tuple_same_kind(const struct gw_tuple *a, const struct gw_tuple *b)
{
    return ((a->link ^ b->link) & (GW_LINK_RELAY | GW_LINK_CARRIER)) == 0;
}
static inline bool gw_tuple_equal(const struct gw_tuple *a, const struct gw_tuple *b)
{
    return a->link == b->link && gw_addr_equal(&a->remote, &b->remote) && gw_addr_equal(&a->local, &b->local);
}
/* Did b come from where a goes to? Which of our addresses it was for does not matter. */
static inline bool gw_tuple_same_remote(const struct gw_tuple *a, const struct gw_tuple *b)
{
    return a->link == b->link && gw_addr_equal(&a->remote, &b->remote);
}

struct gw_train {
    struct gw_tuple tuple;
    uint8_t *slab;
    uint16_t stride;
    uint16_t count;
    uint16_t last_len;
    uint8_t ecn;     /* the two ECN bits of the IP header (RFC 3168) */
    bool may_be_cut; /* the network may fragment its datagrams; nobody sets it on receiving */
    bool
        heeds_icmp; /* to somebody who answers no probe of ours: what ICMP says of the path's size is all that is known; nor this */
};

static inline size_t gw_train_len(const struct gw_train *t)
{
    return t->count == 0 ? 0 : (size_t)(t->count - 1) * t->stride + t->last_len;
}
static inline uint8_t *gw_train_datagram(const struct gw_train *t, unsigned i)
{
    return t->slab + (size_t)i * t->stride;
}
static inline size_t gw_train_datagram_len(const struct gw_train *t, unsigned i)
{
    return i + 1 == t->count ? t->last_len : t->stride;
}

#endif
