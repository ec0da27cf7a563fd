/* SPDX-License-Identifier: MIT */
#include "frontends/vrouter/vrouter.h"

#include "frontends/vrouter/private.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/flow/class.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICES_MAX 1024u
#define CONNECTIONS_MAX 4096u
#define UDP_CLIENTS_MAX 256u
#define UDP_IDLE GW_S(120)
#define RETRY GW_S(10)

/* ---- a service */

struct gw_addr service_address(const struct service *service)
{
    struct gw_addr address = service->peer->local;
    address.port = service->what.port;
    return address;
}

void service_fill_open(const struct service *service, struct gw_open *open)
{
    *open = (struct gw_open){.is_datagrams = service->what.is_udp,
                             .class_ = (uint8_t)gw_class_of(service->what.name, service->what.port)};
    memcpy(open->service, service->what.name, sizeof open->service);
}

struct gw_peer *service_peer(const struct service *service)
{
    return gw_gateway_find_peer(service->peer->gateway, service->peer->public_key);
}

static int listen_tcp(struct service *service)
{
    struct gw_addr address = service_address(service);
    struct gw_target target = {.kind = GW_TARGET_ADDR, .port = address.port, .addr = address};
    struct gw_listener_params params = {.loop = service->peer->router->params.loop,
                                        .target = &target,
                                        .on_client = connection_on_client,
                                        .user = service};
    return gw_listener_new(&service->listener, &params);
}

static void stop_listening(struct service *service, struct gw_mono now)
{
    gw_listener_free(service->listener);
    datagrams_close(service->datagrams, now);
    service->listener = NULL;
    service->datagrams = NULL;
    if (service->err == 0)
        service->peer->router->stats.listening--;
    service->err = GW_E_STATE;
}

const char *gw_vrouter_advice(int err)
{
    switch (err) {
    case 0:
        return "listening";
    case -EACCES:
    case -EPERM:
        return "ports below net.ipv4.ip_unprivileged_port_start need a right: as root `sysctl -w net.ipv4.ip_unprivileged_port_start=22`, or "
               "`setcap cap_net_bind_service+ep` on the program; the SOCKS5 proxy and `peergate forward` reach them without";
    case -EADDRINUSE:
        return "another program listens on this port, perhaps on all addresses (0.0.0.0): let it listen on 127.0.0.1 only";
    case -EMFILE:
    case -ENFILE:
        return "out of file descriptors: raise the limit (ulimit -n, LimitNOFILE=)";
    case -EADDRNOTAVAIL:
        return "the address is not on this machine: outside Linux, 127.64.x.y needs an alias on the loopback interface";
    default:
        return gw_strerror(err);
    }
}

/* Once for each service and error; that of low ports once for all of them. */
static void complain(struct service *service, int err)
{
    struct gw_vrouter *router = service->peer->router;
    struct gw_addr address = service_address(service);
    char text[GW_ADDR_STRLEN];
    bool is_port = err == -EACCES || err == -EPERM;
    if (service->err == err || (is_port && router->has_told_about_ports))
        return;
    router->has_told_about_ports = router->has_told_about_ports || is_port;
    gw_log_warn("%s of %s is not at %s: %s", service->what.name, service->peer->name,
                gw_addr_log(&address, text), gw_vrouter_advice(err));
}

static int start_listening(struct service *service)
{
    int err = service->what.is_udp ? datagrams_open(&service->datagrams, service) : listen_tcp(service);
    if (err)
        complain(service, err);
    else
        service->peer->router->stats.listening++;
    service->err = err;
    return err;
}

static struct service *find(const struct gw_vrouter_peer *peer, const struct gw_vrouter_service *what)
{
    gw_list_for_each (node, &peer->services) {
        struct service *service = gw_list_entry(node, struct service, link);
        if (service->what.port == what->port && service->what.is_udp == what->is_udp &&
            strcmp(service->what.name, what->name) == 0)
            return service;
    }
    return NULL;
}

static void free_service(struct service *service, struct gw_mono now)
{
    stop_listening(service, now);
    connections_forget(service->peer, service);
    gw_list_remove(&service->link);
    service->peer->router->stats.services--;
    free(service);
}

int gw_vrouter_add(struct gw_vrouter_peer *peer, const struct gw_vrouter_service *what, struct gw_mono now)
{
    struct gw_vrouter *router = peer->router;
    (void)now;
    struct service *service = find(peer, what);
    if (service) {
        service->is_wanted = true;
        return service->err;
    }
    if (what->port == 0)
        return GW_E_INVAL;
    if (router->stats.services >= router->params.services_max)
        return GW_E_LIMIT;
    service = calloc(1, sizeof *service);
    if (!service)
        return GW_E_NOMEM;
    service->peer = peer;
    service->what = *what;
    service->is_wanted = true;
    gw_list_init(&service->link);
    gw_list_push_back(&peer->services, &service->link);
    router->stats.services++;
    return start_listening(service);
}

void gw_vrouter_remove(struct gw_vrouter_peer *peer, const struct gw_vrouter_service *what,
                       struct gw_mono now)
{
    struct service *service = find(peer, what);
    if (service)
        free_service(service, now);
}

int gw_vrouter_set(struct gw_vrouter_peer *peer, const struct gw_vrouter_service *services, size_t count,
                   struct gw_mono now)
{
    int first = 0;
    gw_list_for_each (node, &peer->services)
        gw_list_entry(node, struct service, link)->is_wanted = false;
    for (size_t i = 0; i < count; i++) {
        struct service *service = find(peer, &services[i]);
        if (service)
            service->is_wanted = true;
    }
    gw_list_for_each (node, &peer->services) {
        struct service *service = gw_list_entry(node, struct service, link);
        if (!service->is_wanted)
            free_service(service, now);
    }
    for (size_t i = 0; i < count; i++) {
        int err = services[i].port != 0 ? gw_vrouter_add(peer, &services[i], now) : 0;
        first = first ? first : err;
    }
    return first;
}

/* ---- peers */

struct gw_vrouter_peer *gw_vrouter_add_peer(struct gw_vrouter *router, struct gateway *gateway,
                                            const uint8_t public_key[GW_KEY_LEN], const struct gw_addr *local,
                                            const char *name)
{
    struct gw_vrouter_peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->router = router;
    peer->gateway = gateway;
    memcpy(peer->public_key, public_key, GW_KEY_LEN);
    peer->local = *local;
    snprintf(peer->name, sizeof peer->name, "%s", name);
    gw_list_init(&peer->services);
    gw_list_init(&peer->connections);
    gw_list_init(&peer->link);
    gw_list_push_back(&router->peers, &peer->link);
    return peer;
}

void gw_vrouter_remove_peer(struct gw_vrouter_peer *peer, struct gw_mono now)
{
    gw_list_for_each (node, &peer->services)
        free_service(gw_list_entry(node, struct service, link), now);
    connections_end(peer, now);
    gw_list_remove(&peer->link);
    free(peer);
}

/* ---- the router */

static void look_after(struct service *service, struct gw_mono now)
{
    if (service->err)
        start_listening(service);
    else if (service->datagrams)
        datagrams_expire(service->datagrams, now);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct gw_vrouter *router = arg;
    struct gw_mono now = gw_loop_now(router->params.loop);
    (void)fd, (void)what;
    gw_list_for_each (node, &router->peers) {
        struct gw_vrouter_peer *peer = gw_list_entry(node, struct gw_vrouter_peer, link);
        gw_list_for_each (at, &peer->services)
            look_after(gw_list_entry(at, struct service, link), now);
    }
}

static void set_defaults(struct gw_vrouter_params *params)
{
    params->services_max = params->services_max ? params->services_max : SERVICES_MAX;
    params->connections_max = params->connections_max ? params->connections_max : CONNECTIONS_MAX;
    params->udp_clients_max = params->udp_clients_max ? params->udp_clients_max : UDP_CLIENTS_MAX;
    params->udp_idle_ns = params->udp_idle_ns ? params->udp_idle_ns : UDP_IDLE;
    params->retry_ns = params->retry_ns ? params->retry_ns : RETRY;
}

struct gw_vrouter *gw_vrouter_new(const struct gw_vrouter_params *params)
{
    struct gw_vrouter *router = calloc(1, sizeof *router);
    if (!router)
        return NULL;
    router->params = *params;
    set_defaults(&router->params);
    gw_list_init(&router->peers);
    struct timeval every = {.tv_sec = router->params.retry_ns / GW_S(1),
                            .tv_usec = router->params.retry_ns % GW_S(1) / 1000};
    event_assign(&router->timer, gw_loop_base(params->loop), -1, EV_PERSIST, on_timer, router);
    if (event_add(&router->timer, &every) == 0)
        return router;
    free(router);
    return NULL;
}

void gw_vrouter_free(struct gw_vrouter *router, struct gw_mono now)
{
    if (!router)
        return;
    gw_list_for_each (node, &router->peers)
        gw_vrouter_remove_peer(gw_list_entry(node, struct gw_vrouter_peer, link), now);
    event_del(&router->timer);
    free(router);
}

void gw_vrouter_for_each(const struct gw_vrouter *router,
                         void (*visit)(const struct gw_vrouter_status *status, void *ctx), void *ctx)
{
    gw_list_for_each (node, &router->peers) {
        struct gw_vrouter_peer *peer = gw_list_entry(node, struct gw_vrouter_peer, link);
        gw_list_for_each (at, &peer->services) {
            struct service *service = gw_list_entry(at, struct service, link);
            struct gw_vrouter_status status = {.peer = peer->name,
                                               .service = &service->what,
                                               .address = service_address(service),
                                               .err = service->err,
                                               .clients = service->clients,
                                               .accepted = service->accepted};
            visit(&status, ctx);
        }
    }
}

void gw_vrouter_stats(const struct gw_vrouter *router, struct gw_vrouter_stats *out)
{
    *out = router->stats;
}
