/* SPDX-License-Identifier: MIT */
/* DNS over TCP: two bytes of length before each message, any number of questions at once, answers in any order. */
#include "frontends/dns/private.h"
#include "gateway/base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Longer than any question we answer. */
#define QUERY_MAX 4096u
/* With so much unsent nothing more is read; one answer may come on top. */
#define UNSENT_MAX 16384u
#define OUT_CAP (UNSENT_MAX + 2 + GW_DNS_TCP_MAX)
/* Questions of one client that are with upstreams. */
#define WAITING_MAX 32u

struct client {
    struct gw_list link; /* in server->clients */
    struct gw_dns_server *server;
    struct event read, write;
    int fd;
    int depth; /* handlers at work: freed by the outermost */
    bool is_dead;
    bool is_eof;
    struct gw_list waiting;
    unsigned waiting_count;
    size_t in_len;
    size_t out_off, out_len, out_cap;
    uint8_t *out;
    uint8_t in[2 + QUERY_MAX];
};

struct waiting {
    struct gw_list link;
    struct client *client;
    struct gw_dns_waiter *waiter;
};

/* ---- life */

static void enter(struct client *client)
{
    client->depth++;
}

static void leave(struct client *client)
{
    if (--client->depth == 0 && client->is_dead)
        free(client);
}

static void shut(struct client *client)
{
    if (client->is_dead)
        return;
    client->is_dead = true;
    gw_list_for_each (node, &client->waiting) {
        struct waiting *waiting = gw_list_entry(node, struct waiting, link);
        gw_dns_waiter_cancel(waiting->waiter);
        free(waiting);
    }
    gw_list_remove(&client->link);
    client->server->stats.tcp_clients--;
    event_del(&client->read);
    event_del(&client->write);
    close(client->fd);
    free(client->out);
    client->out = NULL;
}

static void close_client(struct client *client)
{
    enter(client);
    shut(client);
    leave(client);
}

void tcp_close_all(struct gw_dns_server *server)
{
    gw_list_for_each (node, &server->clients)
        close_client(gw_list_entry(node, struct client, link));
}

static struct timeval idle_time(const struct client *client)
{
    int64_t ns = client->server->idle_ns;
    return (struct timeval){.tv_sec = ns / GW_S(1), .tv_usec = ns % GW_S(1) / 1000};
}

/* The idle time starts anew: a question came whole, or an answer went out. */
static void touch(struct client *client)
{
    struct timeval idle = idle_time(client);
    if (!client->is_eof)
        event_add(&client->read, &idle);
    gw_list_remove(&client->link);
    gw_list_push_back(&client->server->clients, &client->link);
}

/* ---- out */

static size_t unsent(const struct client *client)
{
    return client->out_len - client->out_off;
}

static bool is_finished(const struct client *client)
{
    return client->is_eof && unsent(client) == 0 && client->waiting_count == 0;
}

static void flush(struct client *client)
{
    struct timeval idle = idle_time(client);
    while (unsent(client) > 0) {
        ssize_t n =
            send(client->fd, client->out + client->out_off, unsent(client), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)) {
            event_add(&client->write, &idle);
            return;
        }
        if (n < 0) {
            shut(client);
            return;
        }
        client->out_off += (size_t)n;
    }
    /* An idle client holds no buffer. */
    free(client->out);
    client->out = NULL;
    client->out_off = client->out_len = client->out_cap = 0;
    if (is_finished(client))
        shut(client);
}

static bool make_room(struct client *client, size_t len)
{
    size_t wanted = client->out_len + len;
    if (wanted <= client->out_cap)
        return true;
    if (wanted > OUT_CAP && client->out_off > 0) {
        memmove(client->out, client->out + client->out_off, unsent(client));
        client->out_len -= client->out_off;
        client->out_off = 0;
        wanted = client->out_len + len;
    }
    size_t cap = wanted > 4096 ? 2 * wanted : 4096;
    uint8_t *grown = wanted <= OUT_CAP ? realloc(client->out, cap < OUT_CAP ? cap : OUT_CAP) : NULL;
    if (!grown)
        return false;
    client->out = grown;
    client->out_cap = cap < OUT_CAP ? cap : OUT_CAP;
    return true;
}

static void queue(struct client *client, const uint8_t *message, size_t len)
{
    if (!make_room(client, 2 + len)) {
        shut(client);
        return;
    }
    gw_store16_be(client->out + client->out_len, (uint16_t)len);
    memcpy(client->out + client->out_len + 2, message, len);
    client->out_len += 2 + len;
    client->server->stats.answers++;
}

/* ---- questions */

static void on_forwarded(const uint8_t *message, size_t len, void *user)
{
    struct waiting *waiting = user;
    struct client *client = waiting->client;
    gw_list_remove(&waiting->link);
    client->waiting_count--;
    free(waiting);
    enter(client);
    queue(client, message, len);
    if (!client->is_dead)
        touch(client);
    if (!client->is_dead)
        flush(client);
    leave(client);
}

static bool forward(struct client *client, const struct gw_dns_query *query)
{
    struct waiting *waiting = client->waiting_count < WAITING_MAX ? calloc(1, sizeof *waiting) : NULL;
    struct gw_dns_waiter *waiter;
    if (!waiting)
        return false;
    waiting->client = client;
    gw_list_init(&waiting->link);
    gw_list_push_back(&client->waiting, &waiting->link);
    client->waiting_count++;
    client->server->stats.forwarded++;
    gw_dns_forward_ask(&waiter, client->server->forward, query, GW_DNS_TCP_MAX, on_forwarded, waiting);
    if (waiter)
        waiting->waiter = waiter;
    return true;
}

static void answer(struct client *client, const uint8_t *message, size_t len)
{
    uint8_t out[16384];
    size_t out_len = 0;
    struct gw_dns_query query;
    client->server->stats.tcp_queries++;
    struct gw_dns_ask ask = client->server->ask;
    ask.is_tcp = true;
    switch (gw_dns_answer(&ask, message, len, &query, out, sizeof out, &out_len)) {
    case GW_DNS_ANSWERED:
        break;
    case GW_DNS_FORWARDED:
        if (forward(client, &query))
            return;
        out_len = gw_dns_answer_code(&query, GW_DNS_SERVFAIL, GW_DNS_RA, out, sizeof out);
        break;
    case GW_DNS_IGNORED:
        shut(client);
        return;
    }
    queue(client, out, out_len);
}

/* Takes the whole messages in the buffer. */
static void take(struct client *client)
{
    size_t at = 0;
    while (!client->is_dead && client->in_len - at >= 2 && unsent(client) < UNSENT_MAX) {
        size_t len = gw_load16_be(client->in + at);
        if (len > QUERY_MAX) {
            shut(client);
            return;
        }
        if (client->in_len - at < 2 + len)
            break;
        touch(client);
        answer(client, client->in + at + 2, len);
        at += 2 + len;
    }
    memmove(client->in, client->in + at, client->in_len - at);
    client->in_len -= at;
}

/* Answers what is there, as long as the client reads along. */
static void serve(struct client *client)
{
    size_t before;
    do {
        before = client->in_len;
        take(client);
        if (!client->is_dead)
            flush(client);
    } while (!client->is_dead && client->in_len < before);
}

static void receive(struct client *client)
{
    ssize_t n =
        recv(client->fd, client->in + client->in_len, sizeof client->in - client->in_len, MSG_DONTWAIT);
    if (n > 0)
        client->in_len += (size_t)n;
    else if (n == 0)
        client->is_eof = true;
    else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM)
        shut(client);
    if (client->is_eof && !client->is_dead)
        event_del(&client->read);
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    struct client *client = arg;
    (void)fd;
    if (what & EV_TIMEOUT) {
        close_client(client);
        return;
    }
    /* Behind answers that it does not read: on_write goes on. */
    if (client->in_len == sizeof client->in || unsent(client) >= UNSENT_MAX) {
        event_del(&client->read);
        return;
    }
    enter(client);
    receive(client);
    if (!client->is_dead)
        serve(client);
    leave(client);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    struct client *client = arg;
    (void)fd;
    if (what & EV_TIMEOUT) {
        close_client(client);
        return;
    }
    enter(client);
    flush(client);
    if (!client->is_dead)
        touch(client);
    if (!client->is_dead)
        serve(client);
    leave(client);
}

/* ---- clients */

static bool is_allowed(struct gw_dns_server *server, int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    struct gw_addr from;
    return getpeername(fd, (struct sockaddr *)&ss, &len) == 0 &&
           gw_addr_from_sockaddr(&from, (const struct sockaddr *)&ss) == 0 &&
           gw_dns_access_is_allowed(&server->access, &from);
}

static void evict(struct gw_dns_server *server)
{
    server->stats.tcp_evicted++;
    close_client(gw_list_entry(server->clients.next, struct client, link));
}

void tcp_on_client(struct gw_listener *listener, int fd, struct gw_mono now, void *user)
{
    struct gw_dns_server *server = user;
    (void)listener, (void)now;
    struct client *client = is_allowed(server, fd) ? calloc(1, sizeof *client) : NULL;
    if (!client) {
        server->stats.tcp_refused++;
        close(fd);
        return;
    }
    if (server->stats.tcp_clients >= server->clients_max)
        evict(server);
    client->server = server;
    client->fd = fd;
    gw_list_init(&client->link);
    gw_list_init(&client->waiting);
    event_assign(&client->read, gw_loop_base(server->loop), fd, EV_READ | EV_PERSIST, on_read, client);
    event_assign(&client->write, gw_loop_base(server->loop), fd, EV_WRITE, on_write, client);
    server->stats.tcp_clients++;
    touch(client);
}
