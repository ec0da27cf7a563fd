/* SPDX-License-Identifier: MIT */
/* The one way to read and write bytes that cross a network or a socket: a cursor with a sticky error. Parse
 * straight through, check `gw_reader_ok` or `gw_writer_ok` once at the end; after an error every read gives
 * zeros and every write does nothing. Nothing here allocates. Varints are QUIC's (RFC 9000, section 16). The
 * cursor is the data path's, so it is inline; one comparison an operation is what it costs. */
#ifndef GATEWAY_WIRE_CURSOR_H
#define GATEWAY_WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GW_VARINT_MAX ((UINT64_C(1) << 62) - 1)

/* A view of somebody else's bytes. */
struct gw_view {
    const uint8_t *data;
    size_t len;
};

struct gw_reader {
    const uint8_t *at, *end;
    bool failed;
};

struct gw_writer {
    uint8_t *start, *at, *end;
    bool failed;
};

/* After an error at == end, so that loops over what is left end and reads need to look at nothing else. */
static inline void gw_reader_fail(struct gw_reader *r)
{
    r->failed = true;
    r->at = r->end;
}
static inline void gw_writer_fail(struct gw_writer *w)
{
    w->failed = true;
    w->end = w->at;
}

/* data may be NULL when len is 0. */
static inline struct gw_reader gw_reader_of(const void *data, size_t len)
{
    const uint8_t *at = len > 0 ? (const uint8_t *)data : (const uint8_t *)"";
    return (struct gw_reader){at, at + len, false};
}
static inline struct gw_reader gw_reader_of_view(struct gw_view view)
{
    return gw_reader_of(view.data, view.len);
}
/* data may be NULL when cap is 0. */
static inline struct gw_writer gw_writer_of(void *data, size_t cap)
{
    uint8_t *at = (uint8_t *)data;
    return (struct gw_writer){at, at, cap > 0 ? at + cap : at, false};
}

static inline uint16_t gw_load16_le(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t gw_load32_le(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t gw_load64_le(const uint8_t *p)
{
    return gw_load32_le(p) | (uint64_t)gw_load32_le(p + 4) << 32;
}
static inline uint16_t gw_load16_be(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t gw_load32_be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}
static inline uint64_t gw_load64_be(const uint8_t *p)
{
    return (uint64_t)gw_load32_be(p) << 32 | gw_load32_be(p + 4);
}
static inline void gw_store16_le(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void gw_store32_le(uint8_t *p, uint32_t v)
{
    gw_store16_le(p, (uint16_t)v);
    gw_store16_le(p + 2, (uint16_t)(v >> 16));
}
static inline void gw_store64_le(uint8_t *p, uint64_t v)
{
    gw_store32_le(p, (uint32_t)v);
    gw_store32_le(p + 4, (uint32_t)(v >> 32));
}
static inline void gw_store16_be(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void gw_store32_be(uint8_t *p, uint32_t v)
{
    gw_store16_be(p, (uint16_t)(v >> 16));
    gw_store16_be(p + 2, (uint16_t)v);
}
static inline void gw_store64_be(uint8_t *p, uint64_t v)
{
    gw_store32_be(p, (uint32_t)(v >> 32));
    gw_store32_be(p + 4, (uint32_t)v);
}

static inline size_t gw_reader_left(const struct gw_reader *r)
{
    return (size_t)(r->end - r->at);
}
static inline bool gw_reader_ok(const struct gw_reader *r)
{
    return !r->failed;
}
/* ok, and nothing is left over */
static inline bool gw_reader_done(const struct gw_reader *r)
{
    return !r->failed && r->at == r->end;
}

/* The next len bytes, lent and skipped; NULL (and failed) when they are not there. Building block of the
 * reads below. */
static inline const uint8_t *gw_read_take(struct gw_reader *r, size_t len)
{
    const uint8_t *at = r->at;
    if (len > gw_reader_left(r)) {
        gw_reader_fail(r);
        return NULL;
    }
    r->at += len;
    return at;
}
static inline uint8_t gw_read_u8(struct gw_reader *r)
{
    const uint8_t *p = gw_read_take(r, 1);
    return p != NULL ? *p : 0;
}
static inline uint16_t gw_read_u16_be(struct gw_reader *r)
{
    const uint8_t *p = gw_read_take(r, 2);
    return p != NULL ? gw_load16_be(p) : 0;
}
static inline uint32_t gw_read_u32_be(struct gw_reader *r)
{
    const uint8_t *p = gw_read_take(r, 4);
    return p != NULL ? gw_load32_be(p) : 0;
}
static inline uint64_t gw_read_u64_be(struct gw_reader *r)
{
    const uint8_t *p = gw_read_take(r, 8);
    return p != NULL ? gw_load64_be(p) : 0;
}
static inline uint16_t gw_read_u16_le(struct gw_reader *r)
{
    const uint8_t *p = gw_read_take(r, 2);
    return p != NULL ? gw_load16_le(p) : 0;
}
static inline uint32_t gw_read_u32_le(struct gw_reader *r)
{
    const uint8_t *p = gw_read_take(r, 4);
    return p != NULL ? gw_load32_le(p) : 0;
}
static inline uint64_t gw_read_u64_le(struct gw_reader *r)
{
    const uint8_t *p = gw_read_take(r, 8);
    return p != NULL ? gw_load64_le(p) : 0;
}
/* gw_read_varint for all lengths. */
uint64_t gw_read_long_varint(struct gw_reader *r);
/* Any of the four lengths, shortest or not. */
static inline uint64_t gw_read_varint(struct gw_reader *r)
{
    if (r->at != r->end && *r->at < 0x40)
        return *r->at++;
    return gw_read_long_varint(r);
}
/* len bytes, lent; an empty view (data never NULL) after an error. */
static inline struct gw_view gw_read_view(struct gw_reader *r, size_t len)
{
    const uint8_t *p = gw_read_take(r, len);
    return p != NULL ? (struct gw_view){p, len} : (struct gw_view){r->end, 0};
}
/* Copies len bytes to out; zeros after an error. */
void gw_read_bytes(struct gw_reader *r, void *out, size_t len);
/* A reader of the next len bytes, which this one skips; failed if they are not there. */
struct gw_reader gw_read_sub(struct gw_reader *r, size_t len);

static inline size_t gw_writer_len(const struct gw_writer *w)
{
    return (size_t)(w->at - w->start);
}
static inline size_t gw_writer_left(const struct gw_writer *w)
{
    return (size_t)(w->end - w->at);
}
static inline bool gw_writer_ok(const struct gw_writer *w)
{
    return !w->failed;
}

/* len bytes to be filled by the caller; NULL after an error, or when they do not fit (which is one). */
static inline uint8_t *gw_write_reserve(struct gw_writer *w, size_t len)
{
    uint8_t *at = w->at;
    if (w->failed || len > gw_writer_left(w)) {
        gw_writer_fail(w);
        return NULL;
    }
    if (len > 0)
        w->at += len;
    return at;
}
static inline void gw_write_u8(struct gw_writer *w, uint8_t v)
{
    uint8_t *p = gw_write_reserve(w, 1);
    if (p != NULL)
        *p = v;
}
static inline void gw_write_u16_be(struct gw_writer *w, uint16_t v)
{
    uint8_t *p = gw_write_reserve(w, 2);
    if (p != NULL)
        gw_store16_be(p, v);
}
static inline void gw_write_u32_be(struct gw_writer *w, uint32_t v)
{
    uint8_t *p = gw_write_reserve(w, 4);
    if (p != NULL)
        gw_store32_be(p, v);
}
static inline void gw_write_u64_be(struct gw_writer *w, uint64_t v)
{
    uint8_t *p = gw_write_reserve(w, 8);
    if (p != NULL)
        gw_store64_be(p, v);
}
static inline void gw_write_u16_le(struct gw_writer *w, uint16_t v)
{
    uint8_t *p = gw_write_reserve(w, 2);
    if (p != NULL)
        gw_store16_le(p, v);
}
static inline void gw_write_u32_le(struct gw_writer *w, uint32_t v)
{
    uint8_t *p = gw_write_reserve(w, 4);
    if (p != NULL)
        gw_store32_le(p, v);
}
static inline void gw_write_u64_le(struct gw_writer *w, uint64_t v)
{
    uint8_t *p = gw_write_reserve(w, 8);
    if (p != NULL)
        gw_store64_le(p, v);
}
/* In the shortest of the four lengths. v <= GW_VARINT_MAX, or the writer fails. */
void gw_write_varint(struct gw_writer *w, uint64_t v);
/* data may be NULL when len is 0. */
void gw_write_bytes(struct gw_writer *w, const void *data, size_t len);
void gw_write_zeros(struct gw_writer *w, size_t len);

/* 1, 2, 4 or 8; 0 when v > GW_VARINT_MAX. */
static inline size_t gw_varint_len(uint64_t v)
{
    return v < 64 ? 1 : v < 16384 ? 2 : v < (1u << 30) ? 4 : v <= GW_VARINT_MAX ? 8 : 0;
}

#endif
