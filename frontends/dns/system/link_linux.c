/* SPDX-License-Identifier: MIT */
#include "frontends/dns/system/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define ADDRESS "127.64.0.53" /* 53 is no peer's in any range */

struct request {
    struct nlmsghdr *header;
    _Alignas(struct nlmsghdr) char bytes[512];
};

static void *begin(struct request *request, uint16_t type, uint16_t flags, size_t body_len)
{
    memset(request, 0, sizeof *request);
    request->header = mnl_nlmsg_put_header(request->bytes);
    request->header->nlmsg_type = type;
    request->header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    return mnl_nlmsg_put_extra_header(request->header, body_len);
}

static int ask(struct mnl_socket *socket, struct request *request)
{
    _Alignas(struct nlmsghdr) char answer[8192];
    ssize_t len;
    if (mnl_socket_sendto(socket, request->header, request->header->nlmsg_len) < 0)
        return -errno;
    do
        len = mnl_socket_recvfrom(socket, answer, sizeof answer);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        return -errno;
    return mnl_cb_run(answer, (size_t)len, 0, mnl_socket_get_portid(socket), NULL, NULL) < 0 ? -errno : 0;
}

static int set_address(struct mnl_socket *socket, unsigned index)
{
    struct request request;
    struct in_addr address;
    struct ifaddrmsg *body = begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof *body);
    body->ifa_family = AF_INET;
    body->ifa_prefixlen = 32;
    body->ifa_scope = RT_SCOPE_SITE;
    body->ifa_index = index;
    inet_pton(AF_INET, ADDRESS, &address);
    mnl_attr_put(request.header, IFA_LOCAL, sizeof address, &address);
    mnl_attr_put(request.header, IFA_ADDRESS, sizeof address, &address);
    return ask(socket, &request);
}

/* The kernel gives an interface that comes up an IPv6 address, unless it was told before. */
static int set_without_ipv6(struct mnl_socket *socket, unsigned index)
{
    struct request request;
    struct ifinfomsg *body = begin(&request, RTM_NEWLINK, 0, sizeof *body);
    body->ifi_index = (int)index;
    struct nlattr *families = mnl_attr_nest_start(request.header, IFLA_AF_SPEC);
    struct nlattr *inet6 = mnl_attr_nest_start(request.header, AF_INET6);
    mnl_attr_put_u8(request.header, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(request.header, inet6);
    mnl_attr_nest_end(request.header, families);
    int err = ask(socket, &request);
    return err == -EAFNOSUPPORT || err == -EOPNOTSUPP ? 0 : err; /* a kernel without IPv6 */
}

static int set_up(struct mnl_socket *socket, unsigned index)
{
    struct request request;
    struct ifinfomsg *body = begin(&request, RTM_NEWLINK, 0, sizeof *body);
    body->ifi_index = (int)index;
    body->ifi_flags = body->ifi_change = IFF_UP;
    return ask(socket, &request);
}

int gw_sysdns_link_open(struct gw_tun *link, const char *name, char *why, size_t why_len)
{
    int err = gw_tun_open(link, name, false, why, why_len);
    if (err != 0)
        return err;
    unsigned index = if_nametoindex(link->name);
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    err = socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0 ? 0 : -errno;
    if (err == 0)
        err = set_without_ipv6(socket, index);
    if (err == 0)
        err = set_address(socket, index);
    if (err == 0)
        err = set_up(socket, index);
    if (socket)
        mnl_socket_close(socket);
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
