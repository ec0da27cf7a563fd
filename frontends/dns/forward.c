/* SPDX-License-Identifier: MIT */
#include "frontends/dns/forward_private.h"

#include "frontends/dns/answer.h"
#include "gateway/base/err.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT GW_MS(800)
#define TRIES 5u
#define CACHE_ENTRIES 4096u

struct gw_dns_waiter {
    struct gw_list link;
    struct gw_dns_flight *flight;
    struct gw_dns_query query;
    uint8_t question[GW_DNS_WIRE_NAME_MAX + 4];
    size_t max_len;
    gw_dns_forward_fn *fn;
    void *user;
};

/* ---- ends */

static void tell(struct gw_dns_waiter *waiter, struct gw_view kept)
{
    uint8_t out[GW_DNS_TCP_MAX];
    size_t max = waiter->max_len < sizeof out ? waiter->max_len : sizeof out;
    size_t len = kept.len > 0 ? gw_dns_foreign_write(out, max, kept, 0, &waiter->query)
                              : gw_dns_answer_code(&waiter->query, GW_DNS_SERVFAIL, GW_DNS_RA, out, max);
    gw_list_remove(&waiter->link);
    waiter->fn(out, len, waiter->user);
    free(waiter);
}

/* kept is empty for a failure. Waiters may ask and cancel from within. */
static void end(struct gw_dns_flight *flight, struct gw_view kept)
{
    struct gw_list waiters, *first;
    gw_list_init(&waiters);
    while ((first = gw_list_pop_front(&flight->waiters))) {
        gw_list_entry(first, struct gw_dns_waiter, link)->flight = NULL;
        gw_list_push_back(&waiters, first);
    }
    gw_dns_flight_free(flight);
    while ((first = waiters.next) != &waiters)
        tell(gw_list_entry(first, struct gw_dns_waiter, link), kept);
}

void gw_dns_flight_failed(struct gw_dns_flight *flight)
{
    flight->forward->stats.failed++;
    end(flight, (struct gw_view){(const uint8_t *)"", 0});
}

void gw_dns_flight_succeeded(struct gw_dns_flight *flight, struct gw_dns_foreign *answer)
{
    struct gw_dns_forward *forward = flight->forward;
    forward->preferred = flight->upstream;
    gw_dns_cache_put(forward->cache, &flight->key, answer->message, answer->len, answer->ttl,
                     gw_loop_now(forward->params.loop));
    end(flight, (struct gw_view){answer->message, answer->len});
    free(answer->message);
}

/* ---- asking */

static struct gw_dns_waiter *new_waiter(struct gw_dns_flight *flight, const struct gw_dns_query *query,
                                        size_t max_len, gw_dns_forward_fn *fn, void *user)
{
    struct gw_dns_waiter *waiter =
        flight->waiter_count < GW_DNS_WAITERS_MAX ? calloc(1, sizeof *waiter) : NULL;
    if (!waiter)
        return NULL;
    flight->waiter_count++;
    waiter->flight = flight;
    waiter->query = *query;
    memcpy(waiter->question, query->question.data, query->question.len);
    waiter->query.question.data = waiter->question;
    waiter->max_len = max_len;
    waiter->fn = fn;
    waiter->user = user;
    gw_list_init(&waiter->link);
    gw_list_push_back(&flight->waiters, &waiter->link);
    return waiter;
}

static void refuse(const struct gw_dns_query *query, size_t max_len, gw_dns_forward_fn *fn, void *user)
{
    uint8_t out[GW_DNS_UDP_MIN];
    fn(out,
       gw_dns_answer_code(query, GW_DNS_SERVFAIL, GW_DNS_RA, out,
                          max_len < sizeof out ? max_len : sizeof out),
       user);
}

static bool answer_from_cache(struct gw_dns_forward *forward, const struct gw_dns_key *key,
                              const struct gw_dns_query *query, size_t max_len, gw_dns_forward_fn *fn,
                              void *user)
{
    uint8_t out[GW_DNS_TCP_MAX];
    uint32_t age_s;
    struct gw_view kept = gw_dns_cache_get(forward->cache, key, gw_loop_now(forward->params.loop), &age_s);
    if (kept.len == 0)
        return false;
    forward->stats.hits++;
    fn(out, gw_dns_foreign_write(out, max_len < sizeof out ? max_len : sizeof out, kept, age_s, query), user);
    return true;
}

void gw_dns_forward_ask(struct gw_dns_waiter **out, struct gw_dns_forward *forward,
                        const struct gw_dns_query *query, size_t max_len, gw_dns_forward_fn *fn, void *user)
{
    struct gw_dns_key key;
    *out = NULL;
    forward->stats.asked++;
    gw_dns_key_of(&key, query);
    if (answer_from_cache(forward, &key, query, max_len, fn, user))
        return;
    struct gw_map_node *found = gw_map_find(&forward->flights, &key);
    struct gw_dns_flight *flight =
        found ? gw_map_entry(found, struct gw_dns_flight, node) : gw_dns_flight_new(forward, &key);
    if (flight)
        *out = new_waiter(flight, query, max_len, fn, user);
    if (!*out)
        refuse(query, max_len, fn, user);
}

void gw_dns_waiter_cancel(struct gw_dns_waiter *waiter)
{
    if (waiter->flight)
        waiter->flight->waiter_count--;
    gw_list_remove(&waiter->link);
    free(waiter);
}

/* ---- life */

int gw_dns_forward_new(struct gw_dns_forward **out, const struct gw_dns_forward_params *params)
{
    uint8_t seed[16];
    if (params->upstream_count > GW_DNS_UPSTREAMS_MAX)
        return GW_E_INVAL;
    struct gw_dns_forward *forward = calloc(1, sizeof *forward);
    if (!forward)
        return GW_E_NOMEM;
    forward->params = *params;
    forward->params.timeout_ns = params->timeout_ns ? params->timeout_ns : TIMEOUT;
    forward->params.tries = params->tries ? params->tries : TRIES;
    gw_random_fill(params->random, seed, sizeof seed);
    gw_map_init(&forward->flights, sizeof(struct gw_dns_key), seed);
    forward->cache =
        gw_dns_cache_new(params->cache_entries ? params->cache_entries : CACHE_ENTRIES, params->random);
    if (!forward->cache) {
        free(forward);
        return GW_E_NOMEM;
    }
    *out = forward;
    return 0;
}

void gw_dns_forward_set_upstreams(struct gw_dns_forward *forward, const struct gw_addr *upstreams,
                                  unsigned count)
{
    struct gw_dns_forward_params *params = &forward->params;
    memset(params->upstreams, 0, sizeof params->upstreams);
    for (unsigned i = 0; i < count; i++)
        params->upstreams[i] = upstreams[i];
    params->upstream_count = count;
    forward->preferred = 0;
    for (struct gw_map_node *at = gw_map_first(&forward->flights); at;
         at = gw_map_next(&forward->flights, at))
        gw_map_entry(at, struct gw_dns_flight, node)->upstream = 0;
}

const struct gw_addr *gw_dns_forward_upstreams(const struct gw_dns_forward *forward, unsigned *count)
{
    *count = forward->params.upstream_count;
    return forward->params.upstreams;
}

void gw_dns_forward_free(struct gw_dns_forward *forward)
{
    struct gw_map_node *at;
    if (!forward)
        return;
    while ((at = gw_map_first(&forward->flights))) {
        struct gw_dns_flight *flight = gw_map_entry(at, struct gw_dns_flight, node);
        gw_list_for_each (node, &flight->waiters)
            gw_dns_waiter_cancel(gw_list_entry(node, struct gw_dns_waiter, link));
        gw_dns_flight_free(flight);
    }
    gw_map_fini(&forward->flights);
    gw_dns_cache_free(forward->cache);
    free(forward);
}

void gw_dns_forward_stats(const struct gw_dns_forward *forward, struct gw_dns_forward_stats *out)
{
    *out = forward->stats;
    out->pending = forward->flights.len;
    out->cached = gw_dns_cache_count(forward->cache);
}
