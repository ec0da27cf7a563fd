/* SPDX-License-Identifier: MIT */
/* Opening the sockets of a link on Linux, and what is asked of them. Receiving and sending: udp_receive_linux.c, udp_send_linux.c. */
#include "gateway/link/udp.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/link/mark.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_WANTED (4 * 1024 * 1024)
#define ANY_PORT_TRIES 16

static int socket_domain(enum gw_udp_family family)
{
    return family == GW_UDP_V4 ? AF_INET : AF_INET6;
}

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* With CAP_NET_ADMIN beyond the system's limit. Returns what we got; the kernel doubles what is asked, for its own bookkeeping. */
static int set_buffer(int fd, int option, int force_option)
{
    int got = 0;
    socklen_t len = sizeof got;
    if (!set(fd, SOL_SOCKET, force_option, BUFFER_WANTED))
        set(fd, SOL_SOCKET, option, BUFFER_WANTED);
    getsockopt(fd, SOL_SOCKET, option, &got, &len);
    return got / 2;
}

static void set_options(struct gw_udp_socket *sock, enum gw_udp_family family)
{
    int fd = sock->fd;
    gw_mark_outside(fd);
    if (family == GW_UDP_V4) {
        set(fd, IPPROTO_IP, IP_PKTINFO, 1);
        set(fd, IPPROTO_IP, IP_RECVTOS, 1);
        set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
    } else {
        set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
        set(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
    }
    sock->has_gro = set(fd, IPPROTO_UDP, UDP_GRO, 1);
    /* Setting no size says whether the kernel knows the option at all. */
    sock->has_gso = set(fd, IPPROTO_UDP, UDP_SEGMENT, 0);
    sock->receive_buffer = set_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE);
    sock->send_buffer = set_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE);
}

/* at: family 0 = every address. *port: 0 = any; what it became. */
static int bind_port(int fd, enum gw_udp_family family, const struct gw_addr *at, uint16_t *port)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    struct gw_addr bound = *at;

    bound.family = family == GW_UDP_V4 ? 4 : 6;
    bound.port = *port;
    if (bind(fd, (struct sockaddr *)&name, (socklen_t)gw_addr_to_sockaddr(&bound, &name)) < 0)
        return -errno;
    if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
        return -errno;
    int err = gw_addr_from_sockaddr(&bound, (struct sockaddr *)&name);
    *port = bound.port;
    return err;
}

static int open_socket(struct gw_udp_socket *sock, enum gw_udp_family family, const struct gw_addr *at,
                       uint16_t *port)
{
    sock->fd = socket(socket_domain(family), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sock->fd < 0)
        return -errno;
    if (family == GW_UDP_V6 && !set(sock->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
        return -errno;
    set_options(sock, family);
    return bind_port(sock->fd, family, at, port);
}

/* A machine without IPv6 has no :: to bind either; an address that somebody wrote down must be there. */
static bool is_missing_family(int err, const struct gw_addr *at)
{
    bool is_any = !gw_addr_is_set(at) || gw_addr_is_unspecified(at);
    return err == -EAFNOSUPPORT || err == -EPROTONOSUPPORT || (err == -EADDRNOTAVAIL && is_any);
}

static void explain(char *why, size_t why_len, int err, unsigned port)
{
    switch (err) {
    case -EADDRINUSE:
        snprintf(
            why, why_len,
            "UDP port %u is in use: another program, or another peergate, has it (see `ss -ulpn sport = :%u`). Stop that one, or "
            "choose another `port` in config.yaml (0 takes any free one)",
            port, port);
        break;
    case -EACCES:
    case -EPERM:
        snprintf(why, why_len,
                 "not allowed to bind UDP port %u: choose a `port` from 1024 up, or start as root", port);
        break;
    case -EADDRNOTAVAIL:
        snprintf(why, why_len,
                 "cannot listen on UDP port %u: this machine has no address like the one in `listen`", port);
        break;
    case -EMFILE:
    case -ENFILE:
        snprintf(why, why_len, "no file descriptor left for a UDP socket: raise `ulimit -n`");
        break;
    default:
        snprintf(why, why_len, "cannot open UDP port %u: %s", port, gw_strerror(err));
    }
}

static void log_socket(const struct gw_udp_socket *sock, enum gw_udp_family family)
{
    gw_log_debug("udp %s: receive buffer %d KB, send buffer %d KB, coalescing %s, segmentation %s",
                 family == GW_UDP_V4 ? "IPv4" : "IPv6", sock->receive_buffer / 1024, sock->send_buffer / 1024,
                 sock->has_gro ? "yes" : "no", sock->has_gso ? "yes" : "no");
}

static void log_small_buffer(const struct gw_udp *udp)
{
    const struct gw_udp_socket *sock = &udp->sockets[udp->sockets[GW_UDP_V4].fd >= 0 ? GW_UDP_V4 : GW_UDP_V6];
    if (sock->receive_buffer < BUFFER_WANTED)
        gw_log_info(
            "the UDP receive buffer is %d KB; `sysctl net.core.rmem_max=%d` would allow the %d KB that fast links want",
            sock->receive_buffer / 1024, BUFFER_WANTED, BUFFER_WANTED / 1024);
}

static void close_socket(struct gw_udp_socket *sock)
{
    if (sock->fd >= 0)
        close(sock->fd);
    sock->fd = -1;
}

static int open_families(struct gw_udp *udp, const struct gw_udp_params *params)
{
    int missing = -EAFNOSUPPORT;

    udp->port = params->port;
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++) {
        const struct gw_addr *at = &params->listen[family];
        if (params->skip[family])
            continue;
        int err = open_socket(&udp->sockets[family], family, at, &udp->port);
        if (err == 0)
            continue;
        if (!is_missing_family(err, at))
            return err;
        close_socket(&udp->sockets[family]);
        missing = err;
    }
    bool is_open = udp->sockets[GW_UDP_V4].fd >= 0 || udp->sockets[GW_UDP_V6].fd >= 0;
    return is_open ? 0 : missing;
}

int gw_udp_open(struct gw_udp *udp, const struct gw_udp_params *params, char *why, size_t why_len)
{
    int err;
    *udp = (struct gw_udp){.link = params->link, .sockets = {{.fd = -1}, {.fd = -1}}};
    /* A port that is free for one family may be taken in the other. */
    for (int tries = 0;; tries++) {
        err = open_families(udp, params);
        if (err == 0)
            break;
        gw_udp_close(udp);
        if (err != -EADDRINUSE || params->port != 0 || tries == ANY_PORT_TRIES) {
            explain(why, why_len, err, params->port);
            return err;
        }
    }
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES && !params->is_further; family++) {
        if (udp->sockets[family].fd >= 0)
            log_socket(&udp->sockets[family], family);
    }
    if (!params->is_further)
        log_small_buffer(udp);
    return 0;
}

/* The first socket was bound without the option, which is how we know that nobody else had the port; from now on it may be shared, with sockets of the same user. */
static int join_family(struct gw_udp *udp, struct gw_udp *first, enum gw_udp_family family)
{
    struct gw_udp_socket *sock = &udp->sockets[family];
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    if (!set(first->sockets[family].fd, SOL_SOCKET, SO_REUSEPORT, 1) ||
        getsockname(first->sockets[family].fd, (struct sockaddr *)&name, &len) < 0)
        return -errno;
    sock->fd = socket(socket_domain(family), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sock->fd < 0 || (family == GW_UDP_V6 && !set(sock->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) ||
        !set(sock->fd, SOL_SOCKET, SO_REUSEPORT, 1))
        return -errno;
    set_options(sock, family);
    return bind(sock->fd, (struct sockaddr *)&name, len) < 0 ? -errno : 0;
}

int gw_udp_join(struct gw_udp *udp, struct gw_udp *first)
{
    *udp = (struct gw_udp){
        .link = first->link, .port = first->port, .is_quiet = true, .sockets = {{.fd = -1}, {.fd = -1}}};
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++) {
        int err = first->sockets[family].fd < 0 ? 0 : join_family(udp, first, family);
        if (err != 0) {
            gw_udp_close(udp);
            return err;
        }
    }
    return 0;
}

void gw_udp_close(struct gw_udp *udp)
{
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++)
        close_socket(&udp->sockets[family]);
}
