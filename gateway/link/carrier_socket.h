/* SPDX-License-Identifier: MIT */
/* What a carrier wants of its TCP socket. */
#ifndef GATEWAY_LINK_CARRIER_SOCKET_H
#define GATEWAY_LINK_CARRIER_SOCKET_H

#include <stddef.h>
#include <stdint.h>

/* No delay for small writes; a far end that is silently gone is found within a minute or so. */
void gw_carrier_socket_prepare(int fd);
/* How much of what was written may wait in the kernel before the first try to send it. */
void gw_carrier_socket_limit_unsent(int fd, size_t bytes);
/* Bytes a second that the far end acknowledged lately; 0 = not known. */
uint64_t gw_carrier_socket_rate(int fd);

#endif
