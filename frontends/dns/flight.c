/* SPDX-License-Identifier: MIT */
/* A question on its way through the upstreams: UDP, TCP when the answer was cut, the next one when one is silent. */
#include "frontends/dns/forward_private.h"
#include "gateway/link/mark.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Messages that are no answer to ours, until the try is given up. */
#define BAD_MAX 16u
/* An answer by TCP may come in pieces, each within the time that a try has, all within so many times as much. */
#define TCP_TIMES 4
#define PORT_TRIES 4
#define PORT_MIN 1024u

static void try_next(struct gw_dns_flight *flight);
static void try_tcp(struct gw_dns_flight *flight);

static struct gw_mono now_of(const struct gw_dns_flight *flight)
{
    return gw_loop_now(flight->forward->params.loop);
}

/* ---- ends */

static void close_socket(struct gw_dns_flight *flight)
{
    if (flight->fd < 0)
        return;
    event_del(&flight->event);
    close(flight->fd);
    flight->fd = -1;
    free(flight->in);
    flight->in = NULL;
}

void gw_dns_flight_free(struct gw_dns_flight *flight)
{
    close_socket(flight);
    event_del(&flight->event);
    gw_map_remove(&flight->forward->flights, &flight->node);
    free(flight);
}

/* The flight may be gone after it. */
static void take_message(struct gw_dns_flight *flight, const uint8_t *message, size_t len)
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
        gw_dns_flight_succeeded(flight, &answer);
        return;
    }
}

/* ---- sockets */

/* Twice as long with every round over the upstreams. */
static int64_t patience(const struct gw_dns_flight *flight)
{
    const struct gw_dns_forward_params *params = &flight->forward->params;
    unsigned rounds = (flight->tried - 1) / (params->upstream_count ? params->upstream_count : 1);
    int64_t ns = params->timeout_ns << (rounds < 4 ? rounds : 4);
    return flight->is_tcp ? 2 * ns : ns;
}

static void begin_try(struct gw_dns_flight *flight)
{
    flight->ends = gw_mono_add(now_of(flight), patience(flight) * (flight->is_tcp ? TCP_TIMES : 1));
}

static void on_event(evutil_socket_t fd, short what, void *arg);

static bool watch(struct gw_dns_flight *flight, short what)
{
    int64_t ns = patience(flight);
    struct timeval wait = {.tv_sec = ns / GW_S(1), .tv_usec = ns % GW_S(1) / 1000};
    event_assign(&flight->event, gw_loop_base(flight->forward->params.loop), flight->fd, what, on_event,
                 flight);
    return event_add(&flight->event, &wait) == 0;
}

/* A port of our own choice: the kernel's is random too, but from a smaller range. */
static void bind_random(struct gw_dns_flight *flight, uint8_t family)
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
static int open_socket(struct gw_dns_flight *flight, int type)
{
    struct sockaddr_storage ss;
    const struct gw_addr *to = &flight->forward->params.upstreams[flight->upstream];
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(to, &ss);
    close_socket(flight);
    flight->fd = socket(to->family == 6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (flight->fd < 0)
        return -errno;
    if (flight->is_outside)
        gw_mark_outside(flight->fd);
    if (type == SOCK_DGRAM)
        bind_random(flight, to->family);
    if (connect(flight->fd, (const struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
        return -errno;
    return 0;
}

/* ---- UDP */

static bool send_udp(struct gw_dns_flight *flight)
{
    ssize_t n;
    do
        n = send(flight->fd, flight->sent + 2, flight->sent_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    /* A full queue loses it as a network does: the next try comes with the timeout. */
    return n >= 0 || errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM;
}

/* A new socket, id and case for every try. false: this upstream cannot even be tried. */
static bool try_udp(struct gw_dns_flight *flight)
{
    flight->is_tcp = false;
    flight->bad = 0;
    begin_try(flight);
    flight->sent_len = gw_dns_foreign_query(flight->sent + 2, &flight->key, flight->forward->params.random);
    if (open_socket(flight, SOCK_DGRAM) != 0 || !send_udp(flight))
        return false;
    flight->forward->stats.sent++;
    return watch(flight, EV_READ | EV_PERSIST);
}

static void read_udp(struct gw_dns_flight *flight)
{
    uint8_t bytes[4096];
    ssize_t n = recv(flight->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n >= 0)
        take_message(flight, bytes, (size_t)n);
    else if (errno != EAGAIN && errno != EINTR && errno != ENOMEM && errno != ENOBUFS)
        try_next(flight);
}

/* ---- TCP */

static void try_tcp(struct gw_dns_flight *flight)
{
    flight->is_tcp = true;
    flight->out_off = flight->in_len = 0;
    begin_try(flight);
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

static void write_tcp(struct gw_dns_flight *flight)
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

static void read_tcp(struct gw_dns_flight *flight)
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
    struct gw_dns_flight *flight = arg;
    (void)fd;
    if ((what & EV_TIMEOUT) ||
        gw_mono_due(flight->ends, now_of(flight))) { /* a byte now and then does not keep it */
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

static void try_next(struct gw_dns_flight *flight)
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
        gw_dns_flight_failed(flight);
}

/* Tried in a turn of its own, so that asking never ends a flight from within. */
static void on_start(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    try_next(arg);
}

struct gw_dns_flight *gw_dns_flight_new(struct gw_dns_forward *forward, const struct gw_dns_key *key)
{
    const struct timeval at_once = {0};
    struct gw_dns_flight *flight =
        forward->flights.len < GW_DNS_FORWARDS_MAX ? calloc(1, sizeof *flight) : NULL;
    if (!flight)
        return NULL;
    flight->forward = forward;
    flight->key = *key;
    flight->fd = -1;
    flight->is_outside =
        forward->params.is_outside && forward->params.is_outside(key->name, forward->params.ctx);
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
