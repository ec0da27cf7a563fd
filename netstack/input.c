/* SPDX-License-Identifier: MIT */
/* Packets in: nothing goes on that is malformed, has an address that no packet may have, is not for us, or whose checksum is wrong. */
#include "gateway/base/err.h"
#include "netstack/icmp.h"
#include "netstack/private.h"

#include <string.h>

/* ---- the gate */

static bool is_broadcast(const struct gw_addr *a)
{
    return a->family == 4 && memcmp(a->ip, "\xff\xff\xff\xff", 4) == 0;
}

/* As a source or a destination. */
static bool is_martian(const struct gw_addr *a)
{
    return gw_addr_is_multicast(a) || gw_addr_is_unspecified(a) || gw_addr_is_loopback(a) ||
           is_broadcast(a) || (a->family == 4 && a->ip[0] == 0) || (a->family == 4 && a->ip[0] >= 240);
}

static void read_key(struct key *key, const struct gw_netstack_link *link, const uint8_t *packet,
                     const struct gw_ip *ip)
{
    struct gw_addr local, remote;
    gw_ip_destination(&local, packet, ip);
    gw_ip_source(&remote, packet, ip);
    local.port = gw_load16_be(packet + ip->l4 + 2);
    remote.port = gw_load16_be(packet + ip->l4);
    ns_key(key, link, &local, &remote, ip->protocol);
}

bool gw_netstack_link_has_connection(const struct gw_netstack_link *link, const uint8_t *packet,
                                     const struct gw_ip *ip)
{
    struct key key;
    if (ip->is_fragment || (ip->protocol != GW_IP_TCP && ip->protocol != GW_IP_UDP) ||
        link->stack->map.len == 0)
        return false;
    read_key(&key, link, packet, ip);
    return ns_find(link->stack, &key) != NULL;
}

static bool is_sound(const uint8_t *packet, const struct gw_ip *ip, bool is_partial)
{
    if (ip->version == 4 &&
        gw_checksum_fold(gw_checksum_add(0, packet, (size_t)(packet[0] & 15) * 4)) != 0xffff)
        return false;
    if (ip->is_fragment || (ip->protocol != GW_IP_TCP && ip->protocol != GW_IP_UDP))
        return true;
    if (gw_load16_be(packet + ip->l4) == 0 || gw_load16_be(packet + ip->l4 + 2) == 0)
        return false;
    return is_partial || gw_checksum_is_right(packet, ip);
}

/* false = counted and dropped. */
static bool pass_gate(struct gw_netstack_link *link, const uint8_t *packet, const struct gw_ip *ip,
                      bool is_partial)
{
    struct gw_netstack_stats *stats = &link->stack->stats;
    struct gw_addr from, to;
    gw_ip_source(&from, packet, ip);
    gw_ip_destination(&to, packet, ip);
    if (is_martian(&from) || is_martian(&to) || gw_addr_same_ip(&from, &to)) {
        stats->dropped_martian++;
        return false;
    }
    if (!link->params.takes_all && !gw_netstack_link_has_address(link, &to)) {
        stats->dropped_foreign++;
        return false;
    }
    if (!is_sound(packet, ip, is_partial)) {
        stats->dropped_malformed++;
        return false;
    }
    return true;
}

/* ---- by protocol */

static void input_echo(struct gw_netstack_link *link, uint8_t *packet, const struct gw_ip *ip)
{
    struct gw_icmp_echo echo;
    if (!gw_icmp_parse(packet, ip->total_len, &echo) || echo.is_reply ||
        !gw_netstack_link_has_address(link, &echo.to)) {
        link->stack->stats.dropped_foreign++;
        return;
    }
    uint16_t mtu = ns_mtu(link, link->stack->from_mtu);
    gw_icmp_answer(packet, ip->total_len);
    link->stack->stats.echoes++;
    if (ip->total_len > mtu && !ip->has_extensions) {
        ns_out_pieces(link, packet, ip, mtu);
        return;
    }
    uint8_t *out = ns_out(link, ip->total_len);
    if (!out)
        return;
    memcpy(out, packet, ip->total_len);
    ns_out_done(link, ip->total_len, false);
}

static void input_tcp(struct gw_netstack_link *link, const struct iovec *iov, int count, size_t len,
                      const struct gw_ip *ip)
{
    uint8_t *packet = iov[0].iov_base, flags = packet[ip->l4 + 13];
    bool is_syn = (flags & (GW_TCP_SYN | GW_TCP_ACK | GW_TCP_RST | GW_TCP_FIN)) == GW_TCP_SYN;
    struct key key;
    read_key(&key, link, packet, ip);
    struct gw_connection *connection = ns_find(link->stack, &key);
    if (connection && connection->peer != link->stack->from_peer) {
        link->stack->stats.dropped_foreign++;
        return;
    }
    if (connection && is_syn && ns_tcp_is_reusable(connection, gw_load32_be(packet + ip->l4 + 4))) {
        ns_end(connection, GW_REASON_NONE, false);
        connection = NULL;
    }
    if (!connection && is_syn)
        ns_syn(link, packet, ip, &key);
    else if (!connection)
        ns_refuse_segment(link, packet, ip);
    else if (connection->state != STATE_OFFERED)
        ns_tcp_segment(connection, iov, count, len, ip);
    else if (flags & GW_TCP_RST)
        ns_end(connection, GW_REASON_CANCELLED, false);
}

static void input_whole(struct gw_netstack_link *link, uint8_t *packet, const struct gw_ip *ip)
{
    struct iovec iov = {packet, ip->total_len};
    struct key key;
    switch (ip->protocol) {
    case GW_IP_TCP:
        input_tcp(link, &iov, 1, ip->total_len, ip);
        break;
    case GW_IP_UDP:
        read_key(&key, link, packet, ip);
        ns_udp_input(link, packet, ip, &key);
        break;
    case GW_IP_ICMP:
    case GW_IP_ICMPV6:
        input_echo(link, packet, ip);
        break;
    default:
        link->stack->stats.dropped_foreign++;
    }
}

void ns_merged(const struct gw_merged *merged, void *ctx)
{
    struct gw_netstack *stack = ctx;
    struct gw_ip ip;
    if (gw_ip_parse(&ip, merged->iov[0].iov_base, merged->len) != 0)
        return;
    stack->stats.segments_merged += (uint64_t)merged->iov_count - 1;
    input_tcp(stack->from_link, merged->iov, merged->iov_count, merged->len, &ip);
}

static void input_fragment(struct gw_netstack_link *link, const uint8_t *packet, const struct gw_ip *ip)
{
    struct gw_netstack *stack = link->stack;
    struct gw_ip whole_ip;
    uint8_t *whole;
    size_t len;
    int result = gw_fragments_add(&stack->fragments, stack->now, link->id, packet, ip, &whole, &len);
    if (result < 0)
        stack->stats.dropped_fragment++;
    if (result != 1)
        return;
    if (gw_ip_parse(&whole_ip, whole, len) != 0 || whole_ip.is_fragment)
        stack->stats.dropped_malformed++;
    else if (pass_gate(link, whole, &whole_ip, false))
        input_whole(link, whole, &whole_ip);
}

/* ---- calls */

static void flush_held(struct gw_netstack *stack)
{
    if (stack->is_input_open)
        gw_coalesce_flush(&stack->coalescer);
    stack->is_input_open = false;
}

static void set_origin(struct gw_netstack_link *link, void *peer, uint16_t mtu)
{
    struct gw_netstack *stack = link->stack;
    if (stack->from_link == link && stack->from_peer == peer && stack->from_mtu == mtu)
        return;
    flush_held(stack);
    stack->from_link = link;
    stack->from_peer = peer;
    stack->from_mtu = mtu;
}

static void input(struct gw_netstack_link *link, uint8_t *packet, size_t len, bool is_partial)
{
    struct gw_netstack *stack = link->stack;
    struct gw_ip ip;
    stack->stats.packets_in++;
    if (gw_ip_parse(&ip, packet, len) != 0) {
        stack->stats.dropped_malformed++;
        return;
    }
    if (!pass_gate(link, packet, &ip, is_partial))
        return;
    if (ip.is_fragment) {
        input_fragment(link, packet, &ip);
    } else if (ip.protocol == GW_IP_TCP) {
        stack->is_input_open = true;
        gw_coalesce_add(&stack->coalescer, packet, ip.total_len, true);
    } else {
        input_whole(link, packet, &ip);
    }
}

void gw_netstack_link_input(struct gw_netstack_link *link, struct gw_mono now, uint8_t *packet, size_t len,
                            bool is_partial, void *peer, uint16_t mtu)
{
    struct gw_netstack *stack = link->stack;
    ns_enter(stack, now);
    set_origin(link, peer, mtu);
    input(link, packet, len, is_partial);
    stack->depth--; /* gw_netstack_flush leaves */
}

void gw_netstack_flush(struct gw_netstack *stack, struct gw_mono now)
{
    ns_enter(stack, now);
    flush_held(stack);
    ns_leave(stack);
}
