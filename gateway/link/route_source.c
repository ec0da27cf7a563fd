/* SPDX-License-Identifier: MIT */
#include "gateway/link/route_source.h"

#include "gateway/link/mark.h"

#include <sys/socket.h>
#include <unistd.h>

/* Connecting a UDP socket looks the route up and sends nothing. */
static bool ask(int fd, const struct gw_addr *to, struct gw_addr *out)
{
    struct sockaddr_storage ss;
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(to, &ss);
    if (connect(fd, (const struct sockaddr *)&ss, len) < 0)
        return false;
    len = sizeof ss;
    return getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
           gw_addr_from_sockaddr(out, (const struct sockaddr *)&ss) == 0;
}

static bool find_source(const struct gw_addr *to, bool is_outside, struct gw_addr *out)
{
    struct gw_addr at = *to;
    at.port = 53; /* any but 0 */
    int fd = socket(at.family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    if (is_outside)
        gw_mark_outside(fd);
    bool is_there = ask(fd, &at, out);
    close(fd);
    out->port = 0;
    return is_there;
}

bool gw_route_source(const struct gw_addr *to, struct gw_addr *out)
{
    return find_source(to, false, out);
}

bool gw_route_source_outside(const struct gw_addr *to, struct gw_addr *out)
{
    return find_source(to, true, out);
}

bool gw_route_is_local(const struct gw_addr *address)
{
    struct gw_addr source;
    return gw_addr_is_loopback(address) ||
           (gw_route_source(address, &source) && gw_addr_same_ip(&source, address));
}
