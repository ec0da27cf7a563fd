/* SPDX-License-Identifier: MIT */
/* A client's TCP connection and its stream. */
#include "frontends/vrouter/private.h"
#include "gateway/base/log.h"
#include "gateway/local/sockopt.h"
#include "gateway/local/splice.h"

#include <stdlib.h>
#include <unistd.h>

struct connection {
    struct gw_list link; /* in peer->connections */
    struct gw_vrouter *router;
    struct service *service; /* NULL: removed meanwhile */
    struct gw_splice *splice;
};

static void free_connection(struct connection *connection)
{
    gw_list_remove(&connection->link);
    connection->router->stats.connections--;
    if (connection->service)
        connection->service->clients--;
    free(connection);
}

static void on_end(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user)
{
    struct connection *connection = user;
    (void)splice, (void)now;
    if (reason != GW_REASON_NONE && connection->service)
        gw_log_debug("%s of %s: %s", connection->service->what.name, connection->service->peer->name,
                     gw_reason_sentence(reason));
    free_connection(connection);
}

static const struct gw_splice_events events = {.on_end = on_end};

/* The client sees a reset, as from a host where nobody listens. */
static void turn_away(struct gw_vrouter *router, int fd)
{
    router->stats.refused++;
    gw_sock_set_abort(fd);
    close(fd);
}

static struct connection *new_connection(struct service *service, int fd)
{
    struct gw_vrouter_peer *peer = service->peer;
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        close(fd);
        return NULL;
    }
    connection->splice = gw_splice_new(peer->router->params.loop, fd, &events, connection);
    if (!connection->splice) {
        free(connection);
        return NULL;
    }
    connection->router = peer->router;
    connection->service = service;
    gw_list_init(&connection->link);
    gw_list_push_back(&peer->connections, &connection->link);
    service->clients++;
    service->accepted++;
    peer->router->stats.connections++;
    peer->router->stats.accepted++;
    return connection;
}

static void close_connection(struct connection *connection, struct gw_mono now, enum gw_reason reason)
{
    gw_splice_close(connection->splice, now, reason);
    free_connection(connection);
}

void connection_on_client(struct gw_listener *listener, int fd, struct gw_mono now, void *user)
{
    struct service *service = user;
    struct gw_vrouter *router = service->peer->router;
    struct gw_peer *peer = service_peer(service);
    struct gw_stream *stream;
    struct gw_open open;
    (void)listener;
    if (!peer || router->stats.connections >= router->params.connections_max) {
        turn_away(router, fd);
        return;
    }
    struct connection *connection = new_connection(service, fd);
    if (!connection)
        return;
    service_fill_open(service, &open);
    int err = gw_peer_open(peer, now, &open, &gw_splice_stream_ops, connection->splice, &stream);
    if (err == 0)
        err = gw_splice_bridge_opened(connection->splice, now, stream, NULL, 0, GW_SPLICE_UNLIMITED);
    if (err == 0)
        return;
    router->stats.refused++;
    close_connection(connection, now, GW_REASON_CANCELLED);
}

void connections_end(struct gw_vrouter_peer *peer, struct gw_mono now)
{
    gw_list_for_each (node, &peer->connections)
        close_connection(gw_list_entry(node, struct connection, link), now, GW_REASON_SHUTTING_DOWN);
}

void connections_forget(struct gw_vrouter_peer *peer, const struct service *service)
{
    gw_list_for_each (node, &peer->connections) {
        struct connection *connection = gw_list_entry(node, struct connection, link);
        if (connection->service == service)
            connection->service = NULL;
    }
}
