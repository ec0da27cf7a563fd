/* SPDX-License-Identifier: MIT */
#include "tests/unit/daemon/reload_state.h"

#include "frontends/tun/device_private.h"
#include "gateway/anchor/anchor_private.h"
#include "gateway/base/log.h"
#include "gateway/peer/peer_private.h"
#include "gateway/session/session_private.h"
#include "gateway/wire/peer_id.h"
#include "netstack/private.h"
#include "tests/unit/config/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void print_addr(FILE *out, const char *what, const struct gw_addr *addr)
{
    char text[GW_ADDR_STRLEN];
    fprintf(out, " %s=%s", what, gw_addr_format(addr, text));
}

static void print_prefix(FILE *out, const char *what, const struct gw_prefix *prefix)
{
    print_addr(out, what, &prefix->ip);
    fprintf(out, "/%u", prefix->bits);
}

static void print_bytes(FILE *out, const char *what, const void *bytes, size_t len)
{
    fprintf(out, " %s=", what);
    for (size_t i = 0; i < len; i++)
        fprintf(out, "%02x", ((const uint8_t *)bytes)[i]);
}

/* The kernel's, for IPv4: to where and by which interface. (IPv6 has some of its own, which come when they are ready.) */
static void print_routes(FILE *out)
{
    char line[256], device[32], to[16], mask[16];
    FILE *in = fopen("/proc/net/route", "r");
    while (in && fgets(line, sizeof line, in)) {
        if (sscanf(line, "%31s %15s %*s %*s %*s %*s %*s %15s", device, to, mask) == 3)
            fprintf(out, "route %s %s/%s\n", device, to, mask);
    }
    if (in)
        fclose(in);
}

/* ---- a network */

static void print_peer(FILE *out, const struct gw_peer *peer)
{
    const struct gw_peer_config *config = &peer->config;
    const struct gw_session *session = peer->session;
    print_bytes(out, "peer", config->public_key, 4);
    fprintf(out, " name=%s ed25519=%d psks=%u", config->name, config->has_ed25519, session->psk_count);
    print_bytes(out, "psk", session->psks[0], 4);
    for (unsigned i = 0; i < config->endpoint_count; i++)
        print_addr(out, "endpoint", &config->endpoints[i]);
    for (unsigned i = 0; i < config->allowed_ip_count; i++)
        print_prefix(out, "allowed", &config->allowed_ips[i]);
    fprintf(out, " keepalive=%lld timeout=%lld", (long long)config->keepalive_ns,
            (long long)session->connection_timeout_ns);
    fprintf(out, " punch=%lld,%u", (long long)config->punch_timeout_ns, config->punch_attempts);
    fprintf(out, " seal=%d hello=%d path=%d,%d cc=%d", (int)config->seal, (int)config->hello,
            (int)config->path, (int)peer->paths.policy, (int)config->cc);
    fprintf(out, " eager=%d anchor=%d,%d", config->is_eager, config->is_anchor, peer->anchor_use != NULL);
    for (unsigned i = 0; i < config->anchor_count; i++)
        print_bytes(out, "through", config->anchors[i], 4);
    fprintf(out, " tls=%s:%u\n", config->carrier_name, config->carrier_port);
}

/* In the order of their keys. */
static void print_peers(FILE *out, const struct gateway *gateway)
{
    const uint8_t *after = NULL;
    for (;;) {
        const struct gw_peer *next = NULL;
        for (struct gw_peer *peer = gw_gateway_next_peer(gateway, NULL); peer;
             peer = gw_gateway_next_peer(gateway, peer)) {
            bool is_done = after && memcmp(peer->config.public_key, after, GW_KEY_LEN) <= 0;
            if (!is_done &&
                (!next || memcmp(peer->config.public_key, next->config.public_key, GW_KEY_LEN) < 0))
                next = peer;
        }
        if (!next)
            return;
        print_peer(out, next);
        after = next->config.public_key;
    }
}

static void print_services(FILE *out, const struct gw_network *network)
{
    uint8_t one[GW_KEY_LEN];
    const struct gw_registry *registry = gw_services_registry(network->services);
    char at[GW_TARGET_STRLEN];
    gw_key_base64_parse(one, KEY_1);
    for (size_t i = 0; i < registry->count; i++) {
        const struct gw_service *service = registry->services[i];
        fprintf(out, "service %s enabled=%d udp=%d at=%s port=%u class=%d,%d verdict=%d\n", service->name,
                service->is_enabled, service->is_udp, gw_target_format(&service->target, at), service->port,
                service->has_class, (int)service->class_,
                (int)gw_services_may_use(network->services, service, one));
    }
}

static void print_anchor(FILE *out, const struct gw_network *network)
{
    const struct gw_anchor *anchor = gw_gateway_anchor(network->gateway);
    if (anchor)
        fprintf(out, "anchor relays=%d tags=%u channels=%u rate=%llu total=%llu volume=%llu\n",
                anchor->params.relays, anchor->params.max_tags, anchor->params.max_channels,
                (unsigned long long)anchor->params.rate, (unsigned long long)anchor->params.total_rate,
                (unsigned long long)anchor->params.volume);
    fprintf(out, "carriers");
    for (unsigned i = 0; i < GW_CARRIER_LISTEN_MAX; i++) {
        if (network->carriers.listeners[i])
            print_addr(out, "listener", &network->carriers.listening[i]);
    }
    if (network->carriers.has_proxy)
        print_addr(out, "proxy", &network->carriers.proxy.at.addr);
    fputc('\n', out);
}

static void print_outside(FILE *out, const struct gw_network *network)
{
    struct gw_public_view view;
    gw_gateway_public_view(network->gateway, &view);
    fprintf(out, "outside public=%s mapping=%d", gw_public_reason_names[view.reason],
            network->outside.mapping.is_wanted);
    for (size_t i = 0; i < network->outside.stun_count; i++)
        print_addr(out, "stun", &network->outside.stun[i].addr);
    fputc('\n', out);
}

static void print_network(FILE *out, const struct gw_daemon *daemon, const struct gw_network *network)
{
    const struct gw_packets *packets = gw_netstack_setup_of(&daemon->netstack, network);
    fprintf(out, "network %s", network->name);
    for (unsigned i = 0; i < 2; i++)
        print_addr(out, "own", &network->echo.addresses[i]);
    print_prefix(out, "range", &network->addresses.params.range);
    print_prefix(out, "alias", &network->addresses.params.alias_range);
    fprintf(out, " exposed=%d subnets=%zu\n", packets->is_host_exposed, packets->subnet_count);
    print_peers(out, network->gateway);
    print_services(out, network);
    print_anchor(out, network);
    print_outside(out, network);
}

/* ---- front-ends */

static void print_dns(FILE *out, const struct gw_dns_setup *dns)
{
    const struct gw_dns_setup_server *started = &dns->started;
    fprintf(out, "dns server=%d router=%d", dns->server != NULL, dns->router.router != NULL);
    if (dns->server) {
        fprintf(out, " rate=%lld", (long long)started->rate);
        for (size_t i = 0; i < started->listen_count; i++)
            print_addr(out, "listen", &started->listen[i]);
        for (size_t i = 0; i < started->upstream_count; i++)
            print_addr(out, "upstream", &started->upstreams[i]);
        for (size_t i = 0; i < started->allowed_count; i++)
            print_prefix(out, "allowed", &started->allowed[i]);
    }
    fputc('\n', out);
}

static void print_tun(FILE *out, const struct gw_daemon *daemon)
{
    const struct gw_device *device = daemon->tun.device;
    struct gw_accelerate_stats stats;
    gw_accelerate_stats(daemon->netstack.accelerate, &stats);
    fprintf(out, "tun accelerate=%d lanes=%u", stats.is_on, gw_tun_lanes_count(daemon->tun.lanes));
    for (unsigned i = 0; i < device->network_count; i++) {
        for (size_t j = 0; j < device->networks[i].subnet_count; j++)
            print_prefix(out, "subnet", &device->networks[i].subnets[j]);
    }
    fputc('\n', out);
    print_routes(out);
}

/* ---- what is shared */

static void on_found(const struct gw_answer *answer, void *ctx)
{
    FILE *out = ctx;
    if (answer->err == 0 && answer->peer)
        print_bytes(out, "found", gw_peer_config(answer->peer)->public_key, 4);
    else
        fprintf(out, " found=%d", answer->err);
}

static void print_names(FILE *out, const struct gw_daemon *daemon)
{
    static const char *const names[] = {"one", "two"};
    fprintf(out, "names");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        gw_resolver_lookup(daemon->resolver, names[i], on_found, out);
    fputc('\n', out);
}

static void print_shared(FILE *out, const struct gw_daemon *daemon)
{
    char at[GW_ADDR_STRLEN];
    const struct gw_addr some = {.family = 4, .ip = {192, 0, 2, 1}};
    const struct gw_netstack *stack = daemon->netstack.stack;
    fprintf(out, "log level=%d address=%s\n", (int)gw_log_level(), gw_addr_log(&some, at));
    fprintf(out, "memory flows=%llu windows=%llu unacknowledged=%llu\n",
            (unsigned long long)daemon->budget.limit, (unsigned long long)stack->params.window_budget,
            (unsigned long long)stack->params.send_budget);
    fprintf(out, "busy poll=%lld\n", (long long)gw_loop_busy_poll(daemon->loop));
}

char *reload_state(const struct gw_daemon *daemon)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        abort();
    print_shared(out, daemon);
    gw_list_for_each (node, &daemon->networks)
        print_network(out, daemon, gw_list_entry(node, struct gw_network, node));
    print_names(out, daemon);
    print_dns(out, &daemon->dns);
    if (daemon->socks5)
        reload_state_socks(out, daemon->socks5);
    if (daemon->tun.device)
        print_tun(out, daemon);
    fclose(out);
    return text;
}
