/* SPDX-License-Identifier: MIT */
/* What listener.c, udp.c and tcp.c share. */
#ifndef FRONTENDS_DNS_PRIVATE_H
#define FRONTENDS_DNS_PRIVATE_H

#include "frontends/dns/access.h"
#include "frontends/dns/answer.h"
#include "frontends/dns/listener.h"
#include "gateway/base/list.h"
#include "gateway/local/listener.h"

#include <event2/event_struct.h>

/* UDP questions that wait for an upstream, of all sockets; what comes above that is refused. */
#define UDP_WAITING_MAX 1024u

struct udp_socket;

struct gw_dns_server {
    struct gw_loop *loop;
    struct gw_dns_ask ask;
    struct gw_dns_forward *forward;
    struct gw_dns_access access;
    struct gw_dns_server_stats stats;
    size_t listen_count;
    struct gw_addr listen[GW_DNS_LISTEN_MAX];
    struct udp_socket *udp[GW_DNS_LISTEN_MAX];
    struct gw_listener *tcp[GW_DNS_LISTEN_MAX];
    struct gw_list udp_waiting;
    struct gw_list clients; /* the longest idle first */
    unsigned clients_max;
    int64_t idle_ns;
    struct udp_batch *batch;
};

/* udp.c. 0 or -errno, GW_E_NOMEM; address gets the port. */
int udp_open(struct udp_socket **out, struct gw_dns_server *server, struct gw_addr *address);
void udp_close(struct udp_socket *socket);
void udp_drop_waiting(struct gw_dns_server *server);
/* Buffers that all sockets of the server share. */
struct udp_batch *udp_batch_new(void);

/* tcp.c */
gw_listener_fn tcp_on_client;
void tcp_close_all(struct gw_dns_server *server);

#endif
