/* SPDX-License-Identifier: MIT */
#include "gateway/services/registry.h"

#include "gateway/base/err.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void gw_registry_init(struct gw_registry *registry)
{
    *registry = (struct gw_registry){.next_serial = 1};
}

static void free_service(struct gw_service *service)
{
    if (!service)
        return;
    gw_grants_free(service->grants);
    free(service);
}

void gw_registry_fini(struct gw_registry *registry)
{
    for (size_t i = 0; i < registry->count; i++)
        free_service(registry->services[i]);
    free(registry->services);
    *registry = (struct gw_registry){.next_serial = registry->next_serial};
}

bool gw_service_name_is_valid(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > GW_SERVICE_NAME_MAX)
        return false;
    for (; *name; name++) {
        bool is_word = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                       (*name >= '0' && *name <= '9');
        if (!is_word && *name != '-' && *name != '_')
            return false;
    }
    return true;
}

/* 0 = none. */
static uint16_t well_known_port(const char *name)
{
    static const struct {
        const char *name;
        uint16_t port;
    } known[] = {{"ssh", 22}, {"web", 80}, {"http", 80}, {"https", 443}, {"smb", 445}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcasecmp(known[i].name, name) == 0)
            return known[i].port;
    }
    return 0;
}

static size_t index_of(const struct gw_registry *registry, const char *name)
{
    size_t i = 0;
    while (i < registry->count && strcasecmp(registry->services[i]->name, name) != 0)
        i++;
    return i;
}

const struct gw_service *gw_registry_find(const struct gw_registry *registry, const char *name)
{
    size_t i = index_of(registry, name);
    return i < registry->count ? registry->services[i] : NULL;
}

/* Who said the port goes before who merely listens on it. */
static const struct gw_service *find_port(const struct gw_registry *registry, uint16_t port, bool is_udp)
{
    const struct gw_service *found = NULL;
    for (size_t i = 0; i < registry->count && port != 0; i++) {
        const struct gw_service *service = registry->services[i];
        if (!service->is_enabled || service->is_udp != is_udp || service->port != port)
            continue;
        if (service->has_own_port)
            return service;
        if (!found)
            found = service;
    }
    return found;
}

const struct gw_service *gw_registry_lookup(const struct gw_registry *registry, const struct gw_open *open)
{
    if (!open->service[0])
        return find_port(registry, open->port, open->is_datagrams);
    const struct gw_service *service = gw_registry_find(registry, open->service);
    return service && service->is_enabled && service->is_udp == open->is_datagrams ? service : NULL;
}

static uint16_t effective_port(const struct gw_service_config *config)
{
    if (config->port)
        return config->port;
    if (config->target.port)
        return config->target.port;
    return well_known_port(config->name);
}

struct gw_service *gw_registry_find_serial(const struct gw_registry *registry, uint64_t serial)
{
    for (size_t i = 0; i < registry->count; i++) {
        if (registry->services[i]->serial == serial)
            return registry->services[i];
    }
    return NULL;
}

static struct gw_service *new_service(const struct gw_service_config *config)
{
    struct gw_service *service = calloc(1, sizeof *service);
    if (!service)
        return NULL;
    strcpy(service->name, config->name);
    service->is_enabled = config->is_enabled;
    service->is_udp = config->is_udp;
    service->target = config->target;
    service->port = effective_port(config);
    service->has_own_port = config->port != 0;
    service->has_class = config->has_class;
    service->class_ = config->class_;
    if (config->grants && !(service->grants = gw_grants_copy(config->grants))) {
        free(service);
        return NULL;
    }
    return service;
}

/* A service that is where it was keeps its flows, so its serial. Who may use it is asked elsewhere. */
static void inherit(struct gw_service *service, const struct gw_service *old)
{
    service->flows_total = old->flows_total;
    if (service->is_enabled != old->is_enabled || service->is_udp != old->is_udp ||
        !gw_target_equal(&service->target, &old->target))
        return;
    service->serial = old->serial;
    service->flows_open = old->flows_open;
}

static int append(struct gw_registry *registry, struct gw_service *service)
{
    struct gw_service **grown = realloc(registry->services, (registry->count + 1) * sizeof *grown);
    if (!grown)
        return GW_E_NOMEM;
    registry->services = grown;
    registry->services[registry->count++] = service;
    return 0;
}

static int check(const struct gw_registry *registry, const struct gw_service_config *config)
{
    if (!gw_service_name_is_valid(config->name) || config->target.kind == GW_TARGET_NONE)
        return GW_E_INVAL;
    if (config->is_udp && config->target.kind == GW_TARGET_UNIX)
        return GW_E_INVAL;
    if (!config->is_enabled || !config->port)
        return 0;
    const struct gw_service *holder = find_port(registry, config->port, config->is_udp);
    return holder && holder->has_own_port && strcasecmp(holder->name, config->name) != 0 ? -EEXIST : 0;
}

int gw_registry_put(struct gw_registry *registry, const struct gw_service_config *config)
{
    int err = check(registry, config);
    if (err)
        return err;
    size_t i = index_of(registry, config->name);
    if (i == registry->count && i >= GW_SERVICES_MAX)
        return GW_E_LIMIT;
    struct gw_service *service = new_service(config);
    if (!service)
        return GW_E_NOMEM;
    if (i == registry->count) {
        service->serial = registry->next_serial++;
        err = append(registry, service);
        if (err)
            free_service(service);
        return err;
    }
    struct gw_service *old = registry->services[i];
    service->serial = registry->next_serial++;
    inherit(service, old);
    registry->services[i] = service;
    free_service(old);
    return 0;
}

int gw_registry_replace(struct gw_registry *registry, const struct gw_service_config *configs, size_t count,
                        size_t *bad)
{
    struct gw_registry fresh = {.next_serial = registry->next_serial};
    for (size_t i = 0; i < count; i++) {
        int err = gw_registry_put(&fresh, &configs[i]);
        if (err) {
            *bad = i;
            gw_registry_fini(&fresh);
            return err;
        }
    }
    for (size_t i = 0; i < fresh.count; i++) {
        const struct gw_service *old = gw_registry_find(registry, fresh.services[i]->name);
        if (old)
            inherit(fresh.services[i], old);
    }
    gw_registry_fini(registry);
    *registry = fresh;
    return 0;
}
