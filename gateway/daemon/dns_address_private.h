/* SPDX-License-Identifier: MIT */
/* What dns_address.c (where it is, and who may ask) and dns_address_udp.c (the questions) share. */
#ifndef GATEWAY_DAEMON_DNS_ADDRESS_PRIVATE_H
#define GATEWAY_DAEMON_DNS_ADDRESS_PRIVATE_H

#include "gateway/daemon/addresses.h"
#include "gateway/daemon/dns_address.h"
#include "netstack/bridge/packet_services.h"

#define OWN_MAX (GW_DEVICE_NETWORKS * GW_ADDRESSES_OWN_MAX)

struct gw_dns_address {
    struct gw_dns_address_params params;
    const struct gw_config *config;
    struct gw_netstack_link *link;
    struct gw_packet_services *tcp;
    struct gw_list waiting; /* struct waiting.node */
    unsigned waiting_count;
    struct gw_addr at[GW_NETSTACK_ADDRESSES_MAX];
    size_t at_count;
    struct gw_addr own[OWN_MAX]; /* this machine's addresses in the tunnel */
    size_t own_count;
    struct gw_dns_address_stats stats;
};

/* Is it this machine's, in the tunnel? */
bool gw_dns_address_is_own(const struct gw_dns_address *dns, const struct gw_addr *address);

/* dns_address_udp.c; the user is the gw_dns_address. */
extern const struct gw_connection_ops gw_dns_address_udp;
/* Those who wait for an upstream get no answer. connection NULL: all. */
void gw_dns_address_drop_waiting(struct gw_dns_address *dns, const struct gw_connection *connection);

#endif
