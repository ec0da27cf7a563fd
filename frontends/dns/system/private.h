/* SPDX-License-Identifier: MIT */
/* What system.c, job.c and old.c share: the object, one job of it, and whom the machine asked before. */
#ifndef FRONTENDS_DNS_SYSTEM_PRIVATE_H
#define FRONTENDS_DNS_SYSTEM_PRIVATE_H

#include "frontends/dns/system/system.h"
#include "gateway/config/dir.h"

enum gw_sysdns_doing { GW_SYSDNS_IDLE, GW_SYSDNS_APPLYING, GW_SYSDNS_UNDOING, GW_SYSDNS_UNDOING_FAILED };

struct gw_sysdns {
    struct gw_loop *loop;
    char journal[GW_DIR_PATH_MAX];
    int lock_fd; /* -1: somebody else has the journal: nothing is changed */

    enum gw_sysdns_kind wanted_kind; /* GW_SYSDNS_OFF: nothing is wanted, unless wanted.is_auto */
    struct gw_sysdns_wish wanted;

    enum gw_sysdns_state state;
    enum gw_sysdns_kind kind; /* of mechanism, or the one that failed */
    char text[GW_SYSDNS_TEXT_MAX];

    enum gw_sysdns_doing doing;
    const struct gw_sysdns_mechanism *mechanism; /* of the job; NULL: none */
    struct gw_sysdns_job job;
    struct gw_sysdns_wish wish; /* of the job */
    enum gw_sysdns_kind asked;  /* wanted_kind at that time */
    struct gw_sysdns_facts facts;
    int job_err;
    bool is_ended; /* the job's on_done came, and was not looked at yet */

    gw_sysdns_old_fn *on_old; /* NULL: nobody could ask them */
    void *old_ctx;
    struct gw_addr old[GW_SYSDNS_OLD_MAX]; /* what it was told last */
    unsigned old_count;

    struct event *step, *deadline, *retry, *look;
    int retry_s;
};

/* ---- job.c: one apply or undo */

/* Starts it; one that runs is stopped. Its end comes as the event `step`, with is_ended. An undo goes by what job.record says. */
void gw_sysdns_job_begin(struct gw_sysdns *sysdns, enum gw_sysdns_kind kind, enum gw_sysdns_doing doing);
void gw_sysdns_job_stop(struct gw_sysdns *sysdns);
/* It takes too long: ended as a failure. */
void gw_sysdns_job_give_up(struct gw_sysdns *sysdns);
void gw_sysdns_set_state(struct gw_sysdns *sysdns, enum gw_sysdns_state state);

/* ---- old.c */

/* gw_sysdns_job.use_old of every job. */
int gw_sysdns_use_old(struct gw_sysdns_job *job, const struct gw_addr *servers, unsigned count);
/* The machine asks us for everything, from here on until gw_sysdns_end_old: whom it asked before is looked at again from time to time. Nothing where ours has upstreams of its own,
 * or is asked for our names alone. */
void gw_sysdns_watch_old(struct gw_sysdns *sysdns);
void gw_sysdns_end_old(struct gw_sysdns *sysdns);
/* The event `look`. */
void gw_sysdns_look_at_old(struct gw_sysdns *sysdns);

#endif
