/* SPDX-License-Identifier: MIT */
/* A connection of the netstack and a stream of a mux, joined: TCP (or UDP) from a TUN that travels as a flow (`tun.accelerate`), or a peer's flow to somebody who has only packets.
 * Bytes are copied once each way; half-close, reset and backpressure pass in both directions. Sans-IO.
 *
 * Inbound packets: bridge_new on an offer -> the caller opens a stream with gw_flow_bridge_stream_ops -> bridge_opened; the SYN is answered when the far service is reached, and
 * refused when it is not. Inbound flow: bridge_new -> the caller connects with gw_flow_bridge_connection_ops -> bridge_connected; the flow is accepted when the connection is. */
#ifndef NETSTACK_FLOW_BRIDGE_H
#define NETSTACK_FLOW_BRIDGE_H

#include "gateway/flow/stream.h"
#include "netstack/connection.h"

struct gw_flow_bridge;

/* Both ended (NONE), or one broke of `reason`; the pointer is invalid after the call. Not called after gw_flow_bridge_close. */
typedef void gw_flow_bridge_fn(struct gw_flow_bridge *bridge, struct gw_mono now, unsigned long long reason,
                               void *user);

/* NULL without memory. */
struct gw_flow_bridge *gw_flow_bridge_new(gw_flow_bridge_fn *on_end, void *user);

/* For gw_peer_open or gw_stream_open, and for gw_netstack_connect, with the bridge as user. */
extern const struct gw_stream_ops gw_flow_bridge_stream_ops;
extern const struct gw_connection_ops gw_flow_bridge_connection_ops;

/* What becomes of an offer, in time for who has another way for it. Before its SYN is answered; and when the stream was refused: true = the offer was refused from within, or
 * will be, by the callee; on_end follows. */
typedef void gw_flow_bridge_accepted_fn(struct gw_flow_bridge *bridge, struct gw_mono now, void *user);
typedef bool gw_flow_bridge_refused_fn(struct gw_flow_bridge *bridge, struct gw_mono now,
                                       unsigned long long reason, struct gw_connection *offer, void *user);
void gw_flow_bridge_watch(struct gw_flow_bridge *bridge, gw_flow_bridge_accepted_fn *on_accepted,
                          gw_flow_bridge_refused_fn *on_refused);
/* The offer's stream was opened. The bridge may have ended when it returns. */
void gw_flow_bridge_opened(struct gw_flow_bridge *bridge, struct gw_mono now, struct gw_connection *offer,
                           struct gw_stream *stream);
/* The connection for a stream that a peer opened (not accepted yet) was started. The bridge may have ended when it returns. */
void gw_flow_bridge_connected(struct gw_flow_bridge *bridge, struct gw_mono now,
                              struct gw_connection *connection, struct gw_stream *stream);
/* Ends both silently. Also for a bridge that nothing was joined with. */
void gw_flow_bridge_close(struct gw_flow_bridge *bridge, struct gw_mono now, enum gw_reason reason);

#endif
