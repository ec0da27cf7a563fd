/* SPDX-License-Identifier: MIT */
/* Addresses that a node may be reached at, as they travel in CONTROL messages, and which of them may be believed at all: a hint from
 * outside never sends us to loopback, to many at once, or to no port. */
#ifndef GATEWAY_WIRE_CANDIDATE_H
#define GATEWAY_WIRE_CANDIDATE_H

#include "gateway/wire/addr.h"
#include "gateway/wire/control.pb.h"

#define GW_CANDIDATES_MAX 8u /* offered, or taken from one message */

enum gw_candidate_kind {
    GW_CANDIDATE_HOST,       /* an interface's */
    GW_CANDIDATE_OBSERVED,   /* seen by an anchor or a peer */
    GW_CANDIDATE_CONFIGURED, /* the owner says so */
    GW_CANDIDATE_MAPPED,     /* by UPnP, NAT-PMP or PCP */
    GW_CANDIDATE_KINDS
};
extern const char *const gw_candidate_kind_names[GW_CANDIDATE_KINDS];

struct gw_candidate {
    struct gw_addr addr;
    enum gw_candidate_kind kind;
};

/* May somebody else's word make us send there? No: loopback, multicast, unspecified and broadcast addresses, IPv6 link-local ones (their scope is
 * nobody else's), port 0. */
bool gw_candidate_is_usable(const struct gw_addr *addr);

/* To a message; an address that is not set becomes an empty one. */
void gw_candidate_encode(peergate_Address *out, const struct gw_candidate *candidate);
/* 0, or GW_E_MALFORMED: wrong length or port, or not usable. IPv4-mapped ones are normalised; an unknown kind counts as HOST. */
int gw_candidate_decode(struct gw_candidate *out, const peergate_Address *address);
/* The usable ones of a list, without doubles; at most `max`. Returns how many. */
unsigned gw_candidates_decode(struct gw_candidate *out, unsigned max, const peergate_Address *addresses,
                              unsigned count);

#endif
