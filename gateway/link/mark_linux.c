/* SPDX-License-Identifier: MIT */
#include "gateway/link/mark.h"

#include <errno.h>
#include <sys/socket.h>

void gw_mark_outside(int fd)
{
    const uint32_t mark = GW_MARK;
    int before = errno;
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark);
    errno = before;
}
