/* SPDX-License-Identifier: MIT */
/* A machine that asks us for every name asked others before: ours asks them now. They change when the machine gets into another network. */
#include "frontends/dns/system/private.h"
#include "gateway/base/err.h"

#include <string.h>

#define LOOK_S 5

/* Nobody is told twice of the same. */
static int tell(struct gw_sysdns *sysdns, const struct gw_addr *servers, unsigned count)
{
    if (!sysdns->on_old)
        return GW_E_INVAL;
    if (count > 0 && count == sysdns->old_count && memcmp(servers, sysdns->old, count * sizeof *servers) == 0)
        return 0;
    int err = sysdns->on_old(sysdns->old_ctx, servers, count);
    if (err != 0)
        return err;
    for (unsigned i = 0; i < count; i++)
        sysdns->old[i] = servers[i];
    sysdns->old_count = count;
    return 0;
}

int gw_sysdns_use_old(struct gw_sysdns_job *job, const struct gw_addr *servers, unsigned count)
{
    return count > 0 ? tell(job->owner, servers, count) : GW_E_INVAL;
}

void gw_sysdns_watch_old(struct gw_sysdns *sysdns)
{
    const struct timeval every = {.tv_sec = LOOK_S};
    if (sysdns->mechanism->old_servers && !sysdns->wish.answers_all && sysdns->old_count > 0)
        event_add(sysdns->look, &every);
    else
        gw_sysdns_end_old(sysdns);
}

void gw_sysdns_end_old(struct gw_sysdns *sysdns)
{
    event_del(sysdns->look);
    if (sysdns->old_count > 0)
        tell(sysdns, NULL, 0);
}

/* Nobody at all is what it looks like while somebody writes: the last ones stay. */
void gw_sysdns_look_at_old(struct gw_sysdns *sysdns)
{
    struct gw_addr servers[GW_SYSDNS_OLD_MAX];
    if (sysdns->state != GW_SYSDNS_APPLIED || !sysdns->mechanism)
        return;
    unsigned count = sysdns->mechanism->old_servers(&sysdns->job, servers);
    if (count > 0)
        tell(sysdns, servers, count);
}
