/* SPDX-License-Identifier: MIT */
/* Interfaces' addresses by a dump of rtnetlink: getifaddrs does not tell which are temporary, deprecated or tentative. */
#include "gateway/link/interfaces.h"

#include "gateway/link/route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FOUND_MAX 256u
#define TRIES 3u
#define FLAGS_UNUSABLE (IFA_F_TENTATIVE | IFA_F_DEPRECATED | IFA_F_DADFAILED)

struct found {
    struct gw_addr addr;
    unsigned rank;  /* lower is better */
    unsigned order; /* as the kernel has them */
};

struct list {
    struct found *items; /* FOUND_MAX */
    unsigned count;
    unsigned way_out[2]; /* interfaces of the default routes of IPv4 and IPv6; 0 = none */
    unsigned up[FOUND_MAX];
    unsigned up_count; /* interfaces that are up, without loopback */
};

static bool is_link_local(const struct gw_addr *addr)
{
    if (addr->family == 4)
        return addr->ip[0] == 169 && addr->ip[1] == 254;
    return addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80;
}

static bool is_up(const struct list *list, unsigned interface)
{
    for (unsigned i = 0; i < list->up_count; i++) {
        if (list->up[i] == interface)
            return true;
    }
    return false;
}

static int on_link(const struct nlmsghdr *message, void *arg)
{
    struct list *list = arg;
    const struct ifinfomsg *link = mnl_nlmsg_get_payload(message);
    if (mnl_nlmsg_get_payload_len(message) >= sizeof *link && (link->ifi_flags & IFF_UP) &&
        !(link->ifi_flags & IFF_LOOPBACK) && list->up_count < FOUND_MAX)
        list->up[list->up_count++] = (unsigned)link->ifi_index;
    return MNL_CB_OK;
}

struct attributes {
    const struct nlattr *address, *local;
    uint32_t flags;
};

static int on_attribute(const struct nlattr *attribute, void *arg)
{
    struct attributes *found = arg;
    if (mnl_attr_get_type(attribute) == IFA_ADDRESS)
        found->address = attribute;
    else if (mnl_attr_get_type(attribute) == IFA_LOCAL) /* the near end of a point-to-point line */
        found->local = attribute;
    else if (mnl_attr_get_type(attribute) == IFA_FLAGS && mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
        found->flags = mnl_attr_get_u32(attribute);
    return MNL_CB_OK;
}

static unsigned rank_of(const struct list *list, const struct gw_addr *addr, unsigned interface,
                        uint32_t flags)
{
    bool leads_out = interface == list->way_out[addr->family == 6];
    bool is_lasting = addr->family == 6 && !(flags & IFA_F_TEMPORARY);
    return (leads_out ? 0u : 2u) + (is_lasting ? 1u : 0u);
}

static int on_address(const struct nlmsghdr *message, void *arg)
{
    struct list *list = arg;
    const struct ifaddrmsg *header = mnl_nlmsg_get_payload(message);
    if (mnl_nlmsg_get_payload_len(message) < sizeof *header ||
        (header->ifa_family != AF_INET && header->ifa_family != AF_INET6) || list->count == FOUND_MAX)
        return MNL_CB_OK;
    struct attributes found = {.flags = header->ifa_flags};
    mnl_attr_parse(message, sizeof *header, on_attribute, &found);
    const struct nlattr *value = found.local ? found.local : found.address;
    size_t ip_len = header->ifa_family == AF_INET ? 4 : 16;
    struct gw_addr addr = {.family = header->ifa_family == AF_INET ? 4 : 6};
    if (!value || mnl_attr_get_payload_len(value) != ip_len || (found.flags & FLAGS_UNUSABLE) ||
        !is_up(list, header->ifa_index))
        return MNL_CB_OK;
    memcpy(addr.ip, mnl_attr_get_payload(value), ip_len);
    if (gw_addr_is_loopback(&addr) || is_link_local(&addr))
        return MNL_CB_OK;
    list->items[list->count] = (struct found){
        .addr = addr, .rank = rank_of(list, &addr, header->ifa_index, found.flags), .order = list->count};
    list->count++;
    return MNL_CB_OK;
}

/* One dump after the other on one socket: the sequence number tells them apart. */
static int dump(struct mnl_socket *nl, uint16_t type, uint32_t sequence, mnl_cb_t fn, struct list *list)
{
    _Alignas(struct nlmsghdr) char buffer[32768];
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = type;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message->nlmsg_seq = sequence;
    struct rtgenmsg *body = mnl_nlmsg_put_extra_header(message, sizeof *body);
    body->rtgen_family = AF_UNSPEC;
    if (mnl_socket_sendto(nl, message, message->nlmsg_len) < 0)
        return -errno;
    for (;;) {
        ssize_t len = mnl_socket_recvfrom(nl, buffer, sizeof buffer);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return -errno;
        int run = mnl_cb_run(buffer, (size_t)len, sequence, mnl_socket_get_portid(nl), fn, list);
        if (run < 0)
            return -errno;
        if (run == MNL_CB_STOP)
            return 0;
    }
}

static int by_rank(const void *a, const void *b)
{
    const struct found *one = a, *other = b;
    if (one->rank != other->rank)
        return one->rank < other->rank ? -1 : 1;
    return one->order < other->order ? -1 : one->order > other->order;
}

/* -EINTR: addresses changed while they were read. */
static int fill(struct list *list)
{
    struct gw_route route;
    struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!nl)
        return -errno;
    list->count = list->up_count = 0;
    list->way_out[0] = gw_route_default(&route, 4) == 0 ? route.interface : 0;
    list->way_out[1] = gw_route_default(&route, 6) == 0 ? route.interface : 0;
    int err =
        mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : dump(nl, RTM_GETLINK, 1, on_link, list);
    if (err == 0)
        err = dump(nl, RTM_GETADDR, 2, on_address, list);
    mnl_socket_close(nl);
    return err;
}

unsigned gw_interfaces_list(struct gw_addr *out, unsigned max)
{
    struct list list = {.items = calloc(FOUND_MAX, sizeof *list.items)};
    if (!list.items)
        return 0;
    for (unsigned tries = 0; tries < TRIES && fill(&list) == -EINTR; tries++)
        ;
    qsort(list.items, list.count, sizeof *list.items, by_rank);
    unsigned count = list.count < max ? list.count : max;
    for (unsigned i = 0; i < count; i++)
        out[i] = list.items[i].addr;
    free(list.items);
    return count;
}
