/* SPDX-License-Identifier: MIT */
/* Undoing while waiting for it: at the start, at the end and on the command line, on a loop of its own. */
#include "frontends/dns/system/system.h"

#include "gateway/base/err.h"
#include "gateway/config/dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define UNDO_S 10
#define LOCK_TRIES 120u
#define LOCK_TRY_MS 50

int gw_sysdns_lock(const char *journal)
{
    const struct timespec wait = {.tv_nsec = LOCK_TRY_MS * 1000000L};
    char path[GW_DIR_PATH_MAX];
    int len = snprintf(path, sizeof path, "%s.lock", journal);
    if (len < 0 || (size_t)len >= sizeof path)
        return GW_E_TOO_BIG;
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    for (unsigned i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (errno != EWOULDBLOCK || i == LOCK_TRIES) {
            int err = -errno;
            close(fd);
            return err;
        }
        nanosleep(&wait, NULL);
    }
    return fd;
}

struct waiter {
    struct gw_sysdns_job job;
    bool is_done;
    int err;
};

static void on_done(struct gw_sysdns_job *job, int err)
{
    struct waiter *waiter = job->owner;
    job->is_done = waiter->is_done = true;
    waiter->err = err;
    event_base_loopbreak(job->base);
}

static int undo_and_wait(struct waiter *waiter)
{
    const struct gw_sysdns_mechanism *mechanism = gw_sysdns_mechanism(waiter->job.record.kind);
    const struct timeval limit = {.tv_sec = UNDO_S};
    waiter->job.base = event_base_new();
    if (!waiter->job.base)
        return GW_E_NOMEM;
    event_base_loopexit(waiter->job.base, &limit);
    mechanism->undo(&waiter->job);
    if (!waiter->is_done)
        event_base_dispatch(waiter->job.base);
    mechanism->stop(&waiter->job);
    event_base_free(waiter->job.base);
    if (waiter->is_done)
        return waiter->err;
    snprintf(waiter->job.text, sizeof waiter->job.text, "%s does not answer", mechanism->name);
    return GW_E_TIMEOUT;
}

static enum gw_sysdns_restored set_aside(const char *journal, int err, char *text)
{
    char path[GW_DIR_PATH_MAX];
    int len = snprintf(path, sizeof path, "%s.damaged", journal);
    bool is_kept =
        err == GW_E_MALFORMED && len > 0 && (size_t)len < sizeof path && rename(journal, path) == 0;
    snprintf(text, GW_SYSDNS_TEXT_MAX,
             "the journal %.200s cannot be read: %s. Whether something is left of peergate: "
             "/etc/resolv.conf.before-peergate, `resolvectl status`, `resolvconf -l`, %s",
             is_kept ? path : journal, gw_strerror(err), "/etc/NetworkManager/dnsmasq.d");
    return GW_SYSDNS_DAMAGED;
}

enum gw_sysdns_restored gw_sysdns_undo_and_wait(const char *journal, int lock_fd, char *text)
{
    struct waiter waiter = {.job = {.lock_fd = lock_fd, .on_done = on_done}};
    waiter.job.owner = &waiter;
    text[0] = '\0';
    int err = gw_sysdns_journal_read(&waiter.job.record, journal);
    if (err != 0)
        return set_aside(journal, err, text);
    if (waiter.job.record.kind == GW_SYSDNS_OFF)
        return GW_SYSDNS_NOTHING;
    err = undo_and_wait(&waiter);
    snprintf(text, GW_SYSDNS_TEXT_MAX, "%s", waiter.job.text[0] ? waiter.job.text : gw_strerror(err));
    if (err == 0) {
        waiter.job.record = (struct gw_sysdns_record){.kind = GW_SYSDNS_OFF};
        err = gw_sysdns_journal_write(journal, &waiter.job.record);
        if (err != 0)
            snprintf(text, GW_SYSDNS_TEXT_MAX, "cannot remove %.400s: %s", journal, gw_strerror(err));
    }
    return err == 0 ? GW_SYSDNS_RESTORED : GW_SYSDNS_STUCK;
}

enum gw_sysdns_restored gw_sysdns_restore(const char *journal, char *text)
{
    struct gw_sysdns_record record;
    text[0] = '\0';
    if (gw_sysdns_journal_read(&record, journal) == 0 && record.kind == GW_SYSDNS_OFF)
        return GW_SYSDNS_NOTHING;
    int fd = gw_sysdns_lock(journal);
    if (fd == -EWOULDBLOCK)
        return GW_SYSDNS_BUSY;
    if (fd < 0) {
        snprintf(text, GW_SYSDNS_TEXT_MAX, "cannot lock %.400s: %s", journal, gw_strerror(fd));
        return GW_SYSDNS_STUCK;
    }
    enum gw_sysdns_restored restored = gw_sysdns_undo_and_wait(journal, fd, text);
    close(fd);
    return restored;
}
