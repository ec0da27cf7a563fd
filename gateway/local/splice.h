/* SPDX-License-Identifier: MIT */
/* One non-blocking stream socket (TCP or unix) and, once bridged, one stream of a mux: bytes go from recv() straight into the
 * stream's send buffer and from the received train straight into sendmsg(). Half-close, reset and backpressure pass in both
 * directions; an idle splice holds no buffer. Edge-triggered: one epoll registration for life.
 *
 * Life: new (raw: the user recv()s a protocol's opening from the socket itself) -> bridge_opened or bridge_accepted -> both directions end,
 * or something breaks -> on_end. Or gw_splice_close, any time. */
#ifndef GATEWAY_LOCAL_SPLICE_H
#define GATEWAY_LOCAL_SPLICE_H

#include "gateway/flow/stream.h"
#include "gateway/link/loop.h"

struct gw_splice;

/* Called from the loop or from within calls on the stream; each may call any gw_splice_ function. */
struct gw_splice_events {
    /* Raw only: the socket has something (bytes, EOF, an error): recv until EAGAIN, or bridge, or end. NULL for sockets that are bridged at once. */
    void (*on_readable)(struct gw_splice *splice, struct gw_mono now, void *user);
    /* Opener only: the far side reached its service. What is put with gw_splice_head now goes out before the stream's bytes. May be NULL. */
    void (*on_accepted)(struct gw_splice *splice, struct gw_mono now, void *user);
    /* Gone: the socket is closed, the stream ended, the pointer invalid after the call. GW_REASON_NONE = ended in order, else why it broke (the
     * peer's RESET reason, or CANCELLED for the local application's reset). Not called after gw_splice_close. */
    void (*on_end)(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user);
    /* The stream died before it was accepted; the socket is raw again, so that an answer can be given with gw_splice_say_and_close. NULL =
     * on_end instead. */
    void (*on_refused)(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user);
};

/* Takes the socket (non-blocking; closed on failure too). NULL without memory. events is borrowed for life. */
struct gw_splice *gw_splice_new(struct gw_loop *loop, int fd, const struct gw_splice_events *events,
                                void *user);
int gw_splice_fd(const struct gw_splice *splice);
/* Another owner takes over, e.g. when an opening handshake is done. */
void gw_splice_set_owner(struct gw_splice *splice, const struct gw_splice_events *events, void *user);

/* Ops and user for gw_stream_open or gw_peer_open: open with these, then bridge_opened; on failure nothing has changed. */
extern const struct gw_stream_ops gw_splice_stream_ops;
/* `first`: bytes that were read from the socket already; copied. limit: how many bytes may still be read from the socket after them before it counts as
 * broken (GW_SPLICE_UNLIMITED; an HTTP proxy's request ends somewhere). Returns 0, or GW_E_NOMEM with the stream reset and the socket raw. */
#define GW_SPLICE_UNLIMITED UINT64_MAX
int gw_splice_bridge_opened(struct gw_splice *splice, struct gw_mono now, struct gw_stream *stream,
                            const void *first, size_t len, uint64_t limit);
/* The acceptor's: calls gw_stream_accept. The splice may have ended (on_end) when it returns. */
void gw_splice_bridge_accepted(struct gw_splice *splice, struct gw_mono now, struct gw_stream *stream);
/* The bridged stream, or NULL. */
struct gw_stream *gw_splice_stream(const struct gw_splice *splice);

/* Were bytes taken from the socket since it was bridged? If not, an opening that was refused can be tried another way. */
bool gw_splice_has_read(const struct gw_splice *splice);
/* Gives up an opening: the stream is reset, the socket raw again. Only between bridge_opened and on_accepted. */
void gw_splice_unbridge(struct gw_splice *splice, struct gw_mono now, enum gw_reason reason);

/* Writes bytes to the socket before anything else that goes out; what it does not take is copied and sent later. 0, or an error (-EPIPE, GW_E_NOMEM): call
 * gw_splice_close then. */
int gw_splice_head(struct gw_splice *splice, const void *bytes, size_t len);
/* Raw only: writes a last answer, then closes so that it arrives (shuts down, reads the rest away for at most 2 s). on_end follows, maybe from
 * within. */
void gw_splice_say_and_close(struct gw_splice *splice, struct gw_mono now, const void *bytes, size_t len);

/* Ends it silently: stream reset with `reason`, socket closed (with a TCP reset when reason is not GW_REASON_NONE). No event follows. */
void gw_splice_close(struct gw_splice *splice, struct gw_mono now, enum gw_reason reason);

/* Raw only: gives the socket back, still open and non-blocking, and frees the splice (and a head that is not out yet). */
int gw_splice_detach(struct gw_splice *splice);

#endif
