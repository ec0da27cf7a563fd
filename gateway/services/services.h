/* SPDX-License-Identifier: MIT */
/* Answers the flows that peers open: finds the service, checks the right, dials it, joins both. One for all gateways of a daemon, or one each. */
#ifndef GATEWAY_SERVICES_SERVICES_H
#define GATEWAY_SERVICES_SERVICES_H

#include "gateway/gateway.h"
#include "gateway/local/dial.h"
#include "gateway/services/registry.h"

struct gw_services;

struct gw_services_params {
    struct gw_loop *loop;
    struct gw_dialer *dialer;
    struct gw_wallclock *wallclock;
    uint32_t max_flows_per_peer; /* 0 = 16384 */
    int64_t dial_timeout_ns;     /* 0 = 10 s */
    int64_t udp_idle_ns;         /* 0 = 120 s */
};

/* 0 or GW_E_NOMEM. */
int gw_services_new(struct gw_services **out, const struct gw_services_params *params);
/* Flows are reset with SHUTTING_DOWN. */
void gw_services_free(struct gw_services *services, struct gw_mono now);

/* For gw_gateway_events.on_open, with the gw_services as ctx (or called from the daemon's own on_open). */
void gw_services_on_open(struct gateway *gateway, struct gw_peer *peer, struct gw_stream *stream,
                         const struct gw_open *open, struct gw_mono now, void *services);

/* Run-time changes. Running flows go on unless their service is gone, disabled or elsewhere now, or the peer's right is gone. */

/* The global grants; copied. NULL = nobody. 0 or GW_E_NOMEM (the old ones stay). */
int gw_services_set_grants(struct gw_services *services, const struct gw_grants *global, struct gw_mono now);
/* All services at once, for a reload: those not named are removed. All or nothing: on an error (as gw_registry_put) nothing changed, and *bad is the index. */
int gw_services_replace(struct gw_services *services, const struct gw_service_config *configs, size_t count,
                        struct gw_mono now, size_t *bad);
/* One service, as gw_registry_put. */
int gw_services_put(struct gw_services *services, const struct gw_service_config *config, struct gw_mono now);
/* Ends what expired; it happens by itself within 30 s of an expiry date. */
void gw_services_recheck(struct gw_services *services, struct gw_mono now);

/* May the peer use it, as of now? */
enum gw_verdict gw_services_may_use(const struct gw_services *services, const struct gw_service *service,
                                    const uint8_t public_key[GW_KEY_LEN]);
/* For `services` and `status`. */
const struct gw_registry *gw_services_registry(const struct gw_services *services);
struct gw_service_stats {
    uint32_t flows_open;
    uint64_t flows_total;
};
void gw_services_service_stats(const struct gw_services *services, const char *name,
                               struct gw_service_stats *out);
struct gw_services_stats {
    uint32_t flows_open;
    uint64_t accepted, refused, not_listed, down, timed_out, limited;
};
void gw_services_stats(const struct gw_services *services, struct gw_services_stats *out);
/* Where this node's own service listens, for a front-end that is asked for this node itself; false = not listed. Fits gw_frontend.own_service. */
bool gw_services_local_target(void *services, struct gateway *gateway, const struct gw_open *open,
                              struct gw_target *out);

#endif
