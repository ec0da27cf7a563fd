/* SPDX-License-Identifier: MIT */
/* TCP that peers began with the kernel, for the gate: it goes on only as long as the peer may. Whose a connection is tells its local port, as a kernel begins none of its own from a
 * port that it accepts at: so this needs no entry for each, which a flood could push out. Sans-IO. */
#ifndef NETSTACK_GATE_TCP_H
#define NETSTACK_GATE_TCP_H

#include "netstack/gate.h"

struct gw_gate_tcp;

/* params: borrowed for life. NULL without memory. */
struct gw_gate_tcp *gw_gate_tcp_new(const struct gw_gate_params *params);
void gw_gate_tcp_free(struct gw_gate_tcp *tcp);

/* The kernel sends this segment to `remote`; local and remote with ports. */
void gw_gate_tcp_outbound(struct gw_gate_tcp *tcp, const struct gw_addr *local, const struct gw_addr *remote,
                          uint8_t flags);
/* May what is no SYN pass between the peer and this address and port of ours? */
bool gw_gate_tcp_may(struct gw_gate_tcp *tcp, void *peer, const struct gw_addr *local);
/* The peer is no more. */
void gw_gate_tcp_forget_peer(struct gw_gate_tcp *tcp, const void *peer);
/* The owner's word has changed: all are asked about again, and params.on_end is told of those that may not go on, as far as they are known. */
void gw_gate_tcp_forget(struct gw_gate_tcp *tcp);

#endif
