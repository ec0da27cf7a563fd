/* SPDX-License-Identifier: MIT */
/* A message in, what to do with it out: authoritative for `p2p` and for the reverse names of our ranges, and for nothing else. Sans-IO; nothing
 * allocates (docs/PROTOCOL.md "DNS answers"). */
#ifndef FRONTENDS_DNS_ANSWER_H
#define FRONTENDS_DNS_ANSWER_H

#include "frontends/dns/message.h"
#include "frontends/dns/zone.h"

#define GW_DNS_TTL 60u          /* where an address can move */
#define GW_DNS_TTL_DERIVED 300u /* where it follows from the key */
#define GW_DNS_TTL_NEGATIVE 30u /* a peer may be added any minute */

enum gw_dns_verdict {
    GW_DNS_IGNORED,   /* no answer */
    GW_DNS_ANSWERED,  /* out holds it */
    GW_DNS_FORWARDED, /* not ours, and somebody may ask upstream: query is filled */
};

struct gw_dns_ask {
    const struct gw_dns_zone *zone;
    bool forwards; /* there are upstreams */
    bool is_tcp;
};

/* out holds GW_DNS_UDP_MAX bytes, or cap for TCP. *out_len: the answer's length. */
enum gw_dns_verdict gw_dns_answer(const struct gw_dns_ask *ask, const uint8_t *message, size_t len,
                                  struct gw_dns_query *query, uint8_t *out, size_t cap, size_t *out_len);
/* An answer with nothing but a code (SERVFAIL, REFUSED), or with the TC bit: what to say when there is no time for more. Returns its length. */
size_t gw_dns_answer_code(const struct gw_dns_query *query, enum gw_dns_rcode rcode, uint16_t flags,
                          uint8_t *out, size_t cap);

#endif
