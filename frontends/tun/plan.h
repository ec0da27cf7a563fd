/* SPDX-License-Identifier: MIT */
/* From what the owner's files say to the changes that the machine's network set-up needs. Pure: nothing is asked of the machine. */
#ifndef FRONTENDS_TUN_PLAN_H
#define FRONTENDS_TUN_PLAN_H

#include "frontends/tun/change.h"

#define GW_PLAN_METRIC 2000u /* what the machine knows by itself goes before */
#define GW_PLAN_PRIORITY \
    5200u /* of the first rule; three for each first port, below the main table's 32766 */
#define GW_PLAN_PORTS 8192u
#define GW_PLAN_TABLE \
    0x7067u /* "pg", and our first port behind it: nobody else's, and another daemon has another one */

struct gw_plan_route {
    struct gw_prefix prefix;
    struct gw_addr
        source; /* which of our addresses goes there: that in the network of the route; family 0 = the kernel's choice */
};

struct gw_plan_input {
    const char *device;
    const struct gw_prefix *addresses; /* our own; what their prefixes cover comes from them */
    size_t address_count;
    const struct gw_plan_route *routes; /* the peers' allowed_ips; of several with one prefix the first */
    size_t route_count;
    const struct gw_addr
        *endpoints; /* the peers', as far as they are known: never to be reached through the tunnel */
    size_t endpoint_count;
    const struct gw_addr *carriers; /* where TCP of ours goes to: anchors by TLS, their proxies */
    size_t carrier_count;
    bool is_way_back_checked;   /* for IPv4 (reverse_path.h) */
    bool has_unknown_endpoints; /* names, or peers that come to us: they may be anywhere */
    const uint16_t *ports;      /* our UDP ports, of each network one; the first names rules and table */
    size_t port_count;          /* at least 1 */
};

/* Addresses; a route for each prefix that the addresses' own do not cover. Those that would swallow an endpoint go to a table of their own, which the rules
 * keep our own packets out of, by UDP port and by mark, and by where carriers go to if the way back is checked. Where one family is all routed (an exit node) and the other is not, the other is refused. 0 or GW_E_NOMEM, GW_E_LIMIT. */
int gw_plan_make(struct gw_changes *out, const struct gw_plan_input *input);

/* Is it in the prefix? */
bool gw_prefix_has(const struct gw_prefix *prefix, const struct gw_addr *ip);
/* Is all of `inner` in `outer`? */
bool gw_prefix_covers(const struct gw_prefix *outer, const struct gw_prefix *inner);

#endif
