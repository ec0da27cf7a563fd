/* SPDX-License-Identifier: MIT */
/* What the NAT before a socket does, measured by a STUN server with two addresses and two ports (RFC 5780): mapping (4.3), filtering (4.4) and hairpin. It is measured
 * on the socket that is used, so what was sent before from it counts: filtering is asked first, while nothing has gone to the server's other address. Leaf. */
#ifndef GATEWAY_STUN_BEHAVIOUR_H
#define GATEWAY_STUN_BEHAVIOUR_H

#include "gateway/stun/request.h"

/* For which remotes a mapping is one, and who may send to it. */
enum gw_stun_rule {
    GW_STUN_UNKNOWN,      /* not measured, or not to be told */
    GW_STUN_INDEPENDENT,  /* for all; anybody */
    GW_STUN_ADDRESS,      /* for all ports of an address; of an address that was sent to */
    GW_STUN_ADDRESS_PORT, /* for one address and port; that was sent to */
    GW_STUN_RULES
};
extern const char
    *const gw_stun_rule_names[GW_STUN_RULES]; /* "unknown", "independent", "address", "address-port" */

struct gw_stun_behaviour {
    bool is_nat; /* the address outside is another one than the socket's */
    enum gw_stun_rule mapping, filtering;
    bool has_hairpin, is_hairpin_known;
    struct gw_mono measured; /* GW_NEVER: not yet */
};

enum { GW_STUN_MEASURE_REQUESTS = 3 };

struct gw_stun_measure {
    struct gw_stun_behaviour result;
    struct gw_addr mapped; /* it was measured for this mapping */
    struct gw_addr server, other;
    enum { GW_STUN_MEASURE_IDLE, GW_STUN_MEASURE_FILTERING, GW_STUN_MEASURE_MAPPING } step;
    struct gw_stun_request requests[GW_STUN_MEASURE_REQUESTS];
    bool has_answer[GW_STUN_MEASURE_REQUESTS];
    bool is_elsewhere; /* the server does not answer from its other address when asked to */
    struct gw_addr seen[GW_STUN_MEASURE_REQUESTS];
};

void gw_stun_measure_init(struct gw_stun_measure *measure);
/* server: as it was asked; other: its OTHER-ADDRESS, with another IP and another port; mapped: how it sees us; local: the socket. */
void gw_stun_measure_begin(struct gw_stun_measure *measure, struct gw_mono now, struct gw_random *random,
                           const struct gw_addr *server, const struct gw_addr *other,
                           const struct gw_addr *mapped, const struct gw_addr *local);
/* A message that came in; true when it was one of this measurement's. */
bool gw_stun_measure_input(struct gw_stun_measure *measure, const struct gw_addr *from,
                           const struct gw_stun_message *message);
/* To be called behind gw_stun_measure_input too. True when the measurement ended just now. */
bool gw_stun_measure_expire(struct gw_stun_measure *measure, struct gw_mono now, struct gw_random *random);

#endif
