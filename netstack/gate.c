/* SPDX-License-Identifier: MIT */
/* The gate; see gate.h. Flows are remembered by keyed hashes of 64 bits: one that is another's by chance (2^-52 for a packet) gets in, where its port is asked. */
#include "netstack/gate.h"
#include "netstack/gate_behind.h"
#include "netstack/gate_table.h"
#include "netstack/gate_tcp.h"

#include "gateway/packet/flow.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_S 120u
#define FRAGMENT_PROTOCOL 44u /* no flow has it: for tags of fragments */
#define TCP_FLAGS 13u

struct gw_gate {
    struct gw_gate_params params;
    uint8_t seed[GW_FLOW_SEED_LEN];
    struct gw_flow_key last; /* of a flow that the kernel has: a burst is hashed once */
    uint32_t last_s;
    struct gw_gate_stats stats;
    struct gw_gate_table asked;    /* the kernel spoke first */
    struct gw_gate_table admitted; /* peers spoke first, and may; fragments of what is the netstack's */
    struct gw_gate_table doubted;  /* were admitted, until the owner's word changed */
    struct gw_gate_table ended;    /* TCP with nobody there any more */
    uint32_t ended_s;              /* when one of those was last seen; */
    bool has_ended;                /* if there may be any */
    struct gw_gate_tcp *tcp;
    struct gw_gate_behind *behind;
};

struct gw_gate *gw_gate_new(const struct gw_gate_params *params)
{
    struct gw_gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return NULL;
    gate->params = *params;
    if (params->seed)
        memcpy(gate->seed, params->seed, sizeof gate->seed);
    else
        gw_random_fill(params->random, gate->seed, sizeof gate->seed);
    gate->tcp = gw_gate_tcp_new(&gate->params);
    gate->behind = gw_gate_behind_new(&gate->params, gate->seed);
    if (gate->tcp && gate->behind)
        return gate;
    gw_gate_free(gate);
    return NULL;
}

void gw_gate_free(struct gw_gate *gate)
{
    if (!gate)
        return;
    gw_gate_tcp_free(gate->tcp);
    gw_gate_behind_free(gate->behind);
    free(gate);
}

void gw_gate_stats(const struct gw_gate *gate, struct gw_gate_stats *out)
{
    *out = gate->stats;
}

/* ---- tables */

static uint32_t seconds(struct gw_mono now)
{
    return (uint32_t)((uint64_t)now.ns / 1000000000u);
}

static bool find(struct gw_gate_table *table, uint64_t tag, uint32_t now_s)
{
    return gw_gate_table_find(table, tag, now_s, KEPT_S);
}

static void put(struct gw_gate_table *table, uint64_t tag, uint32_t now_s)
{
    gw_gate_table_put(table, tag, now_s);
}

/* What is asked about again stays known: what the kernel goes on sending there must not count as asked for by it. */
void gw_gate_forget(struct gw_gate *gate, struct gw_mono now)
{
    uint32_t now_s = seconds(now);
    for (unsigned i = 0; i < GW_GATE_SETS; i++) {
        for (unsigned k = 0; k < GW_GATE_WAYS; k++) {
            const struct gw_gate_flow *flow = &gate->admitted.flows[i][k];
            if (flow->tag != 0 && now_s - flow->used_s <= KEPT_S)
                put(&gate->doubted, flow->tag, now_s);
        }
    }
    memset(&gate->admitted, 0, sizeof gate->admitted);
    memset(&gate->last, 0, sizeof gate->last);
    gw_gate_tcp_forget(gate->tcp);
}

void gw_gate_forget_peer(struct gw_gate *gate, const void *peer)
{
    gw_gate_tcp_forget_peer(gate->tcp, peer);
}

void gw_gate_end(struct gw_gate *gate, struct gw_mono now, const struct gw_addr *local,
                 const struct gw_addr *remote)
{
    struct gw_flow_key key;
    gw_flow_key_of_ends(&key, GW_IP_TCP, local, remote);
    gate->ended_s = seconds(now);
    gate->has_ended = true;
    put(&gate->ended, gw_flow_tag(&key, gate->seed), gate->ended_s);
    gate->params.on_end(gate->params.ctx, local, remote);
}

void gw_gate_used(struct gw_gate *gate, struct gw_mono now, uint64_t tag, uint32_t used_s)
{
    uint32_t now_s = seconds(now);
    if ((int32_t)(used_s - now_s) > 0)
        used_s = now_s; /* another thread's clock */
    gw_gate_table_use(&gate->asked, tag, used_s);
    gw_gate_table_use(&gate->admitted, tag, used_s);
    gw_gate_behind_used(gate->behind, tag, used_s);
}

/* ---- what a packet says */

/* The bytes of the layer-4 header that are there, and which of them: a later fragment has none of the beginning. */
struct segment {
    const uint8_t *data;
    size_t len, offset;
};

static struct segment segment_of(const uint8_t *packet, const struct gw_ip *ip)
{
    struct segment segment = {packet + ip->l4, ip->total_len - ip->l4, 0};
    if (ip->is_fragment && ip->version == 4)
        segment.offset = (size_t)(gw_load16_be(packet + 6) & 0x1fff) * 8;
    else if (ip->is_fragment)
        segment.offset = gw_load16_be(packet + ip->l4 - 6) & 0xfff8;
    return segment;
}

static bool is_icmp(const struct gw_ip *ip)
{
    return ip->protocol == GW_IP_ICMP || ip->protocol == GW_IP_ICMPV6;
}

static uint64_t fragment_tag(const struct gw_gate *gate, const uint8_t *packet, const struct gw_ip *ip)
{
    struct gw_flow_key key;
    gw_flow_key_of_addresses(&key, packet, ip, true);
    key.ports =
        ip->version == 6 ? gw_load32_be(packet + ip->l4 - 4) : (uint32_t)gw_load16_be(packet + 4) << 8;
    key.ports ^= ip->protocol;
    key.protocol = FRAGMENT_PROTOCOL;
    return gw_flow_tag(&key, gate->seed);
}

/* ---- out */

static enum gw_gate_way ask(struct gw_gate *gate, void *peer, const struct gw_addr *local,
                            const struct gw_ip *ip)
{
    if (!gw_netstack_link_has_address(gate->params.link, local))
        return gate->params.decide_foreign(gate->params.ctx, peer, local);
    return gate->params.decide(gate->params.ctx, peer, local, ip->protocol == GW_IP_UDP);
}

static struct gw_addr local_of(const uint8_t *packet, const struct gw_ip *ip, bool is_inbound)
{
    struct gw_addr local;
    if (is_inbound)
        gw_ip_destination(&local, packet, ip);
    else
        gw_ip_source(&local, packet, ip);
    local.port = gw_flow_has_ports(ip) ? gw_load16_be(packet + ip->l4 + (is_inbound ? 2 : 0)) : 0;
    return local;
}

/* A peer spoke first, and was let in: may it still? */
static bool is_still_admitted(struct gw_gate *gate, uint32_t now_s, void *peer, uint64_t tag,
                              const uint8_t *packet, const struct gw_ip *ip)
{
    struct gw_addr local = local_of(packet, ip, false);
    if (!peer || ask(gate, peer, &local, ip) != GW_GATE_KERNEL)
        return false;
    put(&gate->admitted, tag, now_s);
    return true;
}

static bool let_flow_out(struct gw_gate *gate, uint32_t now_s, void *peer, const uint8_t *packet,
                         const struct gw_ip *ip)
{
    struct gw_flow_key key;
    gw_flow_key_of(&key, packet, ip, false);
    if (gate->last_s == now_s && memcmp(&key, &gate->last, sizeof key) == 0)
        return true;
    uint64_t tag = gw_flow_tag(&key, gate->seed);
    if (!find(&gate->admitted, tag, now_s)) {
        bool is_doubted = !find(&gate->asked, tag, now_s) && find(&gate->doubted, tag, now_s);
        if (is_doubted && !is_still_admitted(gate, now_s, peer, tag, packet, ip))
            return false;
        if (!is_doubted) {
            put(&gate->asked, tag, now_s);
            gw_gate_behind_outbound(gate->behind, now_s, peer, packet, ip);
        }
    }
    gate->last = key;
    gate->last_s = now_s;
    return true;
}

/* What begins is another one; a reset is the kernel's word that it has none. */
static bool is_ended(struct gw_gate *gate, uint32_t now_s, const uint8_t *packet, const struct gw_ip *ip)
{
    struct gw_flow_key key;
    uint8_t flags = packet[ip->l4 + TCP_FLAGS];
    if (!gate->has_ended || (flags & GW_TCP_RST))
        return false;
    gate->has_ended = now_s - gate->ended_s <= KEPT_S;
    gw_flow_key_of(&key, packet, ip, false);
    uint64_t tag = gw_flow_tag(&key, gate->seed);
    if (flags & GW_TCP_SYN)
        gw_gate_table_remove(&gate->ended, tag);
    if (!find(&gate->ended, tag, now_s))
        return false;
    gate->ended_s = now_s;
    return true;
}

static bool let_tcp_out(struct gw_gate *gate, uint32_t now_s, void *peer, const uint8_t *packet,
                        const struct gw_ip *ip)
{
    struct gw_addr local = local_of(packet, ip, false), remote;
    uint8_t flags = packet[ip->l4 + TCP_FLAGS];
    if (is_ended(gate, now_s, packet, ip))
        return false;
    if (!gw_netstack_link_has_address(gate->params.link, &local)) {
        gw_gate_behind_outbound(gate->behind, now_s, peer, packet, ip);
        return true; /* of a subnet behind us: what comes back is asked about */
    }
    if (flags & (GW_TCP_SYN | GW_TCP_RST)) {
        gw_ip_destination(&remote, packet, ip);
        remote.port = gw_load16_be(packet + ip->l4 + 2);
        gw_gate_tcp_outbound(gate->tcp, &local, &remote, flags);
    }
    return gw_gate_tcp_may(gate->tcp, peer, &local);
}

bool gw_gate_outbound(struct gw_gate *gate, struct gw_mono now, void *peer, const uint8_t *packet,
                      const struct gw_ip *ip)
{
    struct segment segment = segment_of(packet, ip);
    if (ip->protocol == GW_IP_TCP && !ip->is_fragment)
        return let_tcp_out(gate, seconds(now), peer, packet, ip);
    if (is_icmp(ip) && segment.offset == 0)
        gw_gate_behind_outbound(gate->behind, seconds(now), peer, packet, ip);
    if (ip->protocol == GW_IP_TCP || is_icmp(ip) || segment.offset > 0 ||
        (gw_flow_has_ports(ip) && segment.len < 4))
        return true;
    return let_flow_out(gate, seconds(now), peer, packet, ip);
}

/* ---- in */

/* What is no SYN begins nothing: the kernel, if it has no connection for it, answers with a RST. What may not go on, the netstack answers so. */
static enum gw_gate_way decide_tcp(struct gw_gate *gate, void *peer, const uint8_t *packet,
                                   const struct gw_ip *ip, const struct segment *segment)
{
    if (segment->len < GW_TCP_HEADER)
        return GW_GATE_NOBODY;
    struct gw_addr local = local_of(packet, ip, true);
    if ((segment->data[TCP_FLAGS] & (GW_TCP_SYN | GW_TCP_ACK)) == GW_TCP_SYN)
        return ask(gate, peer, &local, ip);
    return gw_gate_tcp_may(gate->tcp, peer, &local) ? GW_GATE_KERNEL : GW_GATE_STACK;
}

static enum gw_gate_way decide_flow(struct gw_gate *gate, uint32_t now_s, void *peer, const uint8_t *packet,
                                    const struct gw_ip *ip)
{
    struct gw_flow_key key;
    gw_flow_key_of(&key, packet, ip, true);
    if (gate->last_s == now_s && memcmp(&key, &gate->last, sizeof key) == 0)
        return GW_GATE_KERNEL;
    uint64_t tag = gw_flow_tag(&key, gate->seed);
    enum gw_gate_way way = GW_GATE_KERNEL;
    if (!find(&gate->asked, tag, now_s) && !find(&gate->admitted, tag, now_s)) {
        struct gw_addr local = local_of(packet, ip, true);
        way = ask(gate, peer, &local, ip);
        if (way == GW_GATE_KERNEL)
            put(&gate->admitted, tag, now_s);
    }
    if (way == GW_GATE_KERNEL) {
        gate->last = key;
        gate->last_s = now_s;
    }
    return way;
}

/* Nothing that a header holds can come later (RFC 1858). */
static bool is_header_again(const struct gw_ip *ip, const struct segment *segment)
{
    return ip->protocol == GW_IP_TCP && segment->offset > 0 && segment->offset < GW_TCP_HEADER;
}

static enum gw_gate_way decide(struct gw_gate *gate, struct gw_mono now, void *peer, const uint8_t *packet,
                               const struct gw_ip *ip)
{
    struct segment segment = segment_of(packet, ip);
    uint32_t now_s = seconds(now);
    if (is_header_again(ip, &segment))
        return GW_GATE_NOBODY;
    if (segment.offset > 0) { /* the rest follows its beginning. Without one it is nothing */
        return find(&gate->admitted, fragment_tag(gate, packet, ip), now_s) ? GW_GATE_STACK : GW_GATE_KERNEL;
    }
    enum gw_gate_way way;
    if (is_icmp(ip))
        way = GW_GATE_KERNEL;
    else if (gw_flow_has_ports(ip) && segment.len < 4)
        way = GW_GATE_NOBODY;
    else if (gw_netstack_link_has_connection(gate->params.link, packet, ip))
        way = GW_GATE_STACK;
    else if (ip->protocol == GW_IP_TCP)
        way = decide_tcp(gate, peer, packet, ip, &segment);
    else
        way = decide_flow(gate, now_s, peer, packet, ip);
    if (ip->is_fragment && way == GW_GATE_STACK)
        put(&gate->admitted, fragment_tag(gate, packet, ip), now_s);
    return way;
}

/* To what is behind us. Who may not begin anything there may answer. */
static enum gw_gate_way decide_behind(struct gw_gate *gate, struct gw_mono now, void *peer,
                                      const uint8_t *packet, const struct gw_ip *ip, const struct gw_addr *to)
{
    struct segment segment = segment_of(packet, ip);
    uint32_t now_s = seconds(now);
    bool may_begin = gate->params.decide_foreign(gate->params.ctx, peer, to) == GW_GATE_KERNEL, may_pass;
    if (is_header_again(ip, &segment))
        may_pass = false;
    else if (segment.offset > 0)
        may_pass = may_begin || find(&gate->admitted, fragment_tag(gate, packet, ip), now_s);
    else if (ip->protocol == GW_IP_TCP || is_icmp(ip))
        may_pass = may_begin || gw_gate_behind_is_answer(gate->behind, now_s, packet, ip);
    else
        may_pass = (!gw_flow_has_ports(ip) || segment.len >= 4) &&
                   decide_flow(gate, now_s, peer, packet, ip) == GW_GATE_KERNEL;
    if (may_pass && !may_begin && ip->is_fragment && segment.offset == 0)
        put(&gate->admitted, fragment_tag(gate, packet, ip), now_s);
    return may_pass ? GW_GATE_KERNEL : GW_GATE_NOBODY;
}

/* A piece of more than there can be. */
static bool is_beyond(const uint8_t *packet, const struct gw_ip *ip)
{
    struct segment segment = segment_of(packet, ip);
    return segment.offset + segment.len > UINT16_MAX;
}

enum gw_gate_way gw_gate_inbound(struct gw_gate *gate, struct gw_mono now, void *peer, const uint8_t *packet,
                                 const struct gw_ip *ip)
{
    struct gw_addr to;
    gw_ip_destination(&to, packet, ip);
    enum gw_gate_way way = is_beyond(packet, ip) ? GW_GATE_NOBODY
                           : gw_netstack_link_has_address(gate->params.link, &to)
                               ? decide(gate, now, peer, packet, ip)
                               : decide_behind(gate, now, peer, packet, ip, &to);
    uint64_t *counter = way == GW_GATE_KERNEL  ? &gate->stats.to_kernel
                        : way == GW_GATE_STACK ? &gate->stats.to_stack
                                               : &gate->stats.dropped;
    ++*counter;
    return way;
}
