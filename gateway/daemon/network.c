/* SPDX-License-Identifier: MIT */
/* Builds a network in the order in which its parts need each other, and takes it down in the other one. */
#include "gateway/daemon/network.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"
#include "gateway/daemon/anchor_setup.h"
#include "gateway/daemon/fleet_setup.h"
#include "gateway/daemon/wall.h"
#include "gateway/link/interfaces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IP_UDP_V4 28u
#define IP_UDP_V6 48u

/* --- what the engine tells --- */

static void on_open(struct gateway *gateway, struct gw_peer *peer, struct gw_stream *stream,
                    const struct gw_open *open, struct gw_mono now, void *ctx)
{
    struct gw_network *network = ctx;
    gw_services_on_open(gateway, peer, stream, open, now, network->services);
}

/* What it says it has, for those who ask the table. */
static void announce(struct gw_network *network, const struct gw_peer *peer, struct gw_mono now)
{
    struct gw_peer_status status;
    gw_peer_status(peer, now, &status);
    if (network->addresses.vip && gw_addr_is_set(&status.own_ipv4))
        gw_vip_announce(network->addresses.vip, gw_peer_config(peer)->public_key, &status.own_ipv4);
}

static void on_peer(struct gateway *gateway, struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gw_network *network = ctx;
    (void)gateway;
    gw_peers_on_event(&network->peers, peer, now);
    gw_clients_state_changed(&network->clients, now);
    announce(network, peer, now);
    network->params.events->on_peer(network, peer, now, network->params.events->ctx);
}

static void on_dismiss(struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    const struct gw_network *network = ctx;
    if (network->link)
        gw_link_dismiss(network->link, peer, now);
}

static void on_peer_gone(struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gw_network *network = ctx;
    gw_carrier_calls_peer_gone(&network->carriers.calls, peer);
    network->params.events->on_peer_gone(network, peer, now, network->params.events->ctx);
}

static void on_carrier_wanted(struct gateway *gateway, struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gw_network *network = ctx;
    (void)gateway;
    network->params.events->on_carrier_wanted(network, network->params.events->ctx);
    gw_carrier_calls_wanted(&network->carriers.calls, peer, now);
}

static void on_pong(struct gateway *gateway, struct gw_peer *peer, uint32_t id, int64_t rtt_ns,
                    struct gw_mono now, void *ctx)
{
    struct gw_network *network = ctx;
    (void)gateway;
    gw_pings_on_pong(&network->pings, peer, id, rtt_ns, now);
}

static void on_packet(struct gateway *gateway, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx)
{
    struct gw_network *network = ctx;
    (void)gateway;
    network->params.events->on_packet(network, peer, packet, len, is_partial, now,
                                      network->params.events->ctx);
}

static void on_packets_begin(struct gateway *gateway, uint8_t *bytes, size_t len, void *ctx)
{
    struct gw_network *network = ctx;
    (void)gateway;
    network->params.events->on_packets_begin(network, bytes, len, network->params.events->ctx);
}

static void on_packets_end(struct gateway *gateway, struct gw_mono now, void *ctx)
{
    struct gw_network *network = ctx;
    (void)gateway;
    network->params.events->on_packets_end(network, now, network->params.events->ctx);
}

static void on_echo_pong(struct gw_peer *peer, uint32_t id, int64_t rtt_ns, struct gw_mono now, void *ctx)
{
    struct gw_network *network = ctx;
    gw_pings_on_pong(&network->pings, peer, id, rtt_ns, now);
}

static void on_control(struct gateway *gateway, struct gw_peer *peer, struct gw_view body, struct gw_mono now,
                       void *ctx)
{
    struct gw_network *network = ctx;
    (void)gateway;
    gw_peer_services_on_control(&network->peer_services, peer, body, now);
}

static unsigned on_forward(struct gateway *gateway, const struct gw_train *train, struct gw_mono now,
                           void *ctx)
{
    struct gw_network *network = ctx;
    (void)gateway;
    return gw_link_forward(network->link, train, now);
}

/* --- building --- */

static int make_identity(struct gw_network *network, const struct gw_config *config, struct gw_diag *diag)
{
    const struct gw_config_network *own = network->files->config;
    int err = gw_config_load_identity(&network->identity, own, diag);
    if (err == 0 && !gw_config_check_self(config, own, network->identity->x25519, diag))
        err = GW_E_CONFIG;
    return err;
}

static int open_link(struct gateway *gateway, uint32_t number, bool with_v6, void *ctx)
{
    struct gw_network *network = ctx;
    (void)gateway;
    return gw_link_open(network->link, number, with_v6);
}

static void close_link(struct gateway *gateway, uint32_t number, void *ctx)
{
    struct gw_network *network = ctx;
    (void)gateway;
    if (network->link)
        gw_link_close(network->link, number);
}

static void on_seen_elsewhere(struct gateway *gateway, struct gw_mono now, void *ctx)
{
    struct gw_network *network = ctx;
    (void)gateway;
    gw_outside_doubt(&network->outside, now);
}

static int make_link(struct gw_network *network, struct gw_diag *diag)
{
    const struct gw_config_network *config = network->files->config;
    struct gw_udp_params params = {.port = (uint16_t)config->port, .link = GW_LINK_PRIMARY};
    char why[512] = "";

    if (network->params.predecessor) {
        network->params.predecessor->heir = network;
        return 0;
    }
    for (size_t i = 0; i < config->listen.count; i++) {
        const struct gw_addr *at = &config->listen.items[i];
        struct gw_addr *listen = &params.listen[at->family == 6 ? GW_UDP_V6 : GW_UDP_V4];
        *listen = *at;
        params.port = at->port ? at->port : params.port;
    }
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++)
        params.skip[family] = config->listen.count > 0 && !gw_addr_is_set(&params.listen[family]);
    int err = gw_link_new(&network->link, network->params.loop, &params, why, sizeof why);
    if (err != 0)
        gw_diag_error(diag, "", 0, "%s", why);
    return err;
}

static void fill_gateway_params(struct gw_gateway_params *params, struct gw_network *network)
{
    const struct gw_config_network *config = network->files->config;
    const struct gw_identity *identity = network->identity;

    *params = (struct gw_gateway_params){.crypto = gw_crypto_system(),
                                         .random = gw_random_system(),
                                         .wallclock = gw_wallclock_system(),
                                         .budget = network->params.budget,
                                         .events = &network->gateway_events,
                                         .takes_partial = network->params.takes_partial,
                                         .has_ed25519 = identity->has_ed25519,
                                         .is_derived = identity->is_derived};
    unsigned mtu = gw_interfaces_mtu();
    params->mtu_v4 = (uint16_t)(mtu - IP_UDP_V4);
    params->mtu_v6 = (uint16_t)(mtu - IP_UDP_V6);
    gw_anchor_setup_params(&params->anchor, config);
    gw_fleet_setup_params(network->fleet, &params->anchor.fleet);
    memcpy(params->secret, identity->x25519_secret, sizeof params->secret);
    memcpy(params->ed25519, identity->ed25519, sizeof params->ed25519);
    memcpy(params->ed25519_seed, identity->ed25519_seed, sizeof params->ed25519_seed);
    snprintf(params->hostname, sizeof params->hostname, "%s", network->hostname);
    gw_addresses_told(config, identity->x25519, params->addresses);
}

static int make_gateway(struct gw_network *network, struct gw_diag *diag)
{
    struct gw_gateway_params params;
    network->gateway_events = (struct gw_gateway_events){.on_open = on_open,
                                                         .on_packets_begin = on_packets_begin,
                                                         .on_packet = on_packet,
                                                         .on_packets_end = on_packets_end,
                                                         .on_peer = on_peer,
                                                         .on_pong = on_pong,
                                                         .on_control = on_control,
                                                         .on_forward = on_forward,
                                                         .open_link = open_link,
                                                         .close_link = close_link,
                                                         .on_seen_elsewhere = on_seen_elsewhere,
                                                         .on_carrier_wanted = on_carrier_wanted,
                                                         .ctx = network};
    int err = gw_fleet_setup_new(&network->fleet, network->params.loop, network->files->config);
    if (err)
        return err;
    fill_gateway_params(&params, network);
    network->echo.on_pong = on_echo_pong;
    network->echo.ctx = network;
    memcpy(network->echo.addresses, params.addresses, sizeof network->echo.addresses);
    err = params.crypto ? gw_gateway_new(&network->gateway, &params, gw_loop_now(network->params.loop))
                        : -ENOSYS;
    gw_wipe(&params, sizeof params);
    if (err != 0)
        gw_diag_error(diag, "", 0, "cannot start the engine: %s", gw_strerror(err));
    return err != 0 ? err : gw_fleet_setup_start(network->fleet, network->gateway);
}

static int make_state(struct gw_network *network, struct gw_diag *diag)
{
    int err = gw_state_init(&network->state, network->files->config->dir, network->gateway);
    if (err != 0) {
        gw_diag_error(diag, "", 0, "cannot make the state folder in %s: %s", network->files->config->dir,
                      gw_strerror(err));
        network->state.gateway = NULL;
        return err;
    }
    gw_loop_add_hook(network->params.loop, &network->state.hook);
    return network->link ? gw_link_attach(network->link, network->gateway) : 0;
}

static void on_outside(void *ctx)
{
    struct gw_network *network = ctx;
    gw_anchor_setup_addresses(network, gw_loop_now(network->params.loop));
}

static int make_outside(struct gw_network *network)
{
    return gw_outside_init(&network->outside, network->params.loop, network->gateway,
                           network->params.endpoints, network->identity->x25519_secret, on_outside, network);
}

static int make_services(struct gw_network *network, const struct gw_config *config, struct gw_diag *diag)
{
    const struct gw_services_params params = {
        .loop = network->params.loop, .dialer = network->params.dialer, .wallclock = gw_wallclock_system()};
    int err = gw_services_new(&network->services, &params);
    return err != 0 ? err : gw_network_apply_services(network, config, network->files, diag);
}

static int make_guests(struct gw_network *network)
{
    const struct gw_guests_params params = {.loop = network->params.loop,
                                            .gateway = network->gateway,
                                            .peer_services = &network->peer_services,
                                            .addresses = &network->addresses};
    gw_guests_init(&network->guests, &params);
    return 0;
}

static int make_clients(struct gw_network *network)
{
    if (network->files->config->role == GW_CONFIG_ROLE_DYNAMIC || network->params.is_check)
        return 0;
    return gw_clients_state_open(&network->clients, network->params.loop, network->gateway,
                                 network->state.dir);
}

static int build(struct gw_network *network, const struct gw_config *config, struct gw_diag *diag)
{
    struct gw_loop *loop = network->params.loop;
    int err;
    if ((err = make_identity(network, config, diag)) != 0 || (err = make_link(network, diag)) != 0 ||
        (err = make_gateway(network, diag)) != 0 || (err = make_state(network, diag)) != 0 ||
        (err = make_clients(network)) != 0 || (err = make_outside(network)) != 0 ||
        (err = gw_carrier_setup_init(&network->carriers, loop, network->gateway, &network->link,
                                     network->params.endpoints, config, network->files->config, diag)) != 0 ||
        (err = make_services(network, config, diag)) != 0)
        return err;
    gw_peers_init(&network->peers, network->gateway, network->params.endpoints, &network->addresses,
                  network->params.connected);
    network->peers.on_dismiss = on_dismiss;
    network->peers.on_gone = on_peer_gone;
    network->peers.ctx = network;
    gw_peer_services_init(&network->peer_services, loop, network->services, gw_random_system());
    gw_pings_init(&network->pings, loop, &network->echo);
    return make_guests(network);
}

int gw_network_new(struct gw_network **out, const struct gw_network_params *params,
                   const struct gw_config *config, const struct gw_network_files *files, struct gw_diag *diag)
{
    *out = NULL;
    struct gw_network *network = calloc(1, sizeof *network);
    if (!network)
        return GW_E_NOMEM;
    gw_list_init(&network->node);
    network->params = *params;
    network->files = files;
    network->is_top = files->config == &config->top;
    gw_random_fill(gw_random_system(), network->flow_seed, sizeof network->flow_seed);
    snprintf(network->name, sizeof network->name, "%s", files->config->name ? files->config->name : "");
    snprintf(network->hostname, sizeof network->hostname, "%s",
             files->config->hostname ? files->config->hostname : "");
    int err = build(network, config, diag);
    if (err != 0) {
        struct gw_mono now = gw_loop_now(params->loop);
        gw_network_end_services(network, now);
        gw_network_free(network, now);
        return err;
    }
    *out = network;
    return 0;
}

/* --- ending --- */

void gw_network_end_services(struct gw_network *network, struct gw_mono now)
{
    if (!network)
        return;
    gw_pings_fini(&network->pings);
    gw_peer_services_fini(&network->peer_services);
    gw_guests_fini(&network->guests, now);
    if (network->services)
        gw_services_free(network->services, now);
    network->services = NULL;
}

static void hand_down(struct gw_network *network)
{
    struct gw_network *heir = network->heir;
    heir->link = network->link;
    heir->params.predecessor = NULL;
    network->link = NULL;
    gw_carrier_setup_linked(&heir->carriers);
    if (gw_link_attach(heir->link, heir->gateway) != 0)
        gw_log_error("%s: no memory to watch its port: nothing is received", heir->name);
}

void gw_network_free(struct gw_network *network, struct gw_mono now)
{
    if (!network)
        return;
    gw_list_remove(&network->node);
    if (network->params.predecessor)
        network->params.predecessor->heir = NULL;
    if (network->link && network->gateway)
        gw_gateway_end_flows(network->gateway, now);
    gw_clients_state_close(&network->clients);
    gw_outside_fini(&network->outside);
    if (network->link)
        gw_link_detach(network->link);
    if (network->link && network->heir)
        hand_down(network);
    gw_peers_fini(&network->peers, now);
    gw_carrier_setup_fini(&network->carriers);
    gw_vip_state_close(&network->addresses);
    if (network->state.gateway)
        gw_loop_remove_hook(network->params.loop, &network->state.hook);
    if (network->gateway)
        gw_gateway_free(network->gateway, now);
    gw_fleet_setup_free(
        network->fleet); /* its clients' records are taken out of the store by the anchor's end */
    gw_link_free(network->link);
    gw_identity_free(network->identity);
    gw_lane_flows_free(network->lane_flows);
    free(network);
}

/* --- questions --- */

struct gw_network *gw_network_of(const struct gw_list *networks, const struct gateway *gateway)
{
    gw_list_for_each (node, networks) {
        struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (network->gateway == gateway)
            return network;
    }
    return NULL;
}
