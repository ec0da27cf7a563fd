/* SPDX-License-Identifier: MIT */
/* utun, the kernel control of macOS and iOS: each packet behind four bytes with its address family; no offload. Names are utunN, so any
 * other name means "the next free one". */
#include "frontends/tun/tun.h"

#include "gateway/base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_utun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/kern_control.h>
#include <sys/socket.h>
#include <sys/sys_domain.h>
#include <sys/uio.h>
#include <unistd.h>

#define FAMILY_LEN 4u

/* utunN is unit N + 1; 0 lets the kernel choose. */
static uint32_t unit_of(const char *name)
{
    unsigned number;
    char rest;
    return sscanf(name, "utun%u%c", &number, &rest) == 1 && number < 1000 ? number + 1 : 0;
}

static int connect_control(int fd, const char *name)
{
    struct ctl_info info = {0};
    snprintf(info.ctl_name, sizeof info.ctl_name, "%s", UTUN_CONTROL_NAME);
    if (ioctl(fd, CTLIOCGINFO, &info) < 0)
        return -errno;
    struct sockaddr_ctl at = {.sc_len = sizeof at,
                              .sc_family = AF_SYSTEM,
                              .ss_sysaddr = AF_SYS_CONTROL,
                              .sc_id = info.ctl_id,
                              .sc_unit = unit_of(name)};
    return connect(fd, (struct sockaddr *)&at, sizeof at) < 0 ? -errno : 0;
}

int gw_tun_inspect(struct gw_tun *tun)
{
    char name[IFNAMSIZ] = "";
    socklen_t len = sizeof name;
    if (getsockopt(tun->fd, SYSPROTO_CONTROL, UTUN_OPT_IFNAME, name, &len) < 0)
        return -ENOTTY;
    snprintf(tun->name, sizeof tun->name, "%s", name);
    tun->index = if_nametoindex(tun->name);
    tun->header_len = FAMILY_LEN;
    return 0;
}

int gw_tun_open(struct gw_tun *tun, const char *name, bool with_queues, char *why, size_t why_len)
{
    (void)with_queues; /* a utun has one */
    *tun = (struct gw_tun){.fd = socket(PF_SYSTEM, SOCK_DGRAM, SYSPROTO_CONTROL)};
    int err = tun->fd < 0 ? -errno : connect_control(tun->fd, name);
    if (err == 0 && (fcntl(tun->fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(tun->fd, F_SETFD, FD_CLOEXEC) < 0))
        err = -errno;
    if (err == 0)
        err = gw_tun_inspect(tun);
    if (err == 0)
        return 0;
    snprintf(why, why_len, "cannot make a utun interface: %s", gw_strerror(err));
    gw_tun_close(tun);
    return err;
}

int gw_tun_open_queue(struct gw_tun *queue, const struct gw_tun *tun)
{
    (void)tun;
    *queue = (struct gw_tun){.fd = -1};
    return -EOPNOTSUPP;
}

void gw_tun_close(struct gw_tun *tun)
{
    if (tun->fd >= 0)
        close(tun->fd);
    tun->fd = -1;
}

uint64_t gw_tun_dropped(const struct gw_tun *tun)
{
    (void)tun;
    return 0;
}

ssize_t gw_tun_read(const struct gw_tun *tun, uint8_t *buffer, uint8_t **packet, struct gw_super_hint *hint)
{
    ssize_t len = read(tun->fd, buffer + GW_TUN_HEADROOM - FAMILY_LEN, GW_SUPER_MAX + FAMILY_LEN);
    if (len < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    *packet = buffer + GW_TUN_HEADROOM;
    *hint = (struct gw_super_hint){0};
    return len > (ssize_t)FAMILY_LEN ? len - (ssize_t)FAMILY_LEN : 0;
}

int gw_tun_write(const struct gw_tun *tun, const struct gw_merged *merged)
{
    uint8_t family[FAMILY_LEN] = {0, 0, 0, merged->version == 6 ? AF_INET6 : AF_INET};
    struct iovec iov[1 + GW_COALESCE_PIECES] = {{family, sizeof family}};
    memcpy(iov + 1, merged->iov, (size_t)merged->iov_count * sizeof *iov);
    return writev(tun->fd, iov, 1 + merged->iov_count) < 0 ? -errno : 0;
}
