/* SPDX-License-Identifier: MIT */
/* The sockets that a router is asked by (PCP, NAT-PMP), and heard by when it announces something. */
#ifndef GATEWAY_DAEMON_PCP_SOCKET_H
#define GATEWAY_DAEMON_PCP_SOCKET_H

#include "gateway/wire/addr.h"

/* Connected to the router (with its port): only its answers come in, and its ICMP errors. *client becomes the address that it sends from, port 0: towards the router; with IPv6, the one that
 * leads out to the world, which is what the router's firewall is asked to open. Nothing is sent. Returns the descriptor or -errno. */
int gw_pcp_socket_open(const struct gw_addr *router, struct gw_addr *client);
/* What the router tells everybody on that interface (RFC 6887, 14.1; RFC 6886, 3.2.1). Others in this machine listen there too. The descriptor or -errno. */
int gw_pcp_socket_open_announced(uint8_t family, unsigned interface);

#endif
