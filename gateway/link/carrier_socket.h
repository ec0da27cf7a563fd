/* SPDX-License-Identifier: MIT */
/* A carrier's TCP socket: made, asked and set. */
#ifndef GATEWAY_LINK_CARRIER_SOCKET_H
#define GATEWAY_LINK_CARRIER_SOCKET_H

#include "gateway/wire/addr.h"

#include <stddef.h>
#include <stdint.h>

/* A non-blocking socket, prepared, on its way to `to`; -errno. The caller closes it. */
int gw_carrier_socket_connect(const struct gw_addr *to);
/* Who is at the other end of one that was accepted. 0, or -errno. */
int gw_carrier_socket_peer(int fd, struct gw_addr *from);
/* No delay for small writes; a far end that is silently gone is found within a minute or so. */
void gw_carrier_socket_prepare(int fd);
/* How much of what was written may wait in the kernel before the first try to send it. */
void gw_carrier_socket_limit_unsent(int fd, size_t bytes);
/* Bytes a second that the far end acknowledged lately; 0 = not known. */
uint64_t gw_carrier_socket_rate(int fd);

#endif
