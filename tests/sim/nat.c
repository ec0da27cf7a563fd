/* SPDX-License-Identifier: MIT */
#include "tests/sim/nat.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOPS_MAX 8 /* realms that a datagram passes; more is a loop in the topology */

struct link_key {
    struct gw_addr from, to; /* ports 0 */
    uint64_t realm;
};

struct path_link {
    struct gw_map_node node;
    struct link_key key;
    struct sim_link *link;
};

/* In front of each datagram on a link. */
struct label {
    struct sim_realm *realm;
    struct gw_addr from, to;
    uint8_t protocol, tcp_flags;
};

static void *must(void *pointer)
{
    if (!pointer)
        abort();
    return pointer;
}

static struct gw_addr parse_ip(const char *text)
{
    struct gw_addr addr;
    if (gw_addr_parse_ip(&addr, text, 0) != 0)
        abort();
    return addr;
}

/* ---- realms */

static void realm_init(struct sim_realm *realm, struct sim_nat_box *box)
{
    gw_list_init(&realm->ends);
    realm->box = box;
}

static bool owns(const struct sim_end *end, const struct gw_addr *ip)
{
    for (unsigned i = 0; i < end->ip_count; i++) {
        if (gw_addr_same_ip(&end->ips[i], ip) || (end->box && ip->family == 6 && end->ips[i].family == 6 &&
                                                  memcmp(end->ips[i].ip, ip->ip, 8) == 0))
            return true;
    }
    /* The pool may have been renumbered. */
    return end->box && end->box->v4 && nat_owns(end->box->v4, ip);
}

static struct sim_end *find_owner(const struct sim_realm *realm, const struct gw_addr *ip)
{
    gw_list_for_each (node, &realm->ends) {
        struct sim_end *end = gw_list_entry(node, struct sim_end, node);
        if (owns(end, ip))
            return end;
    }
    return NULL;
}

static void add_ip(struct sim_end *end, const struct gw_addr *ip)
{
    assert(end->ip_count < SIM_END_IPS_MAX);
    end->ips[end->ip_count] = *ip;
    end->ips[end->ip_count++].port = 0;
}

static void attach(struct sim_realm *realm, struct sim_end *end)
{
    end->realm = realm;
    gw_list_init(&end->node);
    gw_list_push_back(&realm->ends, &end->node);
}

void sim_nat_attach(struct sim_realm *realm, struct sim_end *end, const char *text4, const char *text6)
{
    struct gw_addr ip;
    end->ip_count = 0;
    if (text4) {
        ip = parse_ip(text4);
        add_ip(end, &ip);
    }
    if (text6) {
        ip = parse_ip(text6);
        add_ip(end, &ip);
    }
    attach(realm, end);
}

void sim_nat_leave(struct sim_end *end)
{
    if (!end->realm)
        return;
    gw_list_remove(&end->node);
    end->realm = NULL;
}

const struct gw_addr *sim_end_ip(const struct sim_end *end, uint8_t family)
{
    for (unsigned i = 0; i < end->ip_count; i++) {
        if (end->ips[i].family == family)
            return &end->ips[i];
    }
    return NULL;
}

/* ---- links */

struct sim_link *sim_nat_link(struct sim_nat_net *net, const struct sim_realm *realm,
                              const struct gw_addr *from, const struct gw_addr *to)
{
    struct link_key key = {.from = *from, .to = *to, .realm = (uint64_t)(uintptr_t)realm};
    key.from.port = key.to.port = 0;
    struct gw_map_node *node = gw_map_find(&net->links, &key);
    if (node)
        return gw_map_entry(node, struct path_link, node)->link;
    struct path_link *path = must(calloc(1, sizeof *path));
    path->key = key;
    path->link = sim_link_new(net->clock, &net->params, net->seed + 1000 + net->made++);
    if (gw_map_insert(&net->links, &path->node, &path->key) != 0)
        abort();
    return path->link;
}

static void travel(struct sim_nat_net *net, struct sim_realm *realm, const struct nat_packet *packet,
                   const struct sim_datagram *datagram)
{
    struct label label = {realm, packet->from, packet->to, packet->protocol, packet->tcp_flags};
    uint8_t *bytes = must(malloc(sizeof label + datagram->len));
    memcpy(bytes, &label, sizeof label);
    if (datagram->len)
        memcpy(bytes + sizeof label, datagram->data, datagram->len);
    sim_link_send(sim_nat_link(net, realm, &packet->from, &packet->to), &net->port, bytes,
                  sizeof label + datagram->len, datagram->ecn);
    free(bytes);
}

/* ---- out: up through the realms, to the one where the destination is */

static struct nat *of_family(const struct sim_nat_box *box, uint8_t family)
{
    return family == 4 ? box->v4 : box->v6;
}

void sim_nat_send(struct sim_nat_net *net, struct sim_end *end, const struct sim_datagram *datagram)
{
    struct nat_packet packet = {.from = datagram->from,
                                .to = datagram->to,
                                .protocol = datagram->protocol ? datagram->protocol : NAT_UDP,
                                .tcp_flags = datagram->tcp_flags};
    struct sim_realm *realm = end->realm;
    if (!realm)
        return;
    assert(owns(end, &packet.from));
    for (unsigned hop = 0; hop < HOPS_MAX; hop++) {
        if (find_owner(realm, &packet.to)) {
            travel(net, realm, &packet, datagram);
            return;
        }
        struct nat *nat = realm->box ? of_family(realm->box, packet.to.family) : NULL;
        if (!nat) {
            net->lost++;
            return;
        }
        enum nat_verdict verdict = nat_from_inside(nat, net->clock->now, &packet);
        if (verdict == NAT_DROP)
            return;
        if (verdict == NAT_OUT)
            realm = realm->box->outside.realm;
        /* NAT_IN: back by hairpin, to an address in this very realm. */
    }
    abort(); /* a loop in the topology */
}

/* ---- in: down through the boxes, to a host */

static void on_arrival(struct sim_port *port, struct gw_mono now, const void *data, size_t len, uint8_t ecn)
{
    struct sim_nat_net *net = gw_container_of(port, struct sim_nat_net, port);
    struct label label;
    assert(len >= sizeof label);
    memcpy(&label, data, sizeof label);
    struct nat_packet packet = {
        .from = label.from, .to = label.to, .protocol = label.protocol, .tcp_flags = label.tcp_flags};
    const struct sim_realm *realm = label.realm;
    struct sim_end *end;
    while ((end = find_owner(realm, &packet.to)) && end->box) {
        struct nat *nat = of_family(end->box, packet.to.family);
        if (!nat || nat_from_outside(nat, now, &packet) != NAT_IN)
            return;
        realm = &end->box->inside;
    }
    if (!end) {
        net->lost++;
        return;
    }
    struct sim_datagram datagram = {.from = packet.from,
                                    .to = packet.to,
                                    .protocol = packet.protocol,
                                    .tcp_flags = packet.tcp_flags,
                                    .ecn = ecn,
                                    .data = (const uint8_t *)data + sizeof label,
                                    .len = len - sizeof label};
    end->receive(end, now, &datagram);
}

/* ---- boxes and lines */

struct sim_nat_box *sim_nat_add_box(struct sim_nat_net *net, struct sim_realm *outer,
                                    const struct nat_params *v4, const struct nat_params *v6,
                                    const struct gw_addr *prefix6)
{
    struct sim_nat_box *box = must(calloc(1, sizeof *box));
    realm_init(&box->inside, box);
    if (v4)
        box->v4 = must(nat_new(v4, net->seed + 2000 + net->made++));
    if (v6) {
        box->v6 = must(nat_new(v6, net->seed + 2000 + net->made++));
        add_ip(&box->outside, prefix6);
    }
    box->outside.box = box;
    attach(outer, &box->outside);
    gw_list_push_back(&net->boxes, &box->node);
    return box;
}

static struct gw_addr line_ip4(const struct sim_nat_line *line, bool is_public)
{
    uint8_t high = (uint8_t)(line->number >> 8), low = (uint8_t)line->number;
    if (is_public)
        return (struct gw_addr){.ip = {11, high, low, 1}, .family = 4};
    return (struct gw_addr){.ip = {100, 64, high, low}, .family = 4};
}

static struct gw_addr line_ip6(const struct sim_nat_line *line, unsigned host)
{
    struct gw_addr ip = {.ip = {0x2a, 0, 0, 0, (uint8_t)(line->number >> 8), (uint8_t)line->number},
                         .family = 6};
    ip.ip[15] = (uint8_t)host;
    return ip;
}

static void set_pool(const struct sim_nat_line *line, struct nat_params *params, bool is_public)
{
    params->pool_count = params->is_open ? 0 : 1;
    params->pool[0] = line_ip4(line, is_public);
}

void sim_nat_add_line(struct sim_nat_line *line, struct sim_nat_net *net, struct sim_realm *outer,
                      enum nat_kind kind, unsigned number, bool with_v6)
{
    struct nat_line preset;
    nat_line(&preset, kind);
    *line = (struct sim_nat_line){.net = net, .kind = kind, .number = number, .has_v4 = preset.has_v4};
    line->has_v6 = preset.has_v6 || with_v6;
    line->realm = outer;
    if (kind == NAT_KIND_OPEN)
        return;
    struct gw_addr prefix = line_ip6(line, 0);
    if (preset.box_count == 2) {
        struct nat_params pass = {.is_open = true, .is_firewall = true};
        set_pool(line, &preset.v4[1], outer->box == NULL);
        line->carrier = sim_nat_add_box(net, outer, &preset.v4[1], line->has_v6 ? &pass : NULL, &prefix);
        line->realm = &line->carrier->inside;
    }
    set_pool(line, &preset.v4[0], line->realm->box == NULL);
    line->home = sim_nat_add_box(net, line->realm, line->has_v4 ? &preset.v4[0] : NULL,
                                 line->has_v6 ? &preset.v6 : NULL, &prefix);
    line->realm = &line->home->inside;
}

void sim_nat_join(struct sim_nat_line *line, struct sim_end *end)
{
    unsigned host = 2 + line->hosts++;
    struct gw_addr ip4 = {.ip = {192, 168, 1, (uint8_t)host}, .family = 4}, ip6 = line_ip6(line, host);
    if (line->kind == NAT_KIND_OPEN) {
        ip4 = line_ip4(line, line->realm->box == NULL);
        ip4.ip[3] = (uint8_t)host;
    }
    end->ip_count = 0;
    if (line->has_v4)
        add_ip(end, &ip4);
    if (line->has_v6)
        add_ip(end, &ip6);
    attach(line->realm, end);
}

/* ---- the net */

void sim_nat_init(struct sim_nat_net *net, struct sim_clock *clock, uint64_t seed,
                  const struct sim_link_params *params)
{
    static const uint8_t map_seed[16] = "links of a net";
    *net = (struct sim_nat_net){.clock = clock, .seed = seed, .port.deliver = on_arrival};
    if (params)
        net->params = *params;
    if (net->params.mtu)
        net->params.mtu += sizeof(struct label); /* which is not on the wire */
    realm_init(&net->internet, NULL);
    gw_list_init(&net->boxes);
    gw_map_init(&net->links, sizeof(struct link_key), map_seed);
}

void sim_nat_fini(struct sim_nat_net *net)
{
    for (struct gw_map_node *node = gw_map_first(&net->links), *next; node; node = next) {
        struct path_link *path = gw_map_entry(node, struct path_link, node);
        next = gw_map_next(&net->links, node);
        sim_link_free(path->link);
        free(path);
    }
    gw_map_fini(&net->links);
    for (struct gw_list *node; (node = gw_list_pop_front(&net->boxes));) {
        struct sim_nat_box *box = gw_list_entry(node, struct sim_nat_box, node);
        nat_free(box->v4);
        nat_free(box->v6);
        free(box);
    }
}
