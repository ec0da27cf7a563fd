/* SPDX-License-Identifier: MIT */
/* A UDP port forwarded by the router by UPnP-IGD. The library for it (miniupnpc) blocks, and reads HTTP and XML that anybody in the local network may have written; so it runs in
 * a process of its own (igd_child.c: `peergate igd`, without privileges) with a time limit, and says one line. Nothing here blocks but the end. */
#ifndef GATEWAY_DAEMON_IGD_H
#define GATEWAY_DAEMON_IGD_H

#include "frontends/dns/system/run.h"
#include "gateway/daemon/igd_line.h"
#include "gateway/daemon/igd_notify.h"
#include "gateway/link/loop.h"
#include "gateway/wire/addr.h"

#define GW_IGD_LIFETIME_S 3600u

enum gw_igd_state {
    GW_IGD_OFF,
    GW_IGD_ASKING,
    GW_IGD_MAPPED,
    GW_IGD_REFUSED, /* there is a router that speaks UPnP, but it does not forward: see reason; asked again later */
    GW_IGD_SILENT, /* none answered; asked again later */
    GW_IGD_STATES
};
extern const char *const gw_igd_state_names[GW_IGD_STATES];

enum gw_igd_task { GW_IGD_MAP, GW_IGD_FIND, GW_IGD_UNMAP };

struct gw_igd {
    struct gw_loop *loop;
    struct gw_sysdns_run *run; /* NULL: none */
    enum gw_igd_task task;     /* of the run */
    enum gw_igd_state state;
    bool is_found; /* a router answered by UPnP */
    struct gw_addr router, client;
    uint16_t port;
    char url[GW_IGD_URL_MAX];       /* of the router's description; "" = to be searched for */
    struct gw_addr external;        /* while MAPPED */
    char reason[GW_IGD_REASON_MAX]; /* of REFUSED */
    struct gw_mono at;              /* the next request; GW_NEVER */
    struct gw_mono ran;             /* the last run's beginning */
    struct gw_mono doubt_at;        /* while a run is under way: when the next is wanted; else GW_NEVER */
    struct gw_mono heard;           /* when the last run that the router's own words led to was wanted */
    struct gw_igd_notify notify;    /* while it is not OFF */
    int64_t again_ns;
    void (*on_change)(void *ctx);
    void *ctx;
};

void gw_igd_init(struct gw_igd *igd, struct gw_loop *loop, void (*on_change)(void *ctx), void *ctx);
/* Asks the router for the port. router and client (our address towards it): IPv4. */
void gw_igd_start(struct gw_igd *igd, const struct gw_addr *router, const struct gw_addr *client,
                  uint16_t port);
/* Only looks whether the router speaks UPnP, for is_found; tells by on_change. Not while a mapping is asked for or held: then that is known. */
void gw_igd_find(struct gw_igd *igd, const struct gw_addr *router, const struct gw_addr *client);
/* Is something under way? */
bool gw_igd_is_busy(const struct gw_igd *igd);
/* Asked for by the owner's timer: what is due. GW_NEVER when nothing is. */
struct gw_mono gw_igd_next_deadline(const struct gw_igd *igd);
void gw_igd_expire(struct gw_igd *igd, struct gw_mono now);
/* Asks at that time, or a little later, whether the mapping is still there. */
void gw_igd_doubt(struct gw_igd *igd, struct gw_mono at);
/* Asks whether the mapping is still there. */
void gw_igd_renew(struct gw_igd *igd, struct gw_mono now);
/* Gives the mapping back where there is one. may_wait: the daemon ends, so until that is done, two seconds at most. */
void gw_igd_stop(struct gw_igd *igd, bool may_wait);

#endif
