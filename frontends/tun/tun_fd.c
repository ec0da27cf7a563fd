/* SPDX-License-Identifier: MIT */
/* A TUN that somebody else opened and set up: a phone's system, a container's runtime, a parent with the rights that we lack. */
#include "frontends/tun/tun.h"

#include "gateway/base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static int prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return 0;
}

static const char *reason(int err)
{
    switch (err) {
    case -EBADF:
        return "it is not open";
    case -ENOTTY:
        return "it is no TUN interface";
    case -EPROTOTYPE:
        return "it is a TAP interface: a TUN is needed";
    case -EPROTONOSUPPORT:
        return "it has a virtio header of a length that we do not know";
    default:
        return gw_strerror(err);
    }
}

int gw_tun_adopt(struct gw_tun *tun, int fd, char *why, size_t why_len)
{
    *tun = (struct gw_tun){.fd = fd, .is_adopted = true};
    int err = prepare(fd);
    if (err == 0)
        err = gw_tun_inspect(tun);
    if (err != 0) {
        snprintf(why, why_len, "descriptor %d: %s", fd, reason(err));
        tun->fd = -1; /* it stays its owner's */
    }
    return err;
}

int gw_tun_write_packet(const struct gw_tun *tun, const uint8_t *packet, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)packet, len};
    const struct gw_merged merged = {
        .iov = &iov, .iov_count = 1, .len = (uint32_t)len, .version = packet[0] >> 4};
    return gw_tun_write(tun, &merged);
}
