/* SPDX-License-Identifier: MIT */
/* What resolv.conf says: ours, and others'. */
#ifndef FRONTENDS_DNS_SYSTEM_RESOLV_CONF_H
#define FRONTENDS_DNS_SYSTEM_RESOLV_CONF_H

#include "frontends/dns/system/mechanism.h"

/* Its first line begins so. */
#define GW_RESOLV_CONF_MARK "# Written by peergate"

/* Our servers at port 53 first, then the old ones, which programs ask when ours does not answer; our search list before the old one; the old options but for `rotate`,
 * with which programs would ask anybody. *out is to be freed. 0, GW_E_NOMEM. */
int gw_resolv_conf_make(char **out, size_t *len, const char *old, const struct gw_sysdns_wish *wish);

/* Its nameservers, the first GW_SYSDNS_OLD_MAX of them. Returns how many. */
unsigned gw_resolv_conf_servers(const char *text, struct gw_addr *out);
/* Those of a file that are not there yet are added behind the count ones of out, up to GW_SYSDNS_OLD_MAX; none when it can't be read. Returns how many there are then. Instead of systemd-resolved's stub, whom that asks: it takes servers from resolv.conf itself, of which one will
 * be ours. */
unsigned gw_resolv_conf_read_servers(const char *path, struct gw_addr *out, unsigned count);

/* Is the server among its nameservers? */
bool gw_resolv_conf_names(const char *text, const struct gw_addr *server);

#endif
