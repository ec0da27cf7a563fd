/* SPDX-License-Identifier: MIT */
/* Which interface drops what comes in unless the route back leads out there (rp_filter 1). */
#ifndef FRONTENDS_TUN_REVERSE_PATH_H
#define FRONTENDS_TUN_REVERSE_PATH_H

#include "frontends/tun/change.h"

#include <stdbool.h>

/* The first interface for IPv4 that is so strict, but for loopback and `but`; false: none, or it cannot be told. */
bool gw_reverse_path_strict(const char *but, char device[GW_CHANGE_NAME_MAX + 1]);

#endif
