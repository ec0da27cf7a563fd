/* SPDX-License-Identifier: MIT */
/* What vrouter.c, connection.c and datagrams.c share. */
#ifndef FRONTENDS_VROUTER_PRIVATE_H
#define FRONTENDS_VROUTER_PRIVATE_H

#include "frontends/vrouter/vrouter.h"
#include "gateway/base/list.h"
#include "gateway/base/map.h"
#include "gateway/local/listener.h"

#include <event2/event_struct.h>

struct datagrams;

struct gw_vrouter {
    struct gw_vrouter_params params;
    struct event timer; /* tries again, ends idle UDP clients */
    struct gw_list peers;
    struct gw_vrouter_stats stats;
    bool has_told_about_ports;
};

struct gw_vrouter_peer {
    struct gw_list link;
    struct gw_vrouter *router;
    struct gateway *gateway;
    uint8_t public_key[GW_KEY_LEN];
    struct gw_addr local;
    char name[64];
    struct gw_list services;
    struct gw_list connections;
};

struct service {
    struct gw_list link;
    struct gw_vrouter_peer *peer;
    struct gw_vrouter_service what;
    int err;                      /* why it does not listen */
    bool is_wanted;               /* gw_vrouter_set's mark */
    struct gw_listener *listener; /* TCP */
    struct datagrams *datagrams;  /* UDP */
    unsigned clients;
    uint64_t accepted;
};

struct gw_addr service_address(const struct service *service);
void service_fill_open(const struct service *service, struct gw_open *open);
/* NULL: not there now. */
struct gw_peer *service_peer(const struct service *service);

/* connection.c */
gw_listener_fn connection_on_client;
void connections_end(struct gw_vrouter_peer *peer, struct gw_mono now);
/* A service goes: its connections stay, without it. */
void connections_forget(struct gw_vrouter_peer *peer, const struct service *service);

/* datagrams.c. 0 or -errno, GW_E_NOMEM. */
int datagrams_open(struct datagrams **out, struct service *service);
void datagrams_close(struct datagrams *datagrams, struct gw_mono now);
void datagrams_expire(struct datagrams *datagrams, struct gw_mono now);

#endif
