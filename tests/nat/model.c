/* SPDX-License-Identifier: MIT */
#include "tests/nat/model.h"

#include "tests/nat/allocate.h"
#include "tests/nat/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAPPINGS_MAX 65536u

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

struct nat {
    struct nat_params params;
    struct nat_table table;
    struct nat_allocator allocator;
    struct nat_stats stats;
    bool is_silent;
    unsigned blocked_count, forward_count;
    struct gw_addr blocked[NAT_BLOCKED_MAX];
    struct {
        uint8_t protocol;
        struct gw_addr outside, inside;
    } forwards[NAT_FORWARDS_MAX];
};

bool nat_params_are_sound(const struct nat_params *params)
{
    if (params->is_open)
        return true;
    if (params->udp_fresh_ns <= 0 || params->udp_assured_ns <= 0 || params->tcp_fresh_ns <= 0 ||
        params->tcp_open_ns <= 0 || params->tcp_closed_ns <= 0 || params->others < 0)
        return false;
    if (params->is_overloading &&
        (params->mapping != NAT_ADDRESS_PORT || params->filtering != NAT_ADDRESS_PORT))
        return false;
    if (params->remembers_strangers && !params->is_overloading)
        return false;
    if (params->port_first && params->port_last && params->port_first > params->port_last)
        return false;
    return params->is_firewall || (params->pool_count >= 1 && params->pool_count <= NAT_POOL_MAX);
}

struct nat *nat_new(const struct nat_params *params, uint64_t seed)
{
    struct nat *nat = calloc(1, sizeof *nat);
    if (!nat)
        return NULL;
    assert(nat_params_are_sound(params));
    nat->params = *params;
    if (nat->params.max_mappings == 0)
        nat->params.max_mappings = MAPPINGS_MAX;
    nat_allocator_init(&nat->allocator, &nat->params, seed);
    uint8_t key[16] = "model of a NAT";
    const int64_t timeouts[NAT_CLASSES] = {
        [NAT_FRESH] = params->udp_fresh_ns,       [NAT_ASSURED] = params->udp_assured_ns,
        [NAT_TCP_FRESH] = params->tcp_fresh_ns,   [NAT_TCP_OPEN] = params->tcp_open_ns,
        [NAT_TCP_CLOSED] = params->tcp_closed_ns,
    };
    nat_table_init(&nat->table, timeouts, key);
    return nat;
}

void nat_free(struct nat *nat)
{
    if (!nat)
        return;
    nat_table_fini(&nat->table);
    free(nat);
}

const struct nat_params *nat_params(const struct nat *nat)
{
    return &nat->params;
}

/* ---- what the kind of NAT looks at */

static struct gw_addr masked(enum nat_reach reach, const struct gw_addr *remote)
{
    struct gw_addr out = {0};
    if (reach == NAT_INDEPENDENT)
        return out;
    out = *remote;
    if (reach == NAT_ADDRESS)
        out.port = 0;
    return out;
}

static enum nat_reach mapping_reach(const struct nat *nat, uint8_t protocol)
{
    if (nat->params.is_firewall)
        return NAT_INDEPENDENT;
    return protocol == NAT_TCP ? NAT_ADDRESS_PORT : nat->params.mapping;
}

static enum nat_reach filtering_reach(const struct nat *nat, uint8_t protocol)
{
    return protocol == NAT_TCP ? NAT_ADDRESS_PORT : nat->params.filtering;
}

static struct nat_key inside_key(const struct nat *nat, uint8_t protocol, const struct gw_addr *host,
                                 const struct gw_addr *remote)
{
    return (struct nat_key){
        .own = *host, .remote = masked(mapping_reach(nat, protocol), remote), .protocol = protocol};
}

static struct nat_key outside_key(const struct nat *nat, uint8_t protocol, const struct gw_addr *outside,
                                  const struct gw_addr *remote)
{
    struct nat_key key = {.own = *outside, .protocol = protocol};
    if (!nat->params.is_firewall && (nat->params.is_overloading || protocol == NAT_TCP))
        key.remote = *remote;
    return key;
}

static bool is_ours(uint8_t protocol)
{
    return protocol == NAT_UDP || protocol == NAT_TCP || protocol == NAT_ICMP || protocol == NAT_ICMPV6;
}

static bool is_blocked(const struct nat *nat, uint8_t protocol, const struct gw_addr *remote)
{
    if (nat->is_silent || !is_ours(protocol))
        return true;
    if (protocol == NAT_UDP && nat->params.blocks_udp)
        return true;
    if (protocol == NAT_TCP && nat->params.blocks_tcp && remote->port != 80 && remote->port != 443)
        return true;
    for (unsigned i = 0; i < nat->blocked_count; i++) {
        const struct gw_addr *blocked = &nat->blocked[i];
        if (gw_addr_same_ip(blocked, remote) && (blocked->port == 0 || blocked->port == remote->port))
            return true;
    }
    return false;
}

/* ---- sessions */

static enum nat_class next_class(const struct nat *nat, struct nat_session *session,
                                 const struct nat_packet *packet, struct gw_mono now)
{
    if (packet->protocol != NAT_TCP) {
        struct gw_mono settled = gw_mono_add(session->created, nat->params.udp_settle_ns);
        return session->has_reply && gw_mono_due(settled, now) ? NAT_ASSURED : NAT_FRESH;
    }
    if ((packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
        session->is_closing = session->has_reply = false; /* once more between the same two */
    if (packet->tcp_flags & (TCP_FIN | TCP_RST))
        session->is_closing = true;
    if (session->is_closing)
        return NAT_TCP_CLOSED;
    return session->has_reply && !(packet->tcp_flags & TCP_SYN) ? NAT_TCP_OPEN : session->class;
}

static struct nat_mapping *new_mapping(struct nat *nat, const struct nat_key *inside, uint8_t protocol,
                                       const struct gw_addr *remote, struct gw_mono now)
{
    struct nat_table *table = &nat->table;
    struct nat_host *host = nat_table_host(table, &inside->own);
    if (table->mappings >= nat->params.max_mappings ||
        (host && nat->params.max_host_mappings && host->mappings >= nat->params.max_host_mappings))
        return NULL;
    if (!host)
        host = nat_table_add_host(table, &inside->own, nat_allocator_address(&nat->allocator));
    if (!host)
        return NULL;
    struct nat_key outside = outside_key(nat, protocol, &inside->own, remote);
    struct nat_mapping *mapping = NULL;
    if (nat->params.is_firewall || nat_allocator_find(&nat->allocator, table, host, &outside, now))
        mapping = nat_table_add_mapping(table, host, inside, &outside);
    if (!mapping)
        nat_table_prune(table, host);
    else
        nat->stats.mapped++;
    return mapping;
}

/* The mapping that a packet from inside takes, with its session, made where there is none. NULL: refused. */
static struct nat_mapping *map_out(struct nat *nat, const struct nat_packet *packet, struct gw_mono now)
{
    struct nat_key key = inside_key(nat, packet->protocol, &packet->from, &packet->to);
    struct nat_mapping *mapping = nat_table_inside(&nat->table, &key);
    if (!mapping)
        mapping = new_mapping(nat, &key, packet->protocol, &packet->to, now);
    if (!mapping)
        return NULL;
    struct gw_addr remote = masked(filtering_reach(nat, packet->protocol), &packet->to);
    struct nat_session *session = nat_table_session(&nat->table, mapping, &remote);
    if (!session) {
        enum nat_class class = packet->protocol == NAT_TCP ? NAT_TCP_FRESH : NAT_FRESH;
        session = nat_table_add_session(&nat->table, mapping, &remote, class, now);
    }
    if (!session)
        return NULL;
    nat_table_touch(&nat->table, session, next_class(nat, session, packet, now), now);
    return mapping;
}

/* Linux tracks what nobody asked for too, as a connection to itself, where no rule of its firewall stops it. */
static void remember_stranger(struct nat *nat, const struct nat_packet *packet, struct gw_mono now)
{
    if (!nat->params.remembers_strangers || packet->protocol != NAT_UDP ||
        nat->table.mappings >= nat->params.max_mappings)
        return;
    struct nat_key key = outside_key(nat, packet->protocol, &packet->to, &packet->from);
    struct nat_mapping *mapping = nat_table_add_mapping(&nat->table, NULL, NULL, &key);
    if (mapping)
        nat_table_add_session(&nat->table, mapping, &packet->from, NAT_FRESH, now);
}

/* Rewrites a packet to one of our outside addresses. */
static bool map_in(struct nat *nat, struct gw_mono now, struct nat_packet *packet)
{
    for (unsigned i = 0; i < nat->forward_count; i++) {
        if (nat->forwards[i].protocol == packet->protocol &&
            gw_addr_equal(&nat->forwards[i].outside, &packet->to)) {
            packet->to = nat->forwards[i].inside;
            return true;
        }
    }
    struct nat_key key = outside_key(nat, packet->protocol, &packet->to, &packet->from);
    struct nat_mapping *mapping = nat_table_outside(&nat->table, &key);
    if (!mapping) {
        remember_stranger(nat, packet, now);
        return false;
    }
    struct gw_addr remote = masked(filtering_reach(nat, packet->protocol), &packet->from);
    struct nat_session *session = nat_table_session(&nat->table, mapping, &remote);
    if (!session)
        return false;
    if (!mapping->host) {
        nat_table_touch(&nat->table, session, NAT_FRESH, now);
        return false;
    }
    session->has_reply = true;
    if (nat->params.inbound_refreshes || packet->protocol == NAT_TCP)
        nat_table_touch(&nat->table, session, next_class(nat, session, packet, now), now);
    packet->to = mapping->inside.own;
    return true;
}

/* ---- packets */

static enum nat_verdict passed(struct nat *nat, enum nat_verdict verdict)
{
    if (verdict == NAT_OUT)
        nat->stats.out++;
    else
        nat->stats.in++;
    return verdict;
}

static enum nat_verdict dropped(uint64_t *counter)
{
    (*counter)++;
    return NAT_DROP;
}

static bool forward_out(const struct nat *nat, struct nat_packet *packet)
{
    for (unsigned i = 0; i < nat->forward_count; i++) {
        if (nat->forwards[i].protocol == packet->protocol &&
            gw_addr_equal(&nat->forwards[i].inside, &packet->from)) {
            packet->from = nat->forwards[i].outside;
            return true;
        }
    }
    return false;
}

enum nat_verdict nat_from_inside(struct nat *nat, struct gw_mono now, struct nat_packet *packet)
{
    if (is_blocked(nat, packet->protocol, &packet->to))
        return dropped(&nat->stats.blocked);
    if (nat->params.is_open)
        return passed(nat, NAT_OUT);
    nat_table_expire(&nat->table, now);
    bool is_hairpin = nat_owns(nat, &packet->to);
    if (is_hairpin && !nat->params.has_hairpin)
        return dropped(&nat->stats.refused);
    if (!forward_out(nat, packet)) {
        const struct nat_mapping *mapping = map_out(nat, packet, now);
        if (!mapping)
            return dropped(&nat->stats.refused);
        packet->from = mapping->outside.own;
    }
    if (!is_hairpin)
        return passed(nat, NAT_OUT);
    if (!map_in(nat, now, packet))
        return dropped(&nat->stats.filtered);
    nat->stats.hairpinned++;
    return NAT_IN;
}

enum nat_verdict nat_from_outside(struct nat *nat, struct gw_mono now, struct nat_packet *packet)
{
    if (is_blocked(nat, packet->protocol, &packet->from))
        return dropped(&nat->stats.blocked);
    if (nat->params.is_open)
        return passed(nat, NAT_IN);
    nat_table_expire(&nat->table, now);
    return map_in(nat, now, packet) ? passed(nat, NAT_IN) : dropped(&nat->stats.filtered);
}

bool nat_owns(const struct nat *nat, const struct gw_addr *ip)
{
    for (unsigned i = 0; i < nat->params.pool_count; i++) {
        if (gw_addr_same_ip(&nat->params.pool[i], ip))
            return true;
    }
    return false;
}

/* ---- what happens to it */

void nat_forget(struct nat *nat)
{
    nat_table_clear(&nat->table);
}

void nat_rebind(struct nat *nat)
{
    nat_forget(nat);
    nat_allocator_shift(&nat->allocator);
}

void nat_renumber(struct nat *nat, unsigned index, const struct gw_addr *ip)
{
    assert(index < nat->params.pool_count);
    nat_forget(nat);
    for (unsigned i = 0; i < nat->forward_count; i++) {
        struct gw_addr *outside = &nat->forwards[i].outside;
        uint16_t port = outside->port;
        if (gw_addr_same_ip(outside, &nat->params.pool[index])) {
            *outside = *ip;
            outside->port = port;
        }
    }
    nat->params.pool[index] = *ip;
    nat->params.pool[index].port = 0;
}

bool nat_forward(struct nat *nat, uint8_t protocol, const struct gw_addr *outside,
                 const struct gw_addr *inside)
{
    if (nat->forward_count == NAT_FORWARDS_MAX)
        return false;
    nat->forwards[nat->forward_count].protocol = protocol;
    nat->forwards[nat->forward_count].outside = *outside;
    nat->forwards[nat->forward_count++].inside = *inside;
    return true;
}

bool nat_block(struct nat *nat, const struct gw_addr *remote)
{
    if (nat->blocked_count == NAT_BLOCKED_MAX)
        return false;
    nat->blocked[nat->blocked_count++] = *remote;
    return true;
}

void nat_unblock_all(struct nat *nat)
{
    nat->blocked_count = 0;
}

void nat_silence(struct nat *nat, bool is_silent)
{
    nat->is_silent = is_silent;
}

void nat_block_udp(struct nat *nat, bool is_blocked)
{
    nat->params.blocks_udp = is_blocked;
}

void nat_stats(struct nat *nat, struct gw_mono now, struct nat_stats *out)
{
    nat_table_expire(&nat->table, now);
    *out = nat->stats;
    out->mappings = nat->table.mappings;
    out->hosts = (uint32_t)nat->table.hosts.len;
    out->sessions = (uint32_t)nat->table.sessions.len;
}
