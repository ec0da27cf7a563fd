/* SPDX-License-Identifier: MIT */
/* Which services of a peer may this node use? Asked and answered by CONTROL messages (gateway/wire/control.proto) inside the session. The
 * asker repeats until it has every page or gives up; the answerer tells only what that very peer may use. */
#ifndef GATEWAY_DAEMON_PEER_SERVICES_H
#define GATEWAY_DAEMON_PEER_SERVICES_H

#include "gateway/gateway.h"
#include "gateway/link/loop.h"
#include "gateway/services/services.h"

#define GW_PEER_SERVICES_MAX GW_SERVICES_MAX

struct gw_peer_service {
    char name[GW_SERVICE_NAME_MAX + 1];
    bool is_udp;
    uint16_t port; /* 0 = by name only */
};

struct gw_peer_services {
    struct gw_loop *loop;
    struct gw_services *services; /* ours */
    struct gw_random *random;
    struct gw_list questions;
};

void gw_peer_services_init(struct gw_peer_services *all, struct gw_loop *loop, struct gw_services *services,
                           struct gw_random *random);

/* Ends every question with GW_E_UNKNOWN. Zeroed is fine. */
void gw_peer_services_fini(struct gw_peer_services *all);

/* For gw_gateway_events.on_control. */
void gw_peer_services_on_control(struct gw_peer_services *all, struct gw_peer *peer, struct gw_view body,
                                 struct gw_mono now);

/* list is lent; err: 0, GW_E_TIMEOUT, -EPROTONOSUPPORT (a stock WireGuard peer), GW_E_NO_SEAL, GW_E_UNKNOWN (the peer was removed), GW_E_NOMEM. */
typedef void gw_peer_services_fn(int err, const struct gw_peer_service *list, size_t count, void *user);
struct gw_question;
/* fn is called once, later. 0 or GW_E_NOMEM. */
int gw_peer_services_ask(struct gw_question **out, struct gw_peer_services *all, struct gw_peer *peer,
                         gw_peer_services_fn *fn, void *user);
/* fn will not be called. */
void gw_question_cancel(struct gw_question *question);

#endif
