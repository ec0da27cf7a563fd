/* SPDX-License-Identifier: MIT */
/* The TCP connections that this machine's kernel has from an address of its own: what sock_diag says, once; nothing is changed, no rights are needed. */
#ifndef FRONTENDS_TUN_CONNECTIONS_H
#define FRONTENDS_TUN_CONNECTIONS_H

#include "gateway/wire/addr.h"

#define GW_CONNECTIONS_MAX 16384u /* more are not looked at */

struct gw_connection_ends {
    struct gw_addr local, remote;
};

struct gw_connections { /* zero: empty */
    struct gw_connection_ends *items;
    size_t count, room;
};

/* Adds those that are open, at our end at least, from this address (whatever its port). 0; GW_E_NOMEM; -errno (-ENOENT: a kernel without sock_diag). */
int gw_connections_read(struct gw_connections *list, const struct gw_addr *local);
void gw_connections_free(struct gw_connections *list);

#endif
