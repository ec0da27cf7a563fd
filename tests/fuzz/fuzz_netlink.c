/* SPDX-License-Identifier: MIT */
/* netlink as everything that reads it does, with this file in the kernel's place: dumps of links, addresses, routes and connections, news of them, and verdicts. The socket is played, and each
 * datagram is handed on in memory of just its size; the readers, and libmnl's way through a datagram, are as they are.
 * Input: reader u8 | datagrams, each  length u16 | bytes; length 65535: the call fails, with ENOBUFS. */
#include "frontends/tun/connections.h"
#include "frontends/tun/netlink.h"
#include "frontends/tun/overlap.h"
#include "frontends/tun/own_routes.h"
#include "gateway/base/log.h"
#include "gateway/link/interfaces.h"
#include "gateway/link/netwatch.h"
#include "gateway/link/route.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FAILS 0xffffu

/* ---- the kernel */

static struct {
    const uint8_t *data;
    size_t size;
    int fd; /* readable, always */
    unsigned sockets;
} kernel;

static struct mnl_socket *socket_of_all(void)
{
    return (struct mnl_socket *)&kernel;
}

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
    (void)bus, (void)flags;
    kernel.sockets++;
    return socket_of_all();
}

int mnl_socket_bind(struct mnl_socket *nl, unsigned int groups, pid_t pid)
{
    (void)nl, (void)groups, (void)pid;
    return 0;
}

int mnl_socket_setsockopt(const struct mnl_socket *nl, int type, void *value, socklen_t len)
{
    (void)nl, (void)type, (void)value, (void)len;
    return 0;
}

int mnl_socket_close(struct mnl_socket *nl)
{
    (void)nl;
    kernel.sockets--;
    return 0;
}

int mnl_socket_get_fd(const struct mnl_socket *nl)
{
    (void)nl;
    return kernel.fd;
}

unsigned int mnl_socket_get_portid(const struct mnl_socket *nl)
{
    (void)nl;
    return 1;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *nl, const void *request, size_t len)
{
    (void)nl, (void)request;
    return (ssize_t)len;
}

ssize_t mnl_socket_recvfrom(const struct mnl_socket *nl, void *buffer, size_t room)
{
    (void)nl;
    if (kernel.size < 2) {
        errno = EAGAIN;
        return -1;
    }
    size_t len = (size_t)kernel.data[0] << 8 | kernel.data[1];
    kernel.data += 2;
    kernel.size -= 2;
    if (len == FAILS) {
        errno = ENOBUFS;
        return -1;
    }
    len = len < kernel.size ? len : kernel.size;
    len = len < room ? len : room;
    memcpy(buffer, kernel.data, len);
    kernel.data += len;
    kernel.size -= len;
    return (ssize_t)len;
}

/* libmnl takes a message's length for an int; the kernel, which alone may send to such sockets, makes none of 2 GB. */
static bool is_huge(const char *datagram, size_t len)
{
    struct nlmsghdr header;
    while (len >= sizeof header) {
        memcpy(&header, datagram, sizeof header);
        size_t step = ((size_t)header.nlmsg_len + 3) & ~(size_t)3;
        if (header.nlmsg_len > INT_MAX)
            return true;
        if (header.nlmsg_len < sizeof header || step > len)
            return false;
        datagram += step;
        len -= step;
    }
    return false;
}

int mnl_cb_run(const void *datagram, size_t len, unsigned int seq, unsigned int portid, mnl_cb_t fn,
               void *ctx)
{
    static int (*run)(const void *datagram, size_t len, unsigned int seq, unsigned int portid, mnl_cb_t fn,
                      void *ctx);
    if (!run)
        run = (__typeof__(run))(uintptr_t)dlsym(RTLD_NEXT, "mnl_cb_run");
    if (is_huge(datagram, len)) {
        errno = EBADMSG;
        return MNL_CB_ERROR;
    }
    void *copy = malloc(len ? len : 1);
    if (!run || !copy)
        abort();
    memcpy(copy, datagram, len);
    int status = run(copy, len, seq, portid, fn, ctx);
    int err = errno;
    free(copy);
    errno = err > 0 && err < 4096 ? err : EPROTO; /* the kernel has no others */
    return status;
}

/* ---- the readers */

static void list_interfaces(void)
{
    struct gw_addr addrs[16];
    unsigned count = gw_interfaces_list(addrs, 16);
    assert(count <= 16);
    for (unsigned i = 0; i < count; i++)
        assert(gw_addr_is_set(&addrs[i]) && !gw_addr_is_loopback(&addrs[i]) && addrs[i].port == 0);
}

static void read_default_route(void)
{
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct gw_route route;
        if (gw_route_default(&route, family) != 0 || !route.has_route)
            continue;
        assert(route.router.family == 0 || route.router.family == family);
        assert(route.router.port == 0);
    }
}

static void read_known_routes(void)
{
    struct gw_known_routes routes;
    const struct gw_known_route *which = NULL;
    struct gw_prefix range = {.ip = {.family = 4, .ip = {10, 64}}, .bits = 16}, suggested;
    if (gw_known_routes_read(&routes, NULL) != 0) {
        assert(routes.count == 0);
        return;
    }
    assert(routes.count <= GW_ROUTES_MAX);
    for (size_t i = 0; i < routes.count; i++) {
        assert(routes.items[i].prefix.ip.family == 4);
        assert(routes.items[i].prefix.bits > 0 && routes.items[i].prefix.bits <= 32);
    }
    enum gw_overlap overlap = gw_overlap_find(&routes, &range, &which);
    assert((overlap == GW_OVERLAP_NONE) == (which == NULL));
    if (gw_overlap_suggest(&routes, 16, &suggested))
        assert(gw_overlap_find(&routes, &suggested, &which) == GW_OVERLAP_NONE);
    gw_known_routes_free(&routes);
}

static void read_connections(void)
{
    struct gw_connections list = {0};
    for (int i = 0; i < 2; i++) {
        struct gw_addr local;
        if (gw_addr_parse_ip(&local, i ? "10.64.0.1" : "fd00::1", 0) != 0)
            abort();
        size_t before = list.count;
        gw_connections_read(&list, &local);
        assert(list.count >= before && list.count <= GW_CONNECTIONS_MAX);
        for (size_t k = before; k < list.count; k++)
            assert(gw_addr_same_ip(&list.items[k].local, &local));
    }
    gw_connections_free(&list);
}

static void look_at_own_routes(void)
{
    struct gw_change items[3] = {
        {.kind = GW_CHANGE_ROUTE,
         .table = 254,
         .priority = 2000,
         .device = "lo",
         .prefix = {{.family = 4, .ip = {10, 9}}, 16}},
        {.kind = GW_CHANGE_UNREACHABLE, .table = 254, .priority = 2001, .prefix = {.ip = {.family = 6}}},
        {.kind = GW_CHANGE_RULE_TABLE, .table = 7, .prefix = {.ip = {.family = 4}}}};
    const struct gw_changes changes = {.items = items, .count = 3};
    bool is_there[3] = {true, true, true};
    gw_own_routes_look(&changes, is_there);
    assert(is_there[2]);
}

static void on_change(struct gw_mono now, void *ctx)
{
    (void)now, (void)ctx;
}

static void hear_news(void)
{
    static struct gw_loop *loop;
    loop = loop ? loop : gw_loop_new();
    struct gw_netwatch *watch = loop ? gw_netwatch_new(loop, true, on_change, NULL) : NULL;
    if (!watch)
        abort();
    event_base_loop(gw_loop_base(loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
    gw_netwatch_free(watch);
}

static void hear_verdict(void)
{
    const struct gw_change change = {
        .kind = GW_CHANGE_RULE_TABLE, .table = 7, .prefix = {.ip = {.family = 4}}};
    struct gw_netlink netlink;
    if (gw_netlink_open(&netlink) != 0)
        abort();
    assert(gw_netlink_add(&netlink, &change) <= 0);
    assert(gw_netlink_remove(&netlink, &change) <= 0);
    gw_netlink_close(&netlink);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(void) = {list_interfaces, read_default_route, read_known_routes, hear_news,
                                            hear_verdict,    read_connections,   look_at_own_routes};
    if (size < 1)
        return 0;
    gw_log_set_level(GW_LOG_ERROR);
    if (kernel.fd == 0)
        kernel.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    kernel.data = data + 1;
    kernel.size = size - 1;
    readers[data[0] % 7]();
    assert(kernel.sockets == 0);
    return 0;
}
