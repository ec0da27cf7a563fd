/* SPDX-License-Identifier: MIT */
/* A simulated internet with NATs in it. Who owns which address in which *realm* (the public internet, or the inside of a
 * NAT), and how a datagram gets from one to another:
 *
 *   realm "internet"       anchor 9.9.9.9        line 1: 11.0.1.1          line 2: 11.0.2.1 (carrier)
 *                                                     |                         |
 *   realms inside                             192.168.1.2, .3            100.64.2.2 (home router)
 *                                                                               |
 *                                                                         192.168.1.2
 *
 * A datagram is translated on its way out at once, travels over one sim_link for each ordered pair of IP addresses in the realm
 * where both ends meet, and is filtered and translated on its way in when it arrives. The translations are those of
 * tests/nat/model.h. Private addresses are the same behind every line, as they are in the world: a datagram to a peer's private
 * address reaches whoever has it here, or nobody. */
#ifndef TESTS_SIM_NAT_H
#define TESTS_SIM_NAT_H

#include "gateway/base/map.h"
#include "tests/nat/kinds.h"
#include "tests/sim/link.h"

#define SIM_END_IPS_MAX 4

struct sim_datagram {
    struct gw_addr from, to;
    uint8_t protocol;  /* 0 = NAT_UDP */
    uint8_t tcp_flags; /* of NAT_TCP: 2 = SYN, 18 = SYN + ACK, 16 = ACK, 1 = FIN, 4 = RST */
    uint8_t ecn;
    const void *data; /* lent */
    size_t len;
};

struct sim_realm {
    struct gw_list ends;
    struct sim_nat_box *box; /* whose inside it is; NULL: the internet */
};

/* Something with addresses in a realm; embedded in a host, or the outside of a box. */
struct sim_end {
    struct gw_list node; /* in realm->ends */
    struct sim_realm *realm;
    struct gw_addr ips[SIM_END_IPS_MAX]; /* ports 0 */
    unsigned ip_count;
    struct sim_nat_box
        *box; /* NULL: a host's. A box also owns what shares the /64 of an IPv6 address of it. */
    void (*receive)(struct sim_end *end, struct gw_mono now, const struct sim_datagram *datagram);
};

struct sim_nat_box {
    struct gw_list node;
    struct sim_realm inside;
    struct sim_end outside;
    struct nat *v4, *v6; /* NULL: does not carry that family */
};

struct sim_nat_net {
    struct sim_clock *clock;
    struct sim_link_params params; /* of links made from now on */
    uint64_t seed;
    struct sim_realm internet;
    struct gw_list boxes;
    struct gw_map links;
    struct sim_port port;
    uint64_t made; /* boxes and links so far: their seeds */
    uint64_t lost; /* datagrams to addresses that nobody has */
};

/* The line that a home has: its router (none where it is open), maybe the carrier's behind it. */
struct sim_nat_line {
    struct sim_nat_net *net;
    enum nat_kind kind;
    unsigned number; /* 1-65535: public IPv4 11.x.y.1, IPv6 2a00:0:number::/64 */
    bool has_v4, has_v6;
    struct sim_realm *realm;            /* where its hosts live */
    struct sim_nat_box *home, *carrier; /* NULL: none */
    unsigned hosts;
};

/* clock is borrowed for life. */
void sim_nat_init(struct sim_nat_net *net, struct sim_clock *clock, uint64_t seed,
                  const struct sim_link_params *params);
/* Every host has left. */
void sim_nat_fini(struct sim_nat_net *net);

/* A NAT between `outer` and a new realm; owns the pool's addresses there, and prefix6's /64 if v6 is given. Any of v4, v6 may be NULL. */
struct sim_nat_box *sim_nat_add_box(struct sim_nat_net *net, struct sim_realm *outer,
                                    const struct nat_params *v4, const struct nat_params *v6,
                                    const struct gw_addr *prefix6);
/* A line of that kind. outer: &net->internet, or a carrier's inside that several lines share. with_v6: a stateful IPv6 firewall
 * beside the IPv4 NAT (what udp-blocked blocks it blocks there too), where the kind does not say otherwise. */
void sim_nat_add_line(struct sim_nat_line *line, struct sim_nat_net *net, struct sim_realm *outer,
                      enum nat_kind kind, unsigned number, bool with_v6);
/* Gives the end the line's next addresses and attaches it: 192.168.1.2 and so on, or public ones where the line is open; IPv6 where
 * the line has it. end->receive is the caller's, set before. */
void sim_nat_join(struct sim_nat_line *line, struct sim_end *end);
/* Attaches an end with addresses of its own choice ("9.9.9.9", "2a00::9"; text6 may be NULL) to a realm. */
void sim_nat_attach(struct sim_realm *realm, struct sim_end *end, const char *text4, const char *text6);
/* What is under way to it vanishes. Nothing happens to an end that is nowhere. */
void sim_nat_leave(struct sim_end *end);
/* Of the family 4 or 6; NULL where the end has none. */
const struct gw_addr *sim_end_ip(const struct sim_end *end, uint8_t family);

/* From `end`, whose address datagram->from has. */
void sim_nat_send(struct sim_nat_net *net, struct sim_end *end, const struct sim_datagram *datagram);
/* The link between two addresses in a realm (the internet, mostly), made if there is none yet. */
struct sim_link *sim_nat_link(struct sim_nat_net *net, const struct sim_realm *realm,
                              const struct gw_addr *from, const struct gw_addr *to);

#endif
