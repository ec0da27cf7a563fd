/* SPDX-License-Identifier: MIT */
/* Is a range of addresses in use on this machine already? What the kernel's routes say, once; nothing is changed, no rights are needed. */
#ifndef FRONTENDS_TUN_OVERLAP_H
#define FRONTENDS_TUN_OVERLAP_H

#include "frontends/tun/change.h"

#define GW_ROUTES_MAX 4096u /* more are not looked at */

/* One IPv4 route of another interface, not a default route. */
struct gw_known_route {
    struct gw_prefix prefix;
    char device[GW_CHANGE_NAME_MAX + 1];
};

struct gw_known_routes {
    struct gw_known_route *items;
    size_t count;
};

/* Those that are there but for the interface `own` (NULL = none). 0, GW_E_NOMEM, -errno. */
int gw_known_routes_read(struct gw_known_routes *out, const char *own);
void gw_known_routes_free(struct gw_known_routes *routes);

enum gw_overlap {
    GW_OVERLAP_NONE,
    GW_OVERLAP_SAME,   /* that very prefix: one of the two is not reached */
    GW_OVERLAP_INSIDE, /* a part of the range is elsewhere: peers there are not reached */
    GW_OVERLAP_AROUND, /* the range is cut out of a larger network, which loses it */
};
/* The worst there is, and whose in *which. Pure. */
enum gw_overlap gw_overlap_find(const struct gw_known_routes *routes, const struct gw_prefix *range,
                                const struct gw_known_route **which);
/* A private range of so many bits without any overlap, for people to configure; false: none was found. Pure. */
bool gw_overlap_suggest(const struct gw_known_routes *routes, uint8_t bits, struct gw_prefix *out);

#endif
