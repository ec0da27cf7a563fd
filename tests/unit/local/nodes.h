/* SPDX-License-Identifier: MIT */
/* Two whole nodes in one process: engines, services, resolver and proxy on one loop in a thread of its own, joined by handing trains over a turn later. A test's
 * sockets are real, and its own thread may block on them. "laptop" has the proxy, "home" the services. */
#ifndef TESTS_UNIT_LOCAL_NODES_H
#define TESTS_UNIT_LOCAL_NODES_H

#include "frontends/socks5/socks5.h"
#include "gateway/gateway.h"
#include "gateway/local/listener.h"
#include "gateway/services/services.h"
#include "resolver/names_tier.h"

#include <pthread.h>

enum { LAPTOP, HOME };

/* A train on its way: it arrives in a later turn than it left, or round trips would take no time. */
struct flight {
    struct gw_list link;
    struct gw_mono left;
    struct gw_train train;
    int to;
    uint8_t slab[];
};

struct node {
    struct nodes *nodes;
    struct gateway *gateway;
    struct gw_gateway_events events;
    struct gw_gateway_params params;
    struct gw_peer *peer; /* the other */
    struct gw_addr addr;
    struct gw_services *services;
};

struct nodes {
    struct gw_loop *loop;
    struct gw_loop_hook hook;
    struct gw_wallclock wallclock;
    int64_t wall_offset_s;
    struct gw_flow_budget budget[2];
    struct node node[2];
    bool is_cut; /* trains are thrown away */
    struct gw_dialer *dialer;
    struct gw_resolver *resolver;
    struct gw_frontend frontend;
    struct gw_socks5_params params;
    struct gw_socks5 *socks5;
    struct gw_target listen;
    uint16_t port; /* where the proxy listens on 127.0.0.1 */
    uint8_t *slab;
    struct gw_list flights;
    pthread_t thread;
    int wake[2];
    pthread_mutex_t lock;
    pthread_cond_t done;
    void (*call)(struct nodes *nodes, void *arg);
    void *arg;
};

/* change, if given, alters nodes->params before the proxy starts. */
void nodes_start(struct nodes *nodes, void (*change)(struct gw_socks5_params *params));
/* Everything is freed; asserts that no flow and no byte of the budgets is left. */
void nodes_stop(struct nodes *nodes);
/* Runs fn in the loop's thread and waits for it. */
void nodes_call(struct nodes *nodes, void (*fn)(struct nodes *nodes, void *arg), void *arg);
/* A service of home's at `target`; laptop may use it. */
void nodes_serve(struct nodes *nodes, const char *name, const char *target, bool is_udp);
/* ... at 127.0.0.1:port. */
void nodes_serve_port(struct nodes *nodes, const char *name, uint16_t port, bool is_udp);
/* Waits until fn is true in the loop's thread, or fails after 10 s. */
void nodes_wait(struct nodes *nodes, bool (*fn)(struct nodes *nodes));
/* For nodes_wait: no flow of a service is open, no client of the proxy, no association. */
bool nodes_are_quiet(struct nodes *nodes);
struct gw_services_stats nodes_services_stats(struct nodes *nodes);
struct gw_socks5_stats nodes_socks5_stats(struct nodes *nodes);

#endif
