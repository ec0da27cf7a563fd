/* SPDX-License-Identifier: MIT */
/* One way in which machines are told which DNS server to ask: what it is given, and the three things that each can do (rank, apply, undo). One file for each:
 * resolved.c, networkmanager.c, resolvconf.c, resolv_conf.c. Who chooses and when is not their business: choose.c, system.c. */
#ifndef FRONTENDS_DNS_SYSTEM_MECHANISM_H
#define FRONTENDS_DNS_SYSTEM_MECHANISM_H

#include "frontends/dns/system/facts.h"
#include "frontends/dns/system/journal.h"
#include "gateway/peer/config.h"

#include <event2/event.h>

#define GW_SYSDNS_SERVERS_MAX 3u /* resolv.conf(5) knows no more */
#define GW_SYSDNS_DOMAINS_MAX 32u
#define GW_SYSDNS_SEARCH_MAX 6u
#define GW_SYSDNS_NAME_MAX 254u
#define GW_SYSDNS_TEXT_MAX 512u
#define GW_SYSDNS_OLD_MAX 8u

/* What the machine is to do. Zeroed to the last byte, as it is compared. */
struct gw_sysdns_wish {
    struct gw_addr servers[GW_SYSDNS_SERVERS_MAX]; /* where ours answers; never 0.0.0.0 or :: */
    unsigned server_count;
    char domains[GW_SYSDNS_DOMAINS_MAX][GW_SYSDNS_NAME_MAX]; /* below these, names are ours: "p2p" */
    unsigned domain_count;
    char search[GW_SYSDNS_SEARCH_MAX][GW_SYSDNS_NAME_MAX]; /* appended to bare names */
    unsigned search_count;
    char device[GW_SYSDNS_DEVICE_MAX + 1]; /* the TUN's name, or what it would be called */
    bool has_device;                       /* it is there, or will be at once */
    bool answers_all;                      /* ours has upstreams for the names that are not its own */
    bool
        is_all_ours; /* every name is to be asked of us where that can be said: what others ask by links of their own goes by an exit node */
    bool is_auto;    /* the mechanism was found, not asked for by name */
};

/* Adds a name to a list of the wish, without doubles, without a dot at its end. false: no room, or no name. */
bool gw_sysdns_add_domain(struct gw_sysdns_wish *wish, const char *name);
bool gw_sysdns_add_search(struct gw_sysdns_wish *wish, const char *name);
/* The reverse names of a range: one that ends within an octet (IPv6: a nibble) has several. false: they do not all fit, and none was added. */
bool gw_sysdns_add_range(struct gw_sysdns_wish *wish, const struct gw_prefix *range);

/* One apply with what follows it, or one undo. Everything happens on `base`, and nothing blocks for longer than a file takes to be written. */
struct gw_sysdns_job {
    struct event_base *base;
    const struct gw_sysdns_facts *facts; /* for apply */
    const struct gw_sysdns_wish *wish;   /* for apply */
    struct gw_sysdns_record record;      /* apply fills it in; undo goes by it */
    int lock_fd;                         /* programs that are started hold it too; -1: none */
    /* apply calls it before the first change, with the record complete, and goes on only when it returns 0. */
    int (*write_journal)(struct gw_sysdns_job *job);
    /* Once for each apply and undo, perhaps from within; the last thing that the mechanism does in that call. err: 0, -errno, GW_E_...; then text says why, and
     * what to do. Apply may call it again whenever what it watches changes. */
    void (*on_done)(struct gw_sysdns_job *job, int err);
    /* Before the first change, where the machine will ask us for every name and ours has no upstreams: these answered until now, and ours is to ask them. 0; GW_E_INVAL: none of
     * them is of use. NULL as use_old: there is nobody who could. */
    int (*use_old)(struct gw_sysdns_job *job, const struct gw_addr *servers, unsigned count);
    bool is_done;      /* set by on_done */
    bool is_untouched; /* set before on_done with an error: nothing was changed, so nothing is to be undone */
    char text[GW_SYSDNS_TEXT_MAX]; /* what was done: "systemd-resolved sends p2p to us (link peer0)" */
    enum gw_sysdns_kind instead;   /* with -EXDEV: this one has to do it */
    void *state;                   /* the mechanism's, between apply or undo and stop */
    void *owner;                   /* of who started the job */
};

/* What a mechanism is on this machine. */
enum gw_sysdns_rank { GW_SYSDNS_ABSENT, GW_SYSDNS_THERE, GW_SYSDNS_IN_CHARGE };

struct gw_sysdns_mechanism {
    const char *name; /* as in the configuration */
    enum gw_sysdns_rank (*rank)(const struct gw_sysdns_facts *facts);
    void (*apply)(struct gw_sysdns_job *job);
    /* May be asked to undo what was never done, was undone already, or was changed by others since: then that is left. */
    void (*undo)(struct gw_sysdns_job *job);
    /* Ends all that the job has under way or watches, and frees state; the change itself stays. Not from within on_done. */
    void (*stop)(struct gw_sysdns_job *job);
    /* Whom the machine would ask if it were not for us, as its files say now: at most GW_SYSDNS_OLD_MAX, ports 53. Returns how many; 0 also if job->use_old will be told later. NULL:
     * the machine asks us for our names alone. */
    unsigned (*old_servers)(struct gw_sysdns_job *job, struct gw_addr *out);
};

extern const struct gw_sysdns_mechanism gw_sysdns_resolved, gw_sysdns_networkmanager, gw_sysdns_resolvconf,
    gw_sysdns_resolv_conf;
/* NULL for GW_SYSDNS_OFF. */
const struct gw_sysdns_mechanism *gw_sysdns_mechanism(enum gw_sysdns_kind kind);

/* The one that manages this machine and gives only our names to us, or hands on what isn't ours; GW_SYSDNS_OFF with the reason in why. Never
 * GW_SYSDNS_RESOLV_CONF: that is for who asks for it. */
enum gw_sysdns_kind gw_sysdns_choose(const struct gw_sysdns_facts *facts, char *why, size_t why_len);

/* The first server at port 53, for those who know no ports, in a machine whose every question then comes to us: NULL, with the reason and the remedy in
 * job->text, when there is none or nobody could answer for the others' names. */
const struct gw_addr *gw_sysdns_plain_server(struct gw_sysdns_job *job, const char *who);
/* Sets job->text and calls on_done. */
__attribute__((format(printf, 3, 4))) void gw_sysdns_finish(struct gw_sysdns_job *job, int err,
                                                            const char *format, ...);

#endif
