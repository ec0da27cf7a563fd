/* SPDX-License-Identifier: MIT */
/* Names below in-addr.arpa and ip6.arpa: which address one stands for, and whether it lies in one of our ranges. Sans-IO. */
#ifndef FRONTENDS_DNS_REVERSE_H
#define FRONTENDS_DNS_REVERSE_H

#include "frontends/dns/message.h"
#include "frontends/dns/zone.h"

struct gw_dns_reverse {
    struct gw_addr ip; /* as far as the name says */
    bool is_whole;     /* all of the address */
    bool is_bad;       /* something below our range that is no part of an address */
    unsigned apex;     /* the question's label that the range's own name begins with */
};

/* false: no reverse name, or none of ours. A range that ends within an octet (IPv6: a nibble) has one zone for each next-longer name. */
bool gw_dns_reverse_parse(struct gw_dns_reverse *out, const struct gw_dns_query *query,
                          const struct gw_dns_zone *zone);

#endif
