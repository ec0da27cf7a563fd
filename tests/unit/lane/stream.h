/* SPDX-License-Identifier: MIT */
/* A stream in the world: node 1 serves bytes of which each says where it stands, node 0 takes them and looks at each. */
#ifndef TESTS_UNIT_LANE_STREAM_H
#define TESTS_UNIT_LANE_STREAM_H

#include "tests/unit/lane/world.h"

struct world_stream {
    struct world *world;
    struct gw_stream *in, *out; /* node 0's and node 1's end */
    uint64_t written;
    _Atomic uint64_t read;
    void (*before_reading)(struct world_stream *stream); /* may be NULL */
};

/* With both engines standing still. stream: the test's, zeroed here. */
void world_stream_open(struct world_stream *stream, struct world *world);

#endif
