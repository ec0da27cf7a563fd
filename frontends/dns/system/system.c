/* SPDX-License-Identifier: MIT */
/* What is wanted now is compared with what is applied whenever a job ends, of which there is one at a time (job.c). */
#include "frontends/dns/system/private.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_MIN_S 2
#define RETRY_MAX_S 60

const char *const gw_sysdns_state_names[] = {"off", "working", "applied", "failed"};
static_assert(sizeof gw_sysdns_state_names / sizeof *gw_sysdns_state_names == GW_SYSDNS_STATES,
              "one name a state");

/* ---- the journal */

static bool has_journal(const struct gw_sysdns *sysdns)
{
    return access(sysdns->journal, F_OK) == 0;
}

static void remove_journal(const struct gw_sysdns *sysdns)
{
    const struct gw_sysdns_record none = {.kind = GW_SYSDNS_OFF};
    int err = gw_sysdns_journal_write(sysdns->journal, &none);
    if (err != 0)
        gw_log_error("DNS: cannot remove the journal %s: %s", sysdns->journal, gw_strerror(err));
}

static void retry_later(struct gw_sysdns *sysdns)
{
    const struct timeval after = {.tv_sec = sysdns->retry_s};
    event_add(sysdns->retry, &after);
    sysdns->retry_s = 2 * sysdns->retry_s < RETRY_MAX_S ? 2 * sysdns->retry_s : RETRY_MAX_S;
}

/* The same reason again is no news. */
static void fail(struct gw_sysdns *sysdns, enum gw_sysdns_kind kind, const char *text)
{
    bool is_news = sysdns->kind != kind || strcmp(sysdns->text, text) != 0;
    sysdns->kind = kind;
    gw_sysdns_set_state(sysdns, GW_SYSDNS_FAILED);
    gw_sysdns_end_old(sysdns);
    if (is_news)
        snprintf(sysdns->text, sizeof sysdns->text, "%s", text);
    if (is_news && sysdns->wish.is_auto)
        gw_log_info("DNS: this machine does not ask us: %s", text);
    else if (is_news)
        gw_log_warn("DNS: this machine does not ask us: %s", text);
    retry_later(sysdns);
}

/* ---- what a job's end means */

static void end_apply(struct gw_sysdns *sysdns)
{
    enum gw_sysdns_kind kind = sysdns->job.record.kind, instead = sysdns->job.instead;
    char text[GW_SYSDNS_TEXT_MAX];
    snprintf(text, sizeof text, "%s", sysdns->job.text[0] ? sysdns->job.text : gw_strerror(sysdns->job_err));
    evtimer_del(sysdns->deadline);
    if (sysdns->job_err == 0) {
        if (sysdns->state != GW_SYSDNS_APPLIED || strcmp(sysdns->text, text) != 0)
            gw_log_info("DNS: %s", text);
        memcpy(sysdns->text, text, sizeof text);
        sysdns->kind = kind;
        gw_sysdns_set_state(sysdns, GW_SYSDNS_APPLIED);
        sysdns->retry_s = RETRY_MIN_S;
        gw_sysdns_watch_old(sysdns);
        return; /* the mechanism goes on watching */
    }
    sysdns->doing = GW_SYSDNS_IDLE;
    if (sysdns->job_err == -EXDEV && instead != GW_SYSDNS_OFF && instead != kind) {
        gw_sysdns_job_begin(sysdns, instead, GW_SYSDNS_APPLYING);
        return;
    }
    fail(sysdns, kind, text);
    if (sysdns->job.is_untouched)
        remove_journal(sysdns);
    if (has_journal(sysdns))
        gw_sysdns_job_begin(sysdns, kind, GW_SYSDNS_UNDOING_FAILED);
    else
        gw_sysdns_job_stop(sysdns);
}

static void end_undo(struct gw_sysdns *sysdns)
{
    if (sysdns->job_err == 0)
        remove_journal(sysdns);
    if (sysdns->job_err == 0 && sysdns->doing == GW_SYSDNS_UNDOING)
        gw_log_info("DNS: %s", sysdns->job.text);
    if (sysdns->job_err != 0)
        gw_log_error("DNS: what was changed cannot be taken back now: %s",
                     sysdns->job.text[0] ? sysdns->job.text : gw_strerror(sysdns->job_err));
    if (sysdns->job_err != 0)
        fail(sysdns, sysdns->job.record.kind, sysdns->job.text);
    sysdns->doing = GW_SYSDNS_IDLE;
    gw_sysdns_job_stop(sysdns);
}

/* ---- */

static bool is_wanted(const struct gw_sysdns *sysdns)
{
    return sysdns->wanted_kind != GW_SYSDNS_OFF || sysdns->wanted.is_auto;
}

/* The journal has room for one: what could not be taken back before is tried again first. */
static bool has_leftover(struct gw_sysdns *sysdns)
{
    struct gw_sysdns_record record;
    if (gw_sysdns_journal_read(&record, sysdns->journal) != 0 || record.kind == GW_SYSDNS_OFF)
        return false;
    sysdns->job.record = record;
    gw_sysdns_job_begin(sysdns, record.kind, GW_SYSDNS_UNDOING);
    return true;
}

static void apply(struct gw_sysdns *sysdns)
{
    char why[GW_SYSDNS_TEXT_MAX];
    enum gw_sysdns_kind kind = sysdns->wanted_kind;
    sysdns->wish = sysdns->wanted;
    sysdns->asked = sysdns->wanted_kind;
    gw_sysdns_look(&sysdns->facts, "");
    if (sysdns->wish.is_auto)
        kind = gw_sysdns_choose(&sysdns->facts, why, sizeof why);
    if (sysdns->lock_fd < 0)
        fail(sysdns, kind, "another process holds the lock of the journal");
    else if (has_leftover(sysdns))
        return;
    else if (kind == GW_SYSDNS_OFF)
        fail(sysdns, kind, why);
    else if (sysdns->facts.is_elsewhere)
        fail(
            sysdns, kind,
            "this process is in another network namespace than the machine's programs, which could not reach it");
    else
        gw_sysdns_job_begin(sysdns, kind, GW_SYSDNS_APPLYING);
}

/* Brings what is closer to what is wanted; called again when that has ended. */
static void step(struct gw_sysdns *sysdns)
{
    bool is_same = memcmp(&sysdns->wish, &sysdns->wanted, sizeof sysdns->wish) == 0 &&
                   sysdns->asked == sysdns->wanted_kind;
    if (sysdns->is_ended || sysdns->doing == GW_SYSDNS_UNDOING || sysdns->doing == GW_SYSDNS_UNDOING_FAILED ||
        (sysdns->doing == GW_SYSDNS_APPLYING && !sysdns->job.is_done))
        return;
    if (sysdns->state == GW_SYSDNS_APPLIED && !(is_wanted(sysdns) && is_same)) {
        gw_sysdns_job_begin(sysdns, sysdns->job.record.kind, GW_SYSDNS_UNDOING);
        return;
    }
    if (sysdns->state == GW_SYSDNS_APPLIED)
        return;
    if (is_wanted(sysdns)) {
        if (!evtimer_pending(sysdns->retry, NULL))
            apply(sysdns);
        return;
    }
    gw_sysdns_set_state(sysdns, GW_SYSDNS_NOT_WANTED);
    gw_sysdns_end_old(sysdns);
    sysdns->kind = GW_SYSDNS_OFF;
    sysdns->text[0] = '\0';
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
    struct gw_sysdns *sysdns = arg;
    (void)fd, (void)what;
    if (sysdns->is_ended) {
        sysdns->is_ended = false;
        if (sysdns->doing == GW_SYSDNS_APPLYING)
            end_apply(sysdns);
        else if (sysdns->doing != GW_SYSDNS_IDLE)
            end_undo(sysdns);
    }
    step(sysdns);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    gw_sysdns_job_give_up(arg);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    step(arg);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    gw_sysdns_look_at_old(arg);
}

void gw_sysdns_set(struct gw_sysdns *sysdns, enum gw_sysdns_kind kind, const struct gw_sysdns_wish *wish)
{
    static const struct gw_sysdns_wish nothing;
    const struct gw_sysdns_wish *wanted = wish ? wish : &nothing;
    enum gw_sysdns_kind wanted_kind = wish && !wish->is_auto ? kind : GW_SYSDNS_OFF;
    if (sysdns->wanted_kind == wanted_kind && memcmp(&sysdns->wanted, wanted, sizeof *wanted) == 0)
        return;
    sysdns->wanted_kind = wanted_kind;
    memcpy(&sysdns->wanted, wanted, sizeof *wanted);
    evtimer_del(sysdns->retry);
    sysdns->retry_s = RETRY_MIN_S;
    event_active(sysdns->step, EV_TIMEOUT, 0);
}

void gw_sysdns_on_old(struct gw_sysdns *sysdns, gw_sysdns_old_fn *fn, void *ctx)
{
    sysdns->on_old = fn;
    sysdns->old_ctx = ctx;
}

void gw_sysdns_status(const struct gw_sysdns *sysdns, struct gw_sysdns_status *out)
{
    *out = (struct gw_sysdns_status){.state = sysdns->state, .kind = sysdns->kind, .text = sysdns->text};
}

/* ---- life */

static void log_restored(enum gw_sysdns_restored restored, const char *text)
{
    if (restored == GW_SYSDNS_RESTORED)
        gw_log_info("DNS: taken back: %s", text);
    else if (restored == GW_SYSDNS_DAMAGED)
        gw_log_error("DNS: %s", text);
    else if (restored == GW_SYSDNS_STUCK)
        gw_log_error("DNS: what was changed cannot be taken back now: %s", text);
}

int gw_sysdns_new(struct gw_sysdns **out, struct gw_loop *loop, const char *journal)
{
    char text[GW_SYSDNS_TEXT_MAX];
    struct gw_sysdns *sysdns = calloc(1, sizeof *sysdns);
    *out = NULL;
    if (!sysdns)
        return GW_E_NOMEM;
    struct event_base *base = gw_loop_base(loop);
    sysdns->loop = loop;
    sysdns->lock_fd = -1;
    sysdns->retry_s = RETRY_MIN_S;
    int len = snprintf(sysdns->journal, sizeof sysdns->journal, "%s", journal);
    sysdns->step = evtimer_new(base, on_step, sysdns);
    sysdns->deadline = evtimer_new(base, on_deadline, sysdns);
    sysdns->retry = evtimer_new(base, on_retry, sysdns);
    sysdns->look = event_new(base, -1, EV_PERSIST, on_look, sysdns);
    if (!sysdns->step || !sysdns->deadline || !sysdns->retry || !sysdns->look ||
        (size_t)len >= sizeof sysdns->journal) {
        gw_sysdns_free(sysdns);
        return (size_t)len >= sizeof sysdns->journal ? GW_E_TOO_BIG : GW_E_NOMEM;
    }
    sysdns->lock_fd = gw_sysdns_lock(journal);
    if (sysdns->lock_fd >= 0)
        log_restored(gw_sysdns_undo_and_wait(journal, sysdns->lock_fd, text), text);
    else
        gw_log_warn("DNS: cannot lock %s: %s", journal, gw_strerror(sysdns->lock_fd));
    *out = sysdns;
    return 0;
}

void gw_sysdns_free(struct gw_sysdns *sysdns)
{
    char text[GW_SYSDNS_TEXT_MAX];
    if (!sysdns)
        return;
    if (sysdns->deadline)
        gw_sysdns_job_stop(sysdns);
    if (sysdns->lock_fd >= 0) {
        log_restored(gw_sysdns_undo_and_wait(sysdns->journal, sysdns->lock_fd, text), text);
        close(sysdns->lock_fd);
    }
    struct event *const events[] = {sysdns->step, sysdns->deadline, sysdns->retry, sysdns->look};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (events[i])
            event_free(events[i]);
    }
    free(sysdns);
}
