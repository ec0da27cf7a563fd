/* SPDX-License-Identifier: MIT */
/* Is nobody listening at a UDP port? Told by the machine itself (ICMP port unreachable): a router that refuses in its place does not count. */
#ifndef GATEWAY_LINK_REFUSED_H
#define GATEWAY_LINK_REFUSED_H

#include "gateway/wire/addr.h"

#include <stdbool.h>

/* Sends an empty datagram there. The socket, non-blocking: it is readable when something has come back. Or -errno. */
int gw_refused_ask(const struct gw_addr *to);
/* What has come back says so. Never blocks; what it looks at is gone afterwards. */
bool gw_refused_is(int fd, const struct gw_addr *to);

#endif
