/* SPDX-License-Identifier: MIT */
/* The bytes that a stream sends, from the moment they are written until they are acked: a list of blocks that
 * recv() fills in place and that packets are copied from. It knows which bytes were sent, acked and lost; not
 * when, nor who may send. */
#ifndef GATEWAY_FLOW_SENDBUF_H
#define GATEWAY_FLOW_SENDBUF_H

#include "gateway/flow/pool.h"
#include "gateway/flow/ranges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_sendchunk;

/* What lies between `base` and `next` and is not simply in flight; exists only while there is such. */
struct gw_sendgaps {
    struct gw_ranges acked, lost;
    struct gw_sendchunk *hint; /* where the last retransmission was copied from, or NULL */
};

struct gw_sendbuf {
    uint64_t base; /* all below is acked and forgotten */
    uint64_t next; /* all below was sent at least once */
    uint64_t end;  /* all below was written */
    struct gw_sendchunk *head, *tail;
    struct gw_sendchunk *cursor; /* holds `next`; NULL = look from the head */
    struct gw_sendgaps *gaps;
    bool is_reserved;
};

void gw_sendbuf_init(struct gw_sendbuf *buf);
/* Forgets all bytes: base = next = end is not changed, so that offsets stay known. */
void gw_sendbuf_drop(struct gw_sendbuf *buf, struct gw_pool *pool);

/* Contiguous room behind `end`, at most `wish` (> 0); NULL without memory under `limit` (see gw_pool_get). */
uint8_t *gw_sendbuf_reserve(struct gw_sendbuf *buf, struct gw_pool *pool, uint64_t limit, size_t wish,
                            size_t *len);
/* The first len bytes of what was reserved are written; 0 gives it all back. */
void gw_sendbuf_commit(struct gw_sendbuf *buf, struct gw_pool *pool, size_t len);
/* Copies; 0 or GW_E_NOMEM (nothing written). len <= 2048. */
int gw_sendbuf_write(struct gw_sendbuf *buf, struct gw_pool *pool, uint64_t limit, const void *data,
                     size_t len);

static inline uint64_t gw_sendbuf_unsent(const struct gw_sendbuf *buf)
{
    return buf->end - buf->next;
}
/* Copies the next len <= unsent bytes for their first sending. */
void gw_sendbuf_take(struct gw_sendbuf *buf, uint8_t *out, size_t len);

/* [start, end) was in a packet that is lost. 0, or GW_E_NOMEM: it is not remembered. */
int gw_sendbuf_lost(struct gw_sendbuf *buf, uint64_t start, uint64_t end);
static inline bool gw_sendbuf_has_lost(const struct gw_sendbuf *buf)
{
    return buf->gaps != NULL && buf->gaps->lost.len > 0;
}
/* Copies the first lost bytes, at most max, for sending again; they count as in flight then. has_lost must hold. */
struct gw_range gw_sendbuf_take_lost(struct gw_sendbuf *buf, uint8_t *out, size_t max);
/* Where the first lost bytes begin. has_lost must hold. */
uint64_t gw_sendbuf_lost_start(const struct gw_sendbuf *buf);

/* [start, end) arrived; parts may have been acked before. end <= next. Memory of what lies below the new base is
 * given back. */
void gw_sendbuf_acked(struct gw_sendbuf *buf, struct gw_pool *pool, uint64_t start, uint64_t end);

#endif
