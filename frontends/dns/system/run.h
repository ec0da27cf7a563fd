/* SPDX-License-Identifier: MIT */
/* Runs a program without a shell and without waiting for it. */
#ifndef FRONTENDS_DNS_SYSTEM_RUN_H
#define FRONTENDS_DNS_SYSTEM_RUN_H

#include <event2/event.h>
#include <stddef.h>

struct gw_sysdns_run;

/* status: 0 when it ended with that; GW_E_TIMEOUT; else GW_E_STATE. said: the last line that it wrote to stderr, "" for none. The run is gone when this is called. */
typedef void gw_sysdns_run_fn(int status, const char *said, void *ctx);

struct gw_sysdns_run_params {
    struct event_base *base;
    const char *const *argv; /* argv[0] is the path; ends with NULL */
    const char *input;       /* its standard input */
    int keep_fd;             /* left open in it and in what it starts; -1: none */
    unsigned
        timeout_ms; /* then it is told to end, and killed half a second later, with all that it started and left in its process group */
    gw_sysdns_run_fn *on_end;
    void *ctx;
};

/* 0, or -errno (it could not be started), GW_E_NOMEM. */
int gw_sysdns_run_new(struct gw_sysdns_run **out, const struct gw_sysdns_run_params *params);
/* Kills it, with all that it started; on_end is not called. Hardly waits. NULL is fine. */
void gw_sysdns_run_kill(struct gw_sysdns_run *run);
/* If it still runs, waits two seconds for its end, tells it to end, and kills it half a second later; on_end is not called. NULL is fine. */
void gw_sysdns_run_free(struct gw_sysdns_run *run);

#endif
