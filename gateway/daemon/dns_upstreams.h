/* SPDX-License-Identifier: MIT */
/* Whom the DNS server asks for names that are not its own: `dns.upstreams`; without them those that this machine asked before it was told to ask us for everything. */
#ifndef GATEWAY_DAEMON_DNS_UPSTREAMS_H
#define GATEWAY_DAEMON_DNS_UPSTREAMS_H

#include "gateway/daemon/dns_setup.h"

/* gw_sysdns_old_fn, with the gw_dns_setup as ctx. What is this server itself is left out: it would ask itself. */
int gw_dns_upstreams_on_old(void *setup, const struct gw_addr *servers, unsigned count);
/* The server is there now, or another one. */
void gw_dns_upstreams_apply(struct gw_dns_setup *setup);

#endif
