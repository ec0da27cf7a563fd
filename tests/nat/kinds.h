/* SPDX-License-Identifier: MIT */
/* The kinds of lines that peers are behind: presets of the model, by name. */
#ifndef TESTS_NAT_KINDS_H
#define TESTS_NAT_KINDS_H

#include "tests/nat/model.h"

enum nat_kind {
    /* The grid. */
    NAT_KIND_OPEN,                 /* public addresses, no firewall */
    NAT_KIND_FULL_CONE,            /* one mapping for all; anybody may send to it */
    NAT_KIND_ADDRESS_RESTRICTED,   /* ... any port of an address that was sent to */
    NAT_KIND_PORT_RESTRICTED,      /* ... only who was sent to: most home routers */
    NAT_KIND_SYMMETRIC_SEQUENTIAL, /* a mapping for each remote, ports in a row */
    NAT_KIND_SYMMETRIC_RANDOM,     /* ... random ports */
    NAT_KIND_CGNAT_DOUBLE, /* a port-restricted home router behind a carrier's NAT that keeps to RFC 6888's mapping rule */
    NAT_KIND_UDP_BLOCKED, /* no UDP at all; TCP by masquerade */
    NAT_KIND_V6_ONLY,     /* IPv6 behind a stateful firewall, no IPv4 */
    NAT_KIND_GRID,        /* how many the grid has */
    /* Further ones. */
    NAT_KIND_LINUX = NAT_KIND_GRID, /* Linux masquerade with a firewall on its input: port overloading */
    NAT_KIND_LINUX_BARE,            /* ... without: strangers spoil the port */
    NAT_KIND_LINUX_RANDOM,          /* masquerade fully-random */
    NAT_KIND_CGNAT_SYMMETRIC, /* a home router behind a carrier's NAT with random ports for each remote, as in mobile networks */
    NAT_KIND_CARRIER,           /* the carrier's NAT of cgnat-double alone, for lines that share one */
    NAT_KIND_CARRIER_SYMMETRIC, /* that of cgnat-symmetric */
    NAT_KIND_COUNT,
};

#define NAT_BOXES_MAX 2

/* What stands between a home and the internet. Pools are the caller's to fill in. */
struct nat_line {
    bool has_v4, has_v6;
    unsigned box_count; /* IPv4: 1, or 2 where a carrier's NAT follows the home's; 0 without IPv4 */
    struct nat_params v4[NAT_BOXES_MAX]; /* from the home outwards */
    struct nat_params v6;                /* filled in whether has_v6 or not: a caller may switch IPv6 on */
};

void nat_line(struct nat_line *out, enum nat_kind kind);
const char *nat_kind_name(enum nat_kind kind);
/* NAT_KIND_COUNT for a name that is none. */
enum nat_kind nat_kind_by_name(const char *name);

#endif
