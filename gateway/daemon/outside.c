/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/outside.h"

#include "gateway/base/log.h"

#include <string.h>

static void on_servers(struct gw_mono now, const struct gw_addr *addrs, unsigned count, void *ctx)
{
    struct gw_outside *outside = ctx;
    gw_gateway_set_stun(outside->gateway, now, addrs, count);
}

static const char *whose(void *ctx)
{
    (void)ctx;
    return "stun";
}

static bool is_same(const struct gw_outside *outside, const struct gw_config_network *config)
{
    bool is = outside->stun_count == config->stun.count;
    for (size_t i = 0; is && i < outside->stun_count; i++) {
        const struct gw_config_endpoint *a = &outside->stun[i], *b = &config->stun.items[i];
        is = a->kind == b->kind && a->port == b->port && strcmp(a->name, b->name) == 0 &&
             gw_addr_equal(&a->addr, &b->addr);
    }
    return is;
}

static void apply_stun(struct gw_outside *outside, const struct gw_config_network *config, struct gw_mono now)
{
    const struct gw_lookup_params params = {.on_found = on_servers, .whose = whose, .ctx = outside};
    struct gw_addr known[GW_STUN_SERVERS_MAX];
    unsigned known_count = 0;
    if (is_same(outside, config))
        return;
    outside->stun_count = 0;
    for (size_t i = 0; i < config->stun.count && outside->stun_count < GW_STUN_SERVERS_MAX; i++) {
        const struct gw_config_endpoint *item = &config->stun.items[i];
        outside->stun[outside->stun_count++] = *item;
        if (item->kind == GW_CONFIG_ENDPOINT_IP)
            known[known_count++] = item->addr;
    }
    gw_lookup_free(outside->lookup);
    outside->lookup = NULL;
    gw_gateway_set_stun(outside->gateway, now, known, known_count);
    if (gw_lookup_new(&outside->lookup, outside->endpoints, &params, outside->stun, outside->stun_count) != 0)
        gw_log_error("no memory to look the STUN servers up");
}

int gw_outside_init(struct gw_outside *outside, struct gw_loop *loop, struct gateway *gateway,
                    struct gw_endpoints *endpoints, const uint8_t secret[32], void (*on_change)(void *ctx),
                    void *ctx)
{
    outside->gateway = gateway;
    outside->endpoints = endpoints;
    int err = gw_port_mapping_init(&outside->mapping, 4, loop, secret, on_change, ctx);
    return err ? err : gw_port_mapping_init(&outside->pinhole, 6, loop, secret, on_change, ctx);
}

void gw_outside_fini(struct gw_outside *outside)
{
    gw_lookup_free(outside->lookup);
    outside->lookup = NULL;
    gw_port_mapping_fini(&outside->pinhole);
    gw_port_mapping_fini(&outside->mapping);
}

static bool listens_by_v6(const struct gw_config_network *config)
{
    for (size_t i = 0; i < config->listen.count; i++) {
        if (config->listen.items[i].family == 6)
            return true;
    }
    return config->listen.count == 0;
}

void gw_outside_apply(struct gw_outside *outside, const struct gw_config_network *config, uint16_t port,
                      struct gw_mono now)
{
    bool is_wanted = config->port_mapping == GW_CONFIG_PORT_MAPPING_AUTO;
    outside->mapping.port = outside->pinhole.port = port;
    apply_stun(outside, config, now);
    gw_port_mapping_refresh(&outside->mapping, is_wanted, now);
    gw_port_mapping_refresh(&outside->pinhole, is_wanted && listens_by_v6(config), now);
}

void gw_outside_kick(struct gw_outside *outside, struct gw_mono now)
{
    gw_lookup_again(outside->lookup);
    gw_port_mapping_refresh(&outside->mapping, outside->mapping.is_wanted, now);
    gw_port_mapping_refresh(&outside->pinhole, outside->pinhole.is_wanted, now);
}

void gw_outside_doubt(struct gw_outside *outside, struct gw_mono now)
{
    gw_port_mapping_doubt(&outside->mapping, now);
    gw_port_mapping_doubt(&outside->pinhole, now);
}
