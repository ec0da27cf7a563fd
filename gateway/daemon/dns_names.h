/* SPDX-License-Identifier: MIT */
/* Fills the DNS server's table with the names of all networks: this node's own, the peers', and the owner's of names.yaml. */
#ifndef GATEWAY_DAEMON_DNS_NAMES_H
#define GATEWAY_DAEMON_DNS_NAMES_H

#include "gateway/daemon/network.h"

struct gw_dns_names {
    struct gw_dns_table *table;
    const struct gw_list *networks; /* with their guests open */
    const struct gw_names *names;
    bool has_tun; /* addresses are those of the TUN, not of the virtual router */
};

/* From an empty table; ns.p2p's own addresses stay. */
void gw_dns_names_fill(const struct gw_dns_names *names);

#endif
