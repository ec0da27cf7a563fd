/* SPDX-License-Identifier: MIT */
#include "gateway/services/users.h"

#include <stdlib.h>

void gw_users_init(struct gw_users *users, struct gw_random *random)
{
    uint8_t seed[16];
    gw_random_fill(random, seed, sizeof seed);
    gw_map_init(&users->map, sizeof(void *), seed);
}

void gw_users_fini(struct gw_users *users)
{
    gw_map_fini(&users->map);
}

struct gw_user *gw_users_get(struct gw_users *users, void *peer)
{
    struct gw_map_node *node = gw_map_find(&users->map, &peer);
    if (node)
        return gw_map_entry(node, struct gw_user, node);
    struct gw_user *user = calloc(1, sizeof *user);
    if (!user)
        return NULL;
    user->peer = peer;
    if (gw_map_insert(&users->map, &user->node, &user->peer) == 0)
        return user;
    free(user);
    return NULL;
}

void gw_users_put(struct gw_users *users, struct gw_user *user)
{
    if (!user || user->count > 0)
        return;
    gw_map_remove(&users->map, &user->node);
    free(user);
}
