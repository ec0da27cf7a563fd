/* SPDX-License-Identifier: MIT */
/* A stream that goes on for ever at a steady rate, each byte of it known: for how long at most did nothing arrive? */
#ifndef TESTS_SIM_STREAM_H
#define TESTS_SIM_STREAM_H

#include "tests/sim/simnet.h"

struct sim_stream {
    struct gw_stream *from, *to; /* its ends; NULL: over, or not there yet */
    struct sim_node *sender, *receiver;
    struct sim_event beat;
    uint64_t sent, received;
    bool is_wrong, is_lost; /* lost: it ended, and sim_stream_end did not end it */
    bool is_ended;
    struct gw_mono last;    /* the last arrival, by the net's clock */
    int64_t longest_gap_ns; /* between two arrivals, since sim_stream_watch */
};

/* Opens it from `node` to `peer`, whose node is `other`; the stream is the test's, zeroed here, and stays until the net ends. At most 8 a net;
 * sim_stream_forget before the next net. */
void sim_stream_start(struct sim_stream *stream, struct sim_node *node, struct gw_peer *peer,
                      struct sim_node *other);
void sim_stream_forget(void);
/* No more is sent; both ends hear of the end. */
void sim_stream_end(struct sim_stream *stream);
/* What it was until now does not count. */
void sim_stream_watch(struct sim_stream *stream);
/* The longest time without a byte since sim_stream_watch, until now. */
int64_t sim_stream_gap(const struct sim_stream *stream);

#endif
