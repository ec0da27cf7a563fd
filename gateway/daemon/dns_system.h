/* SPDX-License-Identifier: MIT */
/* From the configuration to what the machine is told of our DNS server (`dns.system`, `dns.search`). */
#ifndef GATEWAY_DAEMON_DNS_SYSTEM_H
#define GATEWAY_DAEMON_DNS_SYSTEM_H

#include "frontends/dns/system/system.h"
#include "gateway/config/config.h"

#define GW_DNS_SYSTEM_JOURNAL "dns.journal" /* in DIR/state */

struct gw_dns_system_source {
    const struct gw_config *config;
    const struct gw_addr *listen;   /* where the server answers, as it is really bound; the best first */
    size_t listen_count;            /* 0: there is none */
    const struct gw_prefix *ranges; /* whose reverse names are ours */
    size_t range_count;
    bool has_tun;
    bool has_exit; /* everything of this machine goes to a peer */
};

/* dir: the daemon's folder. Takes back what an earlier run left. NULL when there was no memory (which is logged): then nothing of the machine is touched. */
struct gw_sysdns *gw_dns_system_new(struct gw_loop *loop, const char *dir);
/* Everything goes to a peer from now on. Logs what of DNS does not, where it is known of who asks. */
void gw_dns_system_warn_of_exit(const struct gw_config *config);
/* What is wanted now. NULL as sysdns is fine. */
void gw_dns_system_update(struct gw_sysdns *sysdns, const struct gw_dns_system_source *source);

#endif
