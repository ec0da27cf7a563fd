/* SPDX-License-Identifier: MIT */
/* One apply or undo: from its start to the word that it has ended. A mechanism is left alone while it calls: what follows its on_done happens in the next turn of the loop. */
#include "frontends/dns/system/private.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <stdio.h>

#define JOB_S 12 /* longer than what a mechanism gives its programs and calls */

void gw_sysdns_set_state(struct gw_sysdns *sysdns, enum gw_sysdns_state state)
{
    if (sysdns->state != state)
        gw_log_debug("DNS of this machine: %s -> %s", gw_sysdns_state_names[sysdns->state],
                     gw_sysdns_state_names[state]);
    sysdns->state = state;
}

static int write_journal(struct gw_sysdns_job *job)
{
    struct gw_sysdns *sysdns = job->owner;
    gw_sysdns_boot_id(job->record.boot);
    int err = gw_sysdns_journal_write(sysdns->journal, &job->record);
    if (err != 0)
        snprintf(job->text, sizeof job->text, "cannot write the journal %.300s, so nothing is changed: %s",
                 sysdns->journal, gw_strerror(err));
    return err;
}

/* ---- jobs */

static void on_done(struct gw_sysdns_job *job, int err)
{
    struct gw_sysdns *sysdns = job->owner;
    job->is_done = true;
    sysdns->is_ended = true;
    sysdns->job_err = err;
    event_active(sysdns->step, EV_TIMEOUT, 0);
}

void gw_sysdns_job_stop(struct gw_sysdns *sysdns)
{
    if (sysdns->mechanism)
        sysdns->mechanism->stop(&sysdns->job);
    sysdns->mechanism = NULL;
    sysdns->is_ended = false;
    evtimer_del(sysdns->deadline);
}

void gw_sysdns_job_begin(struct gw_sysdns *sysdns, enum gw_sysdns_kind kind, enum gw_sysdns_doing doing)
{
    const struct timeval limit = {.tv_sec = JOB_S};
    struct gw_sysdns_record record = sysdns->job.record;
    gw_sysdns_job_stop(sysdns);
    if (doing == GW_SYSDNS_APPLYING)
        record = (struct gw_sysdns_record){.kind = kind};
    sysdns->job = (struct gw_sysdns_job){.base = gw_loop_base(sysdns->loop),
                                         .facts = &sysdns->facts,
                                         .wish = &sysdns->wish,
                                         .record = record,
                                         .lock_fd = sysdns->lock_fd,
                                         .write_journal = write_journal,
                                         .on_done = on_done,
                                         .use_old = gw_sysdns_use_old,
                                         .owner = sysdns};
    sysdns->doing = doing;
    sysdns->mechanism = gw_sysdns_mechanism(kind);
    if (doing == GW_SYSDNS_APPLYING || doing == GW_SYSDNS_UNDOING)
        gw_sysdns_set_state(sysdns, GW_SYSDNS_WORKING);
    event_add(sysdns->deadline, &limit);
    if (doing == GW_SYSDNS_APPLYING)
        sysdns->mechanism->apply(&sysdns->job);
    else
        sysdns->mechanism->undo(&sysdns->job);
}

void gw_sysdns_job_give_up(struct gw_sysdns *sysdns)
{
    snprintf(sysdns->job.text, sizeof sysdns->job.text, "%s does not answer", sysdns->mechanism->name);
    on_done(&sysdns->job, GW_E_TIMEOUT);
}
