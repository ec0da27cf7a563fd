/* SPDX-License-Identifier: MIT */
/* What this machine's routes say of an address, asked of the kernel without a packet. */
#ifndef GATEWAY_LINK_ROUTE_SOURCE_H
#define GATEWAY_LINK_ROUTE_SOURCE_H

#include "gateway/wire/addr.h"

/* Where this machine's packets to that address come from, as its routes are now; port 0. false: there is no way to it. */
bool gw_route_source(const struct gw_addr *to, struct gw_addr *out);
/* The same for what this node says itself (mark.h), which no exit node takes. */
bool gw_route_source_outside(const struct gw_addr *to, struct gw_addr *out);
/* Is it an address of this machine itself? */
bool gw_route_is_local(const struct gw_addr *address);

#endif
