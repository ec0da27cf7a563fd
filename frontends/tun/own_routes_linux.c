/* SPDX-License-Identifier: MIT */
/* A dump of each family, of which the kernel leaves out what other programs made (where it can). */
#include "frontends/tun/own_routes.h"

#include "frontends/tun/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <time.h>

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

struct looking {
    const struct gw_changes *changes;
    bool *is_there;
};

static int take_attribute(const struct nlattr *attribute, void *ctx)
{
    const struct nlattr **attributes = ctx;
    if (mnl_attr_type_valid(attribute, RTA_MAX) >= 0)
        attributes[mnl_attr_get_type(attribute)] = attribute;
    return MNL_CB_OK;
}

static uint32_t number_of(const struct nlattr *attribute)
{
    return attribute && mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0 ? mnl_attr_get_u32(attribute) : 0;
}

/* A default route's destination is not said. */
static bool is_to(const struct gw_prefix *prefix, const struct rtmsg *body, const struct nlattr *destination)
{
    size_t len = prefix->ip.family == 6 ? 16 : 4;
    if (body->rtm_family != (prefix->ip.family == 6 ? AF_INET6 : AF_INET) ||
        body->rtm_dst_len != prefix->bits)
        return false;
    if (prefix->bits == 0)
        return true;
    return destination && mnl_attr_get_payload_len(destination) == len &&
           memcmp(mnl_attr_get_payload(destination), prefix->ip.ip, len) == 0;
}

static bool is_it(const struct gw_change *change, const struct rtmsg *body, const struct nlattr *const *found)
{
    if (!is_to(&change->prefix, body, found[RTA_DST]) || number_of(found[RTA_TABLE]) != change->table ||
        number_of(found[RTA_PRIORITY]) != change->priority)
        return false;
    if (change->kind == GW_CHANGE_UNREACHABLE)
        return body->rtm_type == RTN_UNREACHABLE;
    return change->kind == GW_CHANGE_ROUTE && body->rtm_type == RTN_UNICAST && !found[RTA_GATEWAY] &&
           number_of(found[RTA_OIF]) == if_nametoindex(change->device);
}

static int take_route(const struct nlmsghdr *header, void *ctx)
{
    const struct looking *looking = ctx;
    const struct nlattr *found[RTA_MAX + 1] = {0};
    const struct rtmsg *body = mnl_nlmsg_get_payload(header);
    if (header->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(header) < sizeof *body ||
        body->rtm_protocol != GW_NETLINK_PROTOCOL ||
        mnl_attr_parse(header, sizeof *body, take_attribute, found) < 0)
        return MNL_CB_OK;
    for (size_t i = 0; i < looking->changes->count; i++) {
        if (is_it(&looking->changes->items[i], body, found))
            looking->is_there[i] = true;
    }
    return MNL_CB_OK;
}

static int look_at(struct mnl_socket *socket, uint8_t family, struct looking *looking)
{
    _Alignas(struct nlmsghdr) char buffer[32768] = {0};
    unsigned seq = (unsigned)time(NULL) + family;
    struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
    header->nlmsg_type = RTM_GETROUTE;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = seq;
    struct rtmsg *body = mnl_nlmsg_put_extra_header(header, sizeof *body);
    body->rtm_family = family;
    body->rtm_protocol = GW_NETLINK_PROTOCOL;
    if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
        return -errno;
    for (int status = MNL_CB_OK; status == MNL_CB_OK;) {
        ssize_t len = mnl_socket_recvfrom(socket, buffer, sizeof buffer);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return -errno;
        status = mnl_cb_run(buffer, (size_t)len, seq, mnl_socket_get_portid(socket), take_route, looking);
        if (status == MNL_CB_ERROR)
            return -errno;
    }
    return 0;
}

int gw_own_routes_look(const struct gw_changes *changes, bool *is_there)
{
    struct looking looking = {changes, is_there};
    int on = 1;
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!socket)
        return -errno;
    for (size_t i = 0; i < changes->count; i++) {
        if (changes->items[i].kind == GW_CHANGE_ROUTE || changes->items[i].kind == GW_CHANGE_UNREACHABLE)
            is_there[i] = false;
    }
    int err = mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
    (void)mnl_socket_setsockopt(socket, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    if (err == 0)
        err = look_at(socket, AF_INET, &looking);
    if (err == 0)
        err = look_at(socket, AF_INET6, &looking);
    mnl_socket_close(socket);
    return err;
}
