/* SPDX-License-Identifier: MIT */
/* Instead of bus.c and those who use it, where libsystemd's headers were not there when this was built: then nobody on the machine speaks sd-bus' D-Bus either. */
#include "frontends/dns/system/mechanism.h"

#include "gateway/base/err.h"

static enum gw_sysdns_rank rank(const struct gw_sysdns_facts *facts)
{
    (void)facts;
    return GW_SYSDNS_ABSENT;
}

static void refuse(struct gw_sysdns_job *job)
{
    gw_sysdns_finish(job, -ENOSYS, "this peergate was built without libsystemd, so it cannot speak D-Bus");
}

static void stop(struct gw_sysdns_job *job)
{
    (void)job;
}

const struct gw_sysdns_mechanism gw_sysdns_resolved = {
    .name = "resolved", .rank = rank, .apply = refuse, .undo = refuse, .stop = stop};
const struct gw_sysdns_mechanism gw_sysdns_networkmanager = {
    .name = "networkmanager", .rank = rank, .apply = refuse, .undo = refuse, .stop = stop};
