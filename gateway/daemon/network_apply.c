/* SPDX-License-Identifier: MIT */
/* From the files of a network to its services and peers, at the start and again at each reload. */
#include "gateway/daemon/network.h"

#include "gateway/daemon/anchor_setup.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/wall.h"

#include <stdlib.h>

/* --- services --- */

static int fill_service(struct gw_service_config *out, const struct gw_config_service *service,
                        const struct gw_authorized_keys *keys)
{
    *out = (struct gw_service_config){.name = service->name,
                                      .is_enabled = service->enabled,
                                      .is_udp = service->protocol == GW_CONFIG_UDP,
                                      .port = (uint16_t)service->port,
                                      .has_class = service->class != GW_CONFIG_CLASS_WISHED};
    if (out->has_class)
        out->class_ = (enum gw_class)service->class;
    if (keys && !(out->grants = gw_grants_of_keys(keys)))
        return GW_E_NOMEM;
    return gw_target_of_endpoint(&out->target, &service->local_address);
}

static int replace_services(struct gw_network *network, const struct gw_config *config,
                            const struct gw_network_files *files, struct gw_service_config *list,
                            struct gw_diag *diag)
{
    const struct gw_config_network *own = files->config;
    size_t bad = 0;
    int err = 0;
    for (size_t i = 0; i < own->services.count && err == 0; i++) {
        bad = i;
        err = fill_service(&list[i], &own->services.items[i], files->service_keys[i]);
    }
    if (err == 0)
        err = gw_services_replace(network->services, list, own->services.count,
                                  gw_loop_now(network->params.loop), &bad);
    if (err != 0 && bad < own->services.count)
        gw_diag_error(diag, config->path, own->services.items[bad].line, "service \"%s\" is refused: %s",
                      own->services.items[bad].name,
                      err == -EEXIST ? "another enabled service has its port and protocol"
                                     : gw_strerror(err));
    return err;
}

int gw_network_apply_services(struct gw_network *network, const struct gw_config *config,
                              const struct gw_network_files *files, struct gw_diag *diag)
{
    size_t count = files->config->services.count;
    struct gw_service_config *list = calloc(count + 1, sizeof *list);
    struct gw_grants *grants = gw_files_grants(files);
    int err = list && grants ? replace_services(network, config, files, list, diag) : GW_E_NOMEM;
    if (err == 0)
        err = gw_services_set_grants(network->services, grants, gw_loop_now(network->params.loop));
    for (size_t i = 0; list && i < count; i++)
        gw_grants_free((struct gw_grants *)(uintptr_t)list[i].grants);
    gw_grants_free(grants);
    free(list);
    return err;
}

/* --- peers --- */

/* Before the peers, who get theirs. */
static void apply_addresses(struct gw_network *network)
{
    const struct gw_config_network *config = network->files->config;
    const uint8_t *key = gw_gateway_public_key(network->gateway);
    struct gw_prefix own[GW_ADDRESSES_OWN_MAX];
    struct gw_addr told[2], alias = {.family = 0};
    int err = gw_addresses_open(&network->addresses, network->state.dir, config, network->params.addresses,
                                network->gateway);
    if (err != 0)
        gw_log_error("no virtual addresses: %s", gw_strerror(err));
    gw_addresses_told(config, key, told);
    gw_addresses_own(config, key, own);
    if (!gw_addr_same_ip(&own[0].ip, &told[0]))
        alias = own[0].ip;
    gw_gateway_set_addresses(network->gateway, told);
    gw_gateway_set_own_alias(network->gateway, &alias);
    for (unsigned i = 0; i < 2; i++)
        network->echo.addresses[i] = own[i].ip;
}

void gw_network_apply_peers(struct gw_network *network, struct gw_peers_change *change)
{
    struct gw_mono now = gw_loop_now(network->params.loop);
    gw_anchor_setup_addresses(network, now);
    gw_peers_apply(&network->peers, network->files, gw_wall_now(), now, change);
    gw_vip_state_save(&network->addresses);
}

void gw_network_use(struct gw_network *network, const struct gw_network_files *files)
{
    network->files = files;
    apply_addresses(network);
    gw_outside_apply(&network->outside, files->config, gw_link_port(network->link),
                     gw_loop_now(network->params.loop));
    gw_anchor_setup_limits(network, gw_loop_now(network->params.loop));
    gw_anchor_setup_addresses(network, gw_loop_now(network->params.loop));
    gw_carrier_setup_use(&network->carriers, files->config);
}

void gw_network_kick(struct gw_network *network, struct gw_mono now)
{
    gw_peers_look_up_again(&network->peers);
    gw_outside_kick(&network->outside, now);
    gw_anchor_setup_addresses(network, now);
    gw_lookup_again(network->carriers.lookup);
    gw_carrier_calls_kick(&network->carriers.calls);
    gw_gateway_kick(network->gateway, now);
}
