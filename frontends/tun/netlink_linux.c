/* SPDX-License-Identifier: MIT */
/* rtnetlink requests with libmnl. Our routes and rules bear a protocol number of our own, so that nobody else's are removed for ours. */
#include "frontends/tun/netlink.h"

#include "frontends/tun/netlink_request.h"
#include "gateway/base/err.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- asking */

int gw_netlink_open(struct gw_netlink *netlink)
{
    *netlink = (struct gw_netlink){.socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC),
                                   .seq = (uint32_t)time(NULL)};
    if (!netlink->socket)
        return -errno;
    if (mnl_socket_bind(netlink->socket, 0, MNL_SOCKET_AUTOPID) == 0)
        return 0;
    int err = -errno;
    gw_netlink_close(netlink);
    return err;
}

void gw_netlink_close(struct gw_netlink *netlink)
{
    if (netlink->socket)
        mnl_socket_close(netlink->socket);
    netlink->socket = NULL;
}

void *gw_netlink_begin(struct gw_netlink_request *request, uint16_t type, uint16_t flags, size_t body_len)
{
    memset(request, 0, sizeof *request);
    request->header = mnl_nlmsg_put_header(request->bytes);
    request->header->nlmsg_type = type;
    request->header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    return mnl_nlmsg_put_extra_header(request->header, body_len);
}

int gw_netlink_ask(struct gw_netlink *netlink, struct gw_netlink_request *request)
{
    _Alignas(struct nlmsghdr) char answer[8192];
    if (!netlink->socket)
        return -ENOTCONN;
    request->header->nlmsg_seq = ++netlink->seq;
    if (mnl_socket_sendto(netlink->socket, request->header, request->header->nlmsg_len) < 0)
        return -errno;
    for (;;) {
        ssize_t len = mnl_socket_recvfrom(netlink->socket, answer, sizeof answer);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return -errno;
        int status =
            mnl_cb_run(answer, (size_t)len, netlink->seq, mnl_socket_get_portid(netlink->socket), NULL, NULL);
        if (status == MNL_CB_STOP)
            return 0;
        if (status == MNL_CB_ERROR)
            return -errno;
    }
}

static uint8_t family_of(const struct gw_change *change)
{
    return change->prefix.ip.family == 6 ? AF_INET6 : AF_INET;
}

static size_t address_len(const struct gw_change *change)
{
    return change->prefix.ip.family == 6 ? 16 : 4;
}

/* ---- the interface */

int gw_netlink_set_link(struct gw_netlink *netlink, const char *name, const struct gw_link_settings *settings)
{
    struct gw_netlink_request request;
    struct ifinfomsg *body = gw_netlink_begin(&request, RTM_NEWLINK, 0, sizeof *body);
    body->ifi_index = (int)if_nametoindex(name);
    if (body->ifi_index == 0)
        return -ENODEV;
    body->ifi_flags = body->ifi_change = IFF_UP;
    mnl_attr_put_u32(request.header, IFLA_MTU, settings->mtu);
    mnl_attr_put_u32(request.header, IFLA_TXQLEN, settings->queue_len);
    return gw_netlink_ask(netlink, &request);
}

bool gw_netlink_is_up(struct gw_netlink *netlink, const char *name, unsigned mtu)
{
    struct ifreq flags = {0}, size = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)netlink;
    if (fd < 0)
        return true;
    strncpy(flags.ifr_name, name, IFNAMSIZ - 1);
    strncpy(size.ifr_name, name, IFNAMSIZ - 1);
    bool is_up = ioctl(fd, SIOCGIFFLAGS, &flags) == 0 && (flags.ifr_flags & IFF_UP) &&
                 ioctl(fd, SIOCGIFMTU, &size) == 0 && size.ifr_mtu == (int)mtu;
    close(fd);
    return is_up;
}

/* ---- one request a kind */

static int ask_address(struct gw_netlink *netlink, const struct gw_change *change, bool is_add)
{
    struct gw_netlink_request request;
    struct ifaddrmsg *body = gw_netlink_begin(&request, is_add ? RTM_NEWADDR : RTM_DELADDR,
                                              is_add ? NLM_F_CREATE | NLM_F_EXCL : 0, sizeof *body);
    body->ifa_family = family_of(change);
    body->ifa_prefixlen = change->prefix.bits;
    body->ifa_index = if_nametoindex(change->device);
    if (body->ifa_index == 0)
        return -ENODEV;
    /* Its route is a change of its own; for IPv6 nobody else is on the line to ask. */
    mnl_attr_put_u32(request.header, IFA_FLAGS,
                     IFA_F_NOPREFIXROUTE | (body->ifa_family == AF_INET6 ? IFA_F_NODAD : 0u));
    mnl_attr_put(request.header, IFA_LOCAL, address_len(change), change->prefix.ip.ip);
    mnl_attr_put(request.header, IFA_ADDRESS, address_len(change), change->prefix.ip.ip);
    return gw_netlink_ask(netlink, &request);
}

static int ask_route(struct gw_netlink *netlink, const struct gw_change *change, bool is_add, uint16_t how)
{
    struct gw_netlink_request request;
    struct rtmsg *body = gw_netlink_begin(&request, is_add ? RTM_NEWROUTE : RTM_DELROUTE,
                                          is_add ? (uint16_t)(NLM_F_CREATE | how) : 0, sizeof *body);
    bool is_refusal = change->kind == GW_CHANGE_UNREACHABLE;
    body->rtm_family = family_of(change);
    body->rtm_dst_len = change->prefix.bits;
    body->rtm_protocol = GW_NETLINK_PROTOCOL;
    body->rtm_type = is_refusal ? RTN_UNREACHABLE : RTN_UNICAST;
    body->rtm_scope = !is_add ? RT_SCOPE_NOWHERE : is_refusal ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    mnl_attr_put_u32(request.header, RTA_TABLE, change->table);
    mnl_attr_put_u32(request.header, RTA_PRIORITY, change->priority);
    mnl_attr_put(request.header, RTA_DST, address_len(change), change->prefix.ip.ip);
    if (gw_addr_is_set(&change->source))
        mnl_attr_put(request.header, RTA_PREFSRC, address_len(change), change->source.ip);
    if (!is_refusal) {
        unsigned index = if_nametoindex(change->device);
        if (index == 0)
            return -ENODEV;
        mnl_attr_put_u32(request.header, RTA_OIF, index);
    }
    return gw_netlink_ask(netlink, &request);
}

static int ask_rule(struct gw_netlink *netlink, const struct gw_change *change, bool is_add)
{
    struct gw_netlink_request request;
    struct fib_rule_hdr *body = gw_netlink_begin(&request, is_add ? RTM_NEWRULE : RTM_DELRULE,
                                                 is_add ? NLM_F_CREATE | NLM_F_EXCL : 0, sizeof *body);
    const struct fib_rule_port_range port = {change->port, change->port};
    body->family = family_of(change);
    body->action = FR_ACT_TO_TBL;
    mnl_attr_put_u32(request.header, FRA_PRIORITY, change->priority);
    mnl_attr_put_u8(request.header, FRA_PROTOCOL, GW_NETLINK_PROTOCOL);
    mnl_attr_put_u32(request.header, FRA_TABLE,
                     change->kind == GW_CHANGE_RULE_TABLE ? change->table : RT_TABLE_MAIN);
    if (change->kind == GW_CHANGE_RULE_PORT) {
        mnl_attr_put_u8(request.header, FRA_IP_PROTO, IPPROTO_UDP);
        mnl_attr_put(request.header, FRA_SPORT_RANGE, sizeof port, &port);
    }
    if (change->kind == GW_CHANGE_RULE_MARK) {
        mnl_attr_put_u32(request.header, FRA_FWMARK, change->port);
        mnl_attr_put_u32(request.header, FRA_FWMASK, UINT32_MAX);
    }
    if (change->kind == GW_CHANGE_RULE_TO) {
        body->dst_len = change->prefix.bits;
        mnl_attr_put(request.header, FRA_DST, change->prefix.ip.family == 6 ? 16 : 4, change->prefix.ip.ip);
        mnl_attr_put_u8(request.header, FRA_IP_PROTO, IPPROTO_TCP);
        mnl_attr_put(request.header, FRA_DPORT_RANGE, sizeof port, &port);
    }
    if (change->kind == GW_CHANGE_RULE_LOCAL)
        mnl_attr_put_u32(request.header, FRA_SUPPRESS_PREFIXLEN, 0);
    return gw_netlink_ask(netlink, &request);
}

static int ask_change(struct gw_netlink *netlink, const struct gw_change *change, bool is_add)
{
    switch (change->kind) {
    case GW_CHANGE_ADDRESS:
        return ask_address(netlink, change, is_add);
    case GW_CHANGE_ROUTE:
    case GW_CHANGE_UNREACHABLE:
        return ask_route(netlink, change, is_add, NLM_F_EXCL);
    case GW_CHANGE_RULE_PORT:
    case GW_CHANGE_RULE_MARK:
    case GW_CHANGE_RULE_TO:
    case GW_CHANGE_RULE_LOCAL:
    case GW_CHANGE_RULE_TABLE:
        return ask_rule(netlink, change, is_add);
    }
    return GW_E_INVAL;
}

int gw_netlink_add(struct gw_netlink *netlink, const struct gw_change *change)
{
    return ask_change(netlink, change, true);
}

int gw_netlink_replace(struct gw_netlink *netlink, const struct gw_change *route)
{
    return ask_route(netlink, route, true, NLM_F_REPLACE);
}

int gw_netlink_remove(struct gw_netlink *netlink, const struct gw_change *change)
{
    int err = ask_change(netlink, change, false);
    switch (err) {
    case -ESRCH:         /* no such route */
    case -ENOENT:        /* no such rule */
    case -ENODEV:        /* no such interface */
    case -EADDRNOTAVAIL: /* no such address */
        return 0;
    default:
        return err;
    }
}
