/* SPDX-License-Identifier: MIT */
/* The machine's wall clock, for what is dated: handshakes, and keys that expire. */
#ifndef GATEWAY_DAEMON_WALL_H
#define GATEWAY_DAEMON_WALL_H

#include "gateway/base/mono.h"
#include "gateway/session/session.h"

struct gw_wall gw_wall_now(void);
struct gw_wallclock *gw_wallclock_system(void);

#endif
