/* SPDX-License-Identifier: MIT */
/* The addresses of this machine's interfaces, and how long their packets may be. */
#ifndef GATEWAY_LINK_INTERFACES_H
#define GATEWAY_LINK_INTERFACES_H

#include "gateway/wire/addr.h"

/* Those that are up, without loopback and link-local ones; port 0. Returns how many, at most max. Does
 * not block. */
unsigned gw_interfaces_list(struct gw_addr *out, unsigned max);
/* The largest MTU of those that are up, without loopback: 1500 at least, 9000 at most. Does not block. */
unsigned gw_interfaces_mtu(void);

#endif
