/* SPDX-License-Identifier: MIT */
/* From a peer's open to a joined flow: look up, check the right, dial, bridge. The flow object lives from the dial to the end of the bridge. */
#include "gateway/services/services.h"

#include "gateway/base/err.h"
#include "gateway/base/list.h"
#include "gateway/base/log.h"
#include "gateway/base/random.h"
#include "gateway/base/ratelimit.h"
#include "gateway/flow/class.h"
#include "gateway/local/splice.h"
#include "gateway/local/udp.h"
#include "gateway/services/users.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FLOWS_PER_PEER 16384u
#define DIAL_TIMEOUT GW_S(10)
#define UDP_IDLE GW_S(120)
#define RECHECK_SECONDS 30
/* What peers ask for in vain is told so often; the rest is counted. */
#define TELL_RATE 0.5
#define TELL_BURST 50.0

struct gw_services {
    struct gw_services_params params;
    struct gw_registry registry;
    struct gw_grants *global; /* NULL = nobody */
    struct gw_list flows;
    struct gw_users users; /* by gw_peer pointer */
    struct event recheck;
    struct gw_bucket told;
    struct gw_services_stats stats;
};

struct flow {
    struct gw_list link;
    struct gw_services *services;
    struct gw_user *owner;
    uint64_t serial;
    struct gw_stream *stream; /* while dialling */
    struct gw_dial *dial;     /* one of these three */
    struct gw_splice *splice;
    struct gw_udp_bridge *udp;
};

/* ---- counting */

static struct flow *new_flow(struct gw_services *services, struct gw_user *owner, struct gw_service *service)
{
    struct flow *flow = calloc(1, sizeof *flow);
    if (!flow)
        return NULL;
    flow->services = services;
    flow->owner = owner;
    flow->serial = service->serial;
    gw_list_init(&flow->link);
    gw_list_push_back(&services->flows, &flow->link);
    owner->count++;
    service->flows_open++;
    services->stats.flows_open++;
    return flow;
}

static void free_flow(struct flow *flow)
{
    struct gw_services *services = flow->services;
    struct gw_service *service = gw_registry_find_serial(&services->registry, flow->serial);
    if (service)
        service->flows_open--;
    services->stats.flows_open--;
    flow->owner->count--;
    gw_users_put(&services->users, flow->owner);
    gw_list_remove(&flow->link);
    free(flow);
}

/* Ends it from our side; no callback comes back. */
static void end_flow(struct flow *flow, struct gw_mono now, enum gw_reason reason)
{
    if (flow->dial)
        gw_dial_cancel(flow->dial);
    if (flow->stream)
        gw_stream_reset(flow->stream, now, reason);
    if (flow->splice)
        gw_splice_close(flow->splice, now, reason);
    if (flow->udp)
        gw_udp_bridge_close(flow->udp, now, reason);
    free_flow(flow);
}

/* ---- saying why not */

/* "ssh" or "port 22". */
static const char *asked_for(const struct gw_open *open, char out[GW_SERVICE_NAME_MAX + 16])
{
    if (open->service[0])
        snprintf(out, GW_SERVICE_NAME_MAX + 16, "%s", open->service);
    else
        snprintf(out, GW_SERVICE_NAME_MAX + 16, "%s port %u", open->is_datagrams ? "UDP" : "TCP", open->port);
    return out;
}

static bool may_tell(struct gw_services *services, struct gw_mono now)
{
    return gw_bucket_take(&services->told, TELL_RATE, TELL_BURST, 1, now);
}

static void refuse(struct gw_services *services, struct gw_peer *peer, struct gw_stream *stream,
                   const struct gw_open *open, struct gw_mono now, enum gw_reason reason, const char *why)
{
    char what[GW_SERVICE_NAME_MAX + 16];
    if (may_tell(services, now))
        gw_log_info("%s asked for %s: %s", gw_peer_name(peer), asked_for(open, what), why);
    gw_stream_reset(stream, now, reason);
}

static void count_failure(struct gw_services *services, enum gw_reason reason)
{
    if (reason == GW_REASON_TIMED_OUT)
        services->stats.timed_out++;
    else if (reason == GW_REASON_LIMIT || reason == GW_REASON_NO_MEMORY)
        services->stats.limited++;
    else
        services->stats.down++;
}

static void tell_failure(struct flow *flow, struct gw_mono now, int err)
{
    char where[GW_TARGET_STRLEN];
    const struct gw_service *service = gw_registry_find_serial(&flow->services->registry, flow->serial);
    count_failure(flow->services, gw_dial_reason(err));
    if (service && may_tell(flow->services, now))
        gw_log_warn("%s asked for %s: the local service at %s cannot be reached: %s",
                    gw_peer_name(flow->owner->peer), service->name, gw_target_log(&service->target, where),
                    gw_strerror(err));
}

/* ---- joined */

static void on_splice_end(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user)
{
    struct flow *flow = user;
    (void)splice, (void)now, (void)reason;
    free_flow(flow);
}

static const struct gw_splice_events splice_events = {.on_end = on_splice_end};

static void on_udp_end(struct gw_udp_bridge *bridge, struct gw_mono now, unsigned long long reason,
                       void *user)
{
    (void)bridge, (void)now, (void)reason;
    free_flow(user);
}

static void join_udp(struct flow *flow, struct gw_stream *stream, int fd, struct gw_mono now)
{
    struct gw_udp_bridge_params params = {.loop = flow->services->params.loop,
                                          .fd = fd,
                                          .idle_ns = flow->services->params.udp_idle_ns,
                                          .on_end = on_udp_end,
                                          .user = flow};
    if (gw_udp_bridge_accept(&flow->udp, &params, stream, now) == 0)
        return;
    gw_stream_reset(stream, now, GW_REASON_NO_MEMORY);
    free_flow(flow);
}

/* Takes the socket; the flow may be gone when it returns. */
static void join(struct flow *flow, struct gw_stream *stream, bool is_udp, int fd, struct gw_mono now)
{
    flow->services->stats.accepted++;
    if (is_udp) {
        join_udp(flow, stream, fd, now);
        return;
    }
    flow->splice = gw_splice_new(flow->services->params.loop, fd, &splice_events, flow);
    if (flow->splice) {
        gw_splice_bridge_accepted(flow->splice, now, stream);
        return;
    }
    gw_stream_reset(stream, now, GW_REASON_NO_MEMORY);
    free_flow(flow);
}

/* ---- dialling */

static void on_gone_while_dialling(struct gw_stream *stream, struct gw_mono now, unsigned long long reason,
                                   void *user)
{
    struct flow *flow = user;
    (void)stream, (void)now, (void)reason;
    gw_dial_cancel(flow->dial);
    free_flow(flow);
}

static size_t take_nothing(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                           void *user)
{
    (void)stream, (void)now, (void)iov, (void)count, (void)user;
    return 0;
}

static const struct gw_stream_ops dialling_ops = {
    .on_data = take_nothing,
    .on_fin = gw_stream_ignore,
    .on_writable = gw_stream_ignore,
    .on_closed = on_gone_while_dialling,
};

static void on_dialled(int fd, struct gw_mono now, void *user)
{
    struct flow *flow = user;
    struct gw_stream *stream = flow->stream;
    const struct gw_service *service = gw_registry_find_serial(&flow->services->registry, flow->serial);
    flow->dial = NULL;
    flow->stream = NULL;
    assert(service); /* the flows of a service that goes are ended with it */
    if (fd >= 0) {
        join(flow, stream, service->is_udp, fd, now);
        return;
    }
    tell_failure(flow, now, fd);
    gw_stream_reset(stream, now, gw_dial_reason(fd));
    free_flow(flow);
}

static void dial(struct flow *flow, const struct gw_service *service, struct gw_stream *stream,
                 struct gw_mono now)
{
    struct gw_services *services = flow->services;
    struct gw_dial_params params = {.target = &service->target,
                                    .is_datagrams = service->is_udp,
                                    .timeout_ns = services->params.dial_timeout_ns,
                                    .on_done = on_dialled,
                                    .user = flow};
    int result = gw_dial(services->params.dialer, &params, now, &flow->dial);
    if (result >= 0) {
        join(flow, stream, service->is_udp, result, now);
    } else if (result == -EINPROGRESS) {
        flow->stream = stream;
        gw_stream_attach(stream, &dialling_ops, flow);
    } else {
        tell_failure(flow, now, result);
        gw_stream_reset(stream, now, gw_dial_reason(result));
        free_flow(flow);
    }
}

/* ---- the open */

static struct gw_wall wall(const struct gw_services *services)
{
    return services->params.wallclock->read(services->params.wallclock);
}

enum gw_verdict gw_services_may_use(const struct gw_services *services, const struct gw_service *service,
                                    const uint8_t public_key[GW_KEY_LEN])
{
    return gw_authorize_service(services->global, service->grants, service->name, public_key, wall(services));
}

static void start_flow(struct gw_services *services, struct gw_peer *peer, struct gw_service *service,
                       struct gw_stream *stream, const struct gw_open *open, struct gw_mono now)
{
    struct gw_user *owner = gw_users_get(&services->users, peer);
    if (owner && owner->count >= services->params.max_flows_per_peer) {
        services->stats.limited++;
        refuse(services, peer, stream, open, now, GW_REASON_LIMIT, "it has too many flows open");
        return;
    }
    struct flow *flow = owner ? new_flow(services, owner, service) : NULL;
    if (!flow) {
        gw_users_put(&services->users, owner);
        services->stats.limited++;
        refuse(services, peer, stream, open, now, GW_REASON_NO_MEMORY, "there is no memory");
        return;
    }
    enum gw_class class_ = service->has_class ? service->class_ : (enum gw_class)open->class_;
    gw_log_debug("%s opens %s, %s", gw_peer_name(peer), service->name, gw_class_names[class_]);
    service->flows_total++;
    gw_stream_set_class(stream, class_);
    dial(flow, service, stream, now);
}

void gw_services_on_open(struct gateway *gateway, struct gw_peer *peer, struct gw_stream *stream,
                         const struct gw_open *open, struct gw_mono now, void *ctx)
{
    struct gw_services *services = ctx;
    const struct gw_service *service = gw_registry_lookup(&services->registry, open);
    (void)gateway;
    if (!service) {
        services->stats.not_listed++;
        refuse(services, peer, stream, open, now, GW_REASON_NOT_LISTED, "there is no such service here");
        return;
    }
    enum gw_verdict verdict = gw_services_may_use(services, service, gw_peer_config(peer)->public_key);
    if (verdict != GW_VERDICT_ALLOWED) {
        char why[96];
        snprintf(why, sizeof why, "refused, it %s", gw_verdict_sentences[verdict]);
        services->stats.refused++;
        refuse(services, peer, stream, open, now, GW_REASON_REFUSED, why);
        return;
    }
    start_flow(services, peer, gw_registry_find_serial(&services->registry, service->serial), stream, open,
               now);
}

/* ---- changes at run time */

static bool has_expiry(const struct gw_services *services)
{
    bool has = gw_grants_have_expiry(services->global);
    for (size_t i = 0; i < services->registry.count; i++)
        has |= gw_grants_have_expiry(services->registry.services[i]->grants);
    return has;
}

void gw_services_recheck(struct gw_services *services, struct gw_mono now)
{
    struct timeval tv = {.tv_sec = RECHECK_SECONDS};
    gw_list_for_each (node, &services->flows) {
        struct flow *flow = gw_list_entry(node, struct flow, link);
        const struct gw_service *service = gw_registry_find_serial(&services->registry, flow->serial);
        if (!service || !service->is_enabled) {
            end_flow(flow, now, GW_REASON_NOT_LISTED);
        } else if (gw_services_may_use(services, service, gw_peer_config(flow->owner->peer)->public_key) !=
                   GW_VERDICT_ALLOWED) {
            if (may_tell(services, now))
                gw_log_info("%s lost its right to %s: its flow ends", gw_peer_name(flow->owner->peer),
                            service->name);
            end_flow(flow, now, GW_REASON_REFUSED);
        }
    }
    if (has_expiry(services))
        evtimer_add(&services->recheck, &tv);
    else
        evtimer_del(&services->recheck);
}

static void on_recheck(evutil_socket_t fd, short what, void *arg)
{
    struct gw_services *services = arg;
    (void)fd, (void)what;
    gw_services_recheck(services, gw_loop_now(services->params.loop));
}

int gw_services_set_grants(struct gw_services *services, const struct gw_grants *global, struct gw_mono now)
{
    struct gw_grants *copy = NULL;
    if (global && !(copy = gw_grants_copy(global)))
        return GW_E_NOMEM;
    gw_grants_free(services->global);
    services->global = copy;
    gw_services_recheck(services, now);
    return 0;
}

int gw_services_replace(struct gw_services *services, const struct gw_service_config *configs, size_t count,
                        struct gw_mono now, size_t *bad)
{
    int err = gw_registry_replace(&services->registry, configs, count, bad);
    if (err == 0)
        gw_services_recheck(services, now);
    return err;
}

int gw_services_put(struct gw_services *services, const struct gw_service_config *config, struct gw_mono now)
{
    int err = gw_registry_put(&services->registry, config);
    if (err == 0)
        gw_services_recheck(services, now);
    return err;
}

/* ---- life */

int gw_services_new(struct gw_services **out, const struct gw_services_params *params)
{
    struct gw_services *services = calloc(1, sizeof *services);
    if (!services)
        return GW_E_NOMEM;
    services->params = *params;
    if (!params->max_flows_per_peer)
        services->params.max_flows_per_peer = MAX_FLOWS_PER_PEER;
    if (!params->dial_timeout_ns)
        services->params.dial_timeout_ns = DIAL_TIMEOUT;
    if (!params->udp_idle_ns)
        services->params.udp_idle_ns = UDP_IDLE;
    gw_registry_init(&services->registry);
    gw_list_init(&services->flows);
    gw_users_init(&services->users, gw_random_system());
    gw_bucket_init(&services->told, TELL_BURST, gw_loop_now(params->loop));
    evtimer_assign(&services->recheck, gw_loop_base(params->loop), on_recheck, services);
    *out = services;
    return 0;
}

void gw_services_free(struct gw_services *services, struct gw_mono now)
{
    if (!services)
        return;
    gw_list_for_each (node, &services->flows)
        end_flow(gw_list_entry(node, struct flow, link), now, GW_REASON_SHUTTING_DOWN);
    event_del(&services->recheck);
    gw_users_fini(&services->users);
    gw_registry_fini(&services->registry);
    gw_grants_free(services->global);
    free(services);
}

/* ---- questions */

const struct gw_registry *gw_services_registry(const struct gw_services *services)
{
    return &services->registry;
}

void gw_services_service_stats(const struct gw_services *services, const char *name,
                               struct gw_service_stats *out)
{
    const struct gw_service *service = gw_registry_find(&services->registry, name);
    *out = (struct gw_service_stats){0};
    if (!service)
        return;
    out->flows_open = service->flows_open;
    out->flows_total = service->flows_total;
}

void gw_services_stats(const struct gw_services *services, struct gw_services_stats *out)
{
    *out = services->stats;
}

bool gw_services_local_target(void *ctx, struct gateway *gateway, const struct gw_open *open,
                              struct gw_target *out)
{
    const struct gw_services *services = ctx;
    const struct gw_service *service = gw_registry_lookup(&services->registry, open);
    (void)gateway;
    if (service)
        *out = service->target;
    return service != NULL;
}
