/* SPDX-License-Identifier: MIT */
/* A NAT, or a firewall that keeps state, in the words of RFC 4787 (UDP) and RFC 5382 (TCP): what it does with a packet's
 * addresses, and nothing else. Sans-IO: packets' addresses and `now` in, a verdict and new addresses out. The simulator
 * (tests/sim/nat.h) and the box between namespaces (tests/tools/natbox.c) use this very model, so that what is true of one
 * is true of the other; tests/netns/nat.py compares it with the kernel's.
 *
 *   inside                          NAT                              outside
 *   host 192.168.1.2:5000 --- mapping -----> 11.0.0.1:5000 --------- remote 11.1.0.1:3478
 *                              \- sessions: whom the filter lets in
 *
 * A *mapping* is an inside address with the outside address it was given: one for all remotes, one for each remote address
 * or one for each remote address and port. A *session* is a part of it that has a time-out of its own: a remote, as far as the
 * filter looks at it. A mapping ends with its last session. */
#ifndef TESTS_NAT_MODEL_H
#define TESTS_NAT_MODEL_H

#include "gateway/base/mono.h"
#include "gateway/wire/addr.h"

#define NAT_POOL_MAX 8
#define NAT_FORWARDS_MAX 8
#define NAT_BLOCKED_MAX 8

/* How much of the remote's address counts: for mappings RFC 4787 section 4.1, for filtering section 5. */
enum nat_reach { NAT_INDEPENDENT, NAT_ADDRESS, NAT_ADDRESS_PORT };

/* How a new mapping's port is found (section 4.2). */
enum nat_ports {
    NAT_PORTS_PRESERVE,   /* the host's own; where that is taken, a random one */
    NAT_PORTS_SEQUENTIAL, /* the last one + step, and past what others took in the meantime */
    NAT_PORTS_RANDOM,
};

enum nat_protocol { NAT_ICMP = 1, NAT_TCP = 6, NAT_UDP = 17, NAT_ICMPV6 = 58 };

struct nat_params {
    bool is_open;                   /* neither translates nor filters; the rest does not matter then */
    bool is_firewall;               /* does not translate: outside addresses are inside addresses */
    enum nat_reach mapping;         /* of UDP and ICMP; TCP has a mapping for each remote address and port */
    enum nat_reach filtering;       /* likewise */
    enum nat_ports ports;           /* of all protocols */
    uint16_t port_first, port_last; /* 0 = 1024, 65535; a preserved port may lie outside */
    uint16_t step;                  /* sequential; 0 = 1 */
    double others;                  /* sequential: ports that others behind it take, a second (Poisson) */
    bool is_overloading; /* one outside port may serve mappings to different remotes, as Linux has it; wants
                                       * NAT_ADDRESS_PORT for mapping and filtering */
    bool
        remembers_strangers; /* a packet that nobody asked for occupies its addresses and ports, and a host that sends
                                       * to that stranger gets another port: Linux that does not drop what comes to itself */
    bool has_hairpin;       /* RFC 4787 section 6; with the outside address as the source */
    bool is_pool_arbitrary; /* each mapping any address of the pool; else a host keeps one ("paired") */
    bool inbound_refreshes; /* what comes in keeps a session alive too */
    bool blocks_udp;
    bool blocks_tcp;        /* but to ports 80 and 443 */
    int64_t udp_fresh_ns;   /* time-out of a session that has seen packets one way only, or is young */
    int64_t udp_assured_ns; /* of one that was answered and is used udp_settle_ns after it began */
    int64_t udp_settle_ns;
    int64_t tcp_fresh_ns, tcp_open_ns, tcp_closed_ns;
    uint32_t max_mappings;             /* 0 = 65536; a packet that would need one more is dropped */
    uint32_t max_host_mappings;        /* of one inside address; 0 = no limit */
    unsigned pool_count;               /* at least 1, but for a firewall */
    struct gw_addr pool[NAT_POOL_MAX]; /* outside addresses; ports 0 */
};

/* Addresses of a packet on its way; the ports of an ICMP echo are its identifier, on the side of the one that asked. */
struct nat_packet {
    struct gw_addr from, to;
    uint8_t protocol;  /* enum nat_protocol; others are dropped */
    uint8_t tcp_flags; /* byte 13 of a TCP header */
};

enum nat_verdict {
    NAT_DROP,
    NAT_OUT, /* goes to the outside */
    NAT_IN,  /* goes to the inside */
};

struct nat_stats {
    uint64_t out, in, hairpinned;
    uint64_t filtered;                  /* from outside: no mapping, or a remote that it does not let in */
    uint64_t blocked;                   /* by blocks_*, nat_block, nat_silence, or no protocol of ours */
    uint64_t refused;                   /* no mapping to be had: limits, no port, hairpin off */
    uint64_t mapped;                    /* mappings made so far */
    uint32_t mappings, hosts, sessions; /* now; strangers count as mappings */
};

struct nat; /* heap object */

/* Do they make sense together? */
bool nat_params_are_sound(const struct nat_params *params);
/* They have to be sound. `seed` is where all chance comes from. NULL without memory. */
struct nat *nat_new(const struct nat_params *params, uint64_t seed);
void nat_free(struct nat *nat);
const struct nat_params *nat_params(const struct nat *nat);

/* A packet that a host inside sends to an address that is not inside: NAT_OUT; NAT_IN when it came back by hairpin. */
enum nat_verdict nat_from_inside(struct nat *nat, struct gw_mono now, struct nat_packet *packet);
/* A packet to one of the pool's addresses, or through a firewall: NAT_IN or NAT_DROP. */
enum nat_verdict nat_from_outside(struct nat *nat, struct gw_mono now, struct nat_packet *packet);
/* Is it one of the pool? */
bool nat_owns(const struct nat *nat, const struct gw_addr *ip);

/* All mappings are forgotten, as when the power was out. The next ones may well get the same ports. */
void nat_forget(struct nat *nat);
/* The same, and the next mappings get other ports. */
void nat_rebind(struct nat *nat);
/* The provider gives the pool's address `index` another value; all mappings are forgotten, forwards go on
 * at the new one. */
void nat_renumber(struct nat *nat, unsigned index, const struct gw_addr *ip);
/* What comes to this outside address from anybody goes to `inside`, and back, for ever: a port forward as owners configure
 * it or UPnP asks for. outside: one of the pool with a port. False when there are NAT_FORWARDS_MAX. */
bool nat_forward(struct nat *nat, uint8_t protocol, const struct gw_addr *outside,
                 const struct gw_addr *inside);
/* From now on packets to and from that remote vanish; its port 0: all ports. False when there are NAT_BLOCKED_MAX. */
bool nat_block(struct nat *nat, const struct gw_addr *remote);
void nat_unblock_all(struct nat *nat);
/* Everything vanishes, or no longer. Mappings go on ageing. */
void nat_silence(struct nat *nat, bool is_silent);
/* From now on, without forgetting anything. */
void nat_block_udp(struct nat *nat, bool is_blocked);

/* As of `now`: what has timed out is not counted. */
void nat_stats(struct nat *nat, struct gw_mono now, struct nat_stats *out);

#endif
