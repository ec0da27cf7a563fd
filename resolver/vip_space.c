/* SPDX-License-Identifier: MIT */
/* What the tables of one node share: which IPv4 and local addresses are taken on this machine, and by whom. */
#include "resolver/vip_private.h"

#include "gateway/base/random.h"

#include <stdlib.h>

struct gw_vip_space *gw_vip_space_new(void)
{
    uint8_t seed[16];
    struct gw_vip_space *space = calloc(1, sizeof *space);
    if (!space)
        return NULL;
    gw_random_fill(gw_random_system(), seed, sizeof seed);
    gw_map_init(&space->by_ipv4, sizeof(struct gw_addr), seed);
    gw_map_init(&space->by_local, sizeof(struct gw_addr), seed);
    gw_list_init(&space->tables);
    return space;
}

void gw_vip_space_free(struct gw_vip_space *space)
{
    if (!space)
        return;
    gw_map_fini(&space->by_ipv4);
    gw_map_fini(&space->by_local);
    free(space);
}

static struct gw_vip_node *find_ipv4(const struct gw_vip_space *space, const struct gw_addr *ip)
{
    struct gw_map_node *found;
    if ((found = gw_map_find(&space->by_ipv4, ip)))
        return gw_map_entry(found, struct gw_vip_node, by_ipv4);
    if ((found = gw_map_find(&space->by_local, ip)))
        return gw_map_entry(found, struct gw_vip_node, by_local);
    return NULL;
}

/* A key that is in several networks has one IPv6 address: the first table has it. */
static struct gw_vip_node *find_ipv6(const struct gw_vip_space *space, const struct gw_addr *ip)
{
    gw_list_for_each (link, &space->tables) {
        const struct gw_vip *vip = gw_list_entry(link, struct gw_vip, link);
        struct gw_map_node *found = gw_map_find(&vip->by_ipv6, ip);
        if (found)
            return gw_map_entry(found, struct gw_vip_node, by_ipv6);
    }
    return NULL;
}

const struct gw_vip_entry *gw_vip_space_find(const struct gw_vip_space *space, const struct gw_addr *address,
                                             const struct gw_vip **vip)
{
    struct gw_addr ip = *address;
    ip.port = 0;
    const struct gw_vip_node *node = ip.family == 4 ? find_ipv4(space, &ip) : find_ipv6(space, &ip);
    if (node && vip)
        *vip = node->vip;
    return node ? &node->entry : NULL;
}
