/* SPDX-License-Identifier: MIT */
/* The router of the default route. */
#ifndef GATEWAY_LINK_ROUTE_H
#define GATEWAY_LINK_ROUTE_H

#include "gateway/wire/addr.h"

#include <stdbool.h>

struct gw_route {
    bool has_route; /* there is a default route at all */
    struct gw_addr
        router; /* port 0; IPv6 link-local ones with their scope; family 0: the route has none (a tunnel, a point-to-point line) */
    unsigned interface; /* index */
};

/* The default route of the main table with the lowest metric, of IPv4 or IPv6 (4, 6). Does not block. 0, or -errno: the kernel does not say. */
int gw_route_default(struct gw_route *out, uint8_t family);

#endif
