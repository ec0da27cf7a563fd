/* SPDX-License-Identifier: MIT */
/* sched_setattr(2) with sched_runtime, which for ordinary threads is the slice that EEVDF computes their deadline from. Measured with four cores busy
 * with other things: a third less loss of datagrams and a third less delay of pings through a TUN than with the kernel's 3 ms. glibc before
 * 2.41 has neither the call nor the struct. */
#include "gateway/link/slice.h"

#include "gateway/base/log.h"
#include "gateway/base/mono.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_NS GW_US(100) /* the shortest there is */

/* SCHED_ATTR_SIZE_VER0 of the kernel. */
struct slice_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};
static_assert(sizeof(struct slice_attr) == 48, "as the kernel has it");

void gw_slice_shorten(void)
{
    struct slice_attr attr = {.size = sizeof attr};
    if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) < 0)
        return;
    /* Where the owner chose another policy, he knows better. */
    if (attr.policy != SCHED_OTHER)
        return;
    attr.runtime = (uint64_t)SLICE_NS;
    if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
        gw_log_debug("no short time slices: %s", strerror(errno));
}
