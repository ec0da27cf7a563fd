/* SPDX-License-Identifier: MIT */
/* One direction of an emulated link: packets go in with the time, and come out when a link of that rate, delay and
 * quality would deliver them. No socket and no clock in here; linkem.c moves the bytes.
 *
 *   in -> [queue, drop tail] -> rate -> loss -> delay + jitter, late and double ones -> out
 *
 * A lost packet has taken its time on the link, as on radio. Order is kept but for packets that --reorder holds back. */
#ifndef TESTS_TOOLS_DELAYLINE_H
#define TESTS_TOOLS_DELAYLINE_H

#include <stddef.h>
#include <stdint.h>

struct delayline_config {
    uint64_t delay_ns;
    uint64_t jitter_ns;    /* up to so much more, order kept */
    uint64_t rate;         /* bits of IP packets a second; 0: no limit */
    uint64_t buffer_ns;    /* what the queue before the rate limit holds, as time; 0: no limit */
    uint64_t buffer_bytes; /* the same as bytes; 0: no limit */
    double loss;           /* share of packets, 0 to 1 */
    double burst;          /* mean length of a loss burst in packets; up to 1: independent losses */
    double reorder;        /* share of packets that are held back ... */
    uint64_t reorder_ns;   /* ... by so much */
    double duplicate;      /* share of packets delivered twice */
    uint64_t seed;
    size_t packet_max;  /* the MTU */
    size_t packets_max; /* in the queue and on the way together */
};

struct delayline_stats {
    uint64_t packets_in;
    uint64_t bytes_in;
    uint64_t packets_out;
    uint64_t bytes_out;
    uint64_t lost;          /* by --loss */
    uint64_t dropped_queue; /* the queue was full */
    uint64_t dropped_room;  /* packets_max were on the way: the emulator's own limit, to be 0 */
    uint64_t reordered;
    uint64_t duplicated;
    uint64_t queue_max_ns;
};

struct delayline;

/* The configuration is copied. Dies without memory. */
struct delayline *delayline_new(const struct delayline_config *);
void delayline_free(struct delayline *);

/* Where the next packet may be read into: packet_max bytes. Valid until delayline_push(). */
uint8_t *delayline_slot(struct delayline *);

/* The packet in delayline_slot(), of len bytes, has arrived. */
void delayline_push(struct delayline *, uint64_t now, size_t len);

/* When the next packet is due, or TOOL_NEVER. */
uint64_t delayline_next(const struct delayline *);

/* The next packet, whenever it is due (delayline_next() is not TOOL_NEVER), and then past it. */
const uint8_t *delayline_peek(const struct delayline *, size_t *len);
void delayline_pop(struct delayline *);

const struct delayline_stats *delayline_stats(const struct delayline *);

#endif
