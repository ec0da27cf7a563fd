/* SPDX-License-Identifier: MIT */
/* How the NAT in front of this node behaves, in the words of RFC 4787, and how that follows from what was seen (as RFC 5780 does it with STUN). Plain data; measure.c asks,
 * the daemon shows. IPv4 only: IPv6 is not translated. */
#ifndef GATEWAY_DISCOVERY_NAT_H
#define GATEWAY_DISCOVERY_NAT_H

#include "gateway/base/mono.h"
#include "gateway/wire/addr.h"

/* How much of the remote's address counts, for mappings (RFC 4787, 4.1) and for filtering (5). */
enum gw_nat_reach { GW_NAT_UNKNOWN, GW_NAT_INDEPENDENT, GW_NAT_ADDRESS, GW_NAT_ADDRESS_PORT };
enum gw_nat_ports {
    GW_NAT_PORTS_UNKNOWN,
    GW_NAT_PORTS_PRESERVED,
    GW_NAT_PORTS_SEQUENTIAL,
    GW_NAT_PORTS_RANDOM
};
enum gw_nat_answer { GW_NAT_UNTESTED, GW_NAT_NO, GW_NAT_YES };
extern const char *const gw_nat_reach_names[4]; /* "unknown", "independent", "address", "address-port" */
extern const char *const gw_nat_ports_names[4]; /* "unknown", "preserved", "sequential", "random" */

struct gw_nat_behaviour {
    enum gw_nat_reach mapping;
    enum gw_nat_reach filtering; /* ADDRESS also where one anchor alone cannot tell it from INDEPENDENT */
    enum gw_nat_ports ports;
    int step;                      /* sequential */
    enum gw_nat_answer translated; /* is there a NAT at all? */
    enum gw_nat_answer hairpin;
    unsigned anchors;        /* that it was measured with: 0 = not at all, 2 tells the most */
    struct gw_addr seen;     /* where the measuring socket was seen first */
    bool is_measuring;       /* what is here is from before, or nothing yet */
    struct gw_mono measured; /* GW_NEVER */
    /* For how long it keeps a way open that nothing goes over: at least, and less than; 0 = not known. From gw_gateway_nat_view only. */
    int64_t lifetime_min_ns, lifetime_max_ns;
};

/* What one socket, new for the purpose, was told and got. */
struct gw_nat_seen {
    struct gw_addr local; /* its own address; ip all zero where only the port is known */
    struct gw_addr first; /* as the first anchor saw it; set */
    struct gw_addr
        port; /* as that anchor's second port saw it, after it; family 0: no answer, or there is none */
    struct gw_addr second;               /* as the second anchor saw it, last; likewise */
    bool asked_port, asked_second;       /* for packets from there before it had sent there */
    bool got_from_port, got_from_second; /* and they came */
    enum gw_nat_answer hairpin;
};

/* Fills in all but is_measuring and measured. */
void gw_nat_conclude(struct gw_nat_behaviour *out, const struct gw_nat_seen *seen);
/* Needs its peer to be told, for each, which port it will have? */
static inline bool gw_nat_is_symmetric(enum gw_nat_reach mapping)
{
    return mapping == GW_NAT_ADDRESS || mapping == GW_NAT_ADDRESS_PORT;
}

#endif
