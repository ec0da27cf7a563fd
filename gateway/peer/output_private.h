/* SPDX-License-Identifier: MIT */
/* What the files that make a train owe each other: output.c, output_packets.c and packet_room.c only. */
#ifndef GATEWAY_PEER_OUTPUT_PRIVATE_H
#define GATEWAY_PEER_OUTPUT_PRIVATE_H

#include "gateway/peer/peer_private.h"

/* A train under construction on one path with one key. */
struct gw_build {
    struct gw_peer *peer;
    struct gw_keypair *kp;
    struct gw_mono now;
    struct gw_path *path;
    struct gw_train *train;
    enum gw_suite suite;
    bool may_send_data; /* else HELLO only */
    bool asks;          /* something in the train wants an answer */
    size_t limit;       /* of the train's bytes, from its second datagram on */
};

/* What each datagram gets in front of it on its way: a relay's frame header. */
static inline size_t gw_build_wrap_len(const struct gw_tuple *tuple)
{
    return gw_tuple_is_relay(tuple) ? GW_PATH_RELAY_OVERHEAD : 0;
}

/* Is there room for one more datagram of the train's length? */
static inline bool gw_build_has_room(const struct gw_train *train)
{
    size_t wrap = gw_build_wrap_len(&train->tuple);
    return train->count < GW_TRAIN_DATAGRAMS &&
           gw_train_len(train) + train->stride + (train->count + 1u) * wrap <= GW_TRAIN_BYTES;
}

static inline void gw_build_add_datagram(struct gw_train *train, size_t len)
{
    if (train->count++ == 0)
        train->stride = (uint16_t)len;
    train->last_len = (uint16_t)len;
}

/* Plaintext room in a datagram of `payload` bytes, without the byte that says "frames". */
static inline size_t gw_build_frames_room(size_t payload, enum gw_suite suite)
{
    size_t plain = payload - gw_suite_overhead(suite);
    if (suite == GW_SUITE_CHACHA20_POLY1305)
        plain &= ~(size_t)15;
    return plain - 1;
}

/* plain: NULL when it is in its place already. */
static inline bool gw_build_seal_from(struct gw_build *b, const uint8_t *plain, size_t plain_len, size_t cap)
{
    struct gw_train *train = b->train;
    uint8_t *slot = train->slab + gw_train_len(train);
    size_t len = plain ? gw_keypair_seal_from(b->kp, b->suite, slot, cap, plain, plain_len)
                       : gw_keypair_seal(b->kp, b->suite, slot, cap, plain_len);
    if (len == 0)
        return false;
    gw_build_add_datagram(train, len);
    return true;
}

static inline bool gw_build_seal(struct gw_build *b, size_t plain_len, size_t cap)
{
    return gw_build_seal_from(b, NULL, plain_len, cap);
}

/* ---- output_packets.c */
/* IP packets of the queue as one train, or the second part of one that was cut: as long as they come out as long as the first. false: there is none, or none that may go. */
bool gw_build_packets(struct gw_build *b);

/* ---- packet_room.c */
/* The longest datagram that an IP packet to the peer may become on the path. */
size_t gw_peer_packet_cap(const struct gw_peer *peer, const struct gw_path *path);

#endif
