/* SPDX-License-Identifier: MIT */
/* The program resolvconf, Debian's or openresolv: it makes /etc/resolv.conf from entries, of which we hand in one. The entry's name begins with "lo.", as both put such entries
 * first, and with a local server first they leave the others out: so ours has to answer every name. */
#include "frontends/dns/system/etc_file.h"
#include "frontends/dns/system/mechanism.h"
#include "frontends/dns/system/resolv_conf.h"
#include "frontends/dns/system/run.h"
#include "gateway/base/err.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS 8000u
#define ENTRY_MAX 40u
#define ENTRY_TAIL ".peergate"
/* Where either keeps its entries. */
#define DEBIANS "/run/resolvconf/interface"
#define OPENRESOLVS "/run/resolvconf/interfaces"

struct resolvconf {
    struct gw_sysdns_job *job;
    struct gw_sysdns_run *run;
    bool is_undo;
    char entry[ENTRY_MAX];
    struct gw_addr server;
};

static enum gw_sysdns_rank rank(const struct gw_sysdns_facts *facts)
{
    if (facts->resolvconf == GW_SYSDNS_NO_RESOLVCONF || facts->resolvconf == GW_SYSDNS_RESOLVECTL)
        return GW_SYSDNS_ABSENT;
    if (facts->resolvconf == GW_SYSDNS_OPENRESOLV)
        return facts->is_by_resolvconf ? GW_SYSDNS_IN_CHARGE : GW_SYSDNS_THERE;
    return strstr(facts->link, "resolvconf/") ? GW_SYSDNS_IN_CHARGE : GW_SYSDNS_THERE;
}

/* The interface's name may hold what a file's name, and a shell script, had better not. */
static void name_entry(char out[ENTRY_MAX], const char *device)
{
    snprintf(out, ENTRY_MAX, "lo.%s" ENTRY_TAIL, device);
    for (char *c = out; *c; c++) {
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') && *c != '.')
            *c = '_';
    }
}

/* Its exit status is also that of others' hooks; what counts is what it left. */
static bool is_done(const struct resolvconf *resolvconf)
{
    char path[ENTRY_MAX + 64], *text;
    size_t len;
    bool is;
    if (!resolvconf->is_undo) {
        is = gw_etc_file_read(&text, &len, "/etc/resolv.conf") == 0 &&
             gw_resolv_conf_names(text, &resolvconf->server);
        free(text);
        return is;
    }
    snprintf(path, sizeof path, DEBIANS "/%s", resolvconf->entry);
    is = access(path, F_OK) != 0;
    snprintf(path, sizeof path, OPENRESOLVS "/%s", resolvconf->entry);
    return is && access(path, F_OK) != 0;
}

static void on_end(int status, const char *said, void *ctx)
{
    struct resolvconf *resolvconf = ctx;
    struct gw_sysdns_job *job = resolvconf->job;
    resolvconf->run = NULL;
    if (status == GW_E_TIMEOUT)
        gw_sysdns_finish(job, status, "resolvconf does not come to an end");
    else if (!is_done(resolvconf))
        gw_sysdns_finish(job, GW_E_STATE, "resolvconf %s%s%s",
                         resolvconf->is_undo ? "has kept our server"
                         : status == 0       ? "ran, but /etc/resolv.conf does not name our server (are its "
                                               "updates disabled?)"
                                             : "failed",
                         said[0] ? ": " : "", said);
    else if (resolvconf->is_undo)
        gw_sysdns_finish(job, 0, "resolvconf no longer knows of us");
    else
        gw_sysdns_finish(job, 0, "resolvconf has put our server first in /etc/resolv.conf");
}

/* server, input: of apply. */
static int start(struct gw_sysdns_job *job, const char *program, const struct gw_addr *server,
                 const char *input)
{
    bool is_undo = server == NULL;
    struct resolvconf *resolvconf = calloc(1, sizeof *resolvconf);
    job->state = resolvconf;
    if (!resolvconf)
        return GW_E_NOMEM;
    *resolvconf = (struct resolvconf){.job = job, .is_undo = is_undo};
    if (server)
        resolvconf->server = *server;
    name_entry(resolvconf->entry, job->record.device);
    const char *entry = resolvconf->entry;
    /* -f: openresolv complains of an entry that is not there; Debian's reads no further. */
    const char *const add[] = {program, "-a", entry, NULL}, *const remove[] = {program, "-d", entry, "-f",
                                                                               NULL};
    const struct gw_sysdns_run_params params = {.base = job->base,
                                                .argv = is_undo ? remove : add,
                                                .input = input,
                                                .keep_fd = job->lock_fd,
                                                .timeout_ms = TIMEOUT_MS,
                                                .on_end = on_end,
                                                .ctx = resolvconf};
    return gw_sysdns_run_new(&resolvconf->run, &params);
}

static void fail(struct gw_sysdns_job *job, int err)
{
    gw_sysdns_finish(job, err, "cannot run resolvconf: %s", gw_strerror(err));
}

static void apply(struct gw_sysdns_job *job)
{
    char *text = NULL;
    size_t len;
    if (job->facts->resolvconf == GW_SYSDNS_RESOLVECTL) {
        gw_sysdns_finish(job, -ENOENT,
                         "resolvconf on this machine is systemd-resolved's: `dns.system: resolved`");
        return;
    }
    if (rank(job->facts) != GW_SYSDNS_IN_CHARGE) {
        gw_sysdns_finish(
            job, -ENOENT, "%s",
            rank(job->facts) == GW_SYSDNS_ABSENT
                ? "there is no program resolvconf"
                : "resolvconf does not make this machine's /etc/resolv.conf, so it changes nothing");
        return;
    }
    const struct gw_addr *server = gw_sysdns_plain_server(job, "resolvconf");
    if (!server) {
        job->on_done(job, GW_E_INVAL);
        return;
    }
    snprintf(job->record.device, sizeof job->record.device, "%s", job->wish->device);
    int err = gw_resolv_conf_make(&text, &len, "", job->wish);
    if (err == 0)
        err = job->write_journal(job);
    if (err == 0)
        err = start(job, job->facts->resolvconf_path, server, text);
    free(text);
    if (err != 0)
        fail(job, err);
}

static void undo(struct gw_sysdns_job *job)
{
    struct gw_sysdns_facts facts;
    gw_sysdns_look(&facts, "");
    if (rank(&facts) == GW_SYSDNS_ABSENT) {
        gw_sysdns_finish(job, 0, "there is no resolvconf any more that could know of us");
        return;
    }
    int err = start(job, facts.resolvconf_path, NULL, NULL);
    if (err != 0)
        fail(job, err);
}

static void stop(struct gw_sysdns_job *job)
{
    struct resolvconf *resolvconf = job->state;
    job->state = NULL;
    if (!resolvconf)
        return;
    gw_sysdns_run_free(resolvconf->run);
    free(resolvconf);
}

/* ---- the others' entries */

static int is_others(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name), tail = strlen(ENTRY_TAIL);
    return entry->d_name[0] != '.' && (len < tail || strcmp(entry->d_name + len - tail, ENTRY_TAIL) != 0);
}

static unsigned read_entries(const char *folder, bool are_local, struct gw_addr *out, unsigned count)
{
    struct dirent **entries;
    char path[sizeof entries[0]->d_name + 64];
    int n = scandir(folder, &entries, is_others, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if ((strncmp(entries[i]->d_name, "lo.", 3) == 0) == are_local)
            count = gw_resolv_conf_read_servers(path, out, count);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return count;
}

/* Another server of this machine comes last: resolvconf tells it of ours, which it might ask. */
static unsigned old_servers(struct gw_sysdns_job *job, struct gw_addr *out)
{
    unsigned count = 0;
    (void)job;
    for (unsigned are_local = 0; are_local < 2; are_local++) {
        count = read_entries(DEBIANS, are_local, out, count);
        count = read_entries(OPENRESOLVS, are_local, out, count);
    }
    return count;
}

const struct gw_sysdns_mechanism gw_sysdns_resolvconf = {.name = "resolvconf",
                                                         .rank = rank,
                                                         .apply = apply,
                                                         .undo = undo,
                                                         .stop = stop,
                                                         .old_servers = old_servers};
