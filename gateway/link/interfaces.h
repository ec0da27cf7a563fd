/* SPDX-License-Identifier: MIT */
/* The addresses of this machine's interfaces, and how long their packets may be. */
#ifndef GATEWAY_LINK_INTERFACES_H
#define GATEWAY_LINK_INTERFACES_H

#include "gateway/wire/addr.h"

/* Those that are up and can be used: no loopback or link-local ones, none that is deprecated, still being checked or a duplicate; port 0. The ones of the interface that
 * leads out come first, and of IPv6 addresses the temporary ones (RFC 8981), which the kernel itself prefers, before the lasting ones. Returns how many, at most max. Does
 * not block. */
unsigned gw_interfaces_list(struct gw_addr *out, unsigned max);
/* The largest MTU of those that are up, without loopback: 1500 at least, 9000 at most. Does not block. */
unsigned gw_interfaces_mtu(void);

#endif
