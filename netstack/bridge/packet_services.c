/* SPDX-License-Identifier: MIT */
/* From an offer to a joined service; see packet_services.h. A use lives from the dial to the end of the pump. */
#include "netstack/bridge/packet_services.h"

#include "gateway/base/err.h"
#include "gateway/base/list.h"
#include "gateway/base/log.h"
#include "gateway/base/random.h"
#include "gateway/base/ratelimit.h"
#include "gateway/services/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PER_PEER 1024u
#define DIAL_TIMEOUT GW_S(8)
/* What peers ask for in vain is told so often; the rest is counted. */
#define TELL_RATE 5.0
#define TELL_BURST 50.0

struct gw_packet_services {
    struct gw_packet_services_params params;
    struct gw_list uses;
    struct gw_users users; /* by what the netstack calls the peer */
    struct gw_bucket told;
    struct gw_packet_services_stats stats;
};

struct use {
    struct gw_list link;
    struct gw_packet_services *services;
    struct gw_user *owner;
    struct gw_addr local;
    struct gw_open open;
    uint64_t serial;
    struct gw_connection *offer; /* while dialling */
    struct gw_dial *dial;        /* one of these two */
    struct gw_pump *pump;
};

/* ---- counting */

static void free_use(struct use *use)
{
    struct gw_packet_services *services = use->services;
    services->stats.open--;
    use->owner->count--;
    gw_users_put(&services->users, use->owner);
    gw_list_remove(&use->link);
    free(use);
}

static struct use *new_use(struct gw_packet_services *services, void *peer)
{
    struct gw_user *owner = gw_users_get(&services->users, peer);
    struct use *use = owner && owner->count < services->params.max_per_peer ? calloc(1, sizeof *use) : NULL;
    if (!use) {
        gw_users_put(&services->users, owner);
        return NULL;
    }
    use->services = services;
    use->owner = owner;
    owner->count++;
    services->stats.open++;
    gw_list_init(&use->link);
    gw_list_push_back(&services->uses, &use->link);
    return use;
}

/* Ends it from our side; no callback comes back. */
static void end_use(struct use *use, struct gw_mono now)
{
    if (use->dial)
        gw_dial_cancel(use->dial);
    if (use->offer)
        gw_connection_refuse(use->offer, now, false);
    if (use->pump)
        gw_pump_close(use->pump, now);
    free_use(use);
}

static void tell(struct gw_packet_services *services, const struct gw_open *open, struct gw_mono now,
                 const char *why)
{
    if (gw_bucket_take(&services->told, TELL_RATE, TELL_BURST, 1, now))
        gw_log_info("a peer's packets asked for %s port %u: %s", open->is_datagrams ? "UDP" : "TCP",
                    open->port, why);
}

/* ---- joined */

static void on_pump_end(struct gw_pump *pump, struct gw_mono now, enum gw_reason reason, void *user)
{
    (void)pump, (void)now, (void)reason;
    free_use(user);
}

/* Takes the socket; the use may be gone when it returns. */
static void join(struct use *use, struct gw_connection *offer, int fd, struct gw_mono now)
{
    struct gw_packet_services *services = use->services;
    use->pump = gw_pump_new(services->params.loop, fd, use->open.is_datagrams, on_pump_end, use);
    if (use->pump) {
        services->stats.accepted++;
        gw_pump_accept(use->pump, now, offer);
        return;
    }
    services->stats.limited++;
    gw_connection_refuse(offer, now, false);
    free_use(use);
}

/* ---- dialling */

static void on_offer_gone(struct gw_connection *offer, struct gw_mono now, enum gw_reason reason, void *user)
{
    struct use *use = user;
    (void)offer, (void)now, (void)reason;
    gw_dial_cancel(use->dial);
    free_use(use);
}

static const struct gw_connection_ops dialling_ops = {.on_closed = on_offer_gone};

static void fail(struct use *use, struct gw_connection *offer, int err, struct gw_mono now)
{
    use->services->stats.down++;
    tell(use->services, &use->open, now, gw_strerror(err));
    gw_connection_refuse(offer, now, false);
    free_use(use);
}

static void on_dialled(int fd, struct gw_mono now, void *user)
{
    struct use *use = user;
    struct gw_connection *offer = use->offer;
    use->dial = NULL;
    use->offer = NULL;
    if (fd >= 0)
        join(use, offer, fd, now);
    else
        fail(use, offer, fd, now);
}

static void dial(struct use *use, const struct gw_target *target, struct gw_connection *offer,
                 struct gw_mono now)
{
    struct gw_packet_services *services = use->services;
    struct gw_dial_params params = {.target = target,
                                    .is_datagrams = use->open.is_datagrams,
                                    .timeout_ns = services->params.dial_timeout_ns,
                                    .on_done = on_dialled,
                                    .user = use};
    int result = gw_dial(services->params.dialer, &params, now, &use->dial);
    if (result >= 0) {
        join(use, offer, result, now);
    } else if (result == -EINPROGRESS) {
        use->offer = offer;
        gw_connection_attach(offer, &dialling_ops, use);
    } else {
        fail(use, offer, result, now);
    }
}

/* ---- the offer */

enum gw_reason gw_packet_authorize_by_services(void *ctx, void *peer, const struct gw_addr *local,
                                               const struct gw_open *open, struct gw_packet_grant *out)
{
    const struct gw_services *services = ctx;
    const struct gw_service *service = gw_registry_lookup(gw_services_registry(services), open);
    (void)local;
    if (!service)
        return GW_REASON_NOT_LISTED;
    if (gw_services_may_use(services, service, gw_peer_config(peer)->public_key) != GW_VERDICT_ALLOWED)
        return GW_REASON_REFUSED;
    out->target = service->target;
    out->serial = service->serial;
    memcpy(out->name, service->name, sizeof out->name);
    return GW_REASON_NONE;
}

static void count_refusal(struct gw_packet_services *services, const struct gw_open *open,
                          enum gw_reason reason, struct gw_mono now)
{
    if (reason == GW_REASON_NOT_LISTED)
        services->stats.not_listed++;
    else
        services->stats.refused++;
    tell(services, open, now, gw_reason_sentence(reason));
}

void gw_packet_services_on_connection(struct gw_netstack_link *link, struct gw_connection *offer,
                                      struct gw_mono now, void *ctx)
{
    struct gw_packet_services *services = ctx;
    struct gw_connection_info info;
    struct gw_packet_grant grant;
    (void)link;
    gw_connection_info(offer, &info);
    struct gw_open open = {.is_datagrams = info.is_udp, .port = info.local.port};
    enum gw_reason reason =
        services->params.authorize(services->params.authorize_ctx, info.peer, &info.local, &open, &grant);
    if (reason != GW_REASON_NONE) {
        count_refusal(services, &open, reason, now);
        gw_connection_refuse(offer, now, false);
        return;
    }
    struct use *use = new_use(services, info.peer);
    if (!use) {
        services->stats.limited++;
        gw_connection_refuse(offer, now, false);
        return;
    }
    use->local = info.local;
    use->open = open;
    use->serial = grant.serial;
    dial(use, &grant.target, offer, now);
}

void gw_packet_services_recheck(struct gw_packet_services *services, struct gw_mono now)
{
    struct gw_packet_grant grant;
    gw_list_for_each (node, &services->uses) {
        struct use *use = gw_list_entry(node, struct use, link);
        enum gw_reason reason = services->params.authorize(services->params.authorize_ctx, use->owner->peer,
                                                           &use->local, &use->open, &grant);
        if (reason != GW_REASON_NONE || grant.serial != use->serial)
            end_use(use, now);
    }
}

void gw_packet_services_stats(const struct gw_packet_services *services, struct gw_packet_services_stats *out)
{
    *out = services->stats;
}

/* ---- life */

int gw_packet_services_new(struct gw_packet_services **out, const struct gw_packet_services_params *params)
{
    struct gw_packet_services *services = calloc(1, sizeof *services);
    if (!services)
        return GW_E_NOMEM;
    services->params = *params;
    if (!params->max_per_peer)
        services->params.max_per_peer = MAX_PER_PEER;
    if (!params->dial_timeout_ns)
        services->params.dial_timeout_ns = DIAL_TIMEOUT;
    gw_list_init(&services->uses);
    gw_users_init(&services->users, gw_random_system());
    gw_bucket_init(&services->told, TELL_BURST, gw_loop_now(params->loop));
    *out = services;
    return 0;
}

void gw_packet_services_free(struct gw_packet_services *services, struct gw_mono now)
{
    if (!services)
        return;
    while (!gw_list_is_empty(&services->uses))
        end_use(gw_list_entry(services->uses.next, struct use, link), now);
    gw_users_fini(&services->users);
    free(services);
}
