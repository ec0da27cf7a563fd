/* SPDX-License-Identifier: MIT */
/* What forward.c (who asks, and what he is told) and flight.c (a question on its way through the upstreams) share. */
#ifndef FRONTENDS_DNS_FORWARD_PRIVATE_H
#define FRONTENDS_DNS_FORWARD_PRIVATE_H

#include "frontends/dns/cache.h"
#include "frontends/dns/foreign.h"
#include "frontends/dns/forward.h"
#include "gateway/base/map.h"

#include <event2/event_struct.h>

struct gw_dns_forward {
    struct gw_dns_forward_params params;
    struct gw_dns_cache *cache;
    struct gw_map flights;
    unsigned preferred; /* the upstream that answered last */
    struct gw_dns_forward_stats stats;
};

/* A question that is out. */
struct gw_dns_flight {
    struct gw_map_node node;
    struct gw_dns_key key;
    struct gw_dns_forward *forward;
    struct gw_list waiters;
    unsigned waiter_count;
    struct event event;
    int fd;
    bool is_tcp;
    bool is_outside; /* of any tunnel */
    unsigned upstream, tried, bad;
    struct gw_mono ends;                        /* the try, whatever still comes */
    uint8_t sent[2 + GW_DNS_FOREIGN_QUERY_MAX]; /* behind two bytes of length, for TCP */
    size_t sent_len;
    size_t out_off; /* of sent, over TCP */
    uint8_t *in;    /* over TCP: length and message */
    size_t in_len;
};

/* Its first try is made in a turn of its own, so that asking never ends a flight from within. NULL: too many are out, or there is no memory. */
struct gw_dns_flight *gw_dns_flight_new(struct gw_dns_forward *forward, const struct gw_dns_key *key);
/* Nobody who waits is told. */
void gw_dns_flight_free(struct gw_dns_flight *flight);

/* forward.c: what the flight came to; it is freed. */
void gw_dns_flight_failed(struct gw_dns_flight *flight);
/* Consumes the answer. */
void gw_dns_flight_succeeded(struct gw_dns_flight *flight, struct gw_dns_foreign *answer);

#endif
