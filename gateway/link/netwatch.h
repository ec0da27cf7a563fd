/* SPDX-License-Identifier: MIT */
/* Tells when this machine's addresses, links or routes changed, so that sessions try again at once instead of waiting for a timer. A burst
 * of changes (an interface coming up is a dozen) is told once, after it has been quiet for a moment. */
#ifndef GATEWAY_LINK_NETWATCH_H
#define GATEWAY_LINK_NETWATCH_H

#include "gateway/link/loop.h"

struct gw_netwatch;

/* fn is called from the loop. NULL where the kernel gives no such news: the daemon then lives without. */
struct gw_netwatch *gw_netwatch_new(struct gw_loop *loop, void (*fn)(struct gw_mono now, void *ctx),
                                    void *ctx);
void gw_netwatch_free(struct gw_netwatch *watch);

#endif
