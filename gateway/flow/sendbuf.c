/* SPDX-License-Identifier: MIT */
/* Blocks are filled one after the other and freed from the front. The first block of an empty buffer is small, so
 * that thousands of streams with a few bytes each stay cheap; who fills it gets large ones. Sending goes through
 * `cursor`, so that a packet never searches; retransmissions search from the last one's place, since they come in
 * ascending order mostly. */
#include "gateway/flow/sendbuf.h"

#include "gateway/base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Less room than this in the last block is not worth a recv() when more is wished. */
#define MIN_ROOM 1024u

struct gw_sendchunk {
    struct gw_sendchunk *next;
    uint64_t start;    /* stream offset of data[0] */
    uint32_t len, cap; /* bytes written, room for */
    uint32_t size;     /* of the whole block */
    uint8_t data[];
};

void gw_sendbuf_init(struct gw_sendbuf *buf)
{
    *buf = (struct gw_sendbuf){0};
}

static void free_gaps(struct gw_sendbuf *buf)
{
    if (buf->gaps == NULL)
        return;
    gw_ranges_fini(&buf->gaps->acked);
    gw_ranges_fini(&buf->gaps->lost);
    free(buf->gaps);
    buf->gaps = NULL;
}

static void free_head(struct gw_sendbuf *buf, struct gw_pool *pool)
{
    struct gw_sendchunk *chunk = buf->head;
    buf->head = chunk->next;
    if (buf->head == NULL)
        buf->tail = NULL;
    if (buf->cursor == chunk)
        buf->cursor = NULL;
    if (buf->gaps != NULL && buf->gaps->hint == chunk)
        buf->gaps->hint = NULL;
    gw_pool_put(pool, chunk, chunk->size);
}

void gw_sendbuf_drop(struct gw_sendbuf *buf, struct gw_pool *pool)
{
    free_gaps(buf);
    while (buf->head != NULL)
        free_head(buf, pool);
    buf->is_reserved = false;
}

static struct gw_sendchunk *append_chunk(struct gw_sendbuf *buf, struct gw_pool *pool, uint64_t limit)
{
    uint32_t size = buf->head == NULL ? GW_POOL_SMALL : GW_POOL_LARGE;
    struct gw_sendchunk *chunk = gw_pool_get(pool, size, limit);
    if (chunk == NULL && size == GW_POOL_LARGE) {
        size = GW_POOL_SMALL;
        chunk = gw_pool_get(pool, size, limit);
    }
    if (chunk == NULL)
        return NULL;
    *chunk = (struct gw_sendchunk){
        .start = buf->end, .cap = size - (uint32_t)offsetof(struct gw_sendchunk, data), .size = size};
    if (buf->tail != NULL)
        buf->tail->next = chunk;
    else
        buf->head = chunk;
    buf->tail = chunk;
    return chunk;
}

uint8_t *gw_sendbuf_reserve(struct gw_sendbuf *buf, struct gw_pool *pool, uint64_t limit, size_t wish,
                            size_t *len)
{
    struct gw_sendchunk *tail = buf->tail;
    assert(wish > 0);
    size_t room = tail != NULL ? tail->cap - tail->len : 0;
    if (room < wish && room < MIN_ROOM) {
        tail = append_chunk(buf, pool, limit);
        if (tail == NULL) {
            *len = 0;
            return NULL;
        }
        room = tail->cap;
    }
    buf->is_reserved = true;
    *len = room < wish ? room : wish;
    return tail->data + tail->len;
}

void gw_sendbuf_commit(struct gw_sendbuf *buf, struct gw_pool *pool, size_t len)
{
    struct gw_sendchunk *tail = buf->tail;
    buf->is_reserved = false;
    if (tail == NULL) {
        assert(len == 0);
        return;
    }
    assert(len <= tail->cap - tail->len);
    tail->len += (uint32_t)len;
    buf->end += len;
    if (buf->base == buf->end) /* nothing came of it */
        while (buf->head != NULL)
            free_head(buf, pool);
}

int gw_sendbuf_write(struct gw_sendbuf *buf, struct gw_pool *pool, uint64_t limit, const void *data,
                     size_t len)
{
    size_t room;
    assert(len > 0 && len <= 2048);
    uint8_t *out = gw_sendbuf_reserve(buf, pool, limit, len, &room);
    if (out == NULL)
        return GW_E_NOMEM;
    if (room < len) { /* the rest of this block stays unused */
        buf->tail->cap = buf->tail->len;
        out = gw_sendbuf_reserve(buf, pool, limit, len, &room);
        if (out == NULL)
            return GW_E_NOMEM;
    }
    memcpy(out, data, len);
    gw_sendbuf_commit(buf, pool, len);
    return 0;
}

/* Copies from `offset` on, which lies in `chunk` or behind it; returns the chunk where it ended. */
static struct gw_sendchunk *copy_out(struct gw_sendchunk *chunk, uint64_t offset, uint8_t *out, size_t len)
{
    for (;;) {
        while (offset >= chunk->start + chunk->len && chunk->next != NULL)
            chunk = chunk->next;
        if (len == 0)
            return chunk;
        size_t at = (size_t)(offset - chunk->start);
        assert(at < chunk->len);
        size_t n = chunk->len - at;
        if (n > len)
            n = len;
        memcpy(out, chunk->data + at, n);
        out += n;
        offset += n;
        len -= n;
    }
}

void gw_sendbuf_take(struct gw_sendbuf *buf, uint8_t *out, size_t len)
{
    assert(len <= gw_sendbuf_unsent(buf));
    if (len == 0)
        return;
    buf->cursor = copy_out(buf->cursor != NULL ? buf->cursor : buf->head, buf->next, out, len);
    buf->next += len;
}

static struct gw_sendgaps *need_gaps(struct gw_sendbuf *buf)
{
    if (buf->gaps == NULL) {
        buf->gaps = malloc(sizeof *buf->gaps);
        if (buf->gaps == NULL)
            return NULL;
        gw_ranges_init(&buf->gaps->acked);
        gw_ranges_init(&buf->gaps->lost);
        buf->gaps->hint = NULL;
    }
    return buf->gaps;
}

int gw_sendbuf_lost(struct gw_sendbuf *buf, uint64_t start, uint64_t end)
{
    assert(end <= buf->next);
    if (start < buf->base)
        start = buf->base;
    if (start >= end)
        return 0;
    struct gw_sendgaps *gaps = need_gaps(buf);
    if (gaps == NULL)
        return GW_E_NOMEM;
    /* The parts between what is acked. */
    for (uint32_t i = 0; i < gaps->acked.len && start < end; i++) {
        struct gw_range acked = gaps->acked.list[i];
        if (acked.end <= start)
            continue;
        if (acked.start >= end)
            break;
        if (acked.start > start && gw_ranges_add(&gaps->lost, start, acked.start, UINT32_MAX) != 0)
            return GW_E_NOMEM;
        start = acked.end;
    }
    return start < end ? gw_ranges_add(&gaps->lost, start, end, UINT32_MAX) : 0;
}

uint64_t gw_sendbuf_lost_start(const struct gw_sendbuf *buf)
{
    return buf->gaps->lost.list[0].start;
}

struct gw_range gw_sendbuf_take_lost(struct gw_sendbuf *buf, uint8_t *out, size_t max)
{
    struct gw_sendgaps *gaps = buf->gaps;
    struct gw_range range = gaps->lost.list[0];
    if (range.end - range.start > max)
        range.end = range.start + max;
    struct gw_sendchunk *from = gaps->hint;
    if (from == NULL || from->start > range.start)
        from = buf->head;
    gaps->hint = copy_out(from, range.start, out, (size_t)(range.end - range.start));
    gw_ranges_drop_below(&gaps->lost, range.end);
    return range;
}

/* Moves base up to value and over what is acked behind it, and gives back what lies below. */
static void advance_base(struct gw_sendbuf *buf, struct gw_pool *pool, uint64_t value)
{
    struct gw_sendgaps *gaps = buf->gaps;
    buf->base = value;
    if (gaps != NULL) {
        if (gaps->acked.len > 0 && gaps->acked.list[0].start <= value) {
            buf->base = gaps->acked.list[0].end;
            gw_ranges_drop_first(&gaps->acked);
        }
        gw_ranges_drop_below(&gaps->lost, buf->base);
        if (gaps->acked.len == 0 && gaps->lost.len == 0)
            free_gaps(buf);
    }
    while (buf->head != NULL && buf->head->start + buf->head->len <= buf->base &&
           (buf->head != buf->tail || (buf->base == buf->end && !buf->is_reserved)))
        free_head(buf, pool);
}

void gw_sendbuf_acked(struct gw_sendbuf *buf, struct gw_pool *pool, uint64_t start, uint64_t end)
{
    assert(end <= buf->next);
    if (end <= buf->base)
        return;
    if (start <= buf->base) {
        uint64_t value = end;
        if (buf->gaps != NULL) { /* swallow ranges that lie within */
            gw_ranges_drop_below(&buf->gaps->acked, end);
        }
        advance_base(buf, pool, value);
        return;
    }
    struct gw_sendgaps *gaps = need_gaps(buf);
    if (gaps == NULL)
        return; /* it will be sent once more than needed, and acked then */
    if (gw_ranges_add(&gaps->acked, start, end, UINT32_MAX) == 0 && gaps->lost.len > 0)
        (void)gw_ranges_subtract(&gaps->lost, start, end);
}
