/* SPDX-License-Identifier: MIT */
/* A netstack connection and a non-blocking local socket, joined: TCP with a stream socket (TCP or unix), UDP with a connected datagram socket. recv() goes straight into the
 * netstack's buffer, and the other side's window opens by what the socket has taken. Half-close and reset pass in both directions. What gateway/local/splice.h is for flows. */
#ifndef NETSTACK_BRIDGE_PUMP_H
#define NETSTACK_BRIDGE_PUMP_H

#include "gateway/link/loop.h"
#include "netstack/connection.h"

struct gw_pump;

/* Both ended (NONE), or one broke of `reason`; socket and connection are gone, the pointer is invalid after the call. Not called after gw_pump_close. */
typedef void gw_pump_fn(struct gw_pump *pump, struct gw_mono now, enum gw_reason reason, void *user);

/* Takes the socket (closed on failure, too). NULL without memory. */
struct gw_pump *gw_pump_new(struct gw_loop *loop, int fd, bool is_datagrams, gw_pump_fn *on_end, void *user);
/* Accepts the offer. The pump may have ended when it returns. */
void gw_pump_accept(struct gw_pump *pump, struct gw_mono now, struct gw_connection *offer);
/* The connection is open (packet_dial.h) and the pump's from now on. first: bytes that were read from the socket already; copied; TCP only. limit: how many more
 * may be read from it before it counts as broken, UINT64_MAX = any number. Nothing is called from within. 0, or GW_E_NOMEM: the pump is closed, the connection
 * reset, on_end not called. */
int gw_pump_join(struct gw_pump *pump, struct gw_mono now, struct gw_connection *connection,
                 const void *first, size_t len, uint64_t limit);
/* Ends both silently, TCP by resets. */
void gw_pump_close(struct gw_pump *pump, struct gw_mono now);

#endif
