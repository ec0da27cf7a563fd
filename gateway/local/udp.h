/* SPDX-License-Identifier: MIT */
/* A connected datagram socket and a datagram stream: a UDP service's end of a flow. Datagrams that do not fit (a full socket, a path too small)
 * are dropped, as on any network. */
#ifndef GATEWAY_LOCAL_UDP_H
#define GATEWAY_LOCAL_UDP_H

#include "gateway/flow/stream.h"
#include "gateway/link/loop.h"

struct gw_udp_bridge;
/* Gone; NONE = idle for too long or the peer was done, SERVICE_DOWN = ICMP said so (the stream is reset with it). */
typedef void gw_udp_bridge_fn(struct gw_udp_bridge *bridge, struct gw_mono now, unsigned long long reason,
                              void *user);

struct gw_udp_bridge_params {
    struct gw_loop *loop;
    int fd;          /* connected, non-blocking; taken, closed on failure too */
    int64_t idle_ns; /* without a datagram either way; 0 = 120 s */
    gw_udp_bridge_fn *on_end;
    void *user;
};
/* Accepts the stream. *out is set before the first datagram is delivered from within. 0, or GW_E_NOMEM (the stream is untouched). */
int gw_udp_bridge_accept(struct gw_udp_bridge **out, const struct gw_udp_bridge_params *params,
                         struct gw_stream *stream, struct gw_mono now);
/* Ends it silently. */
void gw_udp_bridge_close(struct gw_udp_bridge *bridge, struct gw_mono now, enum gw_reason reason);

#endif
