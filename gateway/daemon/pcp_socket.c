/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/pcp_socket.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/link/mark.h"
#include "gateway/link/route_source.h"
#include "gateway/wire/pcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANNOUNCE_GROUP 0xe0000001u /* 224.0.0.1 */

/* Towards a router with a link-local address the kernel would take one of ours; and the client of PCP is who sends (RFC 6887, 8.1). */
static int bind_outward(int fd, struct gw_addr *client)
{
    static const struct gw_addr world = {
        .family = 6, .port = 9, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}}; /* RFC 3849 */
    struct sockaddr_storage at;
    if (!gw_route_source_outside(&world, client))
        return -ENETUNREACH;
    return bind(fd, (const struct sockaddr *)&at, (socklen_t)gw_addr_to_sockaddr(client, &at)) == 0 ? 0
                                                                                                    : -errno;
}

int gw_pcp_socket_open(const struct gw_addr *router, struct gw_addr *client)
{
    struct sockaddr_storage at;
    bool is_v6 = router->family == 6;
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    gw_mark_outside(fd);
    int err = is_v6 ? bind_outward(fd, client) : 0;
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(router, &at);
    if (err == 0 && connect(fd, (const struct sockaddr *)&at, len) < 0)
        err = -errno;
    len = sizeof at;
    if (err == 0 && getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        err = -errno;
    if (err == 0)
        err = gw_addr_from_sockaddr(client, (const struct sockaddr *)&at);
    client->port = 0;
    if (err == 0)
        return fd;
    close(fd);
    return err;
}

static int join4(int fd, unsigned interface)
{
    const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(GW_PCP_CLIENT_PORT)};
    const struct ip_mreqn group = {.imr_multiaddr = {htonl(ANNOUNCE_GROUP)}, .imr_ifindex = (int)interface};
    return bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 &&
                   setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0
               ? 0
               : -errno;
}

/* ff02::1 is every node's anyway: nothing is to be joined. */
static int join6(int fd)
{
    const struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(GW_PCP_CLIENT_PORT)};
    const int on = 1;
    return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0 &&
                   bind(fd, (const struct sockaddr *)&at, sizeof at) == 0
               ? 0
               : -errno;
}

int gw_pcp_socket_open_announced(uint8_t family, unsigned interface)
{
    const int on = 1;
    int fd = socket(family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err = fd < 0                                                         ? -errno
              : setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ? -errno
              : family == 6                                                  ? join6(fd)
                                                                             : join4(fd, interface);
    if (err == 0)
        return fd;
    gw_log_debug("the router's announcements are not heard: %s", gw_strerror(err));
    if (fd >= 0)
        close(fd);
    return err;
}
