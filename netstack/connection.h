/* SPDX-License-Identifier: MIT */
/* One TCP connection or UDP association that ends in our netstack, as its user (a bridge to a local socket, to a flow, DNS) sees it: the
 * same verbs as gateway/flow/stream.h. Nothing blocks; callbacks never come from within a call on the same connection, except where said.
 *
 * Inbound: an offer (gw_netstack_link_params.on_connection) is accepted or refused, now or later. Outbound: gw_netstack_connect. */
#ifndef NETSTACK_CONNECTION_H
#define NETSTACK_CONNECTION_H

#include "gateway/base/mono.h"
#include "gateway/flow/reason.h"
#include "gateway/wire/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct gw_connection;
struct gw_netstack_link;

/* What is unsent at most; what the other side has not acknowledged comes on top, within the send budget. */
#define GW_CONNECTION_UNSENT_MAX 65535u

/* Called from within gw_netstack_ calls. Each may call any gw_connection_ function on this or another connection. */
struct gw_connection_ops {
    /* TCP: the handshake is through. May be NULL. */
    void (*on_connected)(struct gw_connection *connection, struct gw_mono now, void *user);
    /* TCP: in-order bytes, lent for the call: returns how many were taken. If fewer than offered, the rest is kept, the window stays
     * closed by as much, and nothing more comes until gw_connection_resume. count is at most 64. */
    size_t (*on_data)(struct gw_connection *connection, struct gw_mono now, const struct iovec *iov,
                      int count, void *user);
    /* TCP: the other side has ended in order and every byte was taken. */
    void (*on_fin)(struct gw_connection *connection, struct gw_mono now, void *user);
    /* TCP: gw_connection_reserve gave nothing before and would now. */
    void (*on_writable)(struct gw_connection *connection, struct gw_mono now, void *user);
    /* UDP: one datagram, lent. NULL for TCP. */
    void (*on_datagram)(struct gw_connection *connection, struct gw_mono now, const void *data, size_t len,
                        void *user);
    /* It died: CANCELLED (reset by the other side), SERVICE_DOWN (refused), TIMED_OUT, UNREACHABLE (peer or link gone), NO_MEMORY, LIMIT
     * (evicted), SHUTTING_DOWN, NONE (a UDP association was idle for too long). The pointer is invalid after the call. Not called after the
     * user's own reset, refuse or release. */
    void (*on_closed)(struct gw_connection *connection, struct gw_mono now, enum gw_reason reason,
                      void *user);
};

struct gw_connection_info {
    struct gw_netstack_link *link;
    void *peer;                   /* what gw_netstack_link_input or gw_netstack_connect was given */
    struct gw_addr local, remote; /* ours (the address and port that were asked for), theirs */
    bool is_udp, is_outbound, is_connected;
    uint16_t mss;                           /* TCP, once there is one */
    uint32_t unsent, unacked, kept, window; /* bytes; window: what we let the other side send */
};
void gw_connection_info(const struct gw_connection *connection, struct gw_connection_info *out);

/* ---- answering an offer; unanswered ones are dropped after 10 s */

/* ops is borrowed for life. TCP: on_connected follows, and bytes may be written from then on. UDP: datagrams that waited are delivered from within. The
 * connection may be gone (on_closed) when it returns. */
void gw_connection_accept(struct gw_connection *connection, struct gw_mono now,
                          const struct gw_connection_ops *ops, void *user);
/* Who needs time to answer registers first: on_closed tells when the offer went away. Only on_closed is called before gw_connection_accept. */
void gw_connection_attach(struct gw_connection *connection, const struct gw_connection_ops *ops, void *user);
/* RST or ICMP port unreachable; or silence. The pointer is invalid after it. */
void gw_connection_refuse(struct gw_connection *connection, struct gw_mono now, bool is_silent);

/* Another user takes over: for one that is open (on_connected was called, or UDP). It starts blocked as the old user left it: gw_connection_resume offers what
 * that one did not take. */
void gw_connection_set_user(struct gw_connection *connection, const struct gw_connection_ops *ops,
                            void *user);

/* ---- TCP */

/* Room to recv() into, valid until the next call of any gw_connection_ or gw_netstack_ function. NULL and *len = 0 when 64 KB wait to be sent or the send budget
 * is used up; on_writable then follows. */
uint8_t *gw_connection_reserve(struct gw_connection *connection, size_t wish, size_t *len);
/* len <= what was reserved; 0 gives the room back. */
void gw_connection_commit(struct gw_connection *connection, struct gw_mono now, size_t len);
/* Copies what fits of data; returns how many bytes. Less than len: on_writable follows. */
size_t gw_connection_write(struct gw_connection *connection, struct gw_mono now, const void *data,
                           size_t len);
/* Ends our direction after what was committed. */
void gw_connection_finish(struct gw_connection *connection, struct gw_mono now);
/* Reading goes on after on_data took less than offered: kept bytes are offered again from within. */
void gw_connection_resume(struct gw_connection *connection, struct gw_mono now);

/* ---- UDP */

/* 0, GW_E_TOO_BIG (over 65,507 bytes less IPv6's larger header), GW_E_STATE (not accepted). Longer than the path: fragments. */
int gw_connection_send_datagram(struct gw_connection *connection, struct gw_mono now, const void *data,
                                size_t len);
/* How long without a datagram either way until it ends; the stack's default to begin with. */
void gw_connection_set_idle(struct gw_connection *connection, struct gw_mono now, int64_t idle_ns);

/* ---- ends */

/* Aborts: TCP sends RST. Also for an offer, and for UDP. The pointer is invalid after it and no callback follows. */
void gw_connection_reset(struct gw_connection *connection, struct gw_mono now);
/* The user is done with a TCP connection on which it has seen on_fin and called gw_connection_finish: what is unsent is still delivered. On any other it is
 * gw_connection_reset. */
void gw_connection_release(struct gw_connection *connection, struct gw_mono now);

#endif
