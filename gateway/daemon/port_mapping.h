/* SPDX-License-Identifier: MIT */
/* A network's UDP port, forwarded by the router where this machine is behind one: PCP and NAT-PMP (gateway/portmap) first, UPnP (igd.h) where those are not answered. This is their
 * socket, their timer, and who decides which. For IPv4; and for IPv6, by PCP alone, a pinhole in the router's firewall. */
#ifndef GATEWAY_DAEMON_PORT_MAPPING_H
#define GATEWAY_DAEMON_PORT_MAPPING_H

#include "gateway/daemon/igd.h"
#include "gateway/portmap/portmap.h"

struct gw_port_mapping {
    uint8_t family;
    struct gw_loop *loop; /* NULL before gw_port_mapping_init */
    uint16_t port;        /* the network's; set before gw_port_mapping_refresh */
    uint8_t nonce[GW_PCP_NONCE_LEN];
    bool is_wanted;                /* by the owner */
    struct gw_addr router, client; /* family 0: there is none, or none is needed */
    int fd, announced_fd;          /* -1 */
    struct event *readable, *announced, *timer;
    struct gw_portmap portmap;
    struct gw_igd igd;            /* OFF of IPv6 */
    struct gw_mono doubted;       /* the last time; GW_NEVER */
    struct gw_addr told;          /* external, as it was when on_change was called last */
    void (*on_change)(void *ctx); /* gw_port_mapping_external */
    void *ctx;
};

/* family: 4 or 6. secret: a key of this node's, from which the mapping's nonce follows, so that it can be taken over after a restart. 0 or GW_E_NOMEM. */
int gw_port_mapping_init(struct gw_port_mapping *mapping, uint8_t family, struct gw_loop *loop,
                         const uint8_t secret[32], void (*on_change)(void *ctx), void *ctx);
/* Gives the mapping back: a datagram, or with UPnP up to two seconds. Safe without init, and twice. */
void gw_port_mapping_fini(struct gw_port_mapping *mapping);
/* At the start, after a reload, when the network changed: which router, and is it wanted? A mapping of the same router is asked for again. */
void gw_port_mapping_refresh(struct gw_port_mapping *mapping, bool is_wanted, struct gw_mono now);
/* Something outside looks as if the router had lost the mapping: asks for it again, soon, but not often. Nothing happens at once; safe without init. */
void gw_port_mapping_doubt(struct gw_port_mapping *mapping, struct gw_mono now);
/* Asks the router what it speaks, for netcheck: false when there is none to ask. Done when gw_port_mapping_is_probing says so, within a few seconds. */
bool gw_port_mapping_probe(struct gw_port_mapping *mapping, struct gw_mono now);
bool gw_port_mapping_is_probing(const struct gw_port_mapping *mapping);

/* Where this node is reached by the mapping; false when there is none. */
bool gw_port_mapping_external(const struct gw_port_mapping *mapping, struct gw_addr *out);
/* "pcp", "nat-pmp" or "upnp" while there is a mapping; else NULL. */
const char *gw_port_mapping_protocol(const struct gw_port_mapping *mapping);
/* A word for its state: off, not needed, no router, asking, mapped, refused, silent. *reason, of refused: lent, else NULL. */
const char *gw_port_mapping_state(const struct gw_port_mapping *mapping, const char **reason);

#endif
