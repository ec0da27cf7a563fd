/* SPDX-License-Identifier: MIT */
/* sock_diag, filtered by the kernel. IPv4 is asked about twice: a socket for IPv6 may have it too. */
#include "frontends/tun/connections.h"

#include "gateway/base/err.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of the kernel's numbers (include/net/tcp_states.h) those of a connection that both ends know of, and that is not over. What waits for the answer to its SYN is told when it asks again. */
enum { ESTABLISHED = 1, FIN_WAIT_1 = 4, FIN_WAIT_2 = 5, CLOSE_WAIT = 8, LAST_ACK = 9, CLOSING = 11 };
#define STATES                                                                                     \
    (1u << ESTABLISHED | 1u << FIN_WAIT_1 | 1u << FIN_WAIT_2 | 1u << CLOSE_WAIT | 1u << LAST_ACK | \
     1u << CLOSING)

struct reading {
    struct gw_connections *list;
    const struct gw_addr *local;
    int err;
};

static struct gw_addr address_of(uint8_t family, const __be32 ip[4], __be16 port)
{
    struct gw_addr addr = {.family = family == AF_INET6 ? 6 : 4, .port = ntohs(port)};
    memcpy(addr.ip, ip, addr.family == 6 ? 16 : 4);
    gw_addr_normalise(&addr);
    return addr;
}

static bool make_room(struct gw_connections *list)
{
    if (list->count < list->room)
        return true;
    size_t room = list->room ? 2 * list->room : 32;
    struct gw_connection_ends *items = realloc(list->items, room * sizeof *items);
    if (!items)
        return false;
    list->items = items;
    list->room = room;
    return true;
}

static int take_socket(const struct nlmsghdr *header, void *ctx)
{
    struct reading *reading = ctx;
    const struct inet_diag_msg *body = mnl_nlmsg_get_payload(header);
    if (mnl_nlmsg_get_payload_len(header) < sizeof *body ||
        (body->idiag_family != AF_INET && body->idiag_family != AF_INET6))
        return MNL_CB_OK;
    const struct gw_connection_ends ends = {
        .local = address_of(body->idiag_family, body->id.idiag_src, body->id.idiag_sport),
        .remote = address_of(body->idiag_family, body->id.idiag_dst, body->id.idiag_dport)};
    if (!gw_addr_same_ip(&ends.local, reading->local) || reading->list->count == GW_CONNECTIONS_MAX)
        return MNL_CB_OK;
    if (!make_room(reading->list)) {
        reading->err = GW_E_NOMEM;
        return MNL_CB_STOP;
    }
    reading->list->items[reading->list->count++] = ends;
    return MNL_CB_OK;
}

/* What the kernel runs for each socket: one condition. Who comes out at its end passes; no leads beyond that. */
static void put_filter(struct nlmsghdr *header, const struct gw_addr *local)
{
    const struct inet_diag_hostcond condition = {.family = local->family == 6 ? AF_INET6 : AF_INET,
                                                 .prefix_len = local->family == 6 ? 128 : 32,
                                                 .port = -1};
    uint8_t program[sizeof(struct inet_diag_bc_op) + sizeof condition + sizeof local->ip];
    size_t len = sizeof program - (local->family == 6 ? 0 : 12);
    const struct inet_diag_bc_op op = {
        .code = INET_DIAG_BC_S_COND, .yes = (uint8_t)len, .no = (uint16_t)(len + 4)};
    memcpy(program, &op, sizeof op);
    memcpy(program + sizeof op, &condition, sizeof condition);
    memcpy(program + sizeof op + sizeof condition, local->ip, sizeof local->ip);
    mnl_attr_put(header, INET_DIAG_REQ_BYTECODE, len, program);
}

static int ask(struct mnl_socket *socket, uint8_t family, struct reading *reading)
{
    _Alignas(struct nlmsghdr) char buffer[32768] = {0};
    unsigned seq = (unsigned)time(NULL) + family;
    struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
    header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = seq;
    struct inet_diag_req_v2 *body = mnl_nlmsg_put_extra_header(header, sizeof *body);
    body->sdiag_family = family;
    body->sdiag_protocol = IPPROTO_TCP;
    body->idiag_states = STATES;
    put_filter(header, reading->local);
    if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
        return -errno;
    for (int status = MNL_CB_OK; status == MNL_CB_OK;) {
        ssize_t len = mnl_socket_recvfrom(socket, buffer, sizeof buffer);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return -errno;
        status = mnl_cb_run(buffer, (size_t)len, seq, mnl_socket_get_portid(socket), take_socket, reading);
        if (status == MNL_CB_ERROR)
            return -errno;
    }
    return reading->err;
}

int gw_connections_read(struct gw_connections *list, const struct gw_addr *local)
{
    struct reading reading = {.list = list, .local = local};
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
    if (!socket)
        return -errno;
    int err = mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
    if (err == 0 && local->family == 4)
        err = ask(socket, AF_INET, &reading);
    if (err == 0)
        err = ask(socket, AF_INET6, &reading);
    mnl_socket_close(socket);
    return err;
}

void gw_connections_free(struct gw_connections *list)
{
    free(list->items);
    *list = (struct gw_connections){0};
}
