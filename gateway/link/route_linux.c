/* SPDX-License-Identifier: MIT */
/* The default route by a dump of rtnetlink. */
#include "gateway/link/route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

struct search {
    struct gw_route *route;
    uint8_t family;
    uint32_t metric; /* of the best so far */
};

struct found {
    uint8_t family;
    uint32_t metric, interface;
    struct gw_addr router;
    bool is_main;
};

static uint32_t number(const struct nlattr *attribute)
{
    return mnl_attr_validate(attribute, MNL_TYPE_U32) == 0 ? mnl_attr_get_u32(attribute) : 0;
}

static int on_attribute(const struct nlattr *attribute, void *arg)
{
    struct found *found = arg;
    size_t len = mnl_attr_get_payload_len(attribute);
    switch (mnl_attr_get_type(attribute)) {
    case RTA_GATEWAY:
        if (len != (found->family == 6 ? 16 : 4))
            break;
        found->router.family = found->family;
        memcpy(found->router.ip, mnl_attr_get_payload(attribute), len);
        break;
    case RTA_OIF:
        found->interface = number(attribute);
        break;
    case RTA_PRIORITY:
        found->metric = number(attribute);
        break;
    case RTA_TABLE:
        found->is_main = number(attribute) == RT_TABLE_MAIN;
        break;
    default:
        break;
    }
    return MNL_CB_OK;
}

static int on_route(const struct nlmsghdr *message, void *arg)
{
    struct search *search = arg;
    const struct rtmsg *route = mnl_nlmsg_get_payload(message);
    struct found found = {.family = search->family};
    if (mnl_nlmsg_get_payload_len(message) < sizeof *route || route->rtm_dst_len != 0 ||
        route->rtm_type != RTN_UNICAST || route->rtm_family != (search->family == 6 ? AF_INET6 : AF_INET))
        return MNL_CB_OK;
    mnl_attr_parse(message, sizeof *route, on_attribute, &found);
    if (!found.is_main || (search->route->has_route && found.metric >= search->metric))
        return MNL_CB_OK;
    if (found.router.family == 6 && found.router.ip[0] == 0xfe && (found.router.ip[1] & 0xc0) == 0x80)
        found.router.scope = found.interface;
    search->metric = found.metric;
    *search->route =
        (struct gw_route){.has_route = true, .router = found.router, .interface = found.interface};
    return MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, struct search *search)
{
    _Alignas(struct nlmsghdr) char buffer[16384];
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = RTM_GETROUTE;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message->nlmsg_seq = 1;
    struct rtmsg *route = mnl_nlmsg_put_extra_header(message, sizeof *route);
    route->rtm_family = search->family == 6 ? AF_INET6 : AF_INET;
    if (mnl_socket_sendto(nl, message, message->nlmsg_len) < 0)
        return -errno;
    for (;;) {
        ssize_t len = mnl_socket_recvfrom(nl, buffer, sizeof buffer);
        if (len < 0)
            return -errno;
        int run = mnl_cb_run(buffer, (size_t)len, 1, mnl_socket_get_portid(nl), on_route, search);
        if (run < 0)
            return -errno;
        if (run == MNL_CB_STOP)
            return 0;
    }
}

int gw_route_default(struct gw_route *out, uint8_t family)
{
    struct search search = {.route = out, .family = family};
    *out = (struct gw_route){.has_route = false};
    struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!nl)
        return -errno;
    int err = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : dump(nl, &search);
    mnl_socket_close(nl);
    return err;
}
