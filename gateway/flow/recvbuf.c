/* SPDX-License-Identifier: MIT */
/* Stream bytes lie in pieces of 4 KB that are aligned to their offset, so that a ring of pointers finds any of
 * them and memory never exceeds the credit that was granted by more than two pieces, whatever gaps the peer
 * leaves. */
#include "gateway/flow/recvbuf.h"

#include "gateway/base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((uint64_t)GW_POOL_SMALL)
#define FIRST_SLOTS 8u

struct gw_recvstore {
    uint8_t **slots;          /* piece number & (cap - 1) */
    size_t cap;               /* a power of two */
    uint64_t first;           /* lowest piece number that may be there */
    uint64_t last;            /* highest one */
    struct gw_ranges islands; /* received, above contig */
};

void gw_recvbuf_init(struct gw_recvbuf *buf)
{
    *buf = (struct gw_recvbuf){0};
}

static uint8_t **slot_of(struct gw_recvstore *store, uint64_t piece)
{
    return &store->slots[piece & (store->cap - 1)];
}

static void free_piece(struct gw_recvstore *store, struct gw_pool *pool, uint64_t piece)
{
    uint8_t **slot = slot_of(store, piece);
    if (*slot == NULL)
        return;
    gw_pool_put(pool, *slot, GW_POOL_SMALL);
    *slot = NULL;
}

void gw_recvbuf_drop(struct gw_recvbuf *buf, struct gw_pool *pool)
{
    struct gw_recvstore *store = buf->store;
    if (store == NULL)
        return;
    for (uint64_t piece = store->first; piece <= store->last; piece++)
        free_piece(store, pool, piece);
    gw_ranges_fini(&store->islands);
    free(store->slots);
    free(store);
    buf->store = NULL;
}

static struct gw_recvstore *new_store(uint64_t piece)
{
    struct gw_recvstore *store = malloc(sizeof *store);
    if (store == NULL)
        return NULL;
    *store = (struct gw_recvstore){.cap = FIRST_SLOTS, .first = piece, .last = piece};
    store->slots = calloc(store->cap, sizeof *store->slots);
    if (store->slots == NULL) {
        free(store);
        return NULL;
    }
    gw_ranges_init(&store->islands);
    return store;
}

/* Makes the ring wide enough for pieces first..last. */
static int widen(struct gw_recvstore *store, uint64_t last)
{
    size_t cap = store->cap;
    if (last <= store->last)
        return 0;
    while (last - store->first >= cap)
        cap *= 2;
    if (cap != store->cap) {
        uint8_t **slots = calloc(cap, sizeof *slots);
        if (slots == NULL)
            return GW_E_NOMEM;
        for (uint64_t piece = store->first; piece <= store->last; piece++)
            slots[piece & (cap - 1)] = *slot_of(store, piece);
        free(store->slots);
        store->slots = slots;
        store->cap = cap;
    }
    store->last = last;
    return 0;
}

/* Sees to it that all pieces of [offset, end) exist; *added gets a bit for each new one, by its distance from the
 * first. */
static int need_pieces(struct gw_recvbuf *buf, struct gw_pool *pool, uint64_t limit, uint64_t offset,
                       uint64_t end, uint32_t *added)
{
    uint64_t first = offset / PIECE, last = (end - 1) / PIECE;
    *added = 0;
    if (buf->store == NULL) {
        buf->store = new_store(buf->read / PIECE);
        if (buf->store == NULL)
            return GW_E_NOMEM;
    }
    if (widen(buf->store, last) != 0)
        return GW_E_NOMEM;
    for (uint64_t piece = first; piece <= last; piece++) {
        uint8_t **slot = slot_of(buf->store, piece);
        if (*slot != NULL)
            continue;
        *slot = gw_pool_get(pool, GW_POOL_SMALL, limit);
        if (*slot == NULL)
            return GW_E_NOMEM;
        *added |= UINT32_C(1) << (piece - first);
    }
    return 0;
}

static bool has_bytes(const struct gw_recvbuf *buf)
{
    return buf->read < buf->contig || buf->store->islands.len > 0;
}

/* Undoes need_pieces. */
static void give_back(struct gw_recvbuf *buf, struct gw_pool *pool, uint64_t offset, uint32_t added,
                      bool was_empty)
{
    if (buf->store == NULL)
        return;
    for (uint64_t piece = offset / PIECE; added != 0; piece++, added >>= 1)
        if (added & 1)
            free_piece(buf->store, pool, piece);
    if (was_empty)
        gw_recvbuf_drop(buf, pool);
}

static void copy_in(struct gw_recvstore *store, uint64_t offset, const uint8_t *data, size_t len)
{
    while (len > 0) {
        size_t at = (size_t)(offset % PIECE);
        size_t n = (size_t)PIECE - at < len ? (size_t)PIECE - at : len;
        memcpy(*slot_of(store, offset / PIECE) + at, data, n);
        offset += n;
        data += n;
        len -= n;
    }
}

int gw_recvbuf_keep(struct gw_recvbuf *buf, struct gw_pool *pool, uint64_t limit, uint64_t offset,
                    const void *data, size_t len)
{
    uint32_t added;
    bool was_empty = buf->store == NULL;
    assert(offset >= buf->read && offset + len <= buf->contig && len <= GW_RECVBUF_WRITE_MAX);
    if (len == 0)
        return 0;
    if (need_pieces(buf, pool, limit, offset, offset + len, &added) != 0) {
        give_back(buf, pool, offset, added, was_empty);
        return GW_E_NOMEM;
    }
    copy_in(buf->store, offset, data, len);
    return 0;
}

int gw_recvbuf_write(struct gw_recvbuf *buf, struct gw_pool *pool, uint64_t limit, uint64_t offset,
                     const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t end = offset + len;
    uint32_t added;
    bool was_empty = buf->store == NULL;
    assert(len <= GW_RECVBUF_WRITE_MAX);
    if (end <= buf->contig)
        return 0;
    if (offset < buf->contig) {
        bytes += buf->contig - offset;
        offset = buf->contig;
    }
    int err = need_pieces(buf, pool, limit, offset, end, &added);
    if (err == 0 && offset > buf->contig)
        err = gw_ranges_add(&buf->store->islands, offset, end, GW_RECVBUF_RANGES_MAX);
    if (err != 0) {
        give_back(buf, pool, offset, added, was_empty);
        return err;
    }
    copy_in(buf->store, offset, bytes, (size_t)(end - offset));
    if (offset > buf->contig)
        return 0;
    struct gw_ranges *islands = &buf->store->islands;
    gw_ranges_drop_below(islands, end);
    buf->contig = end;
    if (islands->len > 0 && islands->list[0].start == end) {
        buf->contig = islands->list[0].end;
        gw_ranges_drop_first(islands);
    }
    return 0;
}

int gw_recvbuf_peek(const struct gw_recvbuf *buf, struct iovec *iov, int max)
{
    uint64_t offset = buf->read;
    int count = 0;
    if (buf->store == NULL)
        return 0;
    while (offset < buf->contig && count < max) {
        size_t at = (size_t)(offset % PIECE);
        uint64_t n = PIECE - at < buf->contig - offset ? PIECE - at : buf->contig - offset;
        iov[count++] = (struct iovec){*slot_of(buf->store, offset / PIECE) + at, (size_t)n};
        offset += n;
    }
    return count;
}

void gw_recvbuf_consume(struct gw_recvbuf *buf, struct gw_pool *pool, size_t len)
{
    struct gw_recvstore *store = buf->store;
    assert(len <= buf->contig - buf->read);
    buf->read += len;
    if (store == NULL)
        return;
    if (!has_bytes(buf)) {
        gw_recvbuf_drop(buf, pool);
        return;
    }
    for (; store->first < buf->read / PIECE; store->first++)
        free_piece(store, pool, store->first);
}
