/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/netstack_setup.h"

#include "gateway/base/err.h"

#include <string.h>

static struct gw_mono on_turn(struct gw_loop_hook *hook, struct gw_mono now)
{
    struct gw_netstack_setup *setup = gw_container_of(hook, struct gw_netstack_setup, hook);
    if (!gw_mono_due(gw_netstack_next_deadline(setup->stack), now))
        return gw_netstack_next_deadline(setup->stack);
    gw_netstack_expire(setup->stack, now);
    return now; /* the links may have had their turn: what has come of it must not wait for the next event */
}

int gw_netstack_setup_init(struct gw_netstack_setup *setup, struct gw_loop *loop,
                           const struct gw_config *config)
{
    struct gw_netstack_params params = {.random = gw_random_system(),
                                        .max_connections = (uint32_t)config->netstack.max_connections,
                                        .max_half_open = (uint32_t)config->netstack.max_half_open,
                                        .max_associations = (uint32_t)config->netstack.max_associations,
                                        .window_budget = (uint64_t)config->memory,
                                        .send_budget = (uint64_t)config->memory};
    gw_list_init(&setup->list);
    setup->loop = loop;
    setup->dialer = gw_packet_dialer_new(loop);
    int err = setup->dialer ? gw_netstack_new(&setup->stack, &params, gw_loop_now(loop)) : GW_E_NOMEM;
    if (err != 0)
        return err;
    setup->hook.run = on_turn;
    gw_loop_add_hook(loop, &setup->hook);
    return 0;
}

void gw_netstack_setup_fini(struct gw_netstack_setup *setup, struct gw_mono now)
{
    if (!setup->loop)
        return;
    gw_list_for_each (node, &setup->list)
        gw_packets_free(gw_list_entry(node, struct gw_packets, node), now);
    gw_accelerate_free(setup->accelerate, now);
    gw_dns_address_free(setup->dns_address, now);
    gw_packet_dialer_free(setup->dialer);
    if (setup->stack)
        gw_loop_remove_hook(setup->loop, &setup->hook);
    gw_netstack_free(setup->stack, now);
    memset(setup, 0, sizeof *setup);
}

int gw_netstack_setup_add(struct gw_netstack_setup *setup, struct gw_network *network,
                          struct gw_dialer *dialer, struct gw_device *device)
{
    const struct gw_packets_params params = {
        .stack = setup->stack, .loop = setup->loop, .dialer = dialer, .network = network, .device = device};
    struct gw_packets *packets;
    int err = gw_packets_new(&packets, &params);
    if (err != 0)
        return err;
    gw_list_push_back(&setup->list, &packets->node);
    return gw_packet_dialer_set(setup->dialer, network->gateway, packets->link);
}

void gw_netstack_setup_end(struct gw_netstack_setup *setup, const struct gw_network *network,
                           struct gw_mono now)
{
    struct gw_packets *packets = gw_netstack_setup_of(setup, network);
    if (packets)
        gw_packets_end(packets, now);
}

void gw_netstack_setup_remove(struct gw_netstack_setup *setup, const struct gw_network *network,
                              struct gw_mono now)
{
    struct gw_packets *packets = gw_netstack_setup_of(setup, network);
    if (!packets)
        return;
    gw_packet_dialer_set(setup->dialer, network->gateway, NULL);
    gw_packets_free(packets, now);
}

void gw_netstack_setup_note(struct gw_netstack_setup *setup)
{
    gw_list_for_each (node, &setup->list)
        gw_packets_note(gw_list_entry(node, struct gw_packets, node));
}

bool gw_netstack_setup_will_end(const struct gw_netstack_setup *setup)
{
    gw_list_for_each (node, &setup->list) {
        if (gw_packets_will_end(gw_list_entry(node, struct gw_packets, node)))
            return true;
    }
    return false;
}

void gw_netstack_setup_apply(struct gw_netstack_setup *setup, const struct gw_config *config,
                             struct gw_mono now)
{
    gw_netstack_set_budget(setup->stack, (uint64_t)config->memory);
    if (setup->accelerate)
        gw_accelerate_set(setup->accelerate, config->tun.accelerate);
    if (setup->dns_address)
        gw_dns_address_apply(setup->dns_address, config, now);
    gw_list_for_each (node, &setup->list)
        gw_packets_apply(gw_list_entry(node, struct gw_packets, node), config, now);
}

struct gw_packets *gw_netstack_setup_of(const struct gw_netstack_setup *setup,
                                        const struct gw_network *network)
{
    if (!setup->loop)
        return NULL;
    gw_list_for_each (node, &setup->list) {
        struct gw_packets *packets = gw_list_entry(node, struct gw_packets, node);
        if (packets->network == network)
            return packets;
    }
    return NULL;
}

static bool on_tun_packet(void *ctx, struct gw_peer *peer, uint8_t *packet, const struct gw_ip *ip,
                          const struct gw_super_hint *hint, struct gw_mono now)
{
    const struct gw_netstack_setup *setup = ctx;
    if (gw_dns_address_input(setup->dns_address, peer, packet, ip, hint, now))
        return true;
    if (peer && ip->protocol == GW_IP_TCP &&
        gw_accelerate_input(setup->accelerate, peer, packet, ip, hint, now))
        return true;
    gw_list_for_each (node, &setup->list) {
        struct gw_packets *packets = gw_list_entry(node, struct gw_packets, node);
        if (peer && packets->network->gateway == gw_peer_gateway(peer))
            return gw_packets_outbound(packets, peer, packet, ip, now);
        if (!peer && gw_packets_orphan(packets, packet, ip, now))
            return true;
    }
    return false;
}

int gw_netstack_setup_watch(struct gw_netstack_setup *setup, const struct gw_netstack_tun *tun,
                            const struct gw_config *config)
{
    const struct gw_dns_address_params dns = {.loop = setup->loop,
                                              .stack = setup->stack,
                                              .dialer = tun->dialer,
                                              .device = tun->device,
                                              .dns = tun->dns,
                                              .networks = tun->networks};
    struct gw_mono now = gw_loop_now(setup->loop);
    int err =
        gw_accelerate_new(&setup->accelerate, setup->stack, tun->device, (uint16_t)config->tun.mtu, now);
    if (err == 0)
        err = gw_dns_address_new(&setup->dns_address, &dns, config, now);
    if (err == 0)
        gw_device_set_tap(tun->device, on_tun_packet, setup);
    return err;
}

void gw_netstack_setup_on_peer_gone(struct gw_netstack_setup *setup, const struct gw_network *network,
                                    const struct gw_peer *peer, struct gw_mono now)
{
    struct gw_packets *packets = gw_netstack_setup_of(setup, network);
    if (setup->accelerate)
        gw_accelerate_drop_peer(setup->accelerate, peer, now);
    if (packets)
        gw_packets_on_peer_gone(packets, peer, now);
}
