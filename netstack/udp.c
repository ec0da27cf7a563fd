/* SPDX-License-Identifier: MIT */
/* UDP: associations of two addresses and ports, bounded, ended when idle. A flood of datagrams that nobody answered makes room for itself only. */
#include "gateway/base/err.h"
#include "netstack/private.h"

#include <stdlib.h>
#include <string.h>

#define DATAGRAM_MAX 65507u

/* ---- the table */

static void arm(struct gw_connection *connection)
{
    gw_deadline_arm(&connection->stack->deadlines, &connection->deadline,
                    gw_mono_add(connection->used, connection->idle_ns));
}

/* The deadline stays where it is and looks again when it is due. */
static void touch(struct gw_connection *connection)
{
    struct gw_netstack *stack = connection->stack;
    connection->used = stack->now;
    gw_list_remove(&connection->node);
    gw_list_push_back(connection->has_sent ? &stack->udp_live : &stack->udp_fresh, &connection->node);
}

void ns_udp_expire(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_connection *connection = gw_container_of(deadline, struct gw_connection, deadline);
    if (gw_mono_sub(now, connection->used) >= connection->idle_ns)
        ns_end(connection, GW_REASON_NONE, false);
    else
        arm(connection);
}

void gw_connection_set_idle(struct gw_connection *connection, struct gw_mono now, int64_t idle_ns)
{
    ns_enter(connection->stack, now);
    connection->idle_ns = idle_ns;
    if (connection->state != STATE_OFFERED)
        arm(connection);
    ns_leave(connection->stack);
}

void ns_udp_make_room(struct gw_netstack *stack)
{
    struct gw_list *list = gw_list_is_empty(&stack->udp_fresh) ? &stack->udp_live : &stack->udp_fresh;
    if (stack->udp_count < stack->params.max_associations)
        return;
    stack->stats.evicted++;
    ns_end(gw_list_entry(list->next, struct gw_connection, node), GW_REASON_LIMIT, false);
}

/* ---- in */

void ns_udp_free_waiting(struct gw_connection *connection)
{
    while (connection->waiting) {
        struct datagram *next = connection->waiting->next;
        free(connection->waiting);
        connection->waiting = next;
    }
    connection->waiting_count = 0;
}

/* The whole packet: a refusal quotes it. */
static void keep(struct gw_connection *connection, const uint8_t *packet, size_t len)
{
    struct datagram **at = &connection->waiting;
    struct datagram *datagram =
        connection->waiting_count < WAITING_MAX ? malloc(sizeof *datagram + len) : NULL;
    if (!datagram) {
        connection->stack->stats.dropped_limit++;
        return;
    }
    datagram->next = NULL;
    datagram->len = len;
    memcpy(datagram->bytes, packet, len);
    while (*at)
        at = &(*at)->next;
    *at = datagram;
    connection->waiting_count++;
}

static void deliver(struct gw_connection *connection, const uint8_t *packet, const struct gw_ip *ip)
{
    size_t len = gw_load16_be(packet + ip->l4 + 4) - GW_UDP_HEADER;
    touch(connection);
    connection->stack->stats.bytes_in += len;
    if (connection->ops && connection->ops->on_datagram)
        connection->ops->on_datagram(connection, connection->stack->now, packet + ip->l4 + GW_UDP_HEADER, len,
                                     connection->user);
}

void ns_udp_input(struct gw_netstack_link *link, uint8_t *packet, const struct gw_ip *ip,
                  const struct key *key)
{
    struct gw_netstack *stack = link->stack;
    struct gw_connection *connection = ns_find(stack, key);
    if (connection && connection->peer != stack->from_peer) {
        stack->stats.dropped_foreign++;
    } else if (connection && connection->state == STATE_OPEN) {
        deliver(connection, packet, ip);
    } else if (connection) {
        keep(connection, packet, ip->total_len);
    } else {
        ns_udp_make_room(stack);
        connection = ns_new(link, key);
        if (!connection) {
            stack->stats.dropped_limit++;
            return;
        }
        keep(connection, packet, ip->total_len);
        ns_offer(connection);
    }
}

/* The user's callbacks may end the connection: what is left of the list then goes with it, so each is taken off before it is delivered. */
void ns_udp_accept(struct gw_connection *connection)
{
    struct gw_ip ip;
    arm(connection);
    while (connection->waiting && connection->state == STATE_OPEN) {
        struct datagram *datagram = connection->waiting;
        connection->waiting = datagram->next;
        connection->waiting_count--;
        if (gw_ip_parse(&ip, datagram->bytes, datagram->len) == 0)
            deliver(connection, datagram->bytes, &ip);
        free(datagram);
    }
}

/* ---- out */

int ns_udp_connect(struct gw_connection *connection)
{
    arm(connection);
    return 0;
}

static void write_udp_header(uint8_t *out, const struct gw_connection *connection, size_t len)
{
    gw_store16_be(out, connection->key.local_port);
    gw_store16_be(out + 2, connection->key.remote_port);
    gw_store16_be(out + 4, (uint16_t)(GW_UDP_HEADER + len));
    gw_store16_be(out + 6, 0);
}

static void send_whole(struct gw_connection *connection, const struct gw_addr *local,
                       const struct gw_addr *remote, const void *data, size_t len)
{
    struct gw_netstack_link *link = connection->link;
    size_t header = local->family == 6 ? GW_IP_V6_HEADER : GW_IP_V4_HEADER;
    uint8_t *out = ns_out(link, header + GW_UDP_HEADER + len);
    ns_out_header(link, out, local, remote, GW_IP_UDP, GW_UDP_HEADER + len);
    write_udp_header(out + header, connection, len);
    memcpy(out + header + GW_UDP_HEADER, data, len);
    ns_out_done(link, header + GW_UDP_HEADER + len, true);
}

static int send_pieces(struct gw_connection *connection, const struct gw_addr *local,
                       const struct gw_addr *remote, const void *data, size_t len)
{
    size_t header = local->family == 6 ? GW_IP_V6_HEADER : GW_IP_V4_HEADER, total = GW_UDP_HEADER + len;
    struct gw_ip ip;
    uint8_t *packet = malloc(header + total);
    if (!packet)
        return GW_E_NOMEM;
    ns_out_header(connection->link, packet, local, remote, GW_IP_UDP, total);
    write_udp_header(packet + header, connection, len);
    memcpy(packet + header + GW_UDP_HEADER, data, len);
    if (gw_ip_parse(&ip, packet, header + total) == 0) {
        gw_checksum_complete(packet, &ip);
        ns_out_pieces(connection->link, packet, &ip, connection->mtu);
    }
    free(packet);
    return 0;
}

int gw_connection_send_datagram(struct gw_connection *connection, struct gw_mono now, const void *data,
                                size_t len)
{
    struct gw_netstack *stack = connection->stack;
    struct gw_addr local, remote;
    int err = 0;
    if (!connection->is_udp || connection->state != STATE_OPEN)
        return GW_E_STATE;
    size_t header = connection->key.family == 6 ? GW_IP_V6_HEADER : GW_IP_V4_HEADER;
    if (len > DATAGRAM_MAX - (header - GW_IP_V4_HEADER))
        return GW_E_TOO_BIG;
    ns_enter(stack, now);
    connection->has_sent = true;
    touch(connection);
    ns_local(connection, &local);
    ns_remote(connection, &remote);
    stack->stats.bytes_out += len;
    if (header + GW_UDP_HEADER + len <= connection->mtu)
        send_whole(connection, &local, &remote, data, len);
    else
        err = send_pieces(connection, &local, &remote, data, len);
    ns_leave(stack);
    return err;
}
