/* SPDX-License-Identifier: MIT */
/* Interfaces' addresses by getifaddrs. */
#include "gateway/link/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>

static bool is_link_local(const struct gw_addr *addr)
{
    if (addr->family == 4)
        return addr->ip[0] == 169 && addr->ip[1] == 254;
    return addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80;
}

static bool is_useful(const struct ifaddrs *at, struct gw_addr *out)
{
    if (!at->ifa_addr || !(at->ifa_flags & IFF_UP) || (at->ifa_flags & IFF_LOOPBACK))
        return false;
    if (gw_addr_from_sockaddr(out, at->ifa_addr) != 0)
        return false;
    out->port = 0;
    return !gw_addr_is_loopback(out) && !is_link_local(out);
}

unsigned gw_interfaces_list(struct gw_addr *out, unsigned max)
{
    struct ifaddrs *list;
    unsigned count = 0;
    if (getifaddrs(&list) != 0)
        return 0;
    for (const struct ifaddrs *at = list; at && count < max; at = at->ifa_next)
        count += is_useful(at, &out[count]);
    freeifaddrs(list);
    return count;
}
