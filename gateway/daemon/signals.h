/* SPDX-License-Identifier: MIT */
/* Signals: SIGINT and SIGTERM end the daemon in order, a second one at once; SIGHUP reloads. SIGPIPE is ignored. */
#ifndef GATEWAY_DAEMON_SIGNALS_H
#define GATEWAY_DAEMON_SIGNALS_H

#include "gateway/link/loop.h"

struct gw_signals {
    struct event *interrupt, *terminate, *hangup;
    unsigned asked; /* how often it was asked to end */
    void (*on_stop)(void *ctx);
    void (*on_reload)(void *ctx);
    void *ctx;
};

/* on_stop, on_reload, ctx are set. 0, or GW_E_NOMEM. */
int gw_signals_init(struct gw_signals *signals, struct gw_loop *loop);
void gw_signals_fini(struct gw_signals *signals);

#endif
