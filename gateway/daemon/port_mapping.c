/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/port_mapping.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/link/route.h"

#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READS_MAX 8
#define ANNOUNCE_GROUP 0xe0000001u /* 224.0.0.1 */

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

/* Connected to the router: only its answers come in, and its ICMP errors. */
static int open_socket(const struct gw_addr *router, struct gw_addr *client)
{
    struct sockaddr_storage at;
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(router, &at);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&at, len) == 0) {
        len = sizeof at;
        if (getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
            gw_addr_from_sockaddr(client, (const struct sockaddr *)&at) == 0) {
            client->port = 0;
            return fd;
        }
    }
    int err = -errno;
    close(fd);
    return err;
}

/* What the router tells everybody (RFC 6887, 14.1; RFC 6886, 3.2.1). Others in this machine listen on the port too. Without it a restart is noticed at the next renewal. */
static int open_announced(unsigned interface)
{
    const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(GW_PCP_CLIENT_PORT)};
    const struct ip_mreqn group = {.imr_multiaddr = {htonl(ANNOUNCE_GROUP)}, .imr_ifindex = (int)interface};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 &&
        setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0)
        return fd;
    int err = -errno;
    close(fd);
    gw_log_debug("the router's announcements are not heard: %s", gw_strerror(err));
    return err;
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
    bool is_quiet = gw_portmap_is_quiet(&mapping->portmap, now);
    if (mapping->igd.state == GW_IGD_OFF && is_quiet && gw_addr_is_set(&mapping->router))
        gw_igd_start(&mapping->igd, &mapping->router, &mapping->client, mapping->port);
    else if (mapping->igd.state != GW_IGD_OFF && mapping->portmap.state == GW_PORTMAP_MAPPED)
        gw_igd_stop(&mapping->igd, false);
}

static void arm(struct gw_port_mapping *mapping, struct gw_mono now)
{
    struct gw_mono next =
        gw_mono_min(gw_portmap_next_deadline(&mapping->portmap), gw_igd_next_deadline(&mapping->igd));
    if (mapping->portmap.state == GW_PORTMAP_ASKING && mapping->igd.state == GW_IGD_OFF)
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
    if (gw_route_default(&route, 4) == 0 && route.router.family == 4) {
        route.router.port = GW_PCP_PORT;
        fd = open_socket(&route.router, &client);
    }
    bool is_needed = is_wanted && fd >= 0 && is_private(&client);
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
    mapping->announced_fd = open_announced(route.interface);
    if (watch(mapping))
        gw_portmap_start(&mapping->portmap, now, &client, mapping->port, mapping->nonce);
    else
        close_sockets(mapping);
    turn(mapping, now);
}

/* ---- life */

int gw_port_mapping_init(struct gw_port_mapping *mapping, struct gw_loop *loop, const uint8_t secret[32],
                         void (*on_change)(void *ctx), void *ctx)
{
    static const char label[] = "peergate port mapping nonce v1";
    uint8_t digest[crypto_generichash_BYTES];
    *mapping = (struct gw_port_mapping){
        .loop = loop, .fd = -1, .announced_fd = -1, .on_change = on_change, .ctx = ctx};
    crypto_generichash(digest, sizeof digest, (const uint8_t *)label, sizeof label - 1, secret, 32);
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
