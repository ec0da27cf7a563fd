/* SPDX-License-Identifier: MIT */
/* Tells systemd how the daemon is doing (sd_notify's protocol: a datagram of "KEY=value" lines to $NOTIFY_SOCKET). Without
 * that variable every call does nothing. */
#ifndef GATEWAY_DAEMON_NOTIFY_H
#define GATEWAY_DAEMON_NOTIFY_H

#include <stdbool.h>

/* Were we started by a service manager that wants to know? */
bool gw_notify_is_wanted(void);
void gw_notify_ready(const char *status);
/* Followed by gw_notify_ready when it is done. */
void gw_notify_reloading(void);
void gw_notify_stopping(void);
void gw_notify_status(const char *status);

#endif
