/* SPDX-License-Identifier: MIT */
#include "netstack/gate_behind.h"

#include "gateway/packet/flow.h"
#include "netstack/gate_table.h"

#include <stdlib.h>

#define KEPT_S 7440u
#define TCP_FLAGS 13u

struct gw_gate_behind {
    const struct gw_gate_params *params;
    const uint8_t *seed;
    struct gw_gate_table *begun; /* NULL: nothing was yet */
};

struct gw_gate_behind *gw_gate_behind_new(const struct gw_gate_params *params, const uint8_t *seed)
{
    struct gw_gate_behind *behind = calloc(1, sizeof *behind);
    if (!behind)
        return NULL;
    behind->params = params;
    behind->seed = seed;
    return behind;
}

void gw_gate_behind_free(struct gw_gate_behind *behind)
{
    if (behind)
        free(behind->begun);
    free(behind);
}

/* ---- what a packet says */

static uint64_t flow_tag(const struct gw_gate_behind *behind, const uint8_t *packet, const struct gw_ip *ip,
                         bool is_inbound)
{
    struct gw_flow_key key;
    gw_flow_key_of(&key, packet, ip, is_inbound);
    return gw_flow_tag(&key, behind->seed);
}

/* The same as of a packet of ICMP between them. */
static uint64_t pair_tag(const struct gw_gate_behind *behind, const uint8_t *packet, const struct gw_ip *ip,
                         bool is_inbound)
{
    struct gw_flow_key key;
    gw_flow_key_of_addresses(&key, packet, ip, is_inbound);
    key.protocol = ip->version == 6 ? GW_IP_ICMPV6 : GW_IP_ICMP;
    return gw_flow_tag(&key, behind->seed);
}

static bool has_bytes(const struct gw_ip *ip, size_t count)
{
    return ip->total_len - ip->l4 >= count;
}

/* Of ICMP (RFC 792) and ICMPv6 (RFC 4443): what answers something. */
static bool is_icmp_answer(const uint8_t *packet, const struct gw_ip *ip)
{
    uint8_t type = packet[ip->l4];
    if (ip->protocol == GW_IP_ICMPV6)
        return (type >= 1 && type <= 4) || type == 129;
    return type == 0 || type == 3 || type == 11 || type == 12;
}

static bool begins_tcp(const uint8_t *packet, const struct gw_ip *ip)
{
    return (packet[ip->l4 + TCP_FLAGS] & (GW_TCP_SYN | GW_TCP_ACK)) == GW_TCP_SYN;
}

/* ---- out */

static void put(struct gw_gate_behind *behind, uint64_t tag, uint32_t now_s)
{
    if (!behind->begun)
        behind->begun = calloc(1, sizeof *behind->begun);
    if (behind->begun) /* else there is no answer, as if it had been lost */
        gw_gate_table_put(behind->begun, tag, now_s);
}

static bool is_limited(const struct gw_gate_behind *behind, void *peer, const uint8_t *packet,
                       const struct gw_ip *ip)
{
    struct gw_addr from;
    gw_ip_source(&from, packet, ip);
    return peer && !gw_netstack_link_has_address(behind->params->link, &from) &&
           behind->params->decide_foreign(behind->params->ctx, peer, &from) != GW_GATE_KERNEL;
}

/* What goes on keeps what it has begun. */
static void go_on(struct gw_gate_behind *behind, uint32_t now_s, const uint8_t *packet,
                  const struct gw_ip *ip)
{
    if (behind->begun &&
        gw_gate_table_find(behind->begun, flow_tag(behind, packet, ip, false), now_s, KEPT_S))
        gw_gate_table_find(behind->begun, pair_tag(behind, packet, ip, false), now_s, KEPT_S);
}

void gw_gate_behind_outbound(struct gw_gate_behind *behind, uint32_t now_s, void *peer, const uint8_t *packet,
                             const struct gw_ip *ip)
{
    bool is_icmp = ip->protocol == GW_IP_ICMP || ip->protocol == GW_IP_ICMPV6;
    if (ip->protocol == GW_IP_TCP && (!has_bytes(ip, GW_TCP_HEADER) || !begins_tcp(packet, ip))) {
        if (has_bytes(ip, 4))
            go_on(behind, now_s, packet, ip);
        return;
    }
    if ((is_icmp && (!has_bytes(ip, 1) || is_icmp_answer(packet, ip))) ||
        !is_limited(behind, peer, packet, ip))
        return;
    put(behind, pair_tag(behind, packet, ip, false), now_s);
    if (ip->protocol == GW_IP_TCP)
        put(behind, flow_tag(behind, packet, ip, false), now_s);
}

/* ---- in */

bool gw_gate_behind_is_answer(struct gw_gate_behind *behind, uint32_t now_s, const uint8_t *packet,
                              const struct gw_ip *ip)
{
    if (!behind->begun)
        return false;
    if (ip->protocol != GW_IP_TCP)
        return has_bytes(ip, 1) && is_icmp_answer(packet, ip) &&
               gw_gate_table_find(behind->begun, pair_tag(behind, packet, ip, true), now_s, KEPT_S);
    return has_bytes(ip, GW_TCP_HEADER) && !begins_tcp(packet, ip) &&
           gw_gate_table_find(behind->begun, flow_tag(behind, packet, ip, true), now_s, KEPT_S);
}

void gw_gate_behind_used(struct gw_gate_behind *behind, uint64_t tag, uint32_t used_s)
{
    if (behind->begun)
        gw_gate_table_use(behind->begun, tag, used_s);
}
