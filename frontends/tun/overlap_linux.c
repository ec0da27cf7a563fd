/* SPDX-License-Identifier: MIT */
/* The main table's IPv4 routes, by rtnetlink. */
#include "frontends/tun/overlap.h"

#include "gateway/base/err.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct reading {
    struct gw_known_routes *out;
    unsigned own; /* its index */
    size_t room;
    int err;
};

static int take_attribute(const struct nlattr *attribute, void *ctx)
{
    const struct nlattr **attributes = ctx;
    if (mnl_attr_type_valid(attribute, RTA_MAX) >= 0)
        attributes[mnl_attr_get_type(attribute)] = attribute;
    return MNL_CB_OK;
}

static bool make_room(struct reading *reading)
{
    struct gw_known_routes *out = reading->out;
    if (out->count < reading->room)
        return true;
    size_t room = reading->room ? 2 * reading->room : 32;
    struct gw_known_route *items = realloc(out->items, room * sizeof *items);
    if (!items)
        return false;
    out->items = items;
    reading->room = room;
    return true;
}

static int take_route(const struct nlmsghdr *header, void *ctx)
{
    struct reading *reading = ctx;
    const struct nlattr *attributes[RTA_MAX + 1] = {0};
    const struct rtmsg *body = mnl_nlmsg_get_payload(header);
    if (mnl_nlmsg_get_payload_len(header) < sizeof *body ||
        mnl_attr_parse(header, sizeof *body, take_attribute, attributes) < 0)
        return MNL_CB_OK;
    bool is_route = body->rtm_family == AF_INET && body->rtm_type == RTN_UNICAST &&
                    body->rtm_table == RT_TABLE_MAIN && body->rtm_dst_len > 0 && body->rtm_dst_len <= 32;
    if (!is_route || !attributes[RTA_OIF] || !attributes[RTA_DST] ||
        mnl_attr_validate(attributes[RTA_OIF], MNL_TYPE_U32) < 0 ||
        mnl_attr_get_payload_len(attributes[RTA_DST]) < 4 || reading->out->count == GW_ROUTES_MAX)
        return MNL_CB_OK;
    uint32_t index = mnl_attr_get_u32(attributes[RTA_OIF]);
    if (index == reading->own)
        return MNL_CB_OK;
    if (!make_room(reading)) {
        reading->err = GW_E_NOMEM;
        return MNL_CB_STOP;
    }
    struct gw_known_route *route = &reading->out->items[reading->out->count++];
    char name[IF_NAMESIZE] = "";
    *route = (struct gw_known_route){.prefix = {.ip = {.family = 4}, .bits = body->rtm_dst_len}};
    memcpy(route->prefix.ip.ip, mnl_attr_get_payload(attributes[RTA_DST]), 4);
    if (if_indextoname(index, name))
        memcpy(route->device, name, strnlen(name, GW_CHANGE_NAME_MAX));
    return MNL_CB_OK;
}

static int ask(struct mnl_socket *socket, struct reading *reading)
{
    _Alignas(struct nlmsghdr) char buffer[32768] = {0};
    unsigned seq = (unsigned)time(NULL);
    struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
    header->nlmsg_type = RTM_GETROUTE;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = seq;
    struct rtmsg *body = mnl_nlmsg_put_extra_header(header, sizeof *body);
    body->rtm_family = AF_INET;
    if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
        return -errno;
    for (int status = MNL_CB_OK; status == MNL_CB_OK;) {
        ssize_t len = mnl_socket_recvfrom(socket, buffer, sizeof buffer);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return -errno;
        status = mnl_cb_run(buffer, (size_t)len, seq, mnl_socket_get_portid(socket), take_route, reading);
        if (status == MNL_CB_ERROR)
            return -errno;
    }
    return reading->err;
}

int gw_known_routes_read(struct gw_known_routes *out, const char *own)
{
    struct reading reading = {.out = out, .own = own ? if_nametoindex(own) : 0};
    *out = (struct gw_known_routes){0};
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!socket)
        return -errno;
    int err = mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : ask(socket, &reading);
    mnl_socket_close(socket);
    if (err != 0)
        gw_known_routes_free(out);
    return err;
}
