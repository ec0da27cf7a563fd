/* SPDX-License-Identifier: MIT */
/* Tells the machine which names to ask our server for, by the mechanism that manages it, and takes that back: when it is no longer wanted, at the end, and at the next
 * start after a crash. */
#ifndef FRONTENDS_DNS_SYSTEM_SYSTEM_H
#define FRONTENDS_DNS_SYSTEM_SYSTEM_H

#include "frontends/dns/system/mechanism.h"
#include "gateway/link/loop.h"

struct gw_sysdns;

enum gw_sysdns_state {
    GW_SYSDNS_NOT_WANTED,
    GW_SYSDNS_WORKING, /* applying or undoing */
    GW_SYSDNS_APPLIED,
    GW_SYSDNS_FAILED, /* nothing is changed; it is tried again from time to time */
};
#define GW_SYSDNS_STATES 4u
extern const char *const gw_sysdns_state_names[GW_SYSDNS_STATES]; /* "off", "working", "applied", "failed" */

struct gw_sysdns_status {
    enum gw_sysdns_state state;
    enum gw_sysdns_kind kind; /* GW_SYSDNS_OFF: none was found */
    const char *text; /* what was done, or why not and what to do; lent until the next turn of the loop */
};

/* journal: its path; a lock lies beside it. What an earlier run left is undone first, which may take seconds when others are slow; what of it cannot be is logged, and
 * tried again at the next start. 0, GW_E_NOMEM, GW_E_TOO_BIG. */
int gw_sysdns_new(struct gw_sysdns **out, struct gw_loop *loop, const char *journal);
/* Undoes everything, in at most a few seconds. NULL is fine. */
void gw_sysdns_free(struct gw_sysdns *sysdns);
/* kind: which mechanism; ignored when the wish is_auto. wish: copied; NULL = nothing is wanted. Returns at once; the loop does the rest and logs it. */
void gw_sysdns_set(struct gw_sysdns *sysdns, enum gw_sysdns_kind kind, const struct gw_sysdns_wish *wish);
/* Our server is asked for every name, has no upstreams of its own, and these answered before; count 0: not any more. Called when that begins, changes and ends. 0; GW_E_INVAL: none of
 * them can be asked, and the machine is left alone, or the last ones go on. */
typedef int gw_sysdns_old_fn(void *ctx, const struct gw_addr *servers, unsigned count);
void gw_sysdns_on_old(struct gw_sysdns *sysdns, gw_sysdns_old_fn *fn, void *ctx);
void gw_sysdns_status(const struct gw_sysdns *sysdns, struct gw_sysdns_status *out);

enum gw_sysdns_restored {
    GW_SYSDNS_NOTHING,  /* there was nothing to undo */
    GW_SYSDNS_RESTORED, /* text says what */
    GW_SYSDNS_BUSY,     /* a daemon is running, and undoes it when it ends */
    GW_SYSDNS_DAMAGED,  /* the journal makes no sense; it is kept as <journal>.damaged */
    GW_SYSDNS_STUCK,    /* text says why, and what to do */
};
/* Undoes what the journal says, blocking for some seconds at most. For the command line, with no daemon there. text: GW_SYSDNS_TEXT_MAX bytes. */
enum gw_sysdns_restored gw_sysdns_restore(const char *journal, char *text);

/* undo.c: the undo that waits; for who holds the journal's lock (lock_fd, which programs that it runs inherit). */
enum gw_sysdns_restored gw_sysdns_undo_and_wait(const char *journal, int lock_fd, char *text);
/* Waits a while for the lock: programs that a killed daemon started may still be at work. The descriptor, or -errno: -EWOULDBLOCK when somebody keeps it. */
int gw_sysdns_lock(const char *journal);

#endif
