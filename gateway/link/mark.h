/* SPDX-License-Identifier: MIT */
/* The firewall mark of what this node says itself to the world outside: to peers, anchors, proxies, name servers, routers. Where everything goes into the tunnel (an exit node), a
 * rule keeps what bears it out (frontends/tun/plan.h). What programs say through this node does not bear it. */
#ifndef GATEWAY_LINK_MARK_H
#define GATEWAY_LINK_MARK_H

#include <stdint.h>

/* Part of what users see (README.md, `ip rule`): it stays. 16 bits, and none of those that Kubernetes (0xc000) and Cilium (0xf00) take out of a mark. */
#define GW_MARK 0x3067u

/* Before the first packet, and for TCP before connect or listen: connections that a listening socket takes inherit it. Needs CAP_NET_ADMIN; without, nothing happens, and nothing has to:
 * then the rules are somebody else's, too. fd < 0 is fine. Leaves errno alone. */
void gw_mark_outside(int fd);

#endif
