/* SPDX-License-Identifier: MIT */
#include "frontends/dns/system/resolved_private.h"
#include "gateway/base/err.h"

#include <net/if.h>
#include <string.h>

static int on_reverted(sd_bus_message *answer, void *ctx, sd_bus_error *unused)
{
    struct resolved *resolved = ctx;
    const sd_bus_error *error = resolved->bus->sd->message_get_error(answer);
    (void)unused;
    if (!error || gw_bus_is_absence(error) || gw_bus_is_error(error, "org.freedesktop.resolve1.NoSuchLink"))
        gw_sysdns_finish(resolved->job, 0, "systemd-resolved no longer knows of us");
    else
        gw_sysdns_finish(resolved->job, -EPROTO,
                         "systemd-resolved refuses: %s; as root: resolvectl revert %s",
                         error->message ? error->message : error->name, resolved->job->record.device);
    return 0;
}

static void on_lost_undoing(void *ctx)
{
    struct resolved *resolved = ctx;
    gw_sysdns_finish(resolved->job, -ECONNRESET, "the system bus (D-Bus) hung up");
}

/* Is the link of the record still there, and the same? */
static bool has_link(const struct gw_sysdns_record *record)
{
    char boot[GW_SYSDNS_BOOT_LEN + 1], name[IF_NAMESIZE];
    gw_sysdns_boot_id(boot);
    return strcmp(boot, record->boot) == 0 && record->index > 0 &&
           if_indextoname(record->index, name) != NULL && strcmp(name, record->device) == 0;
}

void gw_resolved_undo(struct gw_sysdns_job *job)
{
    if (!has_link(&job->record)) {
        gw_sysdns_finish(job, 0, "what systemd-resolved was told is gone with the interface");
        return;
    }
    struct resolved *resolved = gw_resolved_start(job);
    int err = resolved ? gw_bus_open(&resolved->bus, job->base, on_lost_undoing, resolved, job->text,
                                     sizeof job->text)
                       : GW_E_NOMEM;
    if (err == -ENOENT || err == -ECONNREFUSED) {
        gw_sysdns_finish(job, 0, "there is no system bus any more, so no systemd-resolved that knows of us");
        return;
    }
    if (err == 0)
        err = gw_bus_call(resolved->bus, gw_resolved_message(resolved->bus, "RevertLink", job->record.index),
                          on_reverted, resolved);
    if (err != 0)
        job->on_done(job, err);
}
