/* SPDX-License-Identifier: MIT */
#include "tests/tools/tundev.h"

#include "tests/tools/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define QUEUE_LEN 10000 /* of the devices: the kernel must not drop what a tool is to judge */

static void enter_namespace(const char *name)
{
    char path[256];
    int fd;

    if (strcmp(name, "-") == 0)
        return;
    snprintf(path, sizeof path, "/run/netns/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET))
        tool_die("namespace %s", name);
    close(fd);
}

static void device_ioctl(int family, unsigned long request, void *arg, const char *what)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, request, arg))
        tool_die("%s", what);
    close(fd);
}

static struct ifreq device_request(const char *device)
{
    struct ifreq ifr = {0};

    if (strlen(device) >= IFNAMSIZ) {
        errno = 0;
        tool_die("the device name \"%s\" is too long", device);
    }
    strcpy(ifr.ifr_name, device);
    return ifr;
}

static void device_add_ipv4(const char *device, struct in_addr address, unsigned prefix)
{
    struct ifreq ifr = device_request(device);
    struct sockaddr_in *sin = (struct sockaddr_in *)&ifr.ifr_addr;

    sin->sin_family = AF_INET;
    sin->sin_addr = address;
    device_ioctl(AF_INET, SIOCSIFADDR, &ifr, "SIOCSIFADDR");
    sin->sin_addr.s_addr = htonl(prefix ? ~0u << (32 - prefix) : 0);
    device_ioctl(AF_INET, SIOCSIFNETMASK, &ifr, "SIOCSIFNETMASK");
}

static void device_add_ipv6(const char *device, struct in6_addr address, unsigned prefix)
{
    struct ifreq ifr = device_request(device);
    struct in6_ifreq ifr6 = {.ifr6_addr = address, .ifr6_prefixlen = prefix};

    device_ioctl(AF_INET6, SIOCGIFINDEX, &ifr, "SIOCGIFINDEX");
    ifr6.ifr6_ifindex = ifr.ifr_ifindex;
    device_ioctl(AF_INET6, SIOCSIFADDR, &ifr6, "SIOCSIFADDR (IPv6)");
}

static void device_add_address(const char *device, char *text)
{
    char *slash = strchr(text, '/');
    unsigned prefix = slash ? (unsigned)strtoul(slash + 1, NULL, 10) : 0;
    struct in_addr ipv4;
    struct in6_addr ipv6;

    if (slash)
        *slash = 0;
    if (slash && prefix <= 32 && inet_pton(AF_INET, text, &ipv4) == 1) {
        device_add_ipv4(device, ipv4, prefix);
    } else if (slash && prefix <= 128 && inet_pton(AF_INET6, text, &ipv6) == 1) {
        device_add_ipv6(device, ipv6, prefix);
    } else {
        errno = 0;
        tool_die("not an address with a prefix length: %s", text);
    }
}

static void device_up(const char *device, int mtu)
{
    struct ifreq ifr = device_request(device);

    ifr.ifr_mtu = mtu;
    device_ioctl(AF_INET, SIOCSIFMTU, &ifr, "SIOCSIFMTU");
    ifr.ifr_qlen = QUEUE_LEN;
    device_ioctl(AF_INET, SIOCSIFTXQLEN, &ifr, "SIOCSIFTXQLEN");
    device_ioctl(AF_INET, SIOCGIFFLAGS, &ifr, "SIOCGIFFLAGS");
    ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
    device_ioctl(AF_INET, SIOCSIFFLAGS, &ifr, "SIOCSIFFLAGS");
}

static int device_new(const char *device)
{
    struct ifreq ifr = device_request(device);
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    ifr.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
        tool_die("TUN device %s", device);
    return fd;
}

struct tundev tundev_open(char *text, int mtu)
{
    struct tundev device = {.namespace = strtok(text, ","), .name = strtok(NULL, ",")};
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    char *address;

    errno = 0;
    if (!device.namespace || !device.name)
        tool_die("a side is NAMESPACE,DEVICE[,ADDRESS/PREFIX ...]");
    enter_namespace(device.namespace);
    device.fd = device_new(device.name);
    device_up(device.name, mtu);
    while ((address = strtok(NULL, ","))) {
        if (device.address_count == TUNDEV_ADDRESSES_MAX)
            tool_die("more than %u addresses", TUNDEV_ADDRESSES_MAX);
        device.addresses[device.address_count++] = address;
        device_add_address(device.name, address);
    }
    device.stats = open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC);
    if (device.stats < 0 || home < 0 || setns(home, CLONE_NEWNET))
        tool_die("back from namespace %s", device.namespace);
    close(home);
    return device;
}

uint64_t tundev_kernel_drops(const struct tundev *device)
{
    char text[16384];
    ssize_t n = pread(device->stats, text, sizeof text - 1, 0);
    size_t name_len = strlen(device->name);

    text[n > 0 ? n : 0] = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned long long drops;

        line += strspn(line, " ");
        if (strncmp(line, device->name, name_len) == 0 && line[name_len] == ':' &&
            sscanf(line + name_len + 1, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &drops) == 1)
            return drops;
    }
    return 0;
}
