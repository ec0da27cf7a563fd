/* SPDX-License-Identifier: MIT */
/* The bytes that a stream received and nobody has taken yet: behind a gap, or kept for a slow reader. In-order
 * bytes for a willing reader never come here (deliver.c lends them from the train). Knows nothing of credit. */
#ifndef GATEWAY_FLOW_RECVBUF_H
#define GATEWAY_FLOW_RECVBUF_H

#include "gateway/flow/pool.h"
#include "gateway/flow/ranges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Islands behind gaps that one stream may have. */
#define GW_RECVBUF_RANGES_MAX 512u
#define GW_RECVBUF_WRITE_MAX 65536u

struct gw_recvstore;

struct gw_recvbuf {
    uint64_t read; /* all below was taken by the reader */
    uint64_t
        contig; /* all below was received; [read, contig) is here, or lent by the caller at this moment */
    struct gw_recvstore *store; /* NULL while nothing is kept */
};

void gw_recvbuf_init(struct gw_recvbuf *buf);
/* Forgets the bytes; the offsets stay. */
void gw_recvbuf_drop(struct gw_recvbuf *buf, struct gw_pool *pool);

/* Copies received bytes in; what is there already may be in them (len <= GW_RECVBUF_WRITE_MAX). 0; GW_E_NOMEM, or
 * GW_E_LIMIT (too many gaps): nothing has changed. */
int gw_recvbuf_write(struct gw_recvbuf *buf, struct gw_pool *pool, uint64_t limit, uint64_t offset,
                     const void *data, size_t len);

/* In-order bytes that the caller lends to the reader: contig moves over them. Only while nothing is kept. */
static inline void gw_recvbuf_pass(struct gw_recvbuf *buf, size_t len)
{
    buf->contig += len;
}
/* Copies passed bytes that the reader did not take: offset in [read, contig). 0 or GW_E_NOMEM. */
int gw_recvbuf_keep(struct gw_recvbuf *buf, struct gw_pool *pool, uint64_t limit, uint64_t offset,
                    const void *data, size_t len);

static inline bool gw_recvbuf_is_empty(const struct gw_recvbuf *buf)
{
    return buf->store == NULL;
}
/* The next kept in-order bytes, lent until the next call: how many entries. */
int gw_recvbuf_peek(const struct gw_recvbuf *buf, struct iovec *iov, int max);
/* The reader took len bytes (kept ones, or passed ones while nothing is kept). */
void gw_recvbuf_consume(struct gw_recvbuf *buf, struct gw_pool *pool, size_t len);

#endif
