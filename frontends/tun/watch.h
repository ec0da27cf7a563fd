/* SPDX-License-Identifier: MIT */
/* Tells that somebody (maybe we) changed interfaces, addresses, routes or rules, soon after it went quiet. */
#ifndef FRONTENDS_TUN_WATCH_H
#define FRONTENDS_TUN_WATCH_H

#include "gateway/link/loop.h"

struct gw_tun_watch;

/* NULL without memory, or where the kernel gives no such news. */
struct gw_tun_watch *gw_tun_watch_new(struct gw_loop *loop, void (*fn)(struct gw_mono now, void *ctx),
                                      void *ctx);
void gw_tun_watch_free(struct gw_tun_watch *watch);

#endif
