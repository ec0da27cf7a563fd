/* SPDX-License-Identifier: MIT */
/* What TCP connections and UDP associations have in common: the table, the lists, the offer, the end. */
#include "netstack/connection.h"

#include "gateway/base/err.h"
#include "netstack/private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define OFFER_TIMEOUT GW_S(10)

void ns_key(struct key *key, const struct gw_netstack_link *link, const struct gw_addr *local,
            const struct gw_addr *remote, uint8_t protocol)
{
    memset(key, 0, sizeof *key);
    key->link = link->id;
    key->family = local->family;
    key->protocol = protocol;
    memcpy(key->local, local->ip, 16);
    memcpy(key->remote, remote->ip, 16);
    key->local_port = local->port;
    key->remote_port = remote->port;
}

struct gw_connection *ns_find(const struct gw_netstack *stack, const struct key *key)
{
    struct gw_map_node *node = gw_map_find(&stack->map, key);
    return node ? gw_map_entry(node, struct gw_connection, map_node) : NULL;
}

static void read_address(struct gw_addr *out, const struct key *key, const uint8_t ip[16], uint16_t port)
{
    memset(out, 0, sizeof *out);
    out->family = key->family;
    out->port = port;
    memcpy(out->ip, ip, 16);
}

void ns_local(const struct gw_connection *connection, struct gw_addr *out)
{
    read_address(out, &connection->key, connection->key.local, connection->key.local_port);
}

void ns_remote(const struct gw_connection *connection, struct gw_addr *out)
{
    read_address(out, &connection->key, connection->key.remote, connection->key.remote_port);
}

/* ---- life */

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_connection *connection = gw_container_of(deadline, struct gw_connection, deadline);
    if (connection->is_udp && connection->state != STATE_OFFERED)
        ns_udp_expire(deadline, now);
    else if (connection->state != STATE_OFFERED)
        ns_recovery_expire(connection);
    else
        ns_end(connection, GW_REASON_TIMED_OUT, false);
}

struct gw_connection *ns_new(struct gw_netstack_link *link, const struct key *key)
{
    struct gw_netstack *stack = link->stack;
    struct gw_connection *connection = calloc(1, sizeof *connection);
    if (!connection || gw_deadlines_reserve(&stack->deadlines) != 0) {
        free(connection);
        return NULL;
    }
    gw_list_init(&connection->node);
    gw_list_init(&connection->touched);
    gw_deadline_init(&connection->deadline, on_deadline);
    connection->key = *key;
    connection->stack = stack;
    connection->link = link;
    connection->peer = stack->from_peer;
    connection->mtu = ns_mtu(link, stack->from_mtu);
    connection->is_udp = key->protocol == GW_IP_UDP;
    connection->idle_ns = stack->params.udp_idle_ns;
    connection->used = connection->epoch = connection->steered = stack->now;
    connection->state = STATE_DEAD;
    if (gw_map_insert(&stack->map, &connection->map_node, &connection->key) == 0)
        return connection;
    gw_deadlines_release(&stack->deadlines);
    free(connection);
    return NULL;
}

static uint32_t *count_of(struct gw_connection *connection, enum state state)
{
    struct gw_netstack *stack = connection->stack;
    if (connection->is_udp)
        return &stack->udp_count;
    return state == STATE_ORPHAN                                ? &stack->orphan_count
           : state == STATE_OFFERED || state == STATE_HALF_OPEN ? &stack->half_open_count
                                                                : &stack->tcp_count;
}

static struct gw_list *list_of(struct gw_connection *connection, enum state state)
{
    struct gw_netstack *stack = connection->stack;
    if (connection->is_udp)
        return connection->has_sent ? &stack->udp_live : &stack->udp_fresh;
    return state == STATE_ORPHAN                                ? &stack->orphans
           : state == STATE_OFFERED || state == STATE_HALF_OPEN ? &stack->half_open
                                                                : &stack->tcp;
}

void ns_set_state(struct gw_connection *connection, enum state state)
{
    if (connection->state != STATE_DEAD)
        --*count_of(connection, connection->state);
    bool keeps_place = connection->state == STATE_OFFERED && state == STATE_HALF_OPEN && !connection->is_udp;
    connection->state = (uint8_t)state;
    if (state != STATE_DEAD)
        ++*count_of(connection, state);
    if (keeps_place)
        return;
    gw_list_remove(&connection->node);
    if (state != STATE_DEAD)
        gw_list_push_back(list_of(connection, state), &connection->node);
}

void ns_bury(struct gw_connection *connection)
{
    struct gw_netstack *stack = connection->stack;
    assert(!connection->pcb);
    ns_set_state(connection, STATE_DEAD);
    gw_map_remove(&stack->map, &connection->map_node);
    gw_list_remove(&connection->touched);
    gw_deadline_disarm(&stack->deadlines, &connection->deadline);
    gw_deadlines_release(&stack->deadlines);
    ns_window_close(connection);
    ns_window_free_kept(connection);
    ns_udp_free_waiting(connection);
    free(connection->syn);
    connection->syn = NULL;
    connection->ops = NULL;
    gw_list_push_back(&stack->dead, &connection->node);
}

void ns_end(struct gw_connection *connection, enum gw_reason reason, bool is_loud)
{
    const struct gw_connection_ops *ops = connection->ops;
    struct gw_mono now = connection->stack->now;
    void *user = connection->user;
    if (connection->pcb)
        ns_tcp_abort(connection, is_loud);
    else if (is_loud && connection->state == STATE_OFFERED && !connection->is_udp)
        ns_tcp_refuse(connection);
    ns_bury(connection);
    if (ops && ops->on_closed)
        ops->on_closed(connection, now, reason, user);
}

/* ---- offers */

static const struct listen *find_listen(const struct gw_netstack_link *link, const struct gw_addr *local,
                                        bool is_udp)
{
    for (unsigned i = 0; i < link->listen_count; i++) {
        const struct listen *listen = &link->listens[i];
        if (listen->is_udp == is_udp && gw_addr_equal(&listen->address, local))
            return listen;
    }
    return NULL;
}

void ns_offer(struct gw_connection *connection)
{
    struct gw_netstack_link *link = connection->link;
    struct gw_netstack *stack = link->stack;
    struct gw_addr local;
    ns_local(connection, &local);
    const struct listen *listen = find_listen(link, &local, connection->is_udp);
    ns_set_state(connection, STATE_OFFERED);
    gw_deadline_arm(&stack->deadlines, &connection->deadline, gw_mono_add(stack->now, OFFER_TIMEOUT));
    if (listen)
        listen->fn(link, connection, stack->now, listen->ctx);
    else if (link->params.on_connection)
        link->params.on_connection(link, connection, stack->now, link->params.ctx);
    else
        gw_connection_refuse(connection, stack->now, false);
}

void gw_connection_attach(struct gw_connection *connection, const struct gw_connection_ops *ops, void *user)
{
    assert(connection->state == STATE_OFFERED);
    connection->ops = ops;
    connection->user = user;
}

void gw_connection_set_user(struct gw_connection *connection, const struct gw_connection_ops *ops, void *user)
{
    assert(connection->state == STATE_OPEN);
    connection->ops = ops;
    connection->user = user;
}

void gw_connection_accept(struct gw_connection *connection, struct gw_mono now,
                          const struct gw_connection_ops *ops, void *user)
{
    struct gw_netstack *stack = connection->stack;
    assert(connection->state == STATE_OFFERED);
    ns_enter(stack, now);
    connection->ops = ops;
    connection->user = user;
    gw_deadline_disarm(&stack->deadlines, &connection->deadline);
    stack->stats.accepted++;
    if (connection->is_udp) {
        ns_set_state(connection, STATE_OPEN);
        ns_udp_accept(connection);
    } else {
        ns_set_state(connection, STATE_HALF_OPEN);
        if (!ns_tcp_inject_syn(connection))
            ns_end(connection, GW_REASON_NO_MEMORY, false);
    }
    ns_leave(stack);
}

void gw_connection_refuse(struct gw_connection *connection, struct gw_mono now, bool is_silent)
{
    struct gw_netstack *stack = connection->stack;
    assert(connection->state == STATE_OFFERED);
    ns_enter(stack, now);
    if (!is_silent && connection->is_udp && connection->waiting) {
        /* What waits is the whole packet: see udp.c. */
        ns_refuse_datagram(connection->link, connection->waiting->bytes, connection->waiting->len);
    } else if (!is_silent && !connection->is_udp) {
        ns_tcp_refuse(connection);
    }
    ns_bury(connection);
    ns_leave(stack);
}

/* ---- the user's ends */

void gw_connection_reset(struct gw_connection *connection, struct gw_mono now)
{
    struct gw_netstack *stack = connection->stack;
    ns_enter(stack, now);
    connection->ops = NULL;
    ns_end(connection, GW_REASON_NONE, true);
    ns_leave(stack);
}

void gw_connection_release(struct gw_connection *connection, struct gw_mono now)
{
    struct gw_netstack *stack = connection->stack;
    if (connection->is_udp || !connection->is_fin_told || !connection->is_finished) {
        gw_connection_reset(connection, now);
        return;
    }
    ns_enter(stack, now);
    connection->ops = NULL;
    if (connection->pcb) {
        ns_window_close(connection);
        ns_set_state(connection, STATE_ORPHAN);
        ns_trim_orphans(stack);
    } else {
        ns_bury(connection);
    }
    ns_leave(stack);
}

void gw_connection_info(const struct gw_connection *connection, struct gw_connection_info *out)
{
    memset(out, 0, sizeof *out);
    out->link = connection->link;
    out->peer = connection->peer;
    ns_local(connection, &out->local);
    ns_remote(connection, &out->remote);
    out->is_udp = connection->is_udp;
    out->is_outbound = connection->is_outbound;
    out->is_connected = connection->state == STATE_OPEN;
    out->kept = (uint32_t)connection->kept_len;
    out->window = connection->window;
    if (connection->pcb)
        ns_tcp_numbers(connection, out);
}
