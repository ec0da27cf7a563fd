/* SPDX-License-Identifier: MIT */
/* A UDP service's socket and its clients, each with a flow of its own. */
#include "frontends/vrouter/private.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATAGRAM_MAX 9216u
/* In one turn. */
#define TURN_MAX 64
#define PAUSE_MS 100

struct datagrams {
    struct event event;
    struct service *service;
    int fd;
    struct gw_map clients;
    struct gw_list used; /* the longest idle first */
};

struct client {
    struct gw_map_node node;
    struct gw_list used;
    struct datagrams *datagrams;
    struct gw_addr from;
    struct gw_stream *stream;
    struct gw_mono last;
};

static struct gw_vrouter *router_of(const struct datagrams *datagrams)
{
    return datagrams->service->peer->router;
}

/* ---- clients */

static void free_client(struct client *client, struct gw_mono now)
{
    struct datagrams *datagrams = client->datagrams;
    if (client->stream)
        gw_stream_reset(client->stream, now, GW_REASON_CANCELLED);
    gw_map_remove(&datagrams->clients, &client->node);
    gw_list_remove(&client->used);
    datagrams->service->clients--;
    router_of(datagrams)->stats.udp_clients--;
    free(client);
}

static void touch(struct client *client, struct gw_mono now)
{
    client->last = now;
    gw_list_remove(&client->used);
    gw_list_push_back(&client->datagrams->used, &client->used);
}

static void on_datagram(struct gw_stream *stream, struct gw_mono now, const void *data, size_t len,
                        void *user)
{
    struct client *client = user;
    struct sockaddr_storage to;
    socklen_t to_len = (socklen_t)gw_addr_to_sockaddr(&client->from, &to);
    (void)stream;
    touch(client, now);
    if (sendto(client->datagrams->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&to,
               to_len) < 0)
        router_of(client->datagrams)->stats.udp_dropped++;
}

static void on_fin(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream;
    free_client(user, now);
}

static void on_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason, void *user)
{
    struct client *client = user;
    const struct service *service = client->datagrams->service;
    (void)stream;
    gw_log_debug("%s of %s: %s", service->what.name, service->peer->name, gw_reason_sentence(reason));
    client->stream = NULL;
    free_client(client, now);
}

static const struct gw_stream_ops ops = {
    .on_accepted = gw_stream_ignore,
    .on_data = gw_stream_drop_data,
    .on_fin = on_fin,
    .on_writable = gw_stream_ignore,
    .on_datagram = on_datagram,
    .on_closed = on_closed,
};

static bool link_client(struct datagrams *datagrams, struct client *client, const struct gw_addr *from)
{
    client->datagrams = datagrams;
    client->from = *from;
    if (gw_map_insert(&datagrams->clients, &client->node, &client->from) != 0)
        return false;
    gw_list_init(&client->used);
    gw_list_push_back(&datagrams->used, &client->used);
    datagrams->service->clients++;
    datagrams->service->accepted++;
    router_of(datagrams)->stats.udp_clients++;
    router_of(datagrams)->stats.accepted++;
    return true;
}

static struct client *new_client(struct datagrams *datagrams, const struct gw_addr *from, struct gw_mono now)
{
    struct gw_peer *peer = service_peer(datagrams->service);
    struct gw_open open;
    if (datagrams->clients.len >= router_of(datagrams)->params.udp_clients_max)
        free_client(gw_list_entry(datagrams->used.next, struct client, used), now);
    struct client *client = peer ? calloc(1, sizeof *client) : NULL;
    if (!client || !link_client(datagrams, client, from)) {
        free(client);
        return NULL;
    }
    service_fill_open(datagrams->service, &open);
    if (gw_peer_open(peer, now, &open, &ops, client, &client->stream) == 0)
        return client;
    client->stream = NULL;
    free_client(client, now);
    return NULL;
}

/* ---- the socket */

static void take(struct datagrams *datagrams, const struct sockaddr_storage *ss, const uint8_t *data,
                 size_t len, struct gw_mono now)
{
    struct gw_addr from;
    struct gw_vrouter_stats *stats = &router_of(datagrams)->stats;
    struct client *client = NULL;
    if (len <= DATAGRAM_MAX && gw_addr_from_sockaddr(&from, (const struct sockaddr *)ss) == 0) {
        struct gw_map_node *found = gw_map_find(&datagrams->clients, &from);
        client = found ? gw_map_entry(found, struct client, node) : new_client(datagrams, &from, now);
    }
    if (!client) {
        stats->udp_dropped++;
        return;
    }
    touch(client, now);
    if (gw_stream_send_datagram(client->stream, now, data, len) != 0)
        stats->udp_dropped++;
}

static void on_event(evutil_socket_t fd, short what, void *arg);

static int watch(struct datagrams *datagrams)
{
    event_assign(&datagrams->event, gw_loop_base(router_of(datagrams)->params.loop), datagrams->fd,
                 EV_READ | EV_PERSIST, on_event, datagrams);
    return event_add(&datagrams->event, NULL) < 0 ? GW_E_NOMEM : 0;
}

/* An error that would be there again at once. */
static void pause_socket(struct datagrams *datagrams)
{
    struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
    event_del(&datagrams->event);
    evtimer_assign(&datagrams->event, gw_loop_base(router_of(datagrams)->params.loop), on_event, datagrams);
    evtimer_add(&datagrams->event, &pause);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct datagrams *datagrams = arg;
    struct gw_mono now = gw_loop_now(router_of(datagrams)->params.loop);
    uint8_t bytes[DATAGRAM_MAX];
    (void)fd;
    if (what & EV_TIMEOUT)
        watch(datagrams);
    for (int i = 0; i < TURN_MAX; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;
        ssize_t n = recvfrom(datagrams->fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC,
                             (struct sockaddr *)&ss, &len);
        if (n >= 0) {
            take(datagrams, &ss, bytes, (size_t)n, now);
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (errno != EINTR && errno != ECONNREFUSED && errno != EHOSTUNREACH && errno != ENETUNREACH) {
            pause_socket(datagrams);
            return;
        }
    }
}

void datagrams_expire(struct datagrams *datagrams, struct gw_mono now)
{
    gw_list_for_each (node, &datagrams->used) {
        struct client *client = gw_list_entry(node, struct client, used);
        if (gw_mono_sub(now, client->last) < router_of(datagrams)->params.udp_idle_ns)
            return;
        free_client(client, now);
    }
}

void datagrams_close(struct datagrams *datagrams, struct gw_mono now)
{
    if (!datagrams)
        return;
    gw_list_for_each (node, &datagrams->used)
        free_client(gw_list_entry(node, struct client, used), now);
    gw_map_fini(&datagrams->clients);
    event_del(&datagrams->event);
    close(datagrams->fd);
    free(datagrams);
}

int datagrams_open(struct datagrams **out, struct service *service)
{
    struct sockaddr_storage ss;
    uint8_t seed[16];
    struct gw_addr address = service_address(service);
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(&address, &ss);
    int fd = socket(address.family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&ss, len) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    struct datagrams *datagrams = calloc(1, sizeof *datagrams);
    if (!datagrams) {
        close(fd);
        return GW_E_NOMEM;
    }
    datagrams->service = service;
    datagrams->fd = fd;
    gw_random_fill(gw_random_system(), seed, sizeof seed);
    gw_map_init(&datagrams->clients, sizeof(struct gw_addr), seed);
    gw_list_init(&datagrams->used);
    if (watch(datagrams) != 0) {
        datagrams_close(datagrams, (struct gw_mono){0});
        return GW_E_NOMEM;
    }
    *out = datagrams;
    return 0;
}
