/* SPDX-License-Identifier: MIT */
/* Other servers' messages, by ldns: what an upstream answered, brought into the form that is kept; and from there into an answer for one asker. Sans-IO. */
#ifndef FRONTENDS_DNS_FOREIGN_H
#define FRONTENDS_DNS_FOREIGN_H

#include "frontends/dns/cache.h"
#include "frontends/dns/message.h"
#include "gateway/base/random.h"

#define GW_DNS_FOREIGN_QUERY_MAX (GW_DNS_HEADER_LEN + GW_DNS_WIRE_NAME_MAX + 4u + 11u)

/* A query for upstream in out, its letters in random case (0x20). Returns its length. */
size_t gw_dns_foreign_query(uint8_t out[GW_DNS_FOREIGN_QUERY_MAX], const struct gw_dns_key *key,
                            struct gw_random *random);

enum gw_dns_foreign_verdict {
    GW_DNS_FOREIGN_BAD,  /* not to this question, or no message: somebody else's, go on waiting */
    GW_DNS_FOREIGN_CASE, /* to this question, but in another case: ask by TCP */
    GW_DNS_FOREIGN_CUT,  /* TC: ask by TCP */
    GW_DNS_FOREIGN_FAIL, /* SERVFAIL, REFUSED ...: ask somebody else */
    GW_DNS_FOREIGN_GOOD, /* NOERROR or NXDOMAIN */
};

struct gw_dns_foreign {
    uint8_t *message; /* without OPT; the caller's: free() */
    size_t len;
    uint32_t ttl; /* how long it may be kept */
};
/* out is filled for GOOD. is_tcp: the case need not match. */
enum gw_dns_foreign_verdict gw_dns_foreign_read(struct gw_dns_foreign *out, const uint8_t *message,
                                                size_t len, const uint8_t *sent, size_t sent_len,
                                                bool is_tcp);
/* The kept message as an answer to query: its id, its case, times shortened by age; cut when longer than max. Returns its length, 0 when even that does not
 * fit. */
size_t gw_dns_foreign_write(uint8_t *out, size_t max, struct gw_view kept, uint32_t age_s,
                            const struct gw_dns_query *query);

#endif
