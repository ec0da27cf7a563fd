/* SPDX-License-Identifier: MIT */
/* Signals, as events of the loop. */
#include "gateway/daemon/signals.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <signal.h>
#include <unistd.h>

static void on_stop_signal(evutil_socket_t signo, short what, void *arg)
{
    struct gw_signals *signals = arg;
    (void)what;
    if (signals->asked++ > 0) {
        gw_log_warn("ending at once");
        _exit(128 + (int)signo);
    }
    signals->on_stop(signals->ctx);
}

static void on_hangup(evutil_socket_t signo, short what, void *arg)
{
    struct gw_signals *signals = arg;
    (void)signo, (void)what;
    signals->on_reload(signals->ctx);
}

int gw_signals_init(struct gw_signals *signals, struct gw_loop *loop)
{
    struct event_base *base = gw_loop_base(loop);
    signal(SIGPIPE, SIG_IGN);
    signals->interrupt = evsignal_new(base, SIGINT, on_stop_signal, signals);
    signals->terminate = evsignal_new(base, SIGTERM, on_stop_signal, signals);
    signals->hangup = evsignal_new(base, SIGHUP, on_hangup, signals);
    if (!signals->interrupt || !signals->terminate || !signals->hangup)
        return GW_E_NOMEM;
    if (event_add(signals->interrupt, NULL) < 0 || event_add(signals->terminate, NULL) < 0 ||
        event_add(signals->hangup, NULL) < 0)
        return GW_E_NOMEM;
    return 0;
}

void gw_signals_fini(struct gw_signals *signals)
{
    struct event **events[] = {&signals->interrupt, &signals->terminate, &signals->hangup};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (*events[i])
            event_free(*events[i]);
        *events[i] = NULL;
    }
}
