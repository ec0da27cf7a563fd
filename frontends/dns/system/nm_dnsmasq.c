/* SPDX-License-Identifier: MIT */
#include "frontends/dns/system/nm_dnsmasq.h"

#include "frontends/dns/system/etc_file.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME_MAX 96u

struct names {
    char path[FILE_NAME_MAX];
    char temp[FILE_NAME_MAX + 2]; /* dnsmasq passes over names that end in '~' */
};

static bool may_be_in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

static void name_file(struct names *out, const char *device)
{
    snprintf(out->path, sizeof out->path, GW_NM_DNSMASQ_FOLDER "/peergate-%s.conf", device);
    for (char *c = out->path + sizeof GW_NM_DNSMASQ_FOLDER; *c; c++) {
        if (!may_be_in_name(*c))
            *c = '_';
    }
    snprintf(out->temp, sizeof out->temp, "%s~", out->path);
}

static int make_text(const struct gw_sysdns_wish *wish, char **text, size_t *len)
{
    char at[GW_ADDR_STRLEN];
    *text = NULL;
    FILE *out = open_memstream(text, len);
    if (!out)
        return GW_E_NOMEM;
    fputs("# Written by peergate for as long as it runs; `peergate dns restore` takes it away.\n", out);
    for (unsigned i = 0; i < wish->domain_count; i++) {
        for (unsigned k = 0; k < wish->server_count; k++)
            fprintf(out, "server=/%s/%s#%u\n", wish->domains[i], gw_addr_format_ip(&wish->servers[k], at),
                    wish->servers[k].port);
        fprintf(out, "rebind-domain-ok=/%s/\n", wish->domains[i]);
    }
    bool is_whole = !ferror(out);
    return fclose(out) == 0 && is_whole ? 0 : GW_E_NOMEM;
}

int gw_nm_dnsmasq_write(struct gw_sysdns_job *job)
{
    struct names names;
    char *text;
    size_t len = 0;
    int err = make_text(job->wish, &text, &len);
    name_file(&names, job->record.device);
    if (err == 0)
        gw_sysdns_hash(job->record.hash, text, len);
    if (err == 0)
        err = job->write_journal(job);
    if (err == 0)
        err = gw_etc_file_replace(names.path, names.temp, text, len);
    free(text);
    return err;
}

int gw_nm_dnsmasq_remove(const struct gw_sysdns_record *record)
{
    struct names names;
    char *text, hash[GW_SYSDNS_HASH_LEN + 1];
    size_t len;
    name_file(&names, record->device);
    if (access(names.temp, F_OK) == 0 && unlink(names.temp) < 0)
        return -errno;
    int err = gw_etc_file_read(&text, &len, names.path);
    if (err != 0)
        return err == -ENOENT ? 0 : err;
    gw_sysdns_hash(hash, text, len);
    free(text);
    if (strcmp(hash, record->hash) != 0) {
        gw_log_warn("DNS: somebody edited %s: left as it is", names.path);
        return 0;
    }
    if (unlink(names.path) < 0 && errno != ENOENT)
        return -errno;
    gw_etc_file_flush_folder(names.path);
    return 0;
}
