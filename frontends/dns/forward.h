/* SPDX-License-Identifier: MIT */
/* Names that aren't ours, asked of the upstreams that the owner named: a bounded cache, one query for all who ask the same, UDP with a random port, id and case
 * for each try, TCP when the answer was cut, the next upstream when one is silent. Messages by ldns. */
#ifndef FRONTENDS_DNS_FORWARD_H
#define FRONTENDS_DNS_FORWARD_H

#include "frontends/dns/message.h"
#include "gateway/base/random.h"
#include "gateway/link/loop.h"
#include "gateway/wire/addr.h"

#define GW_DNS_UPSTREAMS_MAX 8u
/* Questions that are out at once, and who waits for one of them. */
#define GW_DNS_FORWARDS_MAX 512u
#define GW_DNS_WAITERS_MAX 64u

struct gw_dns_forward;
struct gw_dns_waiter;

struct gw_dns_forward_params {
    struct gw_loop *loop;
    struct gw_random *random;
    struct gw_addr upstreams[GW_DNS_UPSTREAMS_MAX]; /* in order of preference */
    unsigned upstream_count;                        /* 0: every question fails, until there are some */
    int64_t timeout_ns;   /* of one try; 0 = 800 ms, twice as long when an upstream is asked again */
    unsigned tries;       /* 0 = 5 */
    size_t cache_entries; /* 0 = 4096 */
    /* Is what this name (wire form, lower case) stands for needed by the node itself, to reach its peers? Then it is asked outside of any tunnel (gateway/link/mark.h), as the way there may not
     * be there yet. NULL: none is. */
    bool (*is_outside)(const uint8_t *name, void *ctx);
    void *ctx;
};

/* 0, GW_E_NOMEM, GW_E_INVAL (too many upstreams). */
int gw_dns_forward_new(struct gw_dns_forward **out, const struct gw_dns_forward_params *params);
/* Nobody who waits is told. */
void gw_dns_forward_free(struct gw_dns_forward *forward);

/* Others from now on, 0 to GW_DNS_UPSTREAMS_MAX: questions that are out go to these next, or fail when there are none. What is in the cache stays. */
void gw_dns_forward_set_upstreams(struct gw_dns_forward *forward, const struct gw_addr *upstreams,
                                  unsigned count);
/* Lent until they change. */
const struct gw_addr *gw_dns_forward_upstreams(const struct gw_dns_forward *forward, unsigned *count);

/* The answer for this asker: its id, its case, its size; SERVFAIL when nobody answered. Lent. */
typedef void gw_dns_forward_fn(const uint8_t *message, size_t len, void *user);
/* fn is called once: from within (then *out is NULL) or later. max_len: 512 or more; what is longer is cut (TC). */
void gw_dns_forward_ask(struct gw_dns_waiter **out, struct gw_dns_forward *forward,
                        const struct gw_dns_query *query, size_t max_len, gw_dns_forward_fn *fn, void *user);
/* fn will not be called. */
void gw_dns_waiter_cancel(struct gw_dns_waiter *waiter);

struct gw_dns_forward_stats {
    uint64_t asked, hits, sent, timeouts, tcp, refused, bad,
        failed; /* bad: answers that were not to what was asked */
    size_t pending, cached;
};
void gw_dns_forward_stats(const struct gw_dns_forward *forward, struct gw_dns_forward_stats *out);

#endif
