/* SPDX-License-Identifier: MIT */
#include "gateway/link/refused.h"

#include "gateway/link/mark.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* It needs struct timespec and does not say so. */
#include <linux/errqueue.h>

int gw_refused_ask(const struct gw_addr *to)
{
    struct sockaddr_storage at;
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(to, &at);
    int on = 1, level = to->family == 6 ? IPPROTO_IPV6 : IPPROTO_IP;
    int fd = socket(at.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    gw_mark_outside(fd);
    if (setsockopt(fd, level, level == IPPROTO_IPV6 ? IPV6_RECVERR : IP_RECVERR, &on, sizeof on) == 0 &&
        connect(fd, (const struct sockaddr *)&at, len) == 0 && send(fd, "", 0, 0) == 0)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

static bool is_from(const struct sock_extended_err *error, const struct gw_addr *to)
{
    struct gw_addr offender;
    return error->ee_errno == ECONNREFUSED &&
           (error->ee_origin == SO_EE_ORIGIN_ICMP || error->ee_origin == SO_EE_ORIGIN_ICMP6) &&
           gw_addr_from_sockaddr(&offender, SO_EE_OFFENDER(error)) == 0 && gw_addr_same_ip(&offender, to);
}

bool gw_refused_is(int fd, const struct gw_addr *to)
{
    union {
        struct cmsghdr align;
        char bytes[256];
    } room;
    char data[64];
    struct iovec part = {data, sizeof data};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room};
    if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        bool is_error = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                        (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
        if (is_error && is_from((const struct sock_extended_err *)(const void *)CMSG_DATA(c), to))
            return true;
    }
    return false;
}
