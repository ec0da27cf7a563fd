/* SPDX-License-Identifier: MIT */
/* The DNS server in the TUN: x.x.0.53 of each network's range on this machine, and fd83:e128:5e51::53, by UDP and TCP on port 53, and an answer to pings. They are on no interface and
 * no peer's: packets to them end in the netstack. For this machine itself, and who else `dns.allowed` names; peers that are to ask get a service. There while `dns.enabled` and a TUN are. */
#ifndef GATEWAY_DAEMON_DNS_ADDRESS_H
#define GATEWAY_DAEMON_DNS_ADDRESS_H

#include "frontends/tun/device.h"
#include "gateway/daemon/dns_setup.h"
#include "netstack/netstack.h"

struct gw_dns_address;

struct gw_dns_address_params {
    struct gw_loop *loop;
    struct gw_netstack *stack;
    struct gw_dialer *dialer;
    struct gw_device *device;       /* outlives it */
    struct gw_dns_setup *dns;       /* its server may come and go */
    const struct gw_list *networks; /* struct gw_network.node */
};

/* 0, GW_E_NOMEM or GW_E_LIMIT. */
int gw_dns_address_new(struct gw_dns_address **out, const struct gw_dns_address_params *params,
                       const struct gw_config *config, struct gw_mono now);
/* NULL is fine. */
void gw_dns_address_free(struct gw_dns_address *dns, struct gw_mono now);
/* The networks or the configuration changed. config: borrowed until the next. */
void gw_dns_address_apply(struct gw_dns_address *dns, const struct gw_config *config, struct gw_mono now);
/* Where it is: at most max, ports 53. Returns how many. */
size_t gw_dns_address_list(const struct gw_dns_address *dns, struct gw_addr *out, size_t max);
/* Of those, where this machine's programs get to now, IPv4 first. */
size_t gw_dns_address_reachable(const struct gw_dns_address *dns, struct gw_addr *out, size_t max);

/* Of UDP; TCP is the server's. */
struct gw_dns_address_stats {
    uint64_t queries, answers, forwarded;
};
void gw_dns_address_stats(const struct gw_dns_address *dns, struct gw_dns_address_stats *out);

/* As gw_device_tap_fn. */
bool gw_dns_address_input(struct gw_dns_address *dns, const struct gw_peer *peer, uint8_t *packet,
                          const struct gw_ip *ip, const struct gw_super_hint *hint, struct gw_mono now);

#endif
