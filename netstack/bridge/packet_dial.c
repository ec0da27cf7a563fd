/* SPDX-License-Identifier: MIT */
/* A dial lives from the SYN to its answer. The answer is told from the loop, so that nobody is called from within his own call. */
#include "netstack/bridge/packet_dial.h"

#include "gateway/base/err.h"
#include "gateway/base/list.h"
#include "gateway/peer/address.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#define TIMEOUT GW_S(20)

struct way {
    struct gw_list node;
    const struct gateway *gateway;
    struct gw_netstack_link *link;
};

struct gw_packet_dialer {
    struct gw_loop *loop;
    struct gw_list ways;
};

struct gw_packet_dial {
    struct event event; /* its timeout; made active when it is decided */
    struct gw_packet_dialer *dialer;
    struct gw_connection *connection; /* NULL: it died of `reason` */
    enum gw_reason reason;
    bool is_decided;
    gw_packet_dial_fn *on_done;
    void *user;
};

/* ---- the dialer */

struct gw_packet_dialer *gw_packet_dialer_new(struct gw_loop *loop)
{
    struct gw_packet_dialer *dialer = calloc(1, sizeof *dialer);
    if (!dialer)
        return NULL;
    dialer->loop = loop;
    gw_list_init(&dialer->ways);
    return dialer;
}

static struct way *find(const struct gw_packet_dialer *dialer, const struct gateway *gateway)
{
    gw_list_for_each (node, &dialer->ways) {
        struct way *way = gw_list_entry(node, struct way, node);
        if (way->gateway == gateway)
            return way;
    }
    return NULL;
}

static void free_way(struct way *way)
{
    gw_list_remove(&way->node);
    free(way);
}

void gw_packet_dialer_free(struct gw_packet_dialer *dialer)
{
    if (!dialer)
        return;
    gw_list_for_each (node, &dialer->ways)
        free_way(gw_list_entry(node, struct way, node));
    free(dialer);
}

int gw_packet_dialer_set(struct gw_packet_dialer *dialer, const struct gateway *gateway,
                         struct gw_netstack_link *link)
{
    struct way *way = find(dialer, gateway);
    if (!link) {
        if (way)
            free_way(way);
        return 0;
    }
    if (!way && (way = calloc(1, sizeof *way)) == NULL)
        return GW_E_NOMEM;
    if (!way->gateway) {
        gw_list_init(&way->node);
        gw_list_push_back(&dialer->ways, &way->node);
    }
    way->gateway = gateway;
    way->link = link;
    return 0;
}

uint16_t gw_packet_mtu(const struct gw_peer *peer)
{
    size_t room = gw_peer_packet_room(peer);
    return room > UINT16_MAX ? 0 : (uint16_t)room;
}

bool gw_packet_is_needed(const struct gw_peer *peer, struct gw_mono now)
{
    struct gw_peer_status status;
    gw_peer_status(peer, now, &status);
    return status.kind == GW_PEER_WIREGUARD;
}

/* ---- a dial */

static void decide(struct gw_packet_dial *dial, enum gw_reason reason)
{
    dial->is_decided = true;
    dial->reason = reason;
    event_active(&dial->event, EV_READ, 0);
}

static void on_connected(struct gw_connection *connection, struct gw_mono now, void *user)
{
    (void)connection, (void)now;
    decide(user, GW_REASON_NONE);
}

/* What comes before somebody is there for it is kept. */
static size_t on_data(struct gw_connection *connection, struct gw_mono now, const struct iovec *iov,
                      int count, void *user)
{
    (void)connection, (void)now, (void)iov, (void)count, (void)user;
    return 0;
}

static void on_fin(struct gw_connection *connection, struct gw_mono now, void *user)
{
    (void)connection, (void)now, (void)user;
}

static void on_closed(struct gw_connection *connection, struct gw_mono now, enum gw_reason reason, void *user)
{
    struct gw_packet_dial *dial = user;
    (void)connection, (void)now;
    dial->connection = NULL;
    decide(dial, reason == GW_REASON_NONE ? GW_REASON_CANCELLED : reason);
}

static const struct gw_connection_ops ops = {
    .on_connected = on_connected, .on_data = on_data, .on_fin = on_fin, .on_closed = on_closed};

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct gw_packet_dial *dial = arg;
    struct gw_mono now = gw_loop_now(dial->dialer->loop);
    struct gw_connection *connection = dial->connection;
    enum gw_reason reason = dial->is_decided ? dial->reason : GW_REASON_TIMED_OUT;
    gw_packet_dial_fn *on_done = dial->on_done;
    void *user = dial->user;
    (void)fd, (void)what;
    if (!dial->is_decided && connection) {
        gw_connection_reset(connection, now);
        connection = NULL;
    }
    event_del(&dial->event);
    free(dial);
    on_done(connection, reason, now, user);
}

static bool choose_addresses(const struct gw_netstack_link *link, const struct gw_packet_dial_params *params,
                             struct gw_netstack_connect_params *connect)
{
    connect->to = params->to;
    if (params->to.family != 0)
        return gw_netstack_link_source(link, params->to.family, &connect->from);
    for (uint8_t family = 4; family <= 6; family += 2) {
        const struct gw_addr *own = gw_peer_config_address(gw_peer_config(params->peer), family);
        if (!own || !gw_netstack_link_source(link, family, &connect->from))
            continue;
        connect->to = *own;
        connect->to.port = params->to.port;
        return true;
    }
    return false;
}

int gw_packet_dial(struct gw_packet_dialer *dialer, const struct gw_packet_dial_params *params,
                   struct gw_mono now, struct gw_packet_dial **out)
{
    const struct way *way = find(dialer, gw_peer_gateway(params->peer));
    struct gw_netstack_connect_params connect = {.peer = params->peer,
                                                 .is_udp = params->is_datagrams,
                                                 .mtu = gw_packet_mtu(params->peer),
                                                 .ops = &ops};
    int64_t timeout = params->timeout_ns ? params->timeout_ns : TIMEOUT;
    struct timeval until = {.tv_sec = (time_t)(timeout / GW_S(1)), .tv_usec = timeout % GW_S(1) / 1000};
    if (!way)
        return -EHOSTUNREACH;
    connect.link = way->link;
    if (!choose_addresses(way->link, params, &connect))
        return -EADDRNOTAVAIL;
    struct gw_packet_dial *dial = calloc(1, sizeof *dial);
    if (!dial)
        return GW_E_NOMEM;
    dial->dialer = dialer;
    dial->on_done = params->on_done;
    dial->user = params->user;
    connect.user = dial;
    event_assign(&dial->event, gw_loop_base(dialer->loop), -1, 0, on_event, dial);
    int err = event_add(&dial->event, &until) == 0 ? gw_netstack_connect(&dial->connection, now, &connect)
                                                   : GW_E_NOMEM;
    if (err != 0) {
        event_del(&dial->event);
        free(dial);
        return err;
    }
    if (params->is_datagrams)
        decide(dial, GW_REASON_NONE);
    *out = dial;
    return 0;
}

void gw_packet_dial_cancel(struct gw_packet_dial *dial)
{
    if (dial->connection)
        gw_connection_reset(dial->connection, gw_loop_now(dial->dialer->loop));
    event_del(&dial->event);
    free(dial);
}
