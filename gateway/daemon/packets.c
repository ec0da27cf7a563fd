/* SPDX-License-Identifier: MIT */
/* A network's packets; see packets.h. */
#include "gateway/daemon/packets.h"

#include "frontends/tun/plan.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/addresses.h"
#include "gateway/packet/reset.h"
#include "netstack/bridge/packet_dial.h"

#include <stdlib.h>
#include <string.h>

/* ---- who may what */

/* Are the peer's rights not limited to some services? */
static bool is_unlimited(const struct gw_packets *packets, const struct gw_peer *peer)
{
    static const struct gw_service any; /* no list names "" */
    return gw_services_may_use(packets->network->services, &any, gw_peer_config(peer)->public_key) ==
           GW_VERDICT_ALLOWED;
}

/* May the peer reach what is not listed, as the whole machine is exposed? */
static bool is_exposed_to(const struct gw_packets *packets, const struct gw_peer *peer)
{
    return packets->is_host_exposed && is_unlimited(packets, peer);
}

static enum gw_reason authorize(void *ctx, void *peer, const struct gw_addr *local,
                                const struct gw_open *open, struct gw_packet_grant *out)
{
    struct gw_packets *packets = ctx;
    enum gw_reason reason =
        gw_packet_authorize_by_services(packets->network->services, peer, local, open, out);
    if (reason != GW_REASON_NOT_LISTED || !is_exposed_to(packets, peer))
        return reason;
    *out = (struct gw_packet_grant){.target = {.kind = GW_TARGET_ADDR, .port = open->port}};
    gw_addr_parse_ip(&out->target.addr, "127.0.0.1", open->port);
    return GW_REASON_NONE;
}

/* Is it a service that the kernel has at this very address and port? */
static bool is_kernels(const struct gw_service *service, const struct gw_addr *local)
{
    const struct gw_target *target = &service->target;
    if (target->kind != GW_TARGET_ADDR || target->port != local->port)
        return false;
    if (gw_addr_is_unspecified(&target->addr)) /* [::] takes IPv4 as well */
        return target->addr.family == 6 || local->family == 4;
    return gw_addr_same_ip(&target->addr, local);
}

static enum gw_gate_way decide(void *ctx, void *peer, const struct gw_addr *local, bool is_udp)
{
    const struct gw_packets *packets = ctx;
    const struct gw_services *services = packets->network->services;
    struct gw_open open = {.is_datagrams = is_udp, .port = local->port};
    if (packets->is_ending)
        return GW_GATE_NOBODY;
    if (local->port == 0)
        return is_exposed_to(packets, peer) ? GW_GATE_KERNEL : GW_GATE_NOBODY;
    const struct gw_service *service = gw_registry_lookup(gw_services_registry(services), &open);
    if (!service)
        return is_exposed_to(packets, peer) ? GW_GATE_KERNEL : GW_GATE_STACK;
    bool may_use =
        gw_services_may_use(services, service, gw_peer_config(peer)->public_key) == GW_VERDICT_ALLOWED;
    return may_use && is_kernels(service, local) ? GW_GATE_KERNEL : GW_GATE_STACK;
}

static enum gw_gate_way decide_foreign(void *ctx, void *peer, const struct gw_addr *to)
{
    const struct gw_packets *packets = ctx;
    bool is_listed = packets->is_host_exposed;
    for (size_t i = 0; i < packets->subnet_count && !is_listed; i++)
        is_listed = gw_prefix_has(&packets->subnets[i], to);
    /* A list of services names no subnet. */
    return is_listed && is_unlimited(packets, peer) ? GW_GATE_KERNEL : GW_GATE_NOBODY;
}

/* ---- lanes: the gate's word is theirs too, and what they carry it does not see */

#define ASK_LANES_NS GW_S(10) /* of 120 that the gate keeps a flow */

struct used {
    struct gw_gate *gate;
    struct gw_mono now;
};

static void on_used(uint64_t tag, uint32_t used_s, void *ctx)
{
    const struct used *used = ctx;
    gw_gate_used(used->gate, used->now, tag, used_s);
}

/* Before the gate decides anything. */
static void ask_lanes(struct gw_packets *packets, struct gw_mono now)
{
    struct used used = {packets->gate, now};
    if (gw_mono_sub(now, packets->asked_lanes) < ASK_LANES_NS)
        return;
    gw_lane_flows_each(packets->network->lane_flows, on_used, &used);
    packets->asked_lanes = now;
}

static void tell_lanes(struct gw_packets *packets, const uint8_t *packet, const struct gw_ip *ip,
                       bool is_inbound, bool is_kernels, struct gw_mono now)
{
    struct gw_flow_key key;
    bool is_icmp = ip->protocol == GW_IP_ICMP || ip->protocol == GW_IP_ICMPV6;
    struct gw_addr local;
    if (is_inbound)
        gw_ip_destination(&local, packet, ip);
    else
        gw_ip_source(&local, packet, ip);
    /* Of ICMP with a subnet behind us the gate looks at each packet. */
    if (ip->is_fragment || (is_icmp && !gw_netstack_link_has_address(packets->link, &local)))
        return;
    gw_flow_key_of(&key, packet, ip, is_inbound);
    if (is_kernels)
        gw_lane_flows_admit(packets->network->lane_flows, &key, is_inbound, now);
    else
        gw_lane_flows_remove(packets->network->lane_flows, &key, is_inbound);
}

/* The netstack sends on this flow, so its answers are the netstack's. */
static void take_from_lanes(struct gw_packets *packets, const struct gw_netstack_packet *packet)
{
    struct gw_flow_key key;
    struct gw_ip ip;
    if (gw_ip_parse(&ip, packet->data, packet->len) != 0 || ip.is_fragment)
        return;
    gw_flow_key_of(&key, packet->data, &ip, false);
    gw_lane_flows_remove(packets->network->lane_flows, &key, true);
}

/* ---- packets */

/* Whose the destination is. Those of one batch mostly go one way. */
static struct gw_peer *route(const struct gw_packets *packets, const struct gw_netstack_packet *packet,
                             struct gw_addr *last, struct gw_peer *last_peer)
{
    struct gw_ip ip;
    struct gw_addr to;
    if (gw_ip_parse(&ip, packet->data, packet->len) != 0)
        return NULL;
    gw_ip_destination(&to, packet->data, &ip);
    if (last_peer && gw_addr_same_ip(&to, last))
        return last_peer;
    *last = to;
    return gw_gateway_route(packets->network->gateway, &to);
}

static void on_output(struct gw_netstack_link *link, const struct gw_netstack_packet *list, unsigned count,
                      struct gw_mono now, void *ctx)
{
    struct gw_packets *packets = ctx;
    struct gw_addr last;
    struct gw_peer *peer = NULL;
    (void)link;
    for (unsigned i = 0; i < count; i++) {
        const struct gw_super_hint hint = {.is_checksum_left = list[i].is_checksum_left};
        if (packets->network->lane_flows)
            take_from_lanes(packets, &list[i]);
        peer = route(packets, &list[i], &last, peer);
        if (!peer || gw_peer_send_burst(peer, now, list[i].data, list[i].len, &hint) != 0)
            packets->unroutable++;
    }
}

static void on_connection(struct gw_netstack_link *link, struct gw_connection *offer, struct gw_mono now,
                          void *ctx)
{
    const struct gw_packets *packets = ctx;
    gw_packet_services_on_connection(link, offer, now, packets->services);
}

static enum gw_gate_way ask_gate(struct gw_packets *packets, struct gw_peer *peer, const uint8_t *packet,
                                 size_t len, struct gw_mono now)
{
    struct gw_ip ip;
    bool has_lanes = packets->network->lane_flows != NULL;
    if (gw_ip_parse(&ip, packet, len) != 0)
        return GW_GATE_NOBODY;
    if (has_lanes)
        ask_lanes(packets, now);
    enum gw_gate_way way = gw_gate_inbound(packets->gate, now, peer, packet, &ip);
    if (has_lanes)
        tell_lanes(packets, packet, &ip, true, way == GW_GATE_KERNEL, now);
    return way;
}

bool gw_packets_input(struct gw_packets *packets, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now)
{
    if (packets->gate) {
        enum gw_gate_way way = ask_gate(packets, peer, packet, len, now);
        if (way != GW_GATE_STACK)
            return way == GW_GATE_NOBODY;
    }
    gw_netstack_link_input(packets->link, now, packet, len, is_partial, peer, gw_packet_mtu(peer));
    return true;
}

/* ---- what the kernel has, and may not have any more */

static void tell_kernel(struct gw_packets *packets, uint8_t *packet, size_t len)
{
    if (len == 0)
        return;
    gw_device_write(packets->device, packet, len, false);
    gw_device_input_end(packets->device);
}

static void *route_back(void *ctx, const struct gw_addr *remote)
{
    const struct gw_packets *packets = ctx;
    return gw_gateway_route(packets->network->gateway, remote);
}

/* The kernel answers with where the connection stands, which gw_packets_outbound makes a reset of. It does so while we write; later the address or the route may be gone. Where lanes read, it is late for a route that goes too. */
static void on_end(void *ctx, const struct gw_addr *local, const struct gw_addr *remote)
{
    struct gw_packets *packets = ctx;
    uint8_t probe[GW_RESET_MAX];
    tell_kernel(packets, probe, gw_reset_probe(probe, remote, local, gw_random_u32(gw_random_system())));
    if (gw_device_is_reading(packets->device))
        gw_device_read(packets->device);
}

static bool ask_gate_outbound(struct gw_packets *packets, struct gw_peer *peer, const uint8_t *packet,
                              const struct gw_ip *ip, struct gw_mono now)
{
    bool has_lanes = packets->network->lane_flows != NULL;
    if (has_lanes)
        ask_lanes(packets, now);
    bool may_go = gw_gate_outbound(packets->gate, now, peer, packet, ip);
    if (has_lanes)
        tell_lanes(packets, packet, ip, false, may_go, now);
    return may_go;
}

bool gw_packets_outbound(struct gw_packets *packets, struct gw_peer *peer, const uint8_t *packet,
                         const struct gw_ip *ip, struct gw_mono now)
{
    uint8_t reset[GW_RESET_MAX];
    if (!packets->gate || ask_gate_outbound(packets, peer, packet, ip, now))
        return false;
    if (ip->protocol != GW_IP_TCP)
        return true;
    tell_kernel(packets, reset, gw_reset_sender(reset, packet, ip));
    size_t len = peer ? gw_reset_receiver(reset, packet, ip) : 0;
    if (len > 0)
        gw_peer_send_burst(peer, now, reset, len, &(struct gw_super_hint){0});
    return true;
}

bool gw_packets_orphan(struct gw_packets *packets, const uint8_t *packet, const struct gw_ip *ip,
                       struct gw_mono now)
{
    struct gw_addr from;
    gw_ip_source(&from, packet, ip);
    return ip->protocol == GW_IP_TCP && !ip->is_fragment &&
           gw_netstack_link_has_address(packets->link, &from) &&
           gw_packets_outbound(packets, NULL, packet, ip, now);
}

struct severing {
    struct gw_packets *packets;
    struct gw_mono now;
};

static void sever(const struct gw_connection_ends *ends, void *ctx)
{
    const struct severing *severing = ctx;
    gw_gate_end(severing->packets->gate, severing->now, &ends->local, &ends->remote);
}

static size_t own_addresses(const struct gw_packets *packets, struct gw_addr out[GW_ADDRESSES_OWN_MAX])
{
    struct gw_prefix own[GW_ADDRESSES_OWN_MAX];
    size_t count = gw_addresses_own(packets->network->files->config,
                                    gw_gateway_public_key(packets->network->gateway), own);
    for (size_t i = 0; i < count; i++)
        out[i] = own[i].ip;
    return count;
}

void gw_packets_note(struct gw_packets *packets)
{
    struct gw_addr own[GW_ADDRESSES_OWN_MAX];
    if (packets->gate)
        gw_severed_note(&packets->severed, packets->network->gateway, own, own_addresses(packets, own));
}

bool gw_packets_will_end(const struct gw_packets *packets)
{
    struct gw_addr own[GW_ADDRESSES_OWN_MAX];
    return gw_severed_any(&packets->severed, packets->network->gateway, own, own_addresses(packets, own));
}

void gw_packets_end(struct gw_packets *packets, struct gw_mono now)
{
    packets->is_ending = true;
    if (!packets->gate)
        return;
    gw_gate_forget(packets->gate, now);
    gw_severed_end(&packets->severed, packets->network->gateway, NULL, 0, sever,
                   &(struct severing){packets, now});
    gw_device_read(packets->device); /* of those whose program was just then at work on them */
}

/* ---- peers */

void gw_packets_on_peer(struct gw_packets *packets, const struct gw_peer *peer)
{
    gw_netstack_link_set_peer_mtu(packets->link, peer, gw_packet_mtu(peer));
}

void gw_packets_on_peer_gone(struct gw_packets *packets, const struct gw_peer *peer, struct gw_mono now)
{
    gw_netstack_link_drop_peer(packets->link, now, peer, GW_REASON_UNREACHABLE);
    if (packets->gate)
        gw_gate_forget_peer(packets->gate, peer);
}

/* ---- life */

void gw_packets_apply(struct gw_packets *packets, const struct gw_config *config, struct gw_mono now)
{
    struct gw_addr own[GW_ADDRESSES_OWN_MAX];
    size_t own_count = own_addresses(packets, own);
    packets->is_host_exposed = packets->network->files->config->expose == GW_CONFIG_EXPOSE_HOST;
    packets->subnets = config->tun.subnets.items;
    packets->subnet_count = config->tun.subnets.count;
    gw_netstack_link_clear_addresses(packets->link);
    for (size_t i = 0; i < own_count; i++)
        gw_netstack_link_add_address(packets->link, &own[i]);
    if (packets->gate && packets->network->lane_flows) {
        packets->asked_lanes = (struct gw_mono){0};
        ask_lanes(packets, now);
        gw_lane_flows_clear(packets->network->lane_flows);
    }
    if (packets->gate) {
        gw_gate_forget(packets->gate, now);
        gw_severed_end(&packets->severed, packets->network->gateway, own, own_count, sever,
                       &(struct severing){packets, now});
    }
    gw_packet_services_recheck(packets->services, now);
}

static int make(struct gw_packets *packets, const struct gw_packets_params *params, struct gw_mono now)
{
    struct gw_packet_services_params services = {
        .loop = params->loop, .dialer = params->dialer, .authorize = authorize, .authorize_ctx = packets};
    struct gw_netstack_link_params link = {
        .output = on_output, .on_connection = on_connection, .ctx = packets, .leaves_checksums = true};
    int err = gw_packet_services_new(&packets->services, &services);
    if (err == 0)
        err = gw_netstack_link_new(&packets->link, params->stack, &link, now);
    if (err != 0 || !params->device)
        return err;
    struct gw_gate_params gate = {.random = gw_random_system(),
                                  .seed = params->network->flow_seed,
                                  .link = packets->link,
                                  .decide = decide,
                                  .decide_foreign = decide_foreign,
                                  .route = route_back,
                                  .on_end = on_end,
                                  .ctx = packets};
    packets->gate = gw_gate_new(&gate);
    return packets->gate ? 0 : GW_E_NOMEM;
}

int gw_packets_new(struct gw_packets **out, const struct gw_packets_params *params)
{
    struct gw_mono now = gw_loop_now(params->loop);
    struct gw_packets *packets = calloc(1, sizeof *packets);
    if (!packets)
        return GW_E_NOMEM;
    gw_list_init(&packets->node);
    packets->network = params->network;
    packets->device = params->device;
    int err = make(packets, params, now);
    if (err == 0)
        *out = packets;
    else
        gw_packets_free(packets, now);
    return err;
}

void gw_packets_free(struct gw_packets *packets, struct gw_mono now)
{
    if (!packets)
        return;
    gw_list_remove(&packets->node);
    gw_packet_services_free(packets->services, now);
    if (packets->link)
        gw_netstack_link_free(packets->link, now);
    gw_gate_free(packets->gate);
    free(packets->severed.items);
    free(packets);
}
