/* SPDX-License-Identifier: MIT */
/* One rtnetlink request and its verdict, on Linux: for those who change something that netlink.h has no function for. */
#ifndef FRONTENDS_TUN_NETLINK_REQUEST_H
#define FRONTENDS_TUN_NETLINK_REQUEST_H

#include "frontends/tun/netlink.h"

#include <linux/netlink.h>

struct gw_netlink_request {
    struct nlmsghdr *header; /* for mnl_attr_put and the like; room for some hundred bytes */
    _Alignas(struct nlmsghdr) char bytes[512];
};

/* A request of this type (RTM_NEWLINK ...), flags beside NLM_F_REQUEST and NLM_F_ACK. Returns where its body of body_len bytes is, all zeros. */
void *gw_netlink_begin(struct gw_netlink_request *request, uint16_t type, uint16_t flags, size_t body_len);
/* Sends it and waits for the verdict, which the kernel gives within the call. 0 or -errno. */
int gw_netlink_ask(struct gw_netlink *netlink, struct gw_netlink_request *request);

#endif
