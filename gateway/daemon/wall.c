/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/wall.h"

#include <time.h>

struct gw_wall gw_wall_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (struct gw_wall){ts.tv_sec, (int32_t)ts.tv_nsec};
}

static struct gw_wall read_wall(struct gw_wallclock *self)
{
    (void)self;
    return gw_wall_now();
}

struct gw_wallclock *gw_wallclock_system(void)
{
    static struct gw_wallclock wallclock = {read_wall};
    return &wallclock;
}
