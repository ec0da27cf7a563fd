/* SPDX-License-Identifier: MIT */
/* Frames inside a session's packets, and PING's body. The other frames' bodies are coded where they are
 * understood: HELLO in hello.c, the flows' in gateway/flow. */
#include "gateway/wire/frame.h"

#include "gateway/base/err.h"

#include <assert.h>

#define LENGTH_LEN 2u /* always two bytes, because the length is known only when the body is written */
#define MAX_LENGTH 0x3fffu
#define LENGTH_PREFIX 0x4000u /* of a two-byte varint */

#define PING_REPLY 1u

bool gw_frame_next(struct gw_reader *r, struct gw_frame *out)
{
    if (gw_reader_left(r) == 0)
        return false;
    uint64_t type = gw_read_varint(r);
    if (type == GW_FRAME_PADDING) {
        r->at = r->end;
        return false;
    }
    uint64_t len = gw_read_varint(r);
    if (len > gw_reader_left(r)) /* compared as 64 bits: size_t may have 32 */
        gw_reader_fail(r);
    *out = (struct gw_frame){type, gw_read_view(r, r->failed ? 0 : (size_t)len)};
    return gw_reader_ok(r);
}

struct gw_writer gw_frame_begin(struct gw_writer *w, enum gw_frame_type type, size_t max_body)
{
    assert(type > GW_FRAME_PADDING && type < 64); /* a varint of one byte */
    gw_write_u8(w, (uint8_t)type);
    gw_write_u16_be(w, 0);
    size_t cap = gw_writer_left(w);
    if (cap > max_body)
        cap = max_body;
    if (cap > MAX_LENGTH)
        cap = MAX_LENGTH;
    struct gw_writer body = gw_writer_of(w->at, cap);
    if (!gw_writer_ok(w))
        gw_writer_fail(&body);
    return body;
}

void gw_frame_finish(struct gw_writer *w, struct gw_writer *body)
{
    if (!gw_writer_ok(w) || !gw_writer_ok(body)) {
        gw_writer_fail(w);
        return;
    }
    assert(body->start == w->at && body->end <= w->end); /* nothing was written to w in between */
    gw_store16_be(w->at - LENGTH_LEN, (uint16_t)(LENGTH_PREFIX | gw_writer_len(body)));
    w->at = body->at;
}

int gw_ping_decode(struct gw_ping *out, struct gw_view body)
{
    struct gw_reader r = gw_reader_of_view(body);
    struct gw_ping ping;
    ping.is_reply = (gw_read_u8(&r) & PING_REPLY) != 0;
    ping.id = gw_read_u32_be(&r);
    gw_read_bytes(&r, ping.payload, sizeof ping.payload);
    if (!gw_reader_ok(&r))
        return GW_E_MALFORMED;
    *out = ping;
    return 0;
}

void gw_ping_encode(struct gw_writer *w, const struct gw_ping *ping)
{
    gw_write_u8(w, ping->is_reply ? PING_REPLY : 0);
    gw_write_u32_be(w, ping->id);
    gw_write_bytes(w, ping->payload, sizeof ping->payload);
}
