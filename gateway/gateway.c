/* SPDX-License-Identifier: MIT */
/* The engine's root: how it is made and ends, and its deadlines. Trains in are input.c's, trains out output.c's, the peers peers.c's, what is seen of the rest views.c's. */
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"
#include "gateway/gateway_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PEERS 4096u
#define MTU_V4 1472u /* 1500 - 20 - 8 */
#define MTU_V6 1452u /* 1500 - 40 - 8 */

/* ---- life */

static void init_host(struct gateway *gateway, const struct gw_gateway_params *params)
{
    struct gw_peer_host *host = &gateway->host;
    uint8_t seed[16];
    host->gateway = gateway;
    host->random = params->random;
    host->budget = params->budget;
    host->events = params->events;
    host->max_peers = params->max_peers ? params->max_peers : MAX_PEERS;
    host->mtu_v4 = params->mtu_v4 ? params->mtu_v4 : MTU_V4;
    host->mtu_v6 = params->mtu_v6 ? params->mtu_v6 : MTU_V6;
    host->has_ed25519 = params->has_ed25519;
    host->is_derived = params->is_derived;
    memcpy(host->ed25519, params->ed25519, sizeof host->ed25519);
    memcpy(host->ed25519_secret, params->ed25519_seed, 32);
    memcpy(host->ed25519_secret + 32, params->ed25519, 32);
    memcpy(host->hostname, params->hostname, sizeof host->hostname);
    host->hostname[sizeof host->hostname - 1] = '\0';
    memcpy(host->addresses, params->addresses, sizeof host->addresses);
    gw_list_init(&host->ready);
    gw_list_init(&host->changed);
    gw_random_fill(params->random, seed, sizeof seed);
    gw_map_init(&host->peers, GW_KEY_LEN, seed);
    gw_random_fill(params->random, host->packet_seed, sizeof host->packet_seed);
    gw_allowedips_init(&host->allowedips);
    host->takes_partial = params->takes_partial;
    gw_deadlines_init(&host->deadlines);
    gw_peer_init_session_events(host);
    gw_hooks_init(gateway);
}

/* Where STUN servers see us. */
static void on_observed(struct gw_mono now, void *ctx)
{
    struct gateway *gateway = ctx;
    struct gw_addr observed[GW_STUN_SERVERS_MAX];
    unsigned count = gw_stun_observed(gateway->stun, observed, GW_STUN_SERVERS_MAX);
    gw_discovery_set_observed(gateway->discovery, now, observed, count);
}

static int make_stun(struct gateway *gateway)
{
    const struct gw_stun_params params = {.random = gateway->host.random,
                                          .deadlines = &gateway->host.deadlines,
                                          .on_observed = on_observed,
                                          .ctx = gateway};
    return gw_stun_new(&gateway->stun, &params);
}

int gw_gateway_new(struct gateway **out, const struct gw_gateway_params *params, struct gw_mono now)
{
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (!gateway)
        return GW_E_NOMEM;
    init_host(gateway, params);
    gateway->host.now = now;
    int err = gw_session_local_init(&gateway->host.local, params->crypto, params->random, params->wallclock,
                                    &gateway->host.deadlines, params->secret);
    if (err)
        goto no_local;
    err = gw_handshakes_init(gateway);
    if (err)
        goto no_handshakes;
    err = gw_discovery_new(&gateway->discovery, &gateway->host,
                           params->anchor.is_enabled && params->anchor.is_auto);
    if (err)
        goto no_handshakes;
    gateway->is_anchor_auto = params->anchor.is_auto;
    gateway->host.offers_relay = params->anchor.is_enabled && params->anchor.relays && params->anchor.offers;
    gateway->host.is_no_anchor = gateway->host.offers_relay && params->anchor.only_listed;
    err = make_stun(gateway);
    if (!err && params->anchor.is_enabled)
        err = gw_anchor_new(&gateway->anchor, &gateway->host, &params->anchor, now);
    if (err)
        goto no_anchor;
    *out = gateway;
    return 0;

no_anchor:
    gw_stun_free(gateway->stun);
    gw_discovery_free(gateway->discovery);
no_handshakes:
    gw_handshakes_fini(gateway);
    gw_session_local_fini(&gateway->host.local);
no_local:
    gw_map_fini(&gateway->host.peers);
    gw_deadlines_fini(&gateway->host.deadlines);
    gw_wipe(gateway, sizeof *gateway);
    free(gateway);
    return err;
}

void gw_gateway_end_flows(struct gateway *gateway, struct gw_mono now)
{
    gateway->host.now = now;
    for (struct gw_map_node *node = gw_map_first(&gateway->host.peers); node;
         node = gw_map_next(&gateway->host.peers, node))
        gw_peer_flows_end_both(gw_map_entry(node, struct gw_peer, by_key), now, GW_REASON_SHUTTING_DOWN);
}

void gw_gateway_free(struct gateway *gateway, struct gw_mono now)
{
    if (!gateway)
        return;
    assert(!gateway->lanes);
    gateway->host.now = now;
    for (struct gw_map_node *node; (node = gw_map_first(&gateway->host.peers)) != NULL;)
        gw_peer_free(gw_map_entry(node, struct gw_peer, by_key), now, GW_REASON_SHUTTING_DOWN);
    gw_stun_free(gateway->stun);
    gw_discovery_free(gateway->discovery);
    gw_anchor_free(gateway->anchor);
    gw_handshakes_fini(gateway);
    gw_session_local_fini(&gateway->host.local);
    gw_map_fini(&gateway->host.peers);
    gw_allowedips_clear(&gateway->host.allowedips);
    gw_deadlines_fini(&gateway->host.deadlines);
    gw_wipe(gateway, sizeof *gateway);
    free(gateway);
}

/* ---- time */

struct gw_mono gw_gateway_next_deadline(const struct gateway *gateway)
{
    return gw_deadlines_next(&gateway->host.deadlines);
}

void gw_gateway_was_stopped(struct gateway *gateway, struct gw_mono now)
{
    if (gw_mono_sub(now, gateway->kicked) < GW_S(1)) /* the loop knew it, too */
        return;
    gw_log_info("nothing ran here for %lld s: trying the peers again",
                (long long)(gw_mono_sub(now, gw_deadlines_next(&gateway->host.deadlines)) / GW_S(1)));
    gw_gateway_kick(gateway, now);
}

void gw_gateway_expire(struct gateway *gateway, struct gw_mono now)
{
    gw_gateway_look_back(gateway, now);
    gateway->host.now = now;
    gw_deadlines_expire(&gateway->host.deadlines, now);
}

/* ---- to read */

void gw_gateway_stats(const struct gateway *gateway, struct gw_gateway_stats *out)
{
    *out = gateway->host.stats;
    gw_lanes_add_stats(gateway, out);
}

const uint8_t *gw_gateway_public_key(const struct gateway *gateway)
{
    return gateway->host.local.public_key;
}

struct gw_session_local *gw_gateway_local(struct gateway *gateway)
{
    return &gateway->host.local;
}
