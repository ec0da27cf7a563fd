/* SPDX-License-Identifier: MIT */
#include "tests/sim/behind.h"

#include <errno.h>
#include <stdlib.h>

struct gw_addr sim_behind_addr(const struct sim_node *node, uint8_t family)
{
    const struct gw_addr *ip = sim_end_ip(&node->place->end, family);
    struct gw_addr addr = {0};
    if (ip) {
        addr = *ip;
        addr.port = SIM_BEHIND_PORT;
    }
    return addr;
}

void sim_behind_tell_addresses(struct sim_node *node)
{
    struct gw_candidate list[2];
    unsigned count = 0;
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct gw_addr addr = sim_behind_addr(node, family);
        if (gw_addr_is_set(&addr))
            list[count++] = (struct gw_candidate){addr, GW_CANDIDATE_HOST};
    }
    gw_gateway_set_candidates(node->gateway, sim_now(node), list, count);
}

static void settle(struct sim_node *node)
{
    node->addr = sim_behind_addr(node, 4);
    if (!gw_addr_is_set(&node->addr))
        node->addr = sim_behind_addr(node, 6);
}

static void on_receive(struct sim_end *end, struct gw_mono now, const struct sim_datagram *datagram)
{
    struct sim_place *place = gw_container_of(end, struct sim_place, end);
    uint32_t link = (uint32_t)datagram->to.port - SIM_BEHIND_PORT;
    (void)now;
    if (datagram->protocol != NAT_UDP || link >= SIM_BEHIND_LINKS || !place->is_open[link])
        return; /* no socket there */
    struct gw_tuple tuple = {.local = datagram->to, .remote = datagram->from, .link = link};
    sim_node_receive(place->node, &tuple, datagram->data, datagram->len, datagram->ecn);
}

static int carry(struct sim_node *node, const struct gw_train *train, const uint8_t *data, size_t len)
{
    struct sim_place *place = node->place;
    struct sim_datagram datagram = {.from = sim_behind_addr(node, train->tuple.remote.family),
                                    .to = train->tuple.remote,
                                    .ecn = train->ecn,
                                    .data = data,
                                    .len = len};
    if (!gw_addr_is_set(&datagram.from) || !place->end.realm || !place->is_open[train->tuple.link])
        return -ENETUNREACH;
    datagram.from.port = (uint16_t)(datagram.from.port + train->tuple.link);
    sim_nat_send(&place->world->nat, &place->end, &datagram);
    return 0;
}

static int open_link(struct gateway *gateway, uint32_t link, bool with_v6, void *ctx)
{
    struct sim_node *node = ctx;
    struct sim_place *place = node->place;
    (void)gateway;
    if (!sim_end_ip(&place->end, 4) && !(with_v6 && sim_end_ip(&place->end, 6)))
        return -EAFNOSUPPORT;
    place->open_links++;
    place->most_links = place->open_links > place->most_links ? place->open_links : place->most_links;
    place->is_open[link] = true;
    return (int)(SIM_BEHIND_PORT + link);
}

static void close_link(struct gateway *gateway, uint32_t link, void *ctx)
{
    struct sim_node *node = ctx;
    (void)gateway;
    if (!node->place)
        return; /* the world is gone */
    node->place->open_links--;
    node->place->is_open[link] = false;
}

static struct sim_node *add(struct sim_behind *world)
{
    struct sim_place *place = calloc(1, sizeof *place);
    if (!place)
        abort();
    place->world = world;
    place->end.receive = on_receive;
    place->node = sim_net_add(world->net, "0.0.0.0:7000");
    place->node->place = place;
    place->is_open[0] = true;
    place->node->events.open_link = open_link;
    place->node->events.close_link = close_link;
    return place->node;
}

struct sim_node *sim_behind_add(struct sim_behind *world, struct sim_nat_line *line)
{
    struct sim_node *node = add(world);
    sim_nat_join(line, &node->place->end);
    settle(node);
    return node;
}

struct sim_node *sim_behind_add_public(struct sim_behind *world, const char *text4, const char *text6)
{
    struct sim_node *node = add(world);
    sim_nat_attach(&world->nat.internet, &node->place->end, text4, text6);
    settle(node);
    return node;
}

void sim_behind_move(struct sim_node *node, struct sim_nat_line *line)
{
    sim_nat_leave(&node->place->end);
    sim_nat_join(line, &node->place->end);
    settle(node);
}

void sim_behind_init(struct sim_behind *world, struct sim_net *net, const struct sim_link_params *params)
{
    struct sim_link_params path = params ? *params : (struct sim_link_params){0};
    if (path.mtu == 0)
        path.mtu = 1500 - 28;
    *world = (struct sim_behind){.net = net};
    sim_nat_init(&world->nat, &net->clock, net->seed, &path);
    net->carry = carry;
}

void sim_behind_fini(struct sim_behind *world)
{
    for (unsigned i = 0; i < world->net->node_count; i++) {
        struct sim_node *node = world->net->nodes[i];
        sim_nat_leave(&node->place->end);
        free(node->place);
        node->place = NULL;
    }
    sim_nat_fini(&world->nat);
}
