/* SPDX-License-Identifier: MIT */
/* Joins a connection that the daemon was given (a control client that said `connect`, a client of a forwarded port) with a service of a
 * peer: resolves the name, opens the flow, splices. On a control connection the answer is a line of JSON before the first byte. */
#ifndef GATEWAY_DAEMON_CONNECT_H
#define GATEWAY_DAEMON_CONNECT_H

#include "frontends/frontend.h"
#include "gateway/daemon/verdict.h"
#include "gateway/flow/stream.h"
#include "gateway/link/loop.h"
#include "gateway/local/dial.h"
#include "resolver/resolver.h"

struct event;

struct gw_connects {
    const struct gw_frontend *frontend;
    struct gw_list opening;  /* the longest waiting first */
    struct event *tick;      /* runs while one of those is there */
    struct gw_list list;     /* open, or being told that they will not be */
    struct gw_list verdicts; /* clients that wait for the end of one */
};

/* frontend: borrowed for life. 0 or GW_E_NOMEM. */
int gw_connects_init(struct gw_connects *all, const struct gw_frontend *frontend);
/* Ends every connection. */
void gw_connects_fini(struct gw_connects *all, struct gw_mono now);

struct gw_connect_params {
    int fd;        /* non-blocking; taken, whatever happens */
    uint8_t *rest; /* read from fd already, may be NULL; taken (malloc) */
    size_t rest_len;
    const char *host;    /* copied */
    const char *service; /* copied; NULL or "" = by port */
    uint16_t port;
    bool has_class; /* class_ is wished for; else what fits service and port */
    enum gw_class class_;
    bool wants_json;   /* a control client: tell it how it went */
    const char *token; /* copied; who waits for its end (verdict.h); NULL = nobody */
    void *group;       /* for gw_connects_end_group, and on_failed; NULL = none */
    /* Why it came to nothing, or broke; not when the client itself gave up. From within calls of this file's or from the loop. NULL: only the log is told. */
    void (*on_failed)(const char *code, const char *sentence, void *group);
};

void gw_connect_start(struct gw_connects *all, const struct gw_connect_params *params);
/* Ends those of one group. */
void gw_connects_end_group(struct gw_connects *all, const void *group, struct gw_mono now);

#endif
