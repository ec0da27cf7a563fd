/* SPDX-License-Identifier: MIT */
/* A network interface that nothing goes through: where there is no TUN, systemd-resolved has to be given one to hang our server on. It is gone with the process, however
 * that ends. */
#ifndef FRONTENDS_DNS_SYSTEM_LINK_H
#define FRONTENDS_DNS_SYSTEM_LINK_H

#include "frontends/tun/tun.h"

/* Makes it, up and with an address that is used for nothing: 127.64.0.53, in site scope, so that no program's packets ever leave from it. Needs CAP_NET_ADMIN.
 * 0, or -errno with a sentence in why. */
int gw_sysdns_link_open(struct gw_tun *link, const char *name, char *why, size_t why_len);
void gw_sysdns_link_close(struct gw_tun *link);

#endif
