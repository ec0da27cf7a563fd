/* SPDX-License-Identifier: MIT */
/* /dev/net/tun. With a virtio-net header before each packet the kernel hands over TCP and UDP bursts uncut and checksums undone, and takes
 * the same; where it refuses (an old kernel, a descriptor made without), packets go one by one. */
#include "frontends/tun/tun.h"

#include "frontends/tun/virtio.h"
#include "gateway/base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Linux 6.2; older headers lack them. */
#define OFFLOAD_USO4 0x20u
#define OFFLOAD_USO6 0x40u
#define OFFLOAD_TSO (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

/* Asks for the most first. */
static unsigned agree_on_offload(int fd)
{
    const struct {
        unsigned asked, got;
    } rungs[] = {{OFFLOAD_TSO | OFFLOAD_USO4 | OFFLOAD_USO6, GW_TUN_CHECKSUM | GW_TUN_TCP | GW_TUN_UDP},
                 {OFFLOAD_TSO, GW_TUN_CHECKSUM | GW_TUN_TCP},
                 {TUN_F_CSUM, GW_TUN_CHECKSUM}};
    for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
        if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)rungs[i].asked) == 0)
            return rungs[i].got;
    }
    return 0;
}

static int attach(int fd, const char *name, short flags)
{
    struct ifreq request = {0};
    request.ifr_flags = flags;
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    return ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : 0;
}

/* An interface with queues lets everybody in who asks for one more, so whether somebody has it we have to find out ourselves. One that is there and has
 * nobody, a persistent one, has no carrier. */
static bool is_in_use(const char *name)
{
    struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
    struct ifreq request = {.ifr_data = (void *)&link};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    bool has_carrier = ioctl(fd, SIOCETHTOOL, &request) == 0 && link.data != 0;
    if (fd >= 0)
        close(fd);
    return has_carrier;
}

static int attach_first(int fd, const char *name, int flags)
{
    if ((flags & IFF_MULTI_QUEUE) == 0)
        return attach(fd, name, (short)flags); /* the kernel says EBUSY */
    if (if_nametoindex(name) == 0)
        return attach(fd, name, (short)(flags | IFF_TUN_EXCL));
    return is_in_use(name) ? -EBUSY : attach(fd, name, (short)flags);
}

/* A persistent interface wants the flags that it was made with, so several are tried. */
static int attach_somehow(int fd, const char *name, bool with_queues)
{
    const int plain = IFF_TUN | IFF_NO_PI, header = plain | IFF_VNET_HDR;
    const int flags[] = {with_queues ? header | IFF_MULTI_QUEUE : header,
                         with_queues ? header : header | IFF_MULTI_QUEUE, plain};
    int err = 0;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        err = attach_first(fd, name, flags[i]);
        if (err != -EINVAL)
            break;
    }
    return err;
}

int gw_tun_inspect(struct gw_tun *tun)
{
    struct ifreq request = {0};
    int header_len = 0;
    if (ioctl(tun->fd, TUNGETIFF, &request) < 0)
        return errno == EBADFD || errno == ENOTTY || errno == EINVAL ? -ENOTTY : -errno;
    if ((request.ifr_flags & IFF_TUN) == 0)
        return -EPROTOTYPE; /* a TAP: Ethernet frames */
    /* Whether it has IFF_NO_PI, nobody tells: the bit here is IFF_NOFILTER, which is the same one. */
    request.ifr_name[IFNAMSIZ - 1] = 0;
    snprintf(tun->name, sizeof tun->name, "%s", request.ifr_name);
    tun->index = if_nametoindex(tun->name);
    tun->has_queues = request.ifr_flags & IFF_MULTI_QUEUE;
    if ((request.ifr_flags & IFF_VNET_HDR) == 0)
        return 0;
    if (ioctl(tun->fd, TUNGETVNETHDRSZ, &header_len) < 0 || header_len < (int)GW_VIRTIO_HEADER_LEN ||
        header_len > (int)GW_TUN_HEADROOM)
        return -EPROTONOSUPPORT;
    tun->header_len = (uint8_t)header_len;
    tun->offload = agree_on_offload(tun->fd);
    return 0;
}

int gw_tun_open(struct gw_tun *tun, const char *name, bool with_queues, char *why, size_t why_len)
{
    *tun = (struct gw_tun){.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    if (tun->fd < 0) {
        int err = -errno;
        snprintf(
            why, why_len, "cannot open /dev/net/tun: %s%s", strerror(-err),
            err == -ENOENT ? " (modprobe tun; in a container: --device /dev/net/tun)"
            : err == -EACCES
                ? ": it takes root, or the device open for this user (mode 0666, as most systems have it)"
                : "");
        return err;
    }
    int err = attach_somehow(tun->fd, name, with_queues);
    if (err == 0)
        err = gw_tun_inspect(tun);
    if (err == 0)
        return 0;
    const char *hint =
        err == -EPERM
            ? ": it takes root or CAP_NET_ADMIN, or an interface made for this user (`ip tuntap add`)"
        : err == -EBUSY ? ": somebody else has it open"
                        : "";
    snprintf(why, why_len, "cannot make the interface %s: %s%s", name, gw_strerror(err), hint);
    gw_tun_close(tun);
    return err;
}

int gw_tun_open_queue(struct gw_tun *queue, const struct gw_tun *tun)
{
    int flags = IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE | (tun->header_len > 0 ? IFF_VNET_HDR : 0);
    *queue = (struct gw_tun){.fd = -1};
    if (!tun->has_queues)
        return -EOPNOTSUPP;
    queue->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (queue->fd < 0)
        return -errno;
    int err = attach(queue->fd, tun->name, (short)flags);
    if (err == 0)
        err = gw_tun_inspect(queue);
    if (err != 0)
        gw_tun_close(queue);
    return err;
}

void gw_tun_close(struct gw_tun *tun)
{
    if (tun->fd >= 0)
        close(tun->fd);
    tun->fd = -1;
}

uint64_t gw_tun_dropped(const struct gw_tun *tun)
{
    struct ifaddrs *all;
    uint64_t dropped = 0;
    if (getifaddrs(&all) < 0)
        return 0;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        /* Only the link's entry has data, and no address when the link has none. */
        if (one->ifa_data && strcmp(one->ifa_name, tun->name) == 0)
            dropped = ((const struct rtnl_link_stats *)one->ifa_data)->tx_dropped;
    }
    freeifaddrs(all);
    return dropped;
}

ssize_t gw_tun_read(const struct gw_tun *tun, uint8_t *buffer, uint8_t **packet, struct gw_super_hint *hint)
{
    /* The packet begins at an aligned place. */
    uint8_t *at = buffer + GW_TUN_HEADROOM - tun->header_len;
    ssize_t len = read(tun->fd, at, GW_SUPER_MAX + tun->header_len);
    if (len < 0)
        return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
    *packet = buffer + GW_TUN_HEADROOM;
    *hint = (struct gw_super_hint){0};
    len -= tun->header_len;
    if (len <= 0)
        return 0;
    struct gw_virtio_header header;
    if (tun->header_len == 0)
        return len;
    memcpy(&header, at, sizeof header);
    return gw_virtio_decode(hint, &header, *packet, (size_t)len) == 0 ? len : 0;
}

int gw_tun_write(const struct gw_tun *tun, const struct gw_merged *merged)
{
    _Alignas(8) uint8_t header[GW_TUN_HEADROOM] = {0};
    struct iovec iov[1 + GW_COALESCE_PIECES];
    int count = 0;
    if (tun->header_len > 0) {
        struct gw_virtio_header words;
        gw_virtio_encode(&words, merged);
        memcpy(header, &words, sizeof words);
        iov[count++] = (struct iovec){header, tun->header_len};
    }
    memcpy(iov + count, merged->iov, (size_t)merged->iov_count * sizeof *iov);
    return writev(tun->fd, iov, count + merged->iov_count) < 0 ? -errno : 0;
}
