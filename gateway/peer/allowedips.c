/* SPDX-License-Identifier: MIT */
/* The prefix trie; see allowedips.h. A node's children differ in the first bit behind its prefix; nodes without a peer only branch. */
#include "gateway/peer/allowedips.h"

#include "gateway/base/err.h"

#include <stdlib.h>
#include <string.h>

struct gw_allowedips_node {
    struct gw_allowedips_node *child[2];
    void *peer; /* NULL: only branches */
    uint8_t ip[16];
    uint8_t bits;
};

void gw_allowedips_init(struct gw_allowedips *table)
{
    *table = (struct gw_allowedips){0};
}

static void free_nodes(struct gw_allowedips_node *node)
{
    if (!node) /* depth is bounded by the bits of an address */
        return;
    free_nodes(node->child[0]);
    free_nodes(node->child[1]);
    free(node);
}

void gw_allowedips_clear(struct gw_allowedips *table)
{
    free_nodes(table->root_v4);
    free_nodes(table->root_v6);
    gw_allowedips_init(table);
}

static unsigned bit_at(const uint8_t ip[16], unsigned at)
{
    return (unsigned)ip[at / 8] >> (7 - at % 8) & 1u;
}

/* Leading bits that both have in common, at most `max`. */
static unsigned common_bits(const uint8_t a[16], const uint8_t b[16], unsigned max)
{
    unsigned n = 0;
    while (n + 8 <= max && a[n / 8] == b[n / 8])
        n += 8;
    while (n < max && bit_at(a, n) == bit_at(b, n))
        n++;
    return n;
}

static struct gw_allowedips_node *new_node(const uint8_t ip[16], unsigned bits, void *peer)
{
    struct gw_allowedips_node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    memcpy(node->ip, ip, sizeof node->ip);
    node->bits = (uint8_t)bits;
    node->peer = peer;
    return node;
}

/* Puts a branch above *link, which differs from the new prefix after `shared` bits. */
static int split(struct gw_allowedips_node **link, const uint8_t ip[16], unsigned bits, unsigned shared,
                 void *peer)
{
    struct gw_allowedips_node *old = *link;
    struct gw_allowedips_node *above = new_node(ip, shared, shared == bits ? peer : NULL);
    if (!above)
        return GW_E_NOMEM;
    if (shared < bits) {
        struct gw_allowedips_node *leaf = new_node(ip, bits, peer);
        if (!leaf) {
            free(above);
            return GW_E_NOMEM;
        }
        above->child[bit_at(ip, shared)] = leaf;
    }
    above->child[bit_at(old->ip, shared)] = old;
    *link = above;
    return 0;
}

int gw_allowedips_insert(struct gw_allowedips *table, const struct gw_prefix *prefix, void *peer)
{
    struct gw_allowedips_node **link = prefix->ip.family == 6 ? &table->root_v6 : &table->root_v4;
    unsigned max = prefix->ip.family == 6 ? 128 : 32;
    if ((prefix->ip.family != 4 && prefix->ip.family != 6) || prefix->bits > max)
        return GW_E_INVAL;
    for (;;) {
        struct gw_allowedips_node *node = *link;
        if (!node) {
            *link = new_node(prefix->ip.ip, prefix->bits, peer);
            return *link ? 0 : GW_E_NOMEM;
        }
        unsigned limit = node->bits < prefix->bits ? node->bits : prefix->bits;
        unsigned shared = common_bits(node->ip, prefix->ip.ip, limit);
        if (shared < node->bits)
            return split(link, prefix->ip.ip, prefix->bits, shared, peer);
        if (node->bits == prefix->bits) {
            node->peer = peer;
            return 0;
        }
        link = &node->child[bit_at(prefix->ip.ip, node->bits)];
    }
}

void *gw_allowedips_find(const struct gw_allowedips *table, const struct gw_addr *ip)
{
    const struct gw_allowedips_node *node = ip->family == 6 ? table->root_v6 : table->root_v4;
    unsigned max = ip->family == 6 ? 128 : 32;
    void *found = NULL;
    while (node && common_bits(node->ip, ip->ip, node->bits) == node->bits) {
        if (node->peer)
            found = node->peer;
        if (node->bits == max)
            break;
        node = node->child[bit_at(ip->ip, node->bits)];
    }
    return found;
}
