/* SPDX-License-Identifier: MIT */
/* The way through a network's HTTP proxy, up to where TLS begins: one connection to it, one CONNECT, one answer. */
#ifndef GATEWAY_LINK_CARRIER_PROXY_H
#define GATEWAY_LINK_CARRIER_PROXY_H

#include "gateway/link/carriers.h"

struct event_base;
struct gw_carrier_proxy_call;

/* fd is on its way to the proxy, and the call's from now on (the caller's again if NULL is returned: no memory). When it is through, on_through gets it, to own; else on_failed is called. Neither from
 * within this; the call is no more after either. */
struct gw_carrier_proxy_call *gw_carrier_proxy_call_new(struct event_base *base, int fd,
                                                        const struct gw_addr *to,
                                                        const struct gw_carriers_proxy *proxy,
                                                        void (*on_through)(int fd, void *ctx),
                                                        void (*on_failed)(void *ctx), void *ctx);
/* Gives up, without a word; closes fd. NULL is fine. */
void gw_carrier_proxy_call_free(struct gw_carrier_proxy_call *call);

#endif
