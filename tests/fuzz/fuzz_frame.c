/* SPDX-License-Identifier: MIT */
/* Frames: every body lies within the packet and behind the last one; written again by our writer, they read
 * the same; and the bodies that gateway/wire knows are decoded. */
#include "gateway/wire/frame.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_body(const struct gw_frame *frame)
{
    struct gw_hello hello;
    struct gw_ping ping;
    if (frame->type == GW_FRAME_HELLO)
        (void)gw_hello_decode(&hello, frame->body);
    if (frame->type != GW_FRAME_PING || gw_ping_decode(&ping, frame->body) != 0)
        return;
    uint8_t bytes[GW_PING_LEN];
    struct gw_writer w = gw_writer_of(bytes, sizeof bytes);
    gw_ping_encode(&w, &ping);
    assert(gw_writer_ok(&w) && gw_writer_left(&w) == 0);
    assert((bytes[0] & ~frame->body.data[0]) == 0 &&
           memcmp(bytes + 1, frame->body.data + 1, GW_PING_LEN - 1) == 0);
}

/* Only what our own writer can say. */
static bool is_writable(const struct gw_frame *frame)
{
    return frame->type < 64 && frame->body.len < 16384;
}

static void check_rewritten(const uint8_t *data, size_t size, const uint8_t *rewritten, size_t len)
{
    struct gw_reader r = gw_reader_of(data, size), again = gw_reader_of(rewritten, len);
    struct gw_frame a, b;
    while (gw_frame_next(&r, &a)) {
        if (!is_writable(&a))
            continue;
        assert(gw_frame_next(&again, &b));
        assert(a.type == b.type && a.body.len == b.body.len);
        assert(memcmp(a.body.data, b.body.data, a.body.len) == 0);
    }
    assert(!gw_frame_next(&again, &b) && gw_reader_done(&again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t cap = 2 * size + 16; /* a frame grows from 2 bytes of header to 3 at most */
    uint8_t *rewritten = malloc(cap);
    assert(rewritten != NULL);
    struct gw_writer w = gw_writer_of(rewritten, cap);
    struct gw_reader r = gw_reader_of(data, size);
    struct gw_frame frame;
    const uint8_t *end = data;
    while (gw_frame_next(&r, &frame)) {
        assert(frame.type != GW_FRAME_PADDING);
        assert(frame.body.data > end && frame.body.data + frame.body.len <= data + size);
        end = frame.body.data + frame.body.len;
        decode_body(&frame);
        if (!is_writable(&frame))
            continue;
        struct gw_writer body = gw_frame_begin(&w, (enum gw_frame_type)frame.type, frame.body.len);
        gw_write_bytes(&body, frame.body.data, frame.body.len);
        gw_frame_finish(&w, &body);
    }
    assert(gw_reader_left(&r) == 0);
    assert(gw_writer_ok(&w));
    check_rewritten(data, size, rewritten, gw_writer_len(&w));
    free(rewritten);
    return 0;
}
