/* SPDX-License-Identifier: MIT */
/* Which mechanism, and the words that all of them share. */
#include "frontends/dns/system/mechanism.h"

#include "gateway/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct gw_sysdns_mechanism *const mechanisms[GW_SYSDNS_KINDS] = {
    [GW_SYSDNS_RESOLVED] = &gw_sysdns_resolved,
    [GW_SYSDNS_NETWORKMANAGER] = &gw_sysdns_networkmanager,
    [GW_SYSDNS_RESOLVCONF] = &gw_sysdns_resolvconf,
    [GW_SYSDNS_RESOLV_CONF] = &gw_sysdns_resolv_conf,
};

const struct gw_sysdns_mechanism *gw_sysdns_mechanism(enum gw_sysdns_kind kind)
{
    return mechanisms[kind];
}

enum gw_sysdns_kind gw_sysdns_choose(const struct gw_sysdns_facts *facts, char *why, size_t why_len)
{
    why[0] = '\0';
    for (unsigned i = GW_SYSDNS_OFF + 1; i < GW_SYSDNS_KINDS; i++) {
        if (mechanisms[i]->rank(facts) == GW_SYSDNS_IN_CHARGE)
            return (enum gw_sysdns_kind)i;
    }
    snprintf(why, why_len, "no program is in charge of /etc/resolv.conf, and auto does not write it; %s",
             facts->has_resolved
                 ? "systemd-resolved runs, but the machine does not ask it: make /etc/resolv.conf a link to "
                   "/run/systemd/resolve/stub-resolv.conf, or set `dns.system: resolved` for those who do"
                 : "if peergate may: `dns.system: resolv.conf`");
    return GW_SYSDNS_OFF;
}

/* ---- for all of them */

void gw_sysdns_finish(struct gw_sysdns_job *job, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(job->text, sizeof job->text, format, args);
    va_end(args);
    job->on_done(job, err);
}

static const struct gw_addr *server_at_53(const struct gw_sysdns_wish *wish)
{
    for (unsigned i = 0; i < wish->server_count; i++) {
        if (wish->servers[i].port == 53)
            return &wish->servers[i];
    }
    return NULL;
}

/* Ours has upstreams, or those that the machine has asked until now become that. */
static bool can_answer_all(struct gw_sysdns_job *job)
{
    const struct gw_sysdns_mechanism *mechanism = gw_sysdns_mechanism(job->record.kind);
    struct gw_addr old[GW_SYSDNS_OLD_MAX];
    if (job->wish->answers_all)
        return true;
    unsigned count = mechanism && mechanism->old_servers ? mechanism->old_servers(job, old) : 0;
    return job->use_old && job->use_old(job, old, count) == 0;
}

const struct gw_addr *gw_sysdns_plain_server(struct gw_sysdns_job *job, const char *who)
{
    const struct gw_addr *server = server_at_53(job->wish);
    if (!server) {
        snprintf(job->text, sizeof job->text,
                 "%s knows no ports but 53: let `dns.listen` have an address with it, as in \"127.0.0.1:53\"",
                 who);
        return NULL;
    }
    if (can_answer_all(job))
        return server;
    snprintf(
        job->text, sizeof job->text,
        "%s would send every name to us, and the machine names no other server that we could ask for what is not "
        "ours: set `dns.upstreams`",
        who);
    return NULL;
}

/* ---- lists of the wish */

static bool add(char list[][GW_SYSDNS_NAME_MAX], unsigned *count, unsigned max, const char *name)
{
    size_t len = strlen(name);
    while (len > 0 && name[len - 1] == '.')
        len--;
    if (len == 0 || len >= GW_SYSDNS_NAME_MAX || strcspn(name, " \t\r\n#;\"\\") < len)
        return false;
    for (unsigned i = 0; i < *count; i++) {
        if (strncmp(list[i], name, len) == 0 && list[i][len] == '\0')
            return true;
    }
    if (*count == max)
        return false;
    memset(list[*count], 0, GW_SYSDNS_NAME_MAX);
    memcpy(list[(*count)++], name, len);
    return true;
}

bool gw_sysdns_add_domain(struct gw_sysdns_wish *wish, const char *name)
{
    return add(wish->domains, &wish->domain_count, GW_SYSDNS_DOMAINS_MAX, name);
}

bool gw_sysdns_add_search(struct gw_sysdns_wish *wish, const char *name)
{
    return add(wish->search, &wish->search_count, GW_SYSDNS_SEARCH_MAX, name);
}

/* "64.10.in-addr.arpa" of the first `labels` octets (or nibbles), the last of them plus `offset`. */
static void format_reverse(char out[GW_SYSDNS_NAME_MAX], const struct gw_addr *ip, unsigned labels,
                           unsigned offset)
{
    size_t at = 0;
    for (unsigned i = labels; i-- > 0;) {
        unsigned part = ip->family == 4 ? ip->ip[i] : ((unsigned)ip->ip[i / 2] >> (i % 2 ? 0 : 4)) & 15;
        part += i == labels - 1 ? offset : 0;
        at += (size_t)snprintf(out + at, GW_SYSDNS_NAME_MAX - at, ip->family == 4 ? "%u." : "%x.", part);
    }
    snprintf(out + at, GW_SYSDNS_NAME_MAX - at, "%s", ip->family == 4 ? "in-addr.arpa" : "ip6.arpa");
}

bool gw_sysdns_add_range(struct gw_sysdns_wish *wish, const struct gw_prefix *range)
{
    const unsigned step = range->ip.family == 4 ? 8 : 4;
    unsigned labels = (range->bits + step - 1) / step, names = 1u << (labels * step - range->bits);
    char name[GW_SYSDNS_NAME_MAX];
    if (range->bits == 0 || names > GW_SYSDNS_DOMAINS_MAX - wish->domain_count)
        return false;
    for (unsigned i = 0; i < names; i++) {
        format_reverse(name, &range->ip, labels, i);
        gw_sysdns_add_domain(wish, name);
    }
    return true;
}
