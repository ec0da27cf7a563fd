/* SPDX-License-Identifier: MIT */
#include "gateway/local/lookup.h"

#include "gateway/base/err.h"
#include "gateway/base/list.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES_MAX 8u
/* The DNS client reads resolv.conf and hosts when it is made: an idle one that is older is made again. */
#define CLIENT_AGE GW_S(30)

struct gw_lookups {
    struct gw_loop *loop;
    struct evdns_base *client;
    struct gw_mono made;
    struct gw_list running; /* every gw_lookup, also cancelled ones that libevent still has */
};

struct gw_lookup {
    struct gw_lookups *lookups;
    struct gw_list link;
    struct evdns_getaddrinfo_request *request;
    struct event later; /* an answer that came at once is told in the next turn */
    gw_lookup_fn *fn;   /* NULL once cancelled */
    void *user;
    bool is_answered;
    int err;
    unsigned count;
    struct gw_addr addresses[ADDRESSES_MAX];
};

struct gw_lookups *gw_lookups_new(struct gw_loop *loop)
{
    struct gw_lookups *lookups = calloc(1, sizeof *lookups);
    if (!lookups)
        return NULL;
    lookups->loop = loop;
    gw_list_init(&lookups->running);
    return lookups;
}

static void free_lookup(struct gw_lookup *lookup)
{
    event_del(&lookup->later);
    gw_list_remove(&lookup->link);
    free(lookup);
}

void gw_lookups_free(struct gw_lookups *lookups)
{
    if (!lookups)
        return;
    if (lookups->client)
        evdns_base_free(lookups->client, 0);
    gw_list_for_each (node, &lookups->running)
        free_lookup(gw_list_entry(node, struct gw_lookup, link));
    free(lookups);
}

static bool renew_client(struct gw_lookups *lookups)
{
    struct gw_mono now = gw_loop_now(lookups->loop);
    bool is_idle = gw_list_is_empty(&lookups->running);
    if (lookups->client && (!is_idle || gw_mono_sub(now, lookups->made) < CLIENT_AGE))
        return true;
    if (lookups->client)
        evdns_base_free(lookups->client, 0);
    lookups->client = evdns_base_new(gw_loop_base(lookups->loop),
                                     EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    lookups->made = now;
    return lookups->client != NULL;
}

static void answer(struct gw_lookup *lookup)
{
    gw_lookup_fn *fn = lookup->fn;
    struct gw_lookup copy = *lookup;
    free_lookup(lookup);
    fn(copy.err, copy.addresses, copy.count, copy.user);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    answer(arg);
}

static void keep_addresses(struct gw_lookup *lookup, const struct evutil_addrinfo *list)
{
    for (; list && lookup->count < ADDRESSES_MAX; list = list->ai_next) {
        struct gw_addr *address = &lookup->addresses[lookup->count];
        if (gw_addr_from_sockaddr(address, list->ai_addr) == 0)
            lookup->count++;
    }
    lookup->err = lookup->count ? 0 : GW_E_UNKNOWN;
}

static void on_answer(int result, struct evutil_addrinfo *list, void *arg)
{
    struct gw_lookup *lookup = arg;
    struct timeval now = {0};
    bool is_inside = !lookup->request; /* gw_lookup has not returned yet */
    lookup->request = NULL;
    lookup->is_answered = true;
    lookup->err = result == EVUTIL_EAI_MEMORY ? GW_E_NOMEM : GW_E_UNKNOWN;
    if (result == 0)
        keep_addresses(lookup, list);
    if (list)
        evutil_freeaddrinfo(list);
    if (!lookup->fn)
        free_lookup(lookup);
    else if (is_inside)
        evtimer_add(&lookup->later, &now);
    else
        answer(lookup);
}

int gw_lookup(struct gw_lookups *lookups, const char *name, uint16_t port, gw_lookup_fn *fn, void *user,
              struct gw_lookup **out)
{
    char service[6];
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_ADDRCONFIG};
    struct gw_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup || !renew_client(lookups)) {
        free(lookup);
        return GW_E_NOMEM;
    }
    lookup->lookups = lookups;
    lookup->fn = fn;
    lookup->user = user;
    gw_list_init(&lookup->link);
    gw_list_push_back(&lookups->running, &lookup->link);
    evtimer_assign(&lookup->later, gw_loop_base(lookups->loop), on_later, lookup);
    evutil_snprintf(service, sizeof service, "%u", port);
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(lookups->client, name, service, &hints, on_answer, lookup);
    if (!lookup->is_answered)
        lookup->request = request;
    *out = lookup;
    return 0;
}

void gw_lookup_cancel(struct gw_lookup *lookup)
{
    if (!lookup->request) {
        free_lookup(lookup);
        return;
    }
    lookup->fn = NULL;
    evdns_getaddrinfo_cancel(lookup->request);
}
