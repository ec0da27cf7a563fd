/* SPDX-License-Identifier: MIT */
#include "frontends/dns/system/link.h"

#include "frontends/tun/netlink_request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define ADDRESS "127.64.0.53" /* 53 is no peer's in any range */

static int set_address(struct gw_netlink *netlink, unsigned index)
{
    struct gw_netlink_request request;
    struct in_addr address;
    struct ifaddrmsg *body = gw_netlink_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof *body);
    body->ifa_family = AF_INET;
    body->ifa_prefixlen = 32;
    body->ifa_scope = RT_SCOPE_SITE;
    body->ifa_index = index;
    inet_pton(AF_INET, ADDRESS, &address);
    mnl_attr_put(request.header, IFA_LOCAL, sizeof address, &address);
    mnl_attr_put(request.header, IFA_ADDRESS, sizeof address, &address);
    return gw_netlink_ask(netlink, &request);
}

/* The kernel gives an interface that comes up an IPv6 address, unless it was told before. */
static int set_without_ipv6(struct gw_netlink *netlink, unsigned index)
{
    struct gw_netlink_request request;
    struct ifinfomsg *body = gw_netlink_begin(&request, RTM_NEWLINK, 0, sizeof *body);
    body->ifi_index = (int)index;
    struct nlattr *families = mnl_attr_nest_start(request.header, IFLA_AF_SPEC);
    struct nlattr *inet6 = mnl_attr_nest_start(request.header, AF_INET6);
    mnl_attr_put_u8(request.header, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(request.header, inet6);
    mnl_attr_nest_end(request.header, families);
    int err = gw_netlink_ask(netlink, &request);
    return err == -EAFNOSUPPORT || err == -EOPNOTSUPP ? 0 : err; /* a kernel without IPv6 */
}

static int set_up(struct gw_netlink *netlink, unsigned index)
{
    struct gw_netlink_request request;
    struct ifinfomsg *body = gw_netlink_begin(&request, RTM_NEWLINK, 0, sizeof *body);
    body->ifi_index = (int)index;
    body->ifi_flags = body->ifi_change = IFF_UP;
    return gw_netlink_ask(netlink, &request);
}

int gw_sysdns_link_open(struct gw_tun *link, const char *name, char *why, size_t why_len)
{
    int err = gw_tun_open(link, name, false, why, why_len);
    if (err != 0)
        return err;
    unsigned index = if_nametoindex(link->name);
    struct gw_netlink netlink;
    err = gw_netlink_open(&netlink);
    if (err == 0)
        err = set_without_ipv6(&netlink, index);
    if (err == 0)
        err = set_address(&netlink, index);
    if (err == 0)
        err = set_up(&netlink, index);
    gw_netlink_close(&netlink);
    if (err != 0) {
        snprintf(why, why_len, "cannot set up the interface %s: %s", link->name, strerror(-err));
        gw_sysdns_link_close(link);
    }
    return err;
}

void gw_sysdns_link_close(struct gw_tun *link)
{
    if (link->fd >= 0)
        gw_tun_close(link);
    link->fd = -1;
}
