/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/process.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int gw_process_hide_memory(void)
{
    struct rlimit limit;
    int err = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -errno;
    /* For whatever makes the process dumpable again. The hard limit stays, or a service started from here could have none. */
    if (getrlimit(RLIMIT_CORE, &limit) != 0)
        return err ? err : -errno;
    limit.rlim_cur = 0;
    return setrlimit(RLIMIT_CORE, &limit) == 0 ? err : -errno;
}
