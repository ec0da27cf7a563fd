/* SPDX-License-Identifier: MIT */
/* Tells when this machine's addresses, links, routes or rules changed, by whomever: sessions try again at once instead of waiting for a timer, and the TUN's
 * set-up is put back. A burst of changes (an interface coming up is a dozen) is told together, after 20 ms, and what follows at most once in 100 ms. */
#ifndef GATEWAY_LINK_NETWATCH_H
#define GATEWAY_LINK_NETWATCH_H

#include "gateway/link/loop.h"

struct gw_netwatch;

/* fn is called from the loop; with_rules: for routing rules, too. NULL without memory, or where the kernel gives no such news. */
struct gw_netwatch *gw_netwatch_new(struct gw_loop *loop, bool with_rules,
                                    void (*fn)(struct gw_mono now, void *ctx), void *ctx);
void gw_netwatch_free(struct gw_netwatch *watch);

#endif
