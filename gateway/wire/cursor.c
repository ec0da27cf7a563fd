/* SPDX-License-Identifier: MIT */
/* The cursor's less frequent half: longer varints, and copies. What is hot is inline in the header. */
#include "gateway/wire/cursor.h"

/* The first byte's two high bits say the length: 1, 2, 4 or 8 bytes; the other bits are the number. */
uint64_t gw_read_long_varint(struct gw_reader *r)
{
    if (gw_reader_left(r) == 0) {
        gw_reader_fail(r);
        return 0;
    }
    switch (*r->at >> 6) {
    case 0:
        return gw_read_u8(r);
    case 1:
        return gw_read_u16_be(r) & 0x3fff;
    case 2:
        return gw_read_u32_be(r) & 0x3fffffff;
    default:
        return gw_read_u64_be(r) & GW_VARINT_MAX;
    }
}

void gw_read_bytes(struct gw_reader *r, void *out, size_t len)
{
    const uint8_t *p = gw_read_take(r, len);
    if (len == 0)
        return;
    if (p != NULL)
        memcpy(out, p, len);
    else
        memset(out, 0, len);
}

struct gw_reader gw_read_sub(struct gw_reader *r, size_t len)
{
    struct gw_view view = gw_read_view(r, len);
    struct gw_reader sub = gw_reader_of_view(view);
    if (r->failed)
        gw_reader_fail(&sub);
    return sub;
}

void gw_write_varint(struct gw_writer *w, uint64_t v)
{
    switch (gw_varint_len(v)) {
    case 1:
        gw_write_u8(w, (uint8_t)v);
        break;
    case 2:
        gw_write_u16_be(w, (uint16_t)(0x4000 | v));
        break;
    case 4:
        gw_write_u32_be(w, (uint32_t)(0x80000000 | v));
        break;
    case 8:
        gw_write_u64_be(w, UINT64_C(0xc000000000000000) | v);
        break;
    default:
        gw_writer_fail(w);
    }
}

void gw_write_bytes(struct gw_writer *w, const void *data, size_t len)
{
    uint8_t *p = gw_write_reserve(w, len);
    if (p != NULL && len > 0)
        memcpy(p, data, len);
}

void gw_write_zeros(struct gw_writer *w, size_t len)
{
    uint8_t *p = gw_write_reserve(w, len);
    if (p != NULL && len > 0)
        memset(p, 0, len);
}
