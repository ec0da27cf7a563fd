/* SPDX-License-Identifier: MIT */
/* Two steps. First UDP: STUN servers and router are asked anew, anchors' sessions are there or being made. Only where nobody answers by that, TCP: to the same machines, and to an
 * address that is nobody's (192.0.2.1, RFC 5737), which only a captive portal answers for. A machine that refuses the datagram itself (ICMP) shows that UDP gets there, and that its program is not running. */
#include "gateway/daemon/netcheck.h"

#include "gateway/base/err.h"
#include "gateway/link/mark.h"
#include "gateway/link/refused.h"
#include "gateway/link/route.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_MS 100
#define UDP_MS 7000
#define SILENT_MS 3500 /* who has not answered by then */
#define TCP_MS 2000
#define TCP_MAX 16u
#define HTTPS_PORT 443u

struct attempt {
    struct gw_netcheck *check;
    struct event *event;
    int fd;
    bool is_nobody; /* at 192.0.2.1 */
    struct gw_addr to;
};

struct gw_netcheck {
    struct gw_daemon *daemon;
    const struct gw_network *only;
    struct event *tick;
    bool has_route[2]; /* of IPv4, of IPv6: else nobody of that family is waited for */
    unsigned waited_ms;
    bool is_tcp; /* the second step */
    struct attempt attempts[TCP_MAX];
    unsigned attempt_count, running;
    enum gw_netcheck_tcp tcp;
    bool is_refused; /* UDP arrived somewhere */
    gw_netcheck_fn *on_done;
    void *ctx;
};

static bool is_meant(const struct gw_netcheck *check, const struct gw_network *network)
{
    return !check->only || check->only == network;
}

/* ---- TCP */

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
    struct attempt *attempt = arg;
    struct gw_netcheck *check = attempt->check;
    int error = ETIMEDOUT;
    socklen_t len = sizeof error;
    if (what & EV_WRITE)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    check->running--;
    if (attempt->is_nobody && error == 0)
        check->tcp = GW_TCP_CAPTURED;
    else if (!attempt->is_nobody && (error == 0 || error == ECONNREFUSED) && check->tcp != GW_TCP_CAPTURED)
        check->tcp = GW_TCP_WORKS;
}

static void begin(struct attempt *attempt, const struct timeval *limit)
{
    if (!attempt->event || event_add(attempt->event, limit) != 0) {
        if (attempt->event)
            event_free(attempt->event);
        close(attempt->fd);
        return;
    }
    attempt->check->attempt_count++;
    attempt->check->running++;
}

static void on_refused(evutil_socket_t fd, short what, void *arg)
{
    struct attempt *attempt = arg;
    attempt->check->running--;
    if ((what & EV_READ) && gw_refused_is(fd, &attempt->to))
        attempt->check->is_refused = true;
}

/* Does the machine itself say that nobody listens at its UDP port? */
static void ask_by_udp(struct gw_netcheck *check, const struct gw_addr *to)
{
    const struct timeval limit = {.tv_sec = TCP_MS / 1000};
    if (check->attempt_count == TCP_MAX)
        return;
    struct attempt *attempt = &check->attempts[check->attempt_count];
    *attempt = (struct attempt){.check = check, .to = *to, .fd = gw_refused_ask(to)};
    if (attempt->fd < 0)
        return;
    attempt->event = event_new(gw_loop_base(check->daemon->loop), attempt->fd, EV_READ, on_refused, attempt);
    begin(attempt, &limit);
}

static void connect_to(struct gw_netcheck *check, const struct gw_addr *addr, uint16_t port, bool is_nobody)
{
    const struct timeval limit = {.tv_sec = TCP_MS / 1000};
    struct sockaddr_storage at;
    struct gw_addr to = *addr;
    if (check->attempt_count == TCP_MAX)
        return;
    struct attempt *attempt = &check->attempts[check->attempt_count];
    to.port = port;
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(&to, &at);
    *attempt = (struct attempt){.check = check, .is_nobody = is_nobody};
    attempt->fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (attempt->fd < 0)
        return;
    gw_mark_outside(attempt->fd);
    if (connect(attempt->fd, (const struct sockaddr *)&at, len) == 0 || errno == EINPROGRESS)
        attempt->event =
            event_new(gw_loop_base(check->daemon->loop), attempt->fd, EV_WRITE, on_connected, attempt);
    begin(attempt, &limit);
}

static void connect_all(struct gw_netcheck *check, const struct gw_network *network, struct gw_mono now)
{
    struct gw_stun_view server;
    struct gw_anchor_view anchor;
    for (unsigned i = 0; gw_stun_view(gw_gateway_stun(network->gateway), i, &server); i++) {
        connect_to(check, &server.server, server.server.port, false);
        ask_by_udp(check, &server.server);
    }
    for (unsigned i = 0; gw_gateway_anchor_view(network->gateway, i, now, &anchor); i++) {
        const struct gw_peer_config *config = gw_peer_config(anchor.peer);
        for (unsigned k = 0; !anchor.is_neighbour && k < config->endpoint_count && k < 2; k++) {
            connect_to(check, &config->endpoints[k], HTTPS_PORT, false);
            ask_by_udp(check, &config->endpoints[k]);
        }
    }
}

static void begin_tcp(struct gw_netcheck *check, struct gw_mono now)
{
    static const struct gw_addr nobody = {.family = 4, .ip = {192, 0, 2, 1}};
    check->is_tcp = true;
    check->waited_ms = 0;
    check->tcp = GW_TCP_BLOCKED;
    connect_to(check, &nobody, 80, true);
    gw_list_for_each (node, &check->daemon->networks) {
        const struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (is_meant(check, network))
            connect_all(check, network, now);
    }
}

/* ---- UDP */

static bool is_waiting_for(const struct gw_netcheck *check, const struct gw_network *network,
                           struct gw_mono now)
{
    const struct gw_stun *stun = gw_gateway_stun(network->gateway);
    struct gw_stun_behaviour behaviour;
    struct gw_stun_view server;
    struct gw_anchor_view anchor;
    struct gw_nat_behaviour nat;
    struct gw_public_view public;
    bool is_asking = check->waited_ms < SILENT_MS;
    gw_gateway_nat_view(network->gateway, &nat);
    gw_gateway_public_view(network->gateway, &public);
    if (nat.is_measuring || public.is_running)
        return true;
    for (uint8_t family = 4; family <= 6; family += 2) {
        bool is_running;
        gw_stun_behaviour(stun, family, &behaviour, &is_running);
        if (is_running)
            return true;
    }
    for (unsigned i = 0; is_asking && gw_stun_view(stun, i, &server); i++) {
        if (server.state == GW_STUN_ASKING && check->has_route[server.server.family == 6])
            return true;
    }
    for (unsigned i = 0; is_asking && gw_gateway_anchor_view(network->gateway, i, now, &anchor); i++) {
        bool is_to_measure = anchor.observed.family == 4 && gw_mono_is_never(nat.measured);
        if (!anchor.is_neighbour && (!anchor.is_connected || anchor.rtt_ns == 0 || is_to_measure))
            return true;
    }
    return gw_port_mapping_is_probing(&network->outside.mapping) ||
           gw_port_mapping_is_probing(&network->outside.pinhole);
}

/* Nobody answers who was asked. */
static bool is_udp_missing(const struct gw_netcheck *check, struct gw_mono now)
{
    bool has_udp = false, is_asked = false, is_any_asked = false;
    gw_list_for_each (node, &check->daemon->networks) {
        const struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (!is_meant(check, network))
            continue;
        has_udp |= gw_netcheck_has_udp(network, 0, now, &is_asked);
        is_any_asked |= is_asked;
    }
    return is_any_asked && !has_udp;
}

static void done(struct gw_netcheck *check, struct gw_mono now)
{
    json_t *list = json_array();
    gw_netcheck_fn *on_done = check->on_done;
    void *ctx = check->ctx;
    gw_list_for_each (node, &check->daemon->networks) {
        const struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (is_meant(check, network))
            json_array_append_new(list, gw_netcheck_json(network, check->tcp, now));
    }
    gw_netcheck_free(check);
    on_done(json_pack("{s:o}", "networks", list), ctx);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct gw_netcheck *check = arg;
    struct gw_mono now = gw_loop_now(check->daemon->loop);
    bool is_waiting = check->is_tcp && check->running > 0;
    (void)fd, (void)what;
    check->waited_ms += LOOK_MS;
    gw_list_for_each (node, &check->daemon->networks) {
        const struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (!check->is_tcp && is_meant(check, network))
            is_waiting |= is_waiting_for(check, network, now);
    }
    if (is_waiting && check->waited_ms < (check->is_tcp ? TCP_MS + LOOK_MS : UDP_MS))
        return;
    if (!check->is_tcp && is_udp_missing(check, now)) {
        begin_tcp(check, now);
        return;
    }
    if (check->is_refused && check->tcp == GW_TCP_WORKS)
        check->tcp = GW_TCP_WORKS_AND_UDP;
    done(check, now);
}

/* ---- life */

int gw_netcheck_new(struct gw_netcheck **out, struct gw_daemon *daemon, const struct gw_network *only,
                    gw_netcheck_fn *on_done, void *ctx)
{
    const struct timeval every = {.tv_usec = LOOK_MS * 1000};
    struct gw_mono now = gw_loop_now(daemon->loop);
    struct gw_netcheck *check = calloc(1, sizeof *check);
    *out = NULL;
    if (!check)
        return GW_E_NOMEM;
    *check = (struct gw_netcheck){.daemon = daemon, .only = only, .on_done = on_done, .ctx = ctx};
    check->tick = event_new(gw_loop_base(daemon->loop), -1, EV_PERSIST, on_tick, check);
    if (!check->tick || event_add(check->tick, &every) != 0) {
        gw_netcheck_free(check);
        return GW_E_NOMEM;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct gw_route route;
        check->has_route[i] = gw_route_default(&route, i == 0 ? 4 : 6) == 0 && route.has_route;
    }
    gw_list_for_each (node, &daemon->networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (!is_meant(check, network))
            continue;
        gw_gateway_ask_stun(network->gateway, now);
        gw_gateway_try_inbound(network->gateway, now);
        gw_port_mapping_probe(&network->outside.mapping, now);
        gw_port_mapping_probe(&network->outside.pinhole, now);
    }
    *out = check;
    return 0;
}

void gw_netcheck_free(struct gw_netcheck *check)
{
    if (!check)
        return;
    for (unsigned i = 0; i < check->attempt_count; i++) {
        event_free(check->attempts[i].event);
        close(check->attempts[i].fd);
    }
    if (check->tick)
        event_free(check->tick);
    free(check);
}
