/* SPDX-License-Identifier: MIT */
#include "frontends/dns/private.h"
#include "gateway/base/err.h"

#include <stdlib.h>
#include <string.h>

#define TCP_CLIENTS 256u
#define TCP_IDLE GW_S(10)
/* The kernel chooses a port; the same has to be free for UDP. */
#define PORT_TRIES 16

/* server->listen[i] has the port afterwards. */
static int listen_tcp(struct gw_dns_server *server, size_t i)
{
    struct gw_target target = {
        .kind = GW_TARGET_ADDR, .port = server->listen[i].port, .addr = server->listen[i]};
    struct gw_listener_params params = {
        .loop = server->loop, .target = &target, .on_client = tcp_on_client, .user = server};
    int err = gw_listener_new(&server->tcp[i], &params);
    if (err == 0)
        server->listen[i].port = gw_listener_target(server->tcp[i])->port;
    return err;
}

/* TCP first: each connection on this machine takes one of its ports, of which the kernel then finds one that is left; for UDP nearly all are free. The other way
 * round, a machine with many connections leaves little hope that a port which is free for UDP is free for TCP as well. */
static int listen_both(struct gw_dns_server *server, size_t i, const struct gw_addr *address)
{
    int err = 0;
    for (int n = 0; n < PORT_TRIES; n++) {
        server->listen[i] = *address;
        err = listen_tcp(server, i);
        if (err == 0)
            err = udp_open(&server->udp[i], server, &server->listen[i]);
        if (err != -EADDRINUSE || address->port != 0)
            return err;
        gw_listener_free(server->tcp[i]);
        server->tcp[i] = NULL;
    }
    return err;
}

static int listen_all(struct gw_dns_server *server, const struct gw_dns_server_params *params, size_t *bad)
{
    for (size_t i = 0; i < params->listen_count; i++) {
        *bad = i;
        int err =
            gw_addr_is_set(&params->listen[i]) ? listen_both(server, i, &params->listen[i]) : GW_E_INVAL;
        if (err)
            return err;
    }
    return 0;
}

int gw_dns_server_new(struct gw_dns_server **out, const struct gw_dns_server_params *params, size_t *bad)
{
    *bad = 0;
    if (params->listen_count > GW_DNS_LISTEN_MAX)
        return GW_E_LIMIT;
    struct gw_dns_server *server = calloc(1, sizeof *server);
    if (!server)
        return GW_E_NOMEM;
    server->loop = params->loop;
    server->ask = (struct gw_dns_ask){.zone = params->zone, .forwards = params->forward != NULL};
    server->forward = params->forward;
    server->listen_count = params->listen_count;
    server->clients_max = params->tcp_clients ? params->tcp_clients : TCP_CLIENTS;
    server->idle_ns = params->tcp_idle_ns ? params->tcp_idle_ns : TCP_IDLE;
    gw_list_init(&server->udp_waiting);
    gw_list_init(&server->clients);
    int err = gw_dns_access_init(&server->access, params->allowed, params->allowed_count, params->rate,
                                 params->burst);
    server->batch = udp_batch_new();
    if (err == 0)
        err = server->batch ? listen_all(server, params, bad) : GW_E_NOMEM;
    if (err) {
        gw_dns_server_free(server);
        return err;
    }
    *out = server;
    return 0;
}

void gw_dns_server_free(struct gw_dns_server *server)
{
    if (!server)
        return;
    udp_drop_waiting(server);
    tcp_close_all(server);
    for (size_t i = 0; i < GW_DNS_LISTEN_MAX; i++) {
        udp_close(server->udp[i]);
        gw_listener_free(server->tcp[i]);
    }
    gw_dns_access_fini(&server->access);
    free(server->batch);
    free(server);
}

enum gw_dns_permission gw_dns_server_take(struct gw_dns_server *server, const struct gw_addr *from,
                                          struct gw_mono now)
{
    enum gw_dns_permission permission = gw_dns_access_take(&server->access, from, now);
    server->stats.not_allowed += permission == GW_DNS_PERMIT_NOT;
    server->stats.limited += permission == GW_DNS_SLOW_DOWN || permission == GW_DNS_SLIP;
    return permission;
}

void gw_dns_server_set_forwards(struct gw_dns_server *server, bool forwards)
{
    server->ask.forwards = forwards && server->forward != NULL;
}

const struct gw_addr *gw_dns_server_listen(const struct gw_dns_server *server, size_t i)
{
    return &server->listen[i];
}

void gw_dns_server_stats(const struct gw_dns_server *server, struct gw_dns_server_stats *out)
{
    *out = server->stats;
}
