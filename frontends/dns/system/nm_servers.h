/* SPDX-License-Identifier: MIT */
/* The DNS servers that NetworkManager knows of its connections, whatever its global configuration says. */
#ifndef FRONTENDS_DNS_SYSTEM_NM_SERVERS_H
#define FRONTENDS_DNS_SYSTEM_NM_SERVERS_H

#include "frontends/dns/system/bus.h"
#include "frontends/dns/system/mechanism.h"

/* The call that asks for them. NULL without memory. */
sd_bus_message *gw_nm_servers_get(struct gw_bus *bus);
/* Of the answer: each once, ports 53, at most GW_SYSDNS_OLD_MAX, in the order of their bytes, as there is no other. Returns how many. */
unsigned gw_nm_servers_read(struct gw_bus *bus, sd_bus_message *answer, struct gw_addr *out);

#endif
