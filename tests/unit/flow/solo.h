/* SPDX-License-Identifier: MIT */
/* One mux without a peer: its packets are read frame by frame, and frames are fed to it by hand. Window and pacer
 * are open wide, so that only what is to be sent decides what is. */
#ifndef TESTS_UNIT_FLOW_SOLO_H
#define TESTS_UNIT_FLOW_SOLO_H

#include "gateway/flow/mux_private.h"

#define SOLO_CAP 1000u
#define SOLO_FRAMES 100u
#define SOLO_IDS 500u

struct solo_frame {
    uint64_t type;
    bool is_fin;              /* STREAM */
    uint64_t id, offset, len; /* STREAM, DATAGRAM (id, len) */
    uint64_t numbers[3];      /* all others: the first varints of the body */
};

struct solo {
    struct gw_deadlines deadlines;
    struct gw_random_seeded random;
    struct gw_flow_budget budget;
    struct gw_mux *mux;
    struct gw_mono now;
    uint32_t next_number; /* of the peer's packets */
    /* The last packet pulled. */
    size_t len, padding;
    unsigned count;
    struct solo_frame frames[SOLO_FRAMES];
    uint64_t bytes_of[SOLO_IDS]; /* of each stream, in all packets */
};

/* is_lower: its ids are even. Its events' ctx is the solo. */
void solo_init(struct solo *solo, const struct gw_mux_events *events, uint64_t limit);
/* Asserts that the budget is whole again. */
void solo_fini(struct solo *solo);
/* Reads the next packet; false: there is none. */
bool solo_pull(struct solo *solo);
/* Pulls until there is none; how many there were. */
unsigned solo_pull_all(struct solo *solo);
/* The first frame of that type in the last packet, or NULL. */
const struct solo_frame *solo_find(const struct solo *solo, enum gw_frame_type type);
/* A packet from the peer with one frame behind its number; what gw_mux_frame said. */
int solo_feed(struct solo *solo, enum gw_frame_type type, const void *body, size_t len);
/* One whose body is varints. */
int solo_feed_numbers(struct solo *solo, enum gw_frame_type type, unsigned count, const uint64_t numbers[]);
int solo_feed_stream(struct solo *solo, uint64_t id, uint64_t offset, const void *data, size_t len,
                     bool is_fin);
/* The peer acks all that was sent. */
void solo_ack_all(struct solo *solo);
/* As much of len bytes as the stream takes. */
void solo_write(struct solo *solo, struct gw_stream *stream, size_t len);

#endif
