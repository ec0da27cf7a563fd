/* SPDX-License-Identifier: MIT */
/* The local services that peers may ask for, by name or by port. What is not in here does not exist for them. Plain data in, lookups out;
 * no I/O. */
#ifndef GATEWAY_SERVICES_REGISTRY_H
#define GATEWAY_SERVICES_REGISTRY_H

#include "gateway/flow/stream.h"
#include "gateway/local/target.h"
#include "gateway/services/authorize.h"

#define GW_SERVICES_MAX 1024u

/* What the owner says of one service; copied. */
struct gw_service_config {
    const char *name; /* a-z 0-9 - _, at most GW_SERVICE_NAME_MAX */
    bool is_enabled;
    bool is_udp;
    struct gw_target target;
    uint16_t
        port; /* what peers ask for; 0 = the target's port, else the well-known one of the name, unless another service says
                                       that port: then by name only */
    bool has_class; /* the owner said class_; else each opener's wish holds */
    enum gw_class class_;
    const struct gw_grants *grants; /* its own list, which overrides the global one; NULL = none of its own */
};

struct gw_service {
    char name[GW_SERVICE_NAME_MAX + 1];
    bool is_enabled, is_udp;
    struct gw_target target;
    uint16_t port;     /* effective; 0 = by name only */
    bool has_own_port; /* the owner said it */
    bool has_class;    /* class_ overrides the openers' wishes */
    enum gw_class class_;
    struct gw_grants *grants; /* NULL = the global list decides */
    uint64_t serial;          /* what flows remember: another one when the service has moved */
    uint32_t flows_open;      /* counted by services.c */
    uint64_t flows_total;
};

struct gw_registry {
    struct gw_service **services; /* in order of adding */
    size_t count;
    uint64_t next_serial;
};

void gw_registry_init(struct gw_registry *registry);
void gw_registry_fini(struct gw_registry *registry);
/* Adds, or replaces the one of that name, which keeps its serial unless it is elsewhere now. 0, GW_E_NOMEM, GW_E_LIMIT, GW_E_INVAL (name, or a UDP service on a
 * unix socket), -EEXIST (another enabled service says that port and protocol too). */
int gw_registry_put(struct gw_registry *registry, const struct gw_service_config *config);
/* All at once; those not named are gone. On an error nothing changed, and *bad is the index. */
int gw_registry_replace(struct gw_registry *registry, const struct gw_service_config *configs, size_t count,
                        size_t *bad);
/* Enabled or not; any case. NULL = none. */
const struct gw_service *gw_registry_find(const struct gw_registry *registry, const char *name);
/* NULL = it is gone or has moved. */
struct gw_service *gw_registry_find_serial(const struct gw_registry *registry, uint64_t serial);
/* What a peer means: the name, else port and protocol; enabled ones only. NULL = not listed. */
const struct gw_service *gw_registry_lookup(const struct gw_registry *registry, const struct gw_open *open);
bool gw_service_name_is_valid(const char *name);

#endif
