/* SPDX-License-Identifier: MIT */
/* Streams without a mux, for a splice's test: the test plays the mux, also in orders that a real one meets once in a year. */
#ifndef TESTS_UNIT_LOCAL_FAKE_STREAM_H
#define TESTS_UNIT_LOCAL_FAKE_STREAM_H

#include "gateway/flow/stream.h"

#define FAKE_CAP 65536u

struct gw_stream {
    const struct gw_stream_ops *ops;
    void *user;
    /* From the splice. */
    uint8_t out[FAKE_CAP];
    size_t out_len, room; /* how much it still takes; less than FAKE_CAP - out_len blocks it */
    size_t reserved;      /* lent */
    bool is_finished, is_reset, is_released;
    enum gw_reason reason;
    unsigned resumed;
    /* on_writable from within so many of the next reserves, and room that appears in that moment. */
    unsigned writable_inside;
    size_t room_inside;
    /* Kept because the splice took less. */
    uint8_t kept[FAKE_CAP];
    size_t kept_len;
    bool is_fin_kept;
};

void fake_init(struct gw_stream *stream, size_t room);
/* Offers bytes behind those that are kept. */
void fake_deliver(struct gw_stream *stream, const void *bytes, size_t len);
/* The peer's end, behind the bytes. */
void fake_fin(struct gw_stream *stream);

#endif
