/* SPDX-License-Identifier: MIT */
/* NetworkManager's property GlobalDnsConfiguration, made and read: every name goes to the servers of the domain "*". */
#ifndef FRONTENDS_DNS_SYSTEM_NM_GLOBAL_H
#define FRONTENDS_DNS_SYSTEM_NM_GLOBAL_H

#include "frontends/dns/system/bus.h"
#include "frontends/dns/system/mechanism.h"

#define GW_NM_SERVERS_LEN (GW_SYSDNS_SERVERS_MAX * GW_ADDR_STRLEN)

/* The wish's servers at port 53: "127.0.0.1,::1". */
void gw_nm_global_servers(char out[GW_NM_SERVERS_LEN], const struct gw_sysdns_wish *wish);
/* The call that sets the property; wish: for its search list; NULL = no global configuration any more. NULL without memory. */
sd_bus_message *gw_nm_global_set(struct gw_bus *bus, const char *servers, const struct gw_sysdns_wish *wish);
/* The call that asks for it. NULL without memory. */
sd_bus_message *gw_nm_global_get(struct gw_bus *bus);
/* Of the answer to that: is there any global configuration? out: the servers of "*", as above. */
bool gw_nm_global_read(struct gw_bus *bus, sd_bus_message *answer, char out[GW_NM_SERVERS_LEN]);

#endif
