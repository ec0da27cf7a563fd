/* SPDX-License-Identifier: MIT */
/* Plain /etc/resolv.conf, for who asks for it. The original is kept as the file that it is, under another name (a hard link, so that its bytes, mode, owner, times and
 * attributes are its own, and a symbolic link stays one), ours takes its place by one rename, and by one rename it comes back:
 *
 *   journal -> link(resolv.conf, .before-peergate) -> write temp -> rename(temp, resolv.conf)        apply
 *   rename(.before-peergate, resolv.conf) -> journal removed                                         undo
 *
 * Killed anywhere in between, undo finds what to do from what is there. What somebody else wrote meanwhile is left. */
#include "frontends/dns/system/resolv_conf.h"
#include "frontends/dns/system/etc_file.h"
#include "frontends/dns/system/mechanism.h"
#include "gateway/base/err.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONF "/etc/resolv.conf"
#define KEPT CONF ".before-peergate"
#define TEMP CONF ".peergate-new"

static enum gw_sysdns_rank rank(const struct gw_sysdns_facts *facts)
{
    (void)facts;
    return GW_SYSDNS_THERE; /* never in charge: nobody gets it who did not ask for it */
}

/* ---- undo */

enum whose { NOBODYS, OURS, CHANGED_OURS, SOMEBODYS };

/* CHANGED_OURS: somebody edited our file, and did not replace it. */
static enum whose look(const struct gw_sysdns_record *record)
{
    struct stat st;
    char *text, hash[GW_SYSDNS_HASH_LEN + 1];
    size_t len;
    if (lstat(CONF, &st) < 0)
        return errno == ENOENT ? NOBODYS : SOMEBODYS;
    if (!S_ISREG(st.st_mode) || gw_etc_file_read(&text, &len, CONF) != 0)
        return SOMEBODYS;
    gw_sysdns_hash(hash, text, len);
    bool is_marked = strncmp(text, GW_RESOLV_CONF_MARK, strlen(GW_RESOLV_CONF_MARK)) == 0;
    free(text);
    return strcmp(hash, record->hash) == 0 ? OURS : is_marked ? CHANGED_OURS : SOMEBODYS;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat one, other;
    return lstat(a, &one) == 0 && lstat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static int move_back(const struct gw_sysdns_record *record, bool has_kept)
{
    if (has_kept)
        return rename(KEPT, CONF) < 0 ? -errno : 0;
    if (record->was_missing)
        return unlink(CONF) < 0 && errno != ENOENT ? -errno : 0;
    return -ENOENT;
}

/* Theirs is there, and the original is of no use any more. */
static int let_go(char *text, size_t text_len, bool has_kept, bool is_original)
{
    if (has_kept && unlink(KEPT) < 0)
        return -errno;
    snprintf(text, text_len, "%s",
             is_original ? CONF " is as it was"
                         : "somebody else has written " CONF " meanwhile: left as it is");
    return 0;
}

static int undo_file(const struct gw_sysdns_record *record, char *text, size_t text_len)
{
    enum whose whose = look(record);
    struct stat st;
    bool has_kept = lstat(KEPT, &st) == 0;
    if (lstat(TEMP, &st) == 0 &&
        unlink(TEMP) < 0) /* not without a look: a read-only file system refuses anyway */
        return -errno;
    if (whose == CHANGED_OURS) {
        snprintf(text, text_len, "somebody edited our " CONF ": left as it is; the original is %s",
                 has_kept ? KEPT : "gone");
        return 0;
    }
    if (whose == SOMEBODYS)
        return let_go(text, text_len, has_kept, is_same_file(KEPT, CONF));
    if (whose == NOBODYS && !has_kept) {
        snprintf(text, text_len,
                 record->was_missing ? "there is no " CONF ", as before"
                                     : "somebody has removed " CONF ": left so");
        return 0;
    }
    int err = move_back(record, has_kept);
    snprintf(text, text_len, CONF " is as it was");
    return err;
}

static void undo(struct gw_sysdns_job *job)
{
    char why[320];
    int err = undo_file(&job->record, job->text, sizeof job->text);
    gw_etc_file_flush_folder(CONF);
    if (err == -ENOENT)
        gw_sysdns_finish(
            job, 0, "the original of " CONF " is gone: ours stays; put `nameserver` lines of yours into it");
    else if (err != 0)
        gw_sysdns_finish(job, err, "%s; the original is " KEPT,
                         gw_etc_file_explain(CONF, err, why, sizeof why));
    else
        job->on_done(job, 0);
}

/* ---- apply */

static int refuse_leftover(struct gw_sysdns_job *job)
{
    struct stat st;
    if (lstat(KEPT, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    snprintf(job->text, sizeof job->text,
             KEPT " is there: another peergate has changed " CONF ", or an earlier one could not put it "
                  "back. Put it where it belongs, or remove it");
    return -EEXIST;
}

static int make_text(struct gw_sysdns_job *job, char **text, size_t *len)
{
    char *old;
    size_t old_len;
    struct stat st;
    job->record.was_missing = lstat(CONF, &st) < 0 && errno == ENOENT;
    int err = gw_etc_file_read(&old, &old_len, CONF);
    if (err == -ENOENT) /* or a link to nowhere */
        err = 0;
    if (err == 0)
        err = gw_resolv_conf_make(text, len, old ? old : "", job->wish);
    free(old);
    if (err == 0)
        gw_sysdns_hash(job->record.hash, *text, *len);
    return err;
}

static int change(struct gw_sysdns_job *job, const char *text, size_t len)
{
    int err = job->write_journal(job);
    if (err != 0)
        return err;
    if (!job->record.was_missing && linkat(AT_FDCWD, CONF, AT_FDCWD, KEPT, 0) < 0)
        err = -errno;
    gw_etc_file_flush_folder(CONF);
    return err ? err : gw_etc_file_replace(CONF, TEMP, text, len);
}

static void apply(struct gw_sysdns_job *job)
{
    char *text = NULL, why[320];
    size_t len = 0;
    job->text[0] = '\0';
    int err = gw_sysdns_plain_server(job, CONF) ? refuse_leftover(job) : GW_E_INVAL;
    if (err == 0)
        err = make_text(job, &text, &len);
    if (err == 0)
        err = change(job, text, len);
    free(text);
    if (err == 0)
        gw_sysdns_finish(job, 0, CONF " names our server; the original is " KEPT);
    else if (job->text[0])
        job->on_done(job, err);
    else
        gw_sysdns_finish(job, err, "%s", gw_etc_file_explain(CONF, err, why, sizeof why));
}

static void stop(struct gw_sysdns_job *job)
{
    (void)job;
}

/* As long as ours is there, in the original; that may be a link, and then somebody keeps it up to date. */
static unsigned old_servers(struct gw_sysdns_job *job, struct gw_addr *out)
{
    struct stat st;
    (void)job;
    return gw_resolv_conf_read_servers(lstat(KEPT, &st) == 0 ? KEPT : CONF, out, 0);
}

const struct gw_sysdns_mechanism gw_sysdns_resolv_conf = {.name = "resolv.conf",
                                                          .rank = rank,
                                                          .apply = apply,
                                                          .undo = undo,
                                                          .stop = stop,
                                                          .old_servers = old_servers};
