/* SPDX-License-Identifier: MIT */
/* What must survive a restart: the TAI64N lease, without which a wall clock that was set back would make every peer refuse our
 * handshakes as replays, silently and for good. Kept in DIR/state/. */
#ifndef GATEWAY_DAEMON_STATE_H
#define GATEWAY_DAEMON_STATE_H

#include "gateway/config/dir.h"
#include "gateway/gateway.h"
#include "gateway/link/loop.h"

struct gw_state {
    struct gw_loop_hook hook; /* saves when a lease is due */
    struct gateway *gateway;
    char dir[GW_DIR_PATH_MAX];
    char path[GW_DIR_PATH_MAX];
    struct gw_mono retry; /* after a failure: not before */
};

/* Loads the lease into the gateway. 0, also when there is none or it cannot be read (logged); GW_E_TOO_BIG, -errno of making the folder. */
int gw_state_init(struct gw_state *state, const char *dir, struct gateway *gateway);

#endif
