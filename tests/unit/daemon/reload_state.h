/* SPDX-License-Identifier: MIT */
/* What the running parts of a daemon have, as text: of each the state that it works with, none of it read from the files' structs. */
#ifndef TESTS_UNIT_DAEMON_RELOAD_STATE_H
#define TESTS_UNIT_DAEMON_RELOAD_STATE_H

#include "gateway/daemon/daemon.h"

#include <stdio.h>

/* The caller frees it. */
char *reload_state(const struct gw_daemon *daemon);
/* Its part about the proxy. */
void reload_state_socks(FILE *out, const struct gw_socks5 *socks5);

#endif
