/* SPDX-License-Identifier: MIT */
/* A carrier's TCP socket on Linux. */
#include "gateway/link/carrier_socket.h"

#include "gateway/link/mark.h"

/* The kernel's own: the C library's tcp_info ends before the delivery rate. */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_S 30
#define PROBE_S 10
#define PROBES 3
#define USER_TIMEOUT_MS 30000

static void set(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof value);
}

void gw_carrier_socket_prepare(int fd)
{
    gw_mark_outside(fd);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

int gw_carrier_socket_connect(const struct gw_addr *to)
{
    struct sockaddr_storage name;
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(to, &name);
    int fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    gw_carrier_socket_prepare(fd);
    if (connect(fd, (struct sockaddr *)&name, len) == 0 || errno == EINPROGRESS)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

int gw_carrier_socket_peer(int fd, struct gw_addr *from)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    if (getpeername(fd, (struct sockaddr *)&name, &len) != 0)
        return -errno;
    return gw_addr_from_sockaddr(from, (struct sockaddr *)&name) == 0 ? 0 : -EAFNOSUPPORT;
}

void gw_carrier_socket_limit_unsent(int fd, size_t bytes)
{
    set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)bytes);
}

uint64_t gw_carrier_socket_rate(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        len < offsetof(struct tcp_info, tcpi_delivery_rate) + sizeof info.tcpi_delivery_rate)
        return 0;
    return info.tcpi_delivery_rate;
}
