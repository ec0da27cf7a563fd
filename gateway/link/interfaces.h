/* SPDX-License-Identifier: MIT */
/* The addresses of this machine's interfaces. */
#ifndef GATEWAY_LINK_INTERFACES_H
#define GATEWAY_LINK_INTERFACES_H

#include "gateway/wire/addr.h"

/* Those that are up, without loopback and link-local ones; port 0. Returns how many, at most max. Does
 * not block. */
unsigned gw_interfaces_list(struct gw_addr *out, unsigned max);

#endif
