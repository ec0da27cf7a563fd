/* SPDX-License-Identifier: MIT */
/* Time-outs: Linux's own (nf_conntrack_udp_timeout and its kin) where Linux is meant, else what RFC 4787 asks for at least, 2 minutes;
 * a carrier's NAT is given less, 30 and 60 s: our choice, to be on the hard side. */
#include "tests/nat/kinds.h"

#include <string.h>

static const struct nat_params cone = {
    .mapping = NAT_INDEPENDENT,
    .filtering = NAT_ADDRESS_PORT,
    .ports = NAT_PORTS_PRESERVE,
    .inbound_refreshes = true,
    .udp_fresh_ns = GW_S(30),
    .udp_assured_ns = GW_S(120),
    .udp_settle_ns = GW_S(2),
    .tcp_fresh_ns = GW_S(120),
    .tcp_open_ns = GW_S(7440),
    .tcp_closed_ns = GW_S(120),
};

/* What Linux does: the port is kept, and serves as many remotes as there are. Behaves as port-restricted to a host that has
 * its port for itself. */
static const struct nat_params overloading = {
    .mapping = NAT_ADDRESS_PORT,
    .filtering = NAT_ADDRESS_PORT,
    .ports = NAT_PORTS_PRESERVE,
    .is_overloading = true,
    .inbound_refreshes = true,
    .udp_fresh_ns = GW_S(30),
    .udp_assured_ns = GW_S(120),
    .udp_settle_ns = GW_S(2),
    .tcp_fresh_ns = GW_S(120),
    .tcp_open_ns = GW_S(432000),
    .tcp_closed_ns = GW_S(120),
};

/* RFC 6888: endpoint-independent mapping, a limit for each subscriber, addresses paired. Filtering by
 * address and port is our choice again, the strictest. Ports as they come, since many share an address. */
static const struct nat_params carrier = {
    .mapping = NAT_INDEPENDENT,
    .filtering = NAT_ADDRESS_PORT,
    .ports = NAT_PORTS_RANDOM,
    .has_hairpin = true,
    .inbound_refreshes = false,
    .udp_fresh_ns = GW_S(30),
    .udp_assured_ns = GW_S(60),
    .max_host_mappings = 2000,
    .tcp_fresh_ns = GW_S(240),
    .tcp_open_ns = GW_S(7440),
    .tcp_closed_ns = GW_S(240),
};

static const char *const names[] = {
    [NAT_KIND_OPEN] = "open",
    [NAT_KIND_FULL_CONE] = "full-cone",
    [NAT_KIND_ADDRESS_RESTRICTED] = "address-restricted",
    [NAT_KIND_PORT_RESTRICTED] = "port-restricted",
    [NAT_KIND_SYMMETRIC_SEQUENTIAL] = "symmetric-sequential",
    [NAT_KIND_SYMMETRIC_RANDOM] = "symmetric-random",
    [NAT_KIND_CGNAT_DOUBLE] = "cgnat-double",
    [NAT_KIND_UDP_BLOCKED] = "udp-blocked",
    [NAT_KIND_V6_ONLY] = "v6-only",
    [NAT_KIND_LINUX] = "linux",
    [NAT_KIND_LINUX_BARE] = "linux-bare",
    [NAT_KIND_LINUX_RANDOM] = "linux-random",
    [NAT_KIND_CGNAT_SYMMETRIC] = "cgnat-symmetric",
    [NAT_KIND_CARRIER] = "carrier",
    [NAT_KIND_CARRIER_SYMMETRIC] = "carrier-symmetric",
};
static_assert(sizeof names / sizeof names[0] == NAT_KIND_COUNT, "a name for each kind");

static void symmetric(struct nat_params *params, enum nat_ports ports)
{
    params->mapping = NAT_ADDRESS_PORT;
    params->ports = ports;
}

void nat_line(struct nat_line *out, enum nat_kind kind)
{
    *out = (struct nat_line){.has_v4 = true, .box_count = 1, .v4 = {cone, carrier}, .v6 = overloading};
    struct nat_params *home = &out->v4[0];
    out->v6.is_overloading = false;
    out->v6.is_firewall = true;
    switch (kind) {
    case NAT_KIND_OPEN:
        home->is_open = out->v6.is_open = out->has_v6 = true;
        break;
    case NAT_KIND_FULL_CONE:
        home->filtering = NAT_INDEPENDENT;
        home->has_hairpin = true;
        break;
    case NAT_KIND_ADDRESS_RESTRICTED:
        home->filtering = NAT_ADDRESS;
        break;
    case NAT_KIND_SYMMETRIC_SEQUENTIAL:
        symmetric(home, NAT_PORTS_SEQUENTIAL);
        break;
    case NAT_KIND_SYMMETRIC_RANDOM:
        symmetric(home, NAT_PORTS_RANDOM);
        break;
    case NAT_KIND_UDP_BLOCKED:
        home->blocks_udp = out->v6.blocks_udp = true;
        break;
    case NAT_KIND_V6_ONLY:
        out->has_v4 = false;
        out->has_v6 = true;
        out->box_count = 0;
        break;
    case NAT_KIND_CGNAT_DOUBLE:
        out->box_count = 2;
        break;
    case NAT_KIND_CGNAT_SYMMETRIC:
        out->box_count = 2;
        symmetric(&out->v4[1], NAT_PORTS_RANDOM);
        break;
    case NAT_KIND_CARRIER:
    case NAT_KIND_CARRIER_SYMMETRIC:
        *home = carrier;
        out->v6.is_open = true; /* filtering is the home router's */
        if (kind == NAT_KIND_CARRIER_SYMMETRIC)
            symmetric(home, NAT_PORTS_RANDOM);
        break;
    case NAT_KIND_LINUX_BARE:
        *home = overloading;
        home->remembers_strangers = true;
        break;
    case NAT_KIND_LINUX_RANDOM:
        *home = overloading;
        home->ports = NAT_PORTS_RANDOM;
        break;
    case NAT_KIND_LINUX:
        *home = overloading;
        break;
    case NAT_KIND_PORT_RESTRICTED:
    case NAT_KIND_COUNT:
        break;
    }
}

const char *nat_kind_name(enum nat_kind kind)
{
    return (unsigned)kind < NAT_KIND_COUNT ? names[kind] : "?";
}

enum nat_kind nat_kind_by_name(const char *name)
{
    unsigned kind = 0;
    while (kind < NAT_KIND_COUNT && strcmp(names[kind], name) != 0)
        kind++;
    return (enum nat_kind)kind;
}
