/* SPDX-License-Identifier: MIT */
/* The calls of org.freedesktop.resolve1 that tell a link's servers and domains. */
#ifndef FRONTENDS_DNS_SYSTEM_RESOLVED_MESSAGE_H
#define FRONTENDS_DNS_SYSTEM_RESOLVED_MESSAGE_H

#include "frontends/dns/system/bus.h"
#include "frontends/dns/system/mechanism.h"

#define GW_RESOLVED_NAME "org.freedesktop.resolve1"

/* A method of the manager; of a link's, with its index (0: none) as the first argument. Each of these: NULL without memory. */
sd_bus_message *gw_resolved_message(struct gw_bus *bus, const char *member, unsigned index);
/* SetLinkDNS; with other ports than 53 SetLinkDNSEx, which older ones (before 246) do not know. */
sd_bus_message *gw_resolved_servers(struct gw_bus *bus, unsigned index, const struct gw_sysdns_wish *wish);
/* SetLinkDomains: the search list; the domains for routing only. */
sd_bus_message *gw_resolved_domains(struct gw_bus *bus, unsigned index, const struct gw_sysdns_wish *wish);

#endif
