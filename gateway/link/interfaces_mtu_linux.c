/* SPDX-License-Identifier: MIT */
/* Interfaces' MTU by ioctl. */
#include "gateway/link/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MTU_LEAST 1500u /* Ethernet */
#define MTU_MOST 9000u  /* jumbo frames */

static unsigned mtu_of(int fd, const struct ifaddrs *at)
{
    struct ifreq request = {0};
    if (!(at->ifa_flags & IFF_UP) || (at->ifa_flags & IFF_LOOPBACK))
        return 0;
    strncpy(request.ifr_name, at->ifa_name, sizeof request.ifr_name - 1);
    return ioctl(fd, SIOCGIFMTU, &request) == 0 && request.ifr_mtu > 0 ? (unsigned)request.ifr_mtu : 0;
}

unsigned gw_interfaces_mtu(void)
{
    struct ifaddrs *list;
    unsigned largest = MTU_LEAST;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && getifaddrs(&list) == 0) {
        for (const struct ifaddrs *at = list; at; at = at->ifa_next) {
            unsigned mtu = mtu_of(fd, at);
            largest = mtu > largest ? mtu : largest;
        }
        freeifaddrs(list);
    }
    if (fd >= 0)
        close(fd);
    return largest < MTU_MOST ? largest : MTU_MOST;
}
