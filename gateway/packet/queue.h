/* SPDX-License-Identifier: MIT */
/* The queue of packets to one peer: the kernel's TUN ring orphans what it hands over, so nobody else limits it. Deficit round robin over inner
 * flows, sparse ones first, CoDel within each (RFC 8290 in small; RFC 8289), order kept within a flow. Bounded in bytes: the fattest flow loses its oldest. */
#ifndef GATEWAY_PACKET_QUEUE_H
#define GATEWAY_PACKET_QUEUE_H

#include "gateway/packet/super.h"

#define GW_PACKET_FLOWS 256u
#define GW_PACKET_QUANTUM 16384u
#define GW_PACKET_QUEUE_BYTES (1024u * 1024u)
#define GW_CODEL_TARGET_NS GW_MS(2)
#define GW_CODEL_INTERVAL_NS GW_MS(50)
/* Some turns' worth of small packets; of super-packets there are never so many. */
#define GW_PACKET_ENOUGH 256u
/* Packets that have not left for so long are stuck, and hold up nobody else's. */
#define GW_PACKET_STUCK_NS GW_MS(2)

struct gw_packet_queue; /* heap object, about 20 KB */

struct gw_packet_queue_stats {
    uint64_t queued, dropped_full, dropped_late; /* super-packets */
    uint32_t bytes, waiting;                     /* now */
};

/* seed: 16 random bytes, for the flows' hash. NULL without memory. */
struct gw_packet_queue *gw_packet_queue_new(const uint8_t seed[16]);
void gw_packet_queue_free(struct gw_packet_queue *queue);
/* Consumes the super-packet; what is over the limit is dropped from the fattest flow. */
void gw_packet_queue_push(struct gw_packet_queue *queue, struct gw_super *super, struct gw_mono now);
/* The super-packet whose turn it is, still owned by the queue; NULL when empty. Drops what CoDel says is late. The same one until it is done and
 * gw_packet_queue_took said so. */
struct gw_super *gw_packet_queue_head(struct gw_packet_queue *queue, struct gw_mono now);
/* `len` bytes of the head's packets went out (or it was refused: pass its rest and is_refused). */
void gw_packet_queue_took(struct gw_packet_queue *queue, size_t len, bool is_refused);
/* More packets wait than a turn sends, and they do leave: who reads more now reads them to be dropped, and keeps those from leaving. */
bool gw_packet_queue_is_backlogged(const struct gw_packet_queue *queue, struct gw_mono now);
bool gw_packet_queue_is_empty(const struct gw_packet_queue *queue);
void gw_packet_queue_stats(const struct gw_packet_queue *queue, struct gw_packet_queue_stats *out);

#endif
