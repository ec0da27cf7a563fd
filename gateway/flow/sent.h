/* SPDX-License-Identifier: MIT */
/* The packets in flight: a ring indexed by packet number, with what each carried, so that an ack or a loss reaches
 * the stream that it concerns. One thing carried lies in the record itself, more hang from it; nothing is
 * allocated per packet. */
#ifndef GATEWAY_FLOW_SENT_H
#define GATEWAY_FLOW_SENT_H

#include "gateway/base/mono.h"
#include "gateway/flow/ratesample.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_stream;

/* What a packet carried for a stream. Frames of the session are bits in gw_sent_packet.controls. */
enum gw_sent_kind {
    GW_SENT_NOTHING = 0,
    GW_SENT_BYTES,   /* STREAM: offset, len, is_fin */
    GW_SENT_CONTROL, /* a frame whose loss is repaired by the current value: `control` says which */
};

struct gw_sent_item {
    struct gw_sent_item *more;
    struct gw_stream *stream;
    uint64_t offset;
    uint32_t len;
    uint8_t kind; /* enum gw_sent_kind */
    uint8_t control;
    bool is_fin;
};

enum gw_sent_state {
    GW_SENT_OUTSTANDING = 0,
    GW_SENT_LOST, /* declared lost; still remembered in case it was not */
    GW_SENT_ACKED,
};

struct gw_sent_packet {
    struct gw_mono sent_at;
    struct gw_rate_stamp stamp;
    struct gw_sent_item item; /* kind NOTHING: none */
    union {
        uint64_t ack_largest; /* until acked: 1 + the largest number of the ACK frame in it, 0 = none */
        uint64_t run_start;   /* acked: every number from here to this one is acked too */
    } u;
    uint32_t bytes; /* of the datagram */
    uint8_t state;  /* enum gw_sent_state */
    uint8_t controls;
    bool is_repeated; /* what it carried was sent once more by a probe */
};

#define GW_SENT_MAX (UINT64_C(1) << 18)

struct gw_sent {
    struct gw_sent_packet *ring;
    uint64_t cap;   /* a power of two, or 0 */
    uint64_t first; /* lowest number remembered */
    uint64_t next;  /* number of the next packet */
    struct gw_sent_item *free_items;
};

void gw_sent_init(struct gw_sent *sent);
/* Frees the ring; items are forgotten, not reported. */
void gw_sent_fini(struct gw_sent *sent);

static inline struct gw_sent_packet *gw_sent_at(const struct gw_sent *sent, uint64_t number)
{
    assert(number - sent->first < sent->next - sent->first);
    return &sent->ring[number & (sent->cap - 1)];
}
static inline bool gw_sent_is_empty(const struct gw_sent *sent)
{
    return sent->first == sent->next;
}

/* The record of the packet that is being written, number `next`, cleared; NULL without memory, or when GW_SENT_MAX
 * are remembered. */
struct gw_sent_packet *gw_sent_begin(struct gw_sent *sent);
/* A cleared item of that packet; NULL without memory. */
struct gw_sent_item *gw_sent_add(struct gw_sent *sent, struct gw_sent_packet *packet);
/* The packet is sent: it is remembered. Without it the record is void and its items must be cleared. */
static inline void gw_sent_commit(struct gw_sent *sent)
{
    sent->next++;
}
/* Forgets the items of a packet. */
void gw_sent_clear_items(struct gw_sent *sent, struct gw_sent_packet *packet);
/* Forgets the lowest packet, whose items are cleared. */
static inline void gw_sent_pop(struct gw_sent *sent)
{
    sent->first++;
}
/* Gives the memory of an empty ring back. */
void gw_sent_trim(struct gw_sent *sent);

/* for each item: visit(item) */
#define gw_sent_for_each_item(packet, item)                                                          \
    for (struct gw_sent_item *item = &(packet)->item; item != NULL && item->kind != GW_SENT_NOTHING; \
         item = item->more)

#endif
