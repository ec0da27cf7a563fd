/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

struct calls calls;

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
ssize_t __real_sendmsg(int fd, const struct msghdr *header, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags);
int __real_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
int __real_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout);
int __wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout);

static int fail(int err)
{
    errno = err;
    return -1;
}

int __wrap_socket(int domain, int type, int protocol)
{
    if (calls.socket_errno && (domain == AF_INET6 || calls.socket_all))
        return fail(calls.socket_errno);
    return __real_socket(domain, type, protocol);
}

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
    if (level == IPPROTO_UDP &&
        ((option == UDP_GRO && calls.no_gro) || (option == UDP_SEGMENT && calls.no_gso)))
        return fail(ENOPROTOOPT);
    return __real_setsockopt(fd, level, option, value, len);
}

static bool has_control(const struct msghdr *header, int level, int type)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg;
         cmsg = CMSG_NXTHDR((struct msghdr *)(unsigned long)header, cmsg)) {
        if (cmsg->cmsg_level == level && cmsg->cmsg_type == type)
            return true;
    }
    return false;
}

/* 0: let it through. */
static int send_error(const struct msghdr *header)
{
    unsigned turn = calls.send_count++;
    bool has_local =
        has_control(header, IPPROTO_IP, IP_PKTINFO) || has_control(header, IPPROTO_IPV6, IPV6_PKTINFO);
    if (turn < sizeof calls.send_errnos / sizeof *calls.send_errnos && calls.send_errnos[turn])
        return calls.send_errnos[turn];
    if (calls.gso_errno && has_control(header, IPPROTO_UDP, UDP_SEGMENT))
        return calls.gso_errno;
    return calls.local_errno && has_local ? calls.local_errno : 0;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags)
{
    int err = send_error(header);
    if (err)
        return fail(err);
    calls.gso_calls += has_control(header, IPPROTO_UDP, UDP_SEGMENT);
    return __real_sendmsg(fd, header, flags);
}

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    int err = send_error(&messages[0].msg_hdr);
    if (err)
        return fail(err);
    calls.single_calls++;
    if (calls.sendmmsg_max && count > calls.sendmmsg_max)
        count = calls.sendmmsg_max;
    return __real_sendmmsg(fd, messages, count, flags);
}

int __wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    unsigned turn = calls.receive_count++;
    if (turn < sizeof calls.receive_errnos / sizeof *calls.receive_errnos && calls.receive_errnos[turn])
        return fail(calls.receive_errnos[turn]);
    return __real_recvmmsg(fd, messages, count, flags, timeout);
}
