/* SPDX-License-Identifier: MIT */
/* See fleet_setup.h. */
#include "gateway/daemon/fleet_setup.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"
#include "gateway/config/redis_url.h"
#include "gateway/link/redis.h"

#include <stdlib.h>
#include <string.h>

struct gw_fleet_setup {
    struct gw_loop *loop;
    struct gateway *gateway;
    struct gw_redis *redis; /* NULL until it is started */
    struct gw_fleet_ops ops;
    struct gw_redis_url url;
    uint8_t secret[GW_KEY_LEN];
};

static_assert(GW_REDIS_NAMES_MAX >= GW_FELLOWS_MAX, "one lookup asks for all");
static_assert(GW_REDIS_NAMES_MAX >= GW_FLEET_FORGET_MAX, "one command forgets all");

/* ---- from the engine */

static void put(const char *name, const uint8_t *value, size_t len, unsigned ttl_s, void *ctx)
{
    const struct gw_fleet_setup *setup = ctx;
    gw_redis_put(setup->redis, name, value, len, ttl_s);
}

static void forget(const char (*names)[GW_FLEET_NAME_MAX], unsigned count, const uint8_t *mark, void *ctx)
{
    const struct gw_fleet_setup *setup = ctx;
    const char *list[GW_FLEET_FORGET_MAX];
    for (unsigned i = 0; i < count; i++)
        list[i] = names[i];
    gw_redis_forget(setup->redis, list, count, mark, GW_FLEET_MARK_LEN);
}

static bool get(uint32_t id, const char (*names)[GW_FLEET_NAME_MAX], unsigned count, void *ctx)
{
    const struct gw_fleet_setup *setup = ctx;
    const char *list[GW_FELLOWS_MAX];
    for (unsigned i = 0; i < count; i++)
        list[i] = names[i];
    return gw_redis_get(setup->redis, id, list, count);
}

static void tell(const char *topic, const uint8_t *bytes, size_t len, void *ctx)
{
    const struct gw_fleet_setup *setup = ctx;
    gw_redis_tell(setup->redis, topic, bytes, len);
}

/* ---- to it */

static void on_state(bool is_up, void *ctx)
{
    const struct gw_fleet_setup *setup = ctx;
    gw_anchor_fleet_state(gw_gateway_anchor(setup->gateway), is_up, gw_loop_now(setup->loop));
}

static void on_values(uint32_t id, const struct gw_view *values, unsigned count, void *ctx)
{
    const struct gw_fleet_setup *setup = ctx;
    gw_anchor_fleet_found(gw_gateway_anchor(setup->gateway), id, values, count, gw_loop_now(setup->loop));
}

static void on_message(const char *topic, struct gw_view bytes, void *ctx)
{
    const struct gw_fleet_setup *setup = ctx;
    gw_anchor_fleet_heard(gw_gateway_anchor(setup->gateway), topic, bytes, gw_loop_now(setup->loop));
}

/* ---- life */

int gw_fleet_setup_new(struct gw_fleet_setup **out, struct gw_loop *loop,
                       const struct gw_config_network *config)
{
    *out = NULL;
    if (config->role == GW_CONFIG_ROLE_DYNAMIC || !config->anchor.directory)
        return 0;
    struct gw_fleet_setup *setup = calloc(1, sizeof *setup);
    if (!setup)
        return GW_E_NOMEM;
    int err = gw_redis_url_parse(&setup->url, config->anchor.directory);
    if (err) { /* it was looked at with the rest of the configuration */
        free(setup);
        return err;
    }
    setup->loop = loop;
    setup->ops = (struct gw_fleet_ops){.put = put, .forget = forget, .get = get, .tell = tell, .ctx = setup};
    memcpy(setup->secret, config->anchor.fleet_key.bytes, sizeof setup->secret);
    *out = setup;
    return 0;
}

void gw_fleet_setup_params(const struct gw_fleet_setup *setup, struct gw_fleet_params *out)
{
    *out = (struct gw_fleet_params){0};
    if (!setup)
        return;
    out->ops = &setup->ops;
    memcpy(out->secret, setup->secret, sizeof out->secret);
}

int gw_fleet_setup_start(struct gw_fleet_setup *setup, struct gateway *gateway)
{
    if (!setup)
        return 0;
    const struct gw_anchor *anchor = gw_gateway_anchor(gateway);
    const struct gw_redis_params params = {
        .loop = setup->loop,
        .addr = setup->url.addr,
        .path = setup->url.path,
        .password = setup->url.password,
        .database = setup->url.database,
        .topics = {gw_anchor_fleet_topic(anchor, 0), gw_anchor_fleet_topic(anchor, 1)},
        .events = {.on_state = on_state, .on_values = on_values, .on_message = on_message, .ctx = setup}};
    setup->gateway = gateway;
    return gw_redis_new(&setup->redis, &params);
}

void gw_fleet_setup_free(struct gw_fleet_setup *setup)
{
    if (!setup)
        return;
    gw_redis_free(setup->redis);
    gw_wipe(setup, sizeof *setup);
    free(setup);
}

json_t *gw_fleet_setup_json(const struct gateway *gateway)
{
    const struct gw_anchor *anchor = gw_gateway_anchor(gateway);
    struct gw_fleet_stats stats;
    if (!anchor || !gw_anchor_fleet_stats(anchor, &stats))
        return json_null();
    return json_pack("{s:b,s:i,s:i,s:I,s:I}", "connected", stats.is_up, "anchors", (int)stats.fellows,
                     "channels", (int)stats.channels, "lookups", (json_int_t)stats.lookups, "dropped_garbage",
                     (json_int_t)stats.dropped_garbage);
}
