/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/port_mapping.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/pcp_socket.h"
#include "gateway/link/route.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READS_MAX 8
#define DOUBT_EVERY_NS GW_S(30)

static void turn(struct gw_port_mapping *mapping, struct gw_mono now);

/* ---- sockets */

static void close_sockets(struct gw_port_mapping *mapping)
{
    if (mapping->readable)
        event_free(mapping->readable);
    if (mapping->announced)
        event_free(mapping->announced);
    if (mapping->fd >= 0)
        close(mapping->fd);
    if (mapping->announced_fd >= 0)
        close(mapping->announced_fd);
    mapping->readable = mapping->announced = NULL;
    mapping->fd = mapping->announced_fd = -1;
}

static bool is_from_router(const struct gw_port_mapping *mapping, const struct sockaddr_storage *from)
{
    struct gw_addr addr;
    return gw_addr_from_sockaddr(&addr, (const struct sockaddr *)from) == 0 &&
           gw_addr_equal(&addr, &mapping->router);
}

static void read_all(struct gw_port_mapping *mapping, int fd, bool is_announced)
{
    uint8_t data[GW_PCP_MESSAGE_MAX];
    struct gw_mono now = gw_loop_now(mapping->loop);
    for (int i = 0; i < READS_MAX; i++) {
        struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
        socklen_t from_len = sizeof from;
        ssize_t len = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &from_len);
        if (len < 0 && (errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH))
            gw_portmap_unreachable(&mapping->portmap, now);
        else if (len < 0)
            break;
        else if (is_from_router(mapping, &from))
            gw_portmap_input(&mapping->portmap, now, data, (size_t)len, is_announced);
    }
    turn(mapping, now);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    read_all(arg, fd, false);
}

static void on_announced(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    read_all(arg, fd, true);
}

/* ---- the turn: what is due, who asks, who is told */

static void send_due(struct gw_port_mapping *mapping, struct gw_mono now)
{
    uint8_t out[GW_PCP_REQUEST_MAX];
    for (size_t len; mapping->fd >= 0 && (len = gw_portmap_take(&mapping->portmap, now, out)) > 0;) {
        if (send(mapping->fd, out, len, 0) < 0 && errno == ECONNREFUSED) /* an answer to an earlier one */
            gw_portmap_unreachable(&mapping->portmap, now);
    }
}

/* UPnP begins when the others are quiet, and ends when they are not. */
static void choose(struct gw_port_mapping *mapping, struct gw_mono now)
{
    bool is_quiet = mapping->family == 4 && gw_portmap_is_quiet(&mapping->portmap, now);
    if (mapping->igd.state == GW_IGD_OFF && is_quiet && gw_addr_is_set(&mapping->router))
        gw_igd_start(&mapping->igd, &mapping->router, &mapping->client, mapping->port);
    else if (mapping->igd.state != GW_IGD_OFF && mapping->portmap.state == GW_PORTMAP_MAPPED)
        gw_igd_stop(&mapping->igd, false);
}

static void arm(struct gw_port_mapping *mapping, struct gw_mono now)
{
    struct gw_mono next =
        gw_mono_min(gw_portmap_next_deadline(&mapping->portmap), gw_igd_next_deadline(&mapping->igd));
    if (mapping->family == 4 && mapping->portmap.state == GW_PORTMAP_ASKING &&
        mapping->igd.state == GW_IGD_OFF)
        next = gw_mono_min(next, gw_mono_add(mapping->portmap.began, GW_PORTMAP_QUIET_NS));
    if (gw_mono_is_never(next)) {
        evtimer_del(mapping->timer);
        return;
    }
    int64_t wait_us = gw_mono_due(next, now) ? 0 : (gw_mono_sub(next, now) + 999) / 1000;
    const struct timeval tv = {.tv_sec = (time_t)(wait_us / 1000000),
                               .tv_usec = (suseconds_t)(wait_us % 1000000)};
    evtimer_add(mapping->timer, &tv);
}

static void turn(struct gw_port_mapping *mapping, struct gw_mono now)
{
    gw_portmap_expire(&mapping->portmap, now);
    send_due(mapping, now);
    choose(mapping, now);
    gw_igd_expire(&mapping->igd, now);
    arm(mapping, now);
    struct gw_addr external;
    gw_port_mapping_external(mapping, &external);
    if (gw_addr_equal(&external, &mapping->told))
        return;
    mapping->told = external;
    mapping->on_change(mapping->ctx);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct gw_port_mapping *mapping = arg;
    (void)fd, (void)what;
    turn(mapping, gw_loop_now(mapping->loop));
}

static void on_igd(void *ctx)
{
    struct gw_port_mapping *mapping = ctx;
    turn(mapping, gw_loop_now(mapping->loop));
}

/* ---- which router */

/* RFC 1918 and RFC 6598: whoever has only such an address is behind a NAT. */
static bool is_private(const struct gw_addr *addr)
{
    const uint8_t *ip = addr->ip;
    return ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) || (ip[0] == 192 && ip[1] == 168) ||
           (ip[0] == 100 && (ip[1] & 0xc0) == 64);
}

/* Of a machine whose only IPv4 addresses are such, or with a global IPv6 address, which a firewall may be before. */
static bool may_need(const struct gw_addr *client)
{
    return client->family == 6 ? (client->ip[0] & 0xe0) == 0x20 : is_private(client);
}

static void give_back(struct gw_port_mapping *mapping, bool may_wait)
{
    uint8_t out[GW_PCP_REQUEST_MAX];
    size_t len = gw_portmap_give_back(&mapping->portmap, out);
    if (len > 0 && mapping->fd >= 0 && send(mapping->fd, out, len, 0) < 0)
        gw_log_debug("the mapping could not be given back: %s", gw_strerror(-errno));
    gw_portmap_stop(&mapping->portmap);
    gw_igd_stop(&mapping->igd, may_wait);
    close_sockets(mapping);
    mapping->router = mapping->client = (struct gw_addr){.family = 0};
}

static bool watch(struct gw_port_mapping *mapping)
{
    struct event_base *base = gw_loop_base(mapping->loop);
    mapping->readable = event_new(base, mapping->fd, EV_READ | EV_PERSIST, on_readable, mapping);
    if (mapping->announced_fd >= 0)
        mapping->announced =
            event_new(base, mapping->announced_fd, EV_READ | EV_PERSIST, on_announced, mapping);
    if (mapping->announced)
        event_add(mapping->announced, NULL);
    return mapping->readable && event_add(mapping->readable, NULL) == 0;
}

void gw_port_mapping_refresh(struct gw_port_mapping *mapping, bool is_wanted, struct gw_mono now)
{
    struct gw_route route = {.has_route = false};
    struct gw_addr client = {.family = 0};
    int fd = -1;
    mapping->is_wanted = is_wanted;
    if (gw_route_default(&route, mapping->family) == 0 && route.router.family == mapping->family) {
        route.router.port = GW_PCP_PORT;
        fd = gw_pcp_socket_open(&route.router, &client);
    }
    bool is_needed = is_wanted && fd >= 0 && may_need(&client);
    if (is_needed && gw_addr_equal(&route.router, &mapping->router) &&
        gw_addr_equal(&client, &mapping->client)) {
        close(fd);
        gw_portmap_renew(&mapping->portmap, now);
        gw_igd_renew(&mapping->igd, now);
        turn(mapping, now);
        return;
    }
    give_back(mapping, false);
    if (!is_needed) {
        if (fd >= 0)
            close(fd);
        turn(mapping, now);
        return;
    }
    mapping->router = route.router;
    mapping->client = client;
    mapping->fd = fd;
    mapping->announced_fd = gw_pcp_socket_open_announced(mapping->family, route.interface);
    if (watch(mapping))
        gw_portmap_start(&mapping->portmap, now, &client, mapping->port, mapping->nonce);
    else
        close_sockets(mapping);
    turn(mapping, now);
}

static bool is_ahead(struct gw_mono at, struct gw_mono now)
{
    return !gw_mono_is_never(at) && gw_mono_before(now, at);
}

void gw_port_mapping_doubt(struct gw_port_mapping *mapping, struct gw_mono now)
{
    struct gw_mono at = now;
    if (!mapping->loop || !gw_addr_is_set(&mapping->router) || is_ahead(mapping->doubted, now))
        return;
    if (!gw_mono_is_never(mapping->doubted))
        at = gw_mono_max(at, gw_mono_add(mapping->doubted, DOUBT_EVERY_NS));
    mapping->doubted = at;
    gw_portmap_renew(&mapping->portmap, at);
    gw_igd_doubt(&mapping->igd, at);
    arm(mapping, now);
}

/* ---- life */

int gw_port_mapping_init(struct gw_port_mapping *mapping, uint8_t family, struct gw_loop *loop,
                         const uint8_t secret[32], void (*on_change)(void *ctx), void *ctx)
{
    static const char label4[] = "peergate port mapping nonce v1", label6[] = "peergate pinhole nonce v1";
    const char *label = family == 6 ? label6 : label4;
    uint8_t digest[crypto_generichash_BYTES];
    *mapping = (struct gw_port_mapping){.family = family,
                                        .doubted = GW_NEVER,
                                        .loop = loop,
                                        .fd = -1,
                                        .announced_fd = -1,
                                        .on_change = on_change,
                                        .ctx = ctx};
    crypto_generichash(digest, sizeof digest, (const uint8_t *)label, strlen(label), secret, 32);
    memcpy(mapping->nonce, digest, sizeof mapping->nonce);
    gw_portmap_init(&mapping->portmap, gw_random_system());
    gw_igd_init(&mapping->igd, loop, on_igd, mapping);
    mapping->timer = evtimer_new(gw_loop_base(loop), on_timer, mapping);
    return mapping->timer ? 0 : GW_E_NOMEM;
}

void gw_port_mapping_fini(struct gw_port_mapping *mapping)
{
    if (!mapping->loop)
        return;
    give_back(mapping, true);
    if (mapping->timer)
        event_free(mapping->timer);
    mapping->timer = NULL;
    mapping->loop = NULL;
}

/* ---- to read */

bool gw_port_mapping_probe(struct gw_port_mapping *mapping, struct gw_mono now)
{
    if (!gw_addr_is_set(&mapping->router))
        return false;
    gw_portmap_probe(&mapping->portmap, now);
    if (mapping->family == 4)
        gw_igd_find(&mapping->igd, &mapping->router, &mapping->client);
    turn(mapping, now);
    return true;
}

bool gw_port_mapping_is_probing(const struct gw_port_mapping *mapping)
{
    const struct gw_portmap *portmap = &mapping->portmap;
    bool is_waiting =
        portmap->state == GW_PORTMAP_ASKING && !gw_portmap_is_quiet(portmap, gw_loop_now(mapping->loop));
    return is_waiting || gw_igd_is_busy(&mapping->igd);
}

bool gw_port_mapping_external(const struct gw_port_mapping *mapping, struct gw_addr *out)
{
    *out = mapping->portmap.state == GW_PORTMAP_MAPPED ? mapping->portmap.external
           : mapping->igd.state == GW_IGD_MAPPED       ? mapping->igd.external
                                                       : (struct gw_addr){.family = 0};
    return gw_addr_is_set(out);
}

const char *gw_port_mapping_protocol(const struct gw_port_mapping *mapping)
{
    if (mapping->portmap.state == GW_PORTMAP_MAPPED)
        return mapping->portmap.version == GW_PCP ? "pcp" : "nat-pmp";
    return mapping->igd.state == GW_IGD_MAPPED ? "upnp" : NULL;
}

const char *gw_port_mapping_state(const struct gw_port_mapping *mapping, const char **reason)
{
    const struct gw_portmap *portmap = &mapping->portmap;
    *reason = NULL;
    if (!mapping->is_wanted)
        return "off";
    if (!gw_addr_is_set(&mapping->router))
        return "not needed";
    if (gw_port_mapping_protocol(mapping))
        return "mapped";
    if (portmap->state == GW_PORTMAP_ASKING || mapping->igd.state == GW_IGD_ASKING)
        return "asking";
    if (portmap->state == GW_PORTMAP_REFUSED)
        *reason = gw_pcp_result_text(portmap->version, portmap->result);
    if (mapping->igd.state == GW_IGD_REFUSED)
        *reason = mapping->igd.reason;
    return *reason ? "refused" : "silent";
}
