/* SPDX-License-Identifier: MIT */
/* Changes to interfaces, addresses, routes and rules, done at once (the kernel answers within the call). */
#ifndef FRONTENDS_TUN_NETLINK_H
#define FRONTENDS_TUN_NETLINK_H

#include "frontends/tun/change.h"

struct mnl_socket;

/* What made our routes and rules, as the kernel keeps it: so nobody else's are taken for ours. Free in /etc/iproute2/rt_protos. */
#define GW_NETLINK_PROTOCOL 112u

struct gw_netlink {
    struct mnl_socket *socket; /* NULL: not open */
    uint32_t seq;
};

/* 0 or -errno. */
int gw_netlink_open(struct gw_netlink *netlink);
void gw_netlink_close(struct gw_netlink *netlink);

struct gw_link_settings {
    unsigned mtu, queue_len;
};
/* The interface gets MTU and queue length, and is up. 0 or -errno (-ENODEV: it is gone). */
int gw_netlink_set_link(struct gw_netlink *netlink, const char *name,
                        const struct gw_link_settings *settings);
/* Is it up, with this MTU? */
bool gw_netlink_is_up(struct gw_netlink *netlink, const char *name, unsigned mtu);
/* 0; -EEXIST when it is there already; another -errno. */
int gw_netlink_add(struct gw_netlink *netlink, const struct gw_change *change);
/* A route (or an unreachable one) instead of whatever there is of its prefix, table and metric. 0 or -errno. */
int gw_netlink_replace(struct gw_netlink *netlink, const struct gw_change *route);
/* 0, also when it is not there (or its interface is not); -errno. */
int gw_netlink_remove(struct gw_netlink *netlink, const struct gw_change *change);

#endif
