/* SPDX-License-Identifier: MIT */
/* Do our routes still lead where they should? One that somebody has changed is there as before to who would add it. */
#ifndef FRONTENDS_TUN_OWN_ROUTES_H
#define FRONTENDS_TUN_OWN_ROUTES_H

#include "frontends/tun/change.h"

/* Says of each change (is_there has as many) whether the kernel has a route of its prefix, table and metric that goes into its interface (GW_CHANGE_ROUTE), or nowhere (GW_CHANGE_UNREACHABLE). Others
 * stay as they are. 0 or -errno. */
int gw_own_routes_look(const struct gw_changes *changes, bool *is_there);

#endif
