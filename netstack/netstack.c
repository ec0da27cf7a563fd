/* SPDX-License-Identifier: MIT */
/* The stack and its links: life, time, what is counted. */
#include "netstack/netstack.h"

#include "gateway/base/err.h"
#include "netstack/port/port.h"
#include "netstack/private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TICK GW_MS(250) /* lwIP's TCP_TMR_INTERVAL */
/* After a pause so many ticks are made up for; a machine that slept need not count them all. */
#define TICKS_MAX 4
#define MTU_DEFAULT 1280u

/* lwIP has one of everything. */
static struct gw_netstack *the_stack;

/* ---- calls */

void ns_enter(struct gw_netstack *stack, struct gw_mono now)
{
    if (stack->depth++ == 0) {
        stack->now = now;
        netstack_port_set_now_ms((uint32_t)((uint64_t)now.ns / 1000000u));
    }
}

static void free_dead(struct gw_netstack *stack)
{
    for (struct gw_list *node; (node = gw_list_pop_front(&stack->dead)) != NULL;)
        free(gw_list_entry(node, struct gw_connection, node));
}

void ns_leave(struct gw_netstack *stack)
{
    if (stack->depth > 1) {
        stack->depth--;
        return;
    }
    ns_out_flush(stack);
    if (gw_mono_is_never(stack->next_tick) && ns_tcp_has_pcbs())
        stack->next_tick = gw_mono_add(stack->now, TICK);
    stack->depth--;
    free_dead(stack);
}

uint16_t ns_mtu(const struct gw_netstack_link *link, uint16_t mtu)
{
    if (mtu == 0)
        return link->params.mtu;
    return mtu < GW_NETSTACK_MTU_MIN ? GW_NETSTACK_MTU_MIN : mtu;
}

/* ---- time */

struct gw_mono gw_netstack_next_deadline(const struct gw_netstack *stack)
{
    return gw_mono_min(stack->next_tick, gw_deadlines_next(&stack->deadlines));
}

static void tick(struct gw_netstack *stack)
{
    for (int i = 0; i < TICKS_MAX && gw_mono_due(stack->next_tick, stack->now); i++) {
        ns_tcp_tick(stack);
        stack->next_tick = gw_mono_add(stack->next_tick, TICK);
    }
    if (gw_mono_due(stack->next_tick, stack->now))
        stack->next_tick = gw_mono_add(stack->now, TICK);
    if (!ns_tcp_has_pcbs())
        stack->next_tick = GW_NEVER;
}

void gw_netstack_expire(struct gw_netstack *stack, struct gw_mono now)
{
    ns_enter(stack, now);
    tick(stack);
    gw_deadlines_expire(&stack->deadlines, now);
    ns_leave(stack);
}

/* ---- the stack */

static void set_defaults(struct gw_netstack_params *params)
{
    if (!params->max_connections)
        params->max_connections = 2000;
    if (!params->max_half_open)
        params->max_half_open = 256;
    if (!params->max_associations)
        params->max_associations = 4096;
    if (!params->udp_idle_ns)
        params->udp_idle_ns = GW_S(120);
    if (!params->window_budget)
        params->window_budget = UINT64_C(64) << 20;
    if (!params->send_budget)
        params->send_budget = UINT64_C(64) << 20;
}

void gw_netstack_set_budget(struct gw_netstack *stack, uint64_t bytes)
{
    stack->params.window_budget = stack->params.send_budget = bytes;
}

int gw_netstack_new(struct gw_netstack **out, const struct gw_netstack_params *params, struct gw_mono now)
{
    uint8_t seed[16];
    if (the_stack)
        return -EEXIST;
    struct gw_netstack *stack = calloc(1, sizeof *stack);
    if (!stack)
        return GW_E_NOMEM;
    stack->params = *params;
    set_defaults(&stack->params);
    gw_random_fill(params->random, seed, sizeof seed);
    gw_map_init(&stack->map, sizeof(struct key), seed);
    gw_deadlines_init(&stack->deadlines);
    struct gw_list *lists[] = {&stack->links,     &stack->tcp,      &stack->half_open, &stack->orphans,
                               &stack->udp_fresh, &stack->udp_live, &stack->touched,   &stack->dead};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        gw_list_init(lists[i]);
    gw_fragments_init(&stack->fragments);
    gw_coalesce_init(&stack->coalescer, ns_merged, stack);
    gw_bucket_init(&stack->unreachables, 200, now);
    stack->next_tick = GW_NEVER;
    stack->now = now;
    netstack_port_init();
    the_stack = stack;
    *out = stack;
    return 0;
}

void gw_netstack_free(struct gw_netstack *stack, struct gw_mono now)
{
    if (!stack)
        return;
    assert(stack->depth == 0);
    gw_netstack_flush(stack, now);
    gw_list_for_each (node, &stack->links) {
        struct gw_netstack_link *link = gw_list_entry(node, struct gw_netstack_link, node);
        gw_netstack_link_drop_peer(link, now, NULL, GW_REASON_SHUTTING_DOWN);
        gw_netstack_link_free(link, now);
    }
    gw_fragments_fini(&stack->fragments);
    gw_deadlines_fini(&stack->deadlines);
    gw_map_fini(&stack->map);
    the_stack = NULL;
    free(stack);
}

void gw_netstack_stats(const struct gw_netstack *stack, struct gw_netstack_stats *out)
{
    *out = stack->stats;
    out->connections = stack->tcp_count;
    out->half_open = stack->half_open_count;
    out->winding_up = stack->orphan_count;
    out->associations = stack->udp_count;
}

/* ---- links */

int gw_netstack_link_new(struct gw_netstack_link **out, struct gw_netstack *stack,
                         const struct gw_netstack_link_params *params, struct gw_mono now)
{
    if (stack->link_count >= GW_NETSTACK_LINKS_MAX)
        return GW_E_LIMIT;
    struct gw_netstack_link *link = calloc(1, sizeof *link);
    if (!link)
        return GW_E_NOMEM;
    link->stack = stack;
    link->params = *params;
    if (!params->mtu)
        link->params.mtu = MTU_DEFAULT;
    gw_random_fill(stack->params.random, &link->id, sizeof link->id);
    link->ip_id = (uint16_t)link->id;
    gw_list_init(&link->node);
    ns_enter(stack, now);
    int err = ns_tcp_link_init(link);
    ns_leave(stack);
    if (err) {
        free(link);
        return err;
    }
    gw_list_push_back(&stack->links, &link->node);
    stack->link_count++;
    *out = link;
    return 0;
}

void gw_netstack_link_free(struct gw_netstack_link *link, struct gw_mono now)
{
    struct gw_netstack *stack = link->stack;
    gw_netstack_flush(stack, now);
    gw_netstack_link_drop_peer(link, now, NULL, GW_REASON_UNREACHABLE);
    ns_enter(stack, now);
    ns_tcp_link_fini(link);
    ns_leave(stack);
    if (stack->from_link == link)
        stack->from_link = NULL;
    gw_list_remove(&link->node);
    stack->link_count--;
    free(link);
}

int gw_netstack_link_add_address(struct gw_netstack_link *link, const struct gw_addr *address)
{
    if (gw_netstack_link_has_address(link, address))
        return 0;
    if (link->address_count == GW_NETSTACK_ADDRESSES_MAX)
        return GW_E_LIMIT;
    link->addresses[link->address_count++] = *address;
    return 0;
}

void gw_netstack_link_clear_addresses(struct gw_netstack_link *link)
{
    link->address_count = 0;
    for (unsigned i = 0; i < link->listen_count; i++)
        gw_netstack_link_add_address(link, &link->listens[i].address);
}

bool gw_netstack_link_has_address(const struct gw_netstack_link *link, const struct gw_addr *address)
{
    for (unsigned i = 0; i < link->address_count; i++)
        if (gw_addr_same_ip(&link->addresses[i], address))
            return true;
    return false;
}

bool gw_netstack_link_source(const struct gw_netstack_link *link, uint8_t family, struct gw_addr *out)
{
    for (unsigned i = 0; i < link->address_count; i++) {
        if (link->addresses[i].family != family)
            continue;
        *out = link->addresses[i];
        out->port = 0;
        return true;
    }
    return false;
}

int gw_netstack_link_listen(struct gw_netstack_link *link, const struct gw_addr *address, bool is_udp,
                            gw_netstack_link_listen_fn *fn, void *ctx)
{
    if (link->listen_count == LISTENS_MAX)
        return GW_E_LIMIT;
    int err = gw_netstack_link_add_address(link, address);
    if (err == 0)
        link->listens[link->listen_count++] = (struct listen){*address, is_udp, fn, ctx};
    return err;
}

/* ---- peers */

static struct gw_connection *next_of(struct gw_netstack *stack, struct gw_connection *connection)
{
    struct gw_map_node *node =
        connection ? gw_map_next(&stack->map, &connection->map_node) : gw_map_first(&stack->map);
    return node ? gw_map_entry(node, struct gw_connection, map_node) : NULL;
}

/* on_closed may end others: they are marked first, then ended while any is left. */
static bool drop_one(struct gw_netstack_link *link, const void *peer, enum gw_reason reason)
{
    struct gw_connection *connection = NULL;
    while ((connection = next_of(link->stack, connection)) != NULL) {
        if (connection->link != link || (peer && connection->peer != peer))
            continue;
        ns_end(connection, reason, true);
        return true;
    }
    return false;
}

void gw_netstack_link_drop_peer(struct gw_netstack_link *link, struct gw_mono now, const void *peer,
                                enum gw_reason reason)
{
    ns_enter(link->stack, now);
    while (drop_one(link, peer, reason))
        ;
    ns_leave(link->stack);
}

void gw_netstack_link_set_peer_mtu(struct gw_netstack_link *link, const void *peer, uint16_t mtu)
{
    struct gw_connection *connection = NULL;
    while ((connection = next_of(link->stack, connection)) != NULL)
        if (connection->link == link && connection->peer == peer)
            connection->mtu = ns_mtu(link, mtu);
}

/* ---- connections out */

#define EPHEMERAL_FIRST 32768u
#define EPHEMERAL_COUNT 28232u

static int choose_key(struct key *key, const struct gw_netstack_connect_params *params)
{
    struct gw_netstack *stack = params->link->stack;
    struct gw_addr from = params->from;
    uint8_t protocol = params->is_udp ? GW_IP_UDP : GW_IP_TCP;
    uint32_t start = gw_random_u32(stack->params.random);
    for (uint32_t i = 0; i < EPHEMERAL_COUNT; i++) {
        if (params->from.port == 0)
            from.port = (uint16_t)(EPHEMERAL_FIRST + (start + i) % EPHEMERAL_COUNT);
        ns_key(key, params->link, &from, &params->to, protocol);
        if (!ns_find(stack, key))
            return 0;
        if (params->from.port != 0)
            break;
    }
    return -EADDRINUSE;
}

static int start(struct gw_connection *connection, const struct gw_netstack_connect_params *params)
{
    connection->is_outbound = true;
    connection->peer = params->peer;
    connection->mtu = ns_mtu(params->link, params->mtu);
    connection->ops = params->ops;
    connection->user = params->user;
    ns_set_state(connection, params->is_udp ? STATE_OPEN : STATE_CONNECTING);
    int err = params->is_udp ? ns_udp_connect(connection) : ns_tcp_connect(connection);
    if (err)
        ns_bury(connection);
    return err;
}

int gw_netstack_connect(struct gw_connection **out, struct gw_mono now,
                        const struct gw_netstack_connect_params *params)
{
    struct gw_netstack *stack = params->link->stack;
    struct key key;
    if (params->from.family != params->to.family || (params->from.family != 4 && params->from.family != 6) ||
        params->to.port == 0)
        return GW_E_INVAL;
    if (!params->is_udp && stack->tcp_count + stack->half_open_count >= stack->params.max_connections)
        return GW_E_LIMIT;
    ns_enter(stack, now);
    if (params->is_udp)
        ns_udp_make_room(stack);
    int err = choose_key(&key, params);
    if (err == 0) {
        struct gw_connection *connection = ns_new(params->link, &key);
        err = connection ? start(connection, params) : GW_E_NOMEM;
        if (err == 0)
            *out = connection;
    }
    ns_leave(stack);
    return err;
}
