/* SPDX-License-Identifier: MIT */
#include "frontends/dns/forward.h"

#include "frontends/dns/answer.h"
#include "frontends/dns/cache.h"
#include "frontends/dns/foreign.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/map.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT GW_MS(800)
#define TRIES 5u
#define CACHE_ENTRIES 4096u

/* Messages that are no answer to ours, until the try is given up. */
#define BAD_MAX 16u
#define PORT_TRIES 4
#define PORT_MIN 1024u

struct gw_dns_forward {
    struct gw_dns_forward_params params;
    struct gw_dns_cache *cache;
    struct gw_map flights;
    unsigned preferred; /* the upstream that answered last */
    struct gw_dns_forward_stats stats;
};

/* A question that is out. */
struct flight {
    struct gw_map_node node;
    struct gw_dns_key key;
    struct gw_dns_forward *forward;
    struct gw_list waiters;
    unsigned waiter_count;
    struct event event;
    int fd;
    bool is_tcp;
    unsigned upstream, tried, bad;
    uint8_t sent[2 + GW_DNS_FOREIGN_QUERY_MAX]; /* behind two bytes of length, for TCP */
    size_t sent_len;
    size_t out_off; /* of sent, over TCP */
    uint8_t *in;    /* over TCP: length and message */
    size_t in_len;
};

struct gw_dns_waiter {
    struct gw_list link;
    struct flight *flight;
    struct gw_dns_query query;
    uint8_t question[GW_DNS_WIRE_NAME_MAX + 4];
    size_t max_len;
    gw_dns_forward_fn *fn;
    void *user;
};

static void try_next(struct flight *flight);
static void try_tcp(struct flight *flight);

static struct gw_mono now_of(const struct flight *flight)
{
    return gw_loop_now(flight->forward->params.loop);
}

/* ---- ends */

static void close_socket(struct flight *flight)
{
    if (flight->fd < 0)
        return;
    event_del(&flight->event);
    close(flight->fd);
    flight->fd = -1;
    free(flight->in);
    flight->in = NULL;
}

static void free_flight(struct flight *flight)
{
    close_socket(flight);
    event_del(&flight->event);
    gw_map_remove(&flight->forward->flights, &flight->node);
    free(flight);
}

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
static void end(struct flight *flight, struct gw_view kept)
{
    struct gw_list waiters, *first;
    gw_list_init(&waiters);
    while ((first = gw_list_pop_front(&flight->waiters))) {
        gw_list_entry(first, struct gw_dns_waiter, link)->flight = NULL;
        gw_list_push_back(&waiters, first);
    }
    free_flight(flight);
    while ((first = waiters.next) != &waiters)
        tell(gw_list_entry(first, struct gw_dns_waiter, link), kept);
}

static void fail(struct flight *flight)
{
    flight->forward->stats.failed++;
    end(flight, (struct gw_view){(const uint8_t *)"", 0});
}

static void succeed(struct flight *flight, struct gw_dns_foreign *answer)
{
    struct gw_dns_forward *forward = flight->forward;
    forward->preferred = flight->upstream;
    gw_dns_cache_put(forward->cache, &flight->key, answer->message, answer->len, answer->ttl, now_of(flight));
    end(flight, (struct gw_view){answer->message, answer->len});
    free(answer->message);
}

/* The flight may be gone after it. */
static void take_message(struct flight *flight, const uint8_t *message, size_t len)
{
    struct gw_dns_foreign answer;
    struct gw_dns_forward_stats *stats = &flight->forward->stats;
    switch (gw_dns_foreign_read(&answer, message, len, flight->sent + 2, flight->sent_len, flight->is_tcp)) {
    case GW_DNS_FOREIGN_BAD:
        stats->bad++;
        if (flight->is_tcp || ++flight->bad > BAD_MAX)
            try_next(flight);
        return;
    case GW_DNS_FOREIGN_CASE:
    case GW_DNS_FOREIGN_CUT:
        try_tcp(flight);
        return;
    case GW_DNS_FOREIGN_FAIL:
        stats->refused++;
        try_next(flight);
        return;
    case GW_DNS_FOREIGN_GOOD:
        succeed(flight, &answer);
        return;
    }
}

/* ---- sockets */

/* Twice as long with every round over the upstreams. */
static struct timeval patience(const struct flight *flight)
{
    const struct gw_dns_forward_params *params = &flight->forward->params;
    unsigned rounds = (flight->tried - 1) / (params->upstream_count ? params->upstream_count : 1);
    int64_t ns = params->timeout_ns << (rounds < 4 ? rounds : 4);
    if (flight->is_tcp)
        ns *= 2;
    return (struct timeval){.tv_sec = ns / GW_S(1), .tv_usec = ns % GW_S(1) / 1000};
}

static void on_event(evutil_socket_t fd, short what, void *arg);

static bool watch(struct flight *flight, short what)
{
    struct timeval wait = patience(flight);
    event_assign(&flight->event, gw_loop_base(flight->forward->params.loop), flight->fd, what, on_event,
                 flight);
    return event_add(&flight->event, &wait) == 0;
}

/* A port of our own choice: the kernel's is random too, but from a smaller range. */
static void bind_random(struct flight *flight, uint8_t family)
{
    struct sockaddr_storage ss;
    for (int i = 0; i < PORT_TRIES; i++) {
        uint32_t draw = gw_random_u32(flight->forward->params.random);
        struct gw_addr any = {.family = family, .port = (uint16_t)(PORT_MIN + draw % (65536 - PORT_MIN))};
        socklen_t len = (socklen_t)gw_addr_to_sockaddr(&any, &ss);
        if (bind(flight->fd, (const struct sockaddr *)&ss, len) == 0)
            return;
    }
}

/* 0 or -errno; -EINPROGRESS is 0. */
static int open_socket(struct flight *flight, int type)
{
    struct sockaddr_storage ss;
    const struct gw_addr *to = &flight->forward->params.upstreams[flight->upstream];
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(to, &ss);
    close_socket(flight);
    flight->fd = socket(to->family == 6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (flight->fd < 0)
        return -errno;
    if (type == SOCK_DGRAM)
        bind_random(flight, to->family);
    if (connect(flight->fd, (const struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
        return -errno;
    return 0;
}

/* ---- UDP */

static bool send_udp(struct flight *flight)
{
    ssize_t n;
    do
        n = send(flight->fd, flight->sent + 2, flight->sent_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    /* A full queue loses it as a network does: the next try comes with the timeout. */
    return n >= 0 || errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM;
}

/* A new socket, id and case for every try. false: this upstream cannot even be tried. */
static bool try_udp(struct flight *flight)
{
    flight->is_tcp = false;
    flight->bad = 0;
    flight->sent_len = gw_dns_foreign_query(flight->sent + 2, &flight->key, flight->forward->params.random);
    if (open_socket(flight, SOCK_DGRAM) != 0 || !send_udp(flight))
        return false;
    flight->forward->stats.sent++;
    return watch(flight, EV_READ | EV_PERSIST);
}

static void read_udp(struct flight *flight)
{
    uint8_t bytes[4096];
    ssize_t n = recv(flight->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n >= 0)
        take_message(flight, bytes, (size_t)n);
    else if (errno != EAGAIN && errno != EINTR && errno != ENOMEM && errno != ENOBUFS)
        try_next(flight);
}

/* ---- TCP */

static void try_tcp(struct flight *flight)
{
    flight->is_tcp = true;
    flight->out_off = flight->in_len = 0;
    gw_store16_be(flight->sent, (uint16_t)flight->sent_len);
    int err = open_socket(flight, SOCK_STREAM);
    flight->in = malloc(2 + GW_DNS_TCP_MAX);
    if (err != 0 || !flight->in || !watch(flight, EV_WRITE)) {
        try_next(flight);
        return;
    }
    flight->forward->stats.tcp++;
}

static bool is_weather(int err)
{
    return err == EAGAIN || err == EINTR || err == ENOBUFS || err == ENOMEM;
}

static void write_tcp(struct flight *flight)
{
    size_t left = 2 + flight->sent_len - flight->out_off;
    ssize_t n = send(flight->fd, flight->sent + flight->out_off, left, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && !is_weather(errno)) {
        try_next(flight);
        return;
    }
    flight->out_off += n > 0 ? (size_t)n : 0;
    if (!watch(flight, flight->out_off < 2 + flight->sent_len ? EV_WRITE : EV_READ | EV_PERSIST))
        try_next(flight);
}

static void read_tcp(struct flight *flight)
{
    size_t wanted = flight->in_len < 2 ? 2 : 2u + gw_load16_be(flight->in);
    ssize_t n = recv(flight->fd, flight->in + flight->in_len, wanted - flight->in_len, MSG_DONTWAIT);
    if (n < 0 && is_weather(errno))
        return;
    if (n <= 0) {
        try_next(flight);
        return;
    }
    flight->in_len += (size_t)n;
    if (flight->in_len < 2 || flight->in_len < 2u + gw_load16_be(flight->in))
        return;
    /* The buffer goes with the socket, which take_message may close. */
    uint8_t *in = flight->in;
    flight->in = NULL;
    take_message(flight, in + 2, gw_load16_be(in));
    free(in);
}

/* ---- tries */

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct flight *flight = arg;
    (void)fd;
    if (what & EV_TIMEOUT) {
        flight->forward->stats.timeouts++;
        try_next(flight);
    } else if (!flight->is_tcp) {
        read_udp(flight);
    } else if (what & EV_WRITE) {
        write_tcp(flight);
    } else {
        read_tcp(flight);
    }
}

static void try_next(struct flight *flight)
{
    const struct gw_dns_forward_params *params = &flight->forward->params;
    bool is_out = false;
    while (!is_out && flight->tried < params->tries && params->upstream_count > 0) {
        if (flight->tried > 0)
            flight->upstream = (flight->upstream + 1) % params->upstream_count;
        flight->tried++;
        is_out = try_udp(flight);
    }
    if (!is_out)
        fail(flight);
}

/* Tried in a turn of its own, so that asking never ends a flight from within. */
static void on_start(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    try_next(arg);
}

static struct flight *new_flight(struct gw_dns_forward *forward, const struct gw_dns_key *key)
{
    const struct timeval at_once = {0};
    struct flight *flight = forward->flights.len < GW_DNS_FORWARDS_MAX ? calloc(1, sizeof *flight) : NULL;
    if (!flight)
        return NULL;
    flight->forward = forward;
    flight->key = *key;
    flight->fd = -1;
    flight->upstream = forward->preferred;
    gw_list_init(&flight->waiters);
    evtimer_assign(&flight->event, gw_loop_base(forward->params.loop), on_start, flight);
    if (gw_map_insert(&forward->flights, &flight->node, &flight->key) != 0) {
        free(flight);
        return NULL;
    }
    evtimer_add(&flight->event, &at_once);
    return flight;
}

/* ---- asking */

static struct gw_dns_waiter *new_waiter(struct flight *flight, const struct gw_dns_query *query,
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
    struct flight *flight = found ? gw_map_entry(found, struct flight, node) : new_flight(forward, &key);
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
        gw_map_entry(at, struct flight, node)->upstream = 0;
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
        struct flight *flight = gw_map_entry(at, struct flight, node);
        gw_list_for_each (node, &flight->waiters)
            gw_dns_waiter_cancel(gw_list_entry(node, struct gw_dns_waiter, link));
        free_flight(flight);
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
