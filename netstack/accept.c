/* SPDX-License-Identifier: MIT */
/* SYNs: each becomes an offer before lwIP sees it, so that a refusal is a RST and not a connection that breaks, and a flood costs an offer and not a
 * connection. The SYN waits as an offer; accepted, it is given to lwIP. */
#include "gateway/base/err.h"
#include "netstack/private.h"

#include <stdlib.h>
#include <string.h>

#define ORPHANS_MAX 1024u

/* Whoever has more than half of them, if somebody has (Boyer and Moore's vote); else one of those that have some. */
static const void *find_majority(const struct gw_netstack *stack)
{
    const void *peer = NULL;
    uint32_t lead = 0;
    gw_list_for_each (node, &stack->half_open) {
        const struct gw_connection *connection = gw_list_entry(node, struct gw_connection, node);
        if (lead == 0)
            peer = connection->peer;
        lead += connection->peer == peer ? 1 : UINT32_MAX;
    }
    return peer;
}

/* Room for one more, by evicting the oldest in its handshake. A peer that floods makes room by its own oldest: others, in the middle of their handshakes, do not notice. */
static bool make_room(struct gw_netstack *stack)
{
    const void *peer = find_majority(stack);
    gw_list_for_each (node, &stack->half_open) {
        struct gw_connection *connection = gw_list_entry(node, struct gw_connection, node);
        if (connection->peer != peer)
            continue;
        stack->stats.evicted++;
        ns_end(connection, GW_REASON_LIMIT, false);
        return true;
    }
    return false;
}

void ns_trim_orphans(struct gw_netstack *stack)
{
    while (stack->orphan_count > ORPHANS_MAX) {
        stack->stats.evicted++;
        ns_end(gw_list_entry(stack->orphans.next, struct gw_connection, node), GW_REASON_LIMIT, true);
    }
}

static bool has_room(struct gw_netstack *stack)
{
    const struct gw_netstack_params *params = &stack->params;
    while (stack->half_open_count >= params->max_half_open ||
           stack->tcp_count + stack->half_open_count >= params->max_connections)
        if (!make_room(stack))
            return false;
    return true;
}

/* The headers only: data in a SYN comes again. */
static bool copy_syn(struct gw_connection *connection, const uint8_t *packet, const struct gw_ip *ip)
{
    if (ip->header_len > SYN_LEN_MAX || (connection->syn = malloc(ip->header_len)) == NULL)
        return false;
    memcpy(connection->syn, packet, ip->header_len);
    ns_options_clean(connection->syn + ip->l4, (size_t)(ip->header_len - ip->l4), OPTIONS_OF_HANDSHAKE);
    connection->syn_len = ip->header_len;
    if (ip->version == 6)
        gw_store16_be(connection->syn + 4, (uint16_t)(ip->header_len - GW_IP_V6_HEADER));
    else
        gw_store16_be(connection->syn + 2, ip->header_len);
    return true;
}

void ns_syn(struct gw_netstack_link *link, uint8_t *packet, const struct gw_ip *ip, const struct key *key)
{
    struct gw_netstack *stack = link->stack;
    if (!has_room(stack)) {
        stack->stats.dropped_limit++;
        ns_refuse_segment(link, packet, ip);
        return;
    }
    struct gw_connection *connection = ns_new(link, key);
    if (!connection) {
        stack->stats.dropped_limit++;
        return;
    }
    if (copy_syn(connection, packet, ip)) {
        ns_offer(connection);
        return;
    }
    stack->stats.dropped_limit++;
    ns_bury(connection);
}

void ns_tcp_refuse(struct gw_connection *connection)
{
    struct gw_ip ip;
    if (connection->syn && gw_ip_parse(&ip, connection->syn, connection->syn_len) == 0)
        ns_refuse_segment(connection->link, connection->syn, &ip);
}
