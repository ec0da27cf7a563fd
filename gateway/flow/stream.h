/* SPDX-License-Identifier: MIT */
/* One stream of a mux, as its user (a local socket's bridge, a SOCKS connection, lwIP) sees it: ordered bytes both
 * ways with half-close, reset with a reason, and datagrams that live and die with it. Nothing blocks. All calls
 * happen on the mux's thread.
 *
 * Opening: the first bytes of the opener's direction are a preface (kind, class, target), the first byte of the
 * other direction is the acceptance; both are ordinary stream bytes, so an open is as reliable as data, and data
 * may ride with it. */
#ifndef GATEWAY_FLOW_STREAM_H
#define GATEWAY_FLOW_STREAM_H

#include "gateway/base/mono.h"
#include "gateway/flow/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct gw_mux;
struct gw_stream;

#define GW_SERVICE_NAME_MAX 63u

/* Who goes first when the link is full. */
enum gw_class { GW_CLASS_INTERACTIVE = 0, GW_CLASS_NORMAL = 1, GW_CLASS_BULK = 2, GW_CLASS_COUNT = 3 };

struct gw_open {
    bool is_datagrams; /* the flow carries datagrams (UDP service); else a byte stream (TCP) */
    uint8_t class_;    /* enum gw_class, a wish */
    uint16_t port;     /* target by port when service[0] == 0 */
    char service[GW_SERVICE_NAME_MAX + 1]; /* target by name, NUL-terminated; "" = by port */
};

/* Called from inside mux calls. Each may call any gw_stream_ function on this or another stream, but must not free
 * the mux. */
struct gw_stream_ops {
    /* Opener only: the far side reached its service. */
    void (*on_accepted)(struct gw_stream *stream, struct gw_mono now, void *user);
    /* In-order bytes, lent for the call: returns how many were taken (a writev's result). If fewer than offered,
     * the rest is kept, and nothing more comes until gw_stream_resume. Count is at most 64. */
    size_t (*on_data)(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                      void *user);
    /* The peer's direction ended in order and every byte was taken. */
    void (*on_fin)(struct gw_stream *stream, struct gw_mono now, void *user);
    /* gw_stream_reserve gave nothing before and would now. */
    void (*on_writable)(struct gw_stream *stream, struct gw_mono now, void *user);
    /* One datagram, lent. May be NULL for byte streams. */
    void (*on_datagram)(struct gw_stream *stream, struct gw_mono now, const void *data, size_t len,
                        void *user);
    /* The stream died of `reason` (RESET by the peer, restart, no memory): pointer invalid after the call. Not
     * called after the user's own gw_stream_reset or gw_stream_release. */
    void (*on_closed)(struct gw_stream *stream, struct gw_mono now, unsigned long long reason, void *user);
};

/* For on_data of who wants datagrams only: a datagram flow has no stream bytes but the preface; what comes nevertheless is taken and dropped. */
size_t gw_stream_drop_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                           void *user);
/* For the others, when there is nothing to do. */
void gw_stream_ignore(struct gw_stream *stream, struct gw_mono now, void *user);

/* 0, GW_E_NOMEM, GW_E_LIMIT (the peer allows no more streams now), GW_E_INVAL (bad name). ops is borrowed for
 * life. Bytes may be written at once. */
int gw_stream_open(struct gw_mux *mux, struct gw_mono now, const struct gw_open *open,
                   const struct gw_stream_ops *ops, void *user, struct gw_stream **out);
/* The acceptor's answer to on_open: yes (bytes that came meanwhile are delivered from within), or gw_stream_reset
 * with the reason. */
void gw_stream_accept(struct gw_stream *stream, struct gw_mono now, const struct gw_stream_ops *ops,
                      void *user);
/* An acceptor that needs time (dials its service) registers itself first: on_closed tells it that the opener went
 * away. One that does not keeps a valid pointer until it answers or the mux is freed; if the opener has gone
 * meanwhile, gw_stream_accept (or this) calls on_closed from within. */
void gw_stream_attach(struct gw_stream *stream, const struct gw_stream_ops *ops, void *user);

/* Writing. Room to recv() into: contiguous, at least 1 byte when *len is not 0, valid until the next call on this
 * stream. `wish`: about how much would be used. NULL and *len = 0 when the stream has two trains unsent, its
 * credit is used up, or memory is short; on_writable then follows. */
uint8_t *gw_stream_reserve(struct gw_stream *stream, size_t wish, size_t *len);
/* len <= what was reserved; 0 gives the room back. */
void gw_stream_commit(struct gw_stream *stream, struct gw_mono now, size_t len);
/* Ends our direction after what was committed. */
void gw_stream_finish(struct gw_stream *stream, struct gw_mono now);
/* Copies; 0, GW_E_TOO_BIG (more than a packet of this path carries), GW_E_LIMIT (queue full: dropped), GW_E_STATE. */
int gw_stream_send_datagram(struct gw_stream *stream, struct gw_mono now, const void *data, size_t len);

/* Reading goes on after on_data took less than offered: kept bytes are offered again from within. */
void gw_stream_resume(struct gw_stream *stream, struct gw_mono now);

/* Aborts both directions; the pointer is invalid after it and no callback follows. */
void gw_stream_reset(struct gw_stream *stream, struct gw_mono now, enum gw_reason reason);
/* The user is done with a stream on which it has seen on_fin and called gw_stream_finish: what is unsent is still
 * delivered; the pointer is invalid after it. On any other stream it is gw_stream_reset(CANCELLED). */
void gw_stream_release(struct gw_stream *stream, struct gw_mono now);

void gw_stream_set_class(struct gw_stream *stream, enum gw_class class_);
struct gw_mux *gw_stream_mux(const struct gw_stream *stream);
uint64_t gw_stream_id(const struct gw_stream *stream);
struct gw_stream_stats {
    uint64_t sent, acked, received, delivered; /* payload bytes, without the preface */
    enum gw_class class_;
    bool is_accepted, is_blocked_by_reader, is_blocked_by_credit;
};
void gw_stream_stats(const struct gw_stream *stream, struct gw_stream_stats *out);

#endif
