/* SPDX-License-Identifier: MIT */
#include "netstack/gate_tcp.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 65536u
#define FAMILIES 2u
/* Answers of the owner that are kept. */
#define VERDICTS 64u
/* Connections that can be told of their end before they speak again; the oldest of a set makes room. */
#define SETS 256u
#define WAYS 4u

struct verdict {
    void *peer; /* NULL = free */
    struct gw_addr local;
    bool may;
};

struct ends {
    struct gw_addr local, remote; /* family 0 = free */
};

struct gw_gate_tcp {
    const struct gw_gate_params *params;
    uint8_t seed[crypto_shorthash_KEYBYTES];
    uint8_t accepted[FAMILIES][PORTS / 8]; /* the kernel accepts, or accepted, at this port */
    struct verdict verdicts[VERDICTS];
    struct ends open[SETS][WAYS]; /* of a set, the latest first */
};

struct gw_gate_tcp *gw_gate_tcp_new(const struct gw_gate_params *params)
{
    struct gw_gate_tcp *tcp = calloc(1, sizeof *tcp);
    if (!tcp)
        return NULL;
    tcp->params = params;
    gw_random_fill(params->random, tcp->seed, sizeof tcp->seed);
    return tcp;
}

void gw_gate_tcp_free(struct gw_gate_tcp *tcp)
{
    free(tcp);
}

/* ---- what is open */

static struct ends *set_of(struct gw_gate_tcp *tcp, const struct ends *ends)
{
    uint64_t hash;
    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)ends, sizeof *ends, tcp->seed);
    return tcp->open[hash % SETS];
}

static void close_ends(struct ends *set, unsigned at)
{
    memmove(&set[at], &set[at + 1], (WAYS - 1 - at) * sizeof *set);
    set[WAYS - 1] = (struct ends){.local = {.family = 0}};
}

static void remember(struct gw_gate_tcp *tcp, const struct ends *ends, bool is_open)
{
    struct ends *set = set_of(tcp, ends);
    for (unsigned i = 0; i < WAYS; i++) {
        if (memcmp(&set[i], ends, sizeof *ends) == 0)
            close_ends(set, i);
    }
    if (!is_open)
        return;
    memmove(&set[1], &set[0], (WAYS - 1) * sizeof *set);
    set[0] = *ends;
}

/* ---- whose port it is */

static uint8_t *byte_of(const struct gw_gate_tcp *tcp, const struct gw_addr *local)
{
    return (uint8_t *)(uintptr_t)&tcp->accepted[local->family == 6][local->port / 8];
}

/* Did peers begin what this port has? */
static bool is_peers(const struct gw_gate_tcp *tcp, const struct gw_addr *local)
{
    return *byte_of(tcp, local) & 1u << local->port % 8;
}

void gw_gate_tcp_outbound(struct gw_gate_tcp *tcp, const struct gw_addr *local, const struct gw_addr *remote,
                          uint8_t flags)
{
    const struct ends ends = {*local, *remote};
    uint8_t *byte = byte_of(tcp, local), bit = (uint8_t)(1u << local->port % 8);
    switch (flags & (GW_TCP_SYN | GW_TCP_ACK)) {
    case GW_TCP_SYN | GW_TCP_ACK:
        *byte |= bit;
        remember(tcp, &ends, true);
        break;
    case GW_TCP_SYN:
        *byte &= (uint8_t)~bit;
        break;
    default:
        if (flags & GW_TCP_RST)
            remember(tcp, &ends, false);
    }
}

/* ---- the owner's word */

static bool ask(const struct gw_gate_tcp *tcp, void *peer, const struct gw_addr *local)
{
    const struct gw_gate_params *params = tcp->params;
    return peer && params->decide(params->ctx, peer, local, false) == GW_GATE_KERNEL;
}

bool gw_gate_tcp_may(struct gw_gate_tcp *tcp, void *peer, const struct gw_addr *local)
{
    if (!is_peers(tcp, local))
        return true;
    struct verdict *verdict = &tcp->verdicts[(local->port ^ (uintptr_t)peer >> 6) % VERDICTS];
    if (verdict->peer == peer && peer && memcmp(&verdict->local, local, sizeof *local) == 0)
        return verdict->may;
    *verdict = (struct verdict){peer, *local, ask(tcp, peer, local)};
    return verdict->may;
}

void gw_gate_tcp_forget_peer(struct gw_gate_tcp *tcp, const void *peer)
{
    for (unsigned i = 0; i < VERDICTS; i++) {
        if (tcp->verdicts[i].peer == peer)
            tcp->verdicts[i] = (struct verdict){.peer = NULL};
    }
}

/* The set moves up. */
static bool end_if_it_must(struct gw_gate_tcp *tcp, struct ends *set, unsigned at)
{
    const struct gw_gate_params *params = tcp->params;
    const struct ends ends = set[at];
    if (ends.local.family == 0 || ask(tcp, params->route(params->ctx, &ends.remote), &ends.local))
        return false;
    close_ends(set, at);
    params->on_end(params->ctx, &ends.local, &ends.remote);
    return true;
}

void gw_gate_tcp_forget(struct gw_gate_tcp *tcp)
{
    memset(tcp->verdicts, 0, sizeof tcp->verdicts);
    for (unsigned i = 0; i < SETS; i++) {
        for (unsigned k = 0; k < WAYS;)
            k += end_if_it_must(tcp, tcp->open[i], k) ? 0 : 1;
    }
}
