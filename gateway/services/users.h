/* SPDX-License-Identifier: MIT */
/* How much each peer has in use: an entry for each that has something. */
#ifndef GATEWAY_SERVICES_USERS_H
#define GATEWAY_SERVICES_USERS_H

#include "gateway/base/map.h"
#include "gateway/base/random.h"

#include <stdint.h>

struct gw_users {
    struct gw_map map;
};

struct gw_user {
    struct gw_map_node node;
    void *peer;     /* whatever it is called: compared as a pointer */
    uint32_t count; /* the caller's to keep */
};

void gw_users_init(struct gw_users *users, struct gw_random *random);
/* Nobody has anything any more. */
void gw_users_fini(struct gw_users *users);
/* The peer's entry, new with count 0 if it has none; NULL without memory. */
struct gw_user *gw_users_get(struct gw_users *users, void *peer);
/* Frees it if its count is 0. NULL is fine. */
void gw_users_put(struct gw_users *users, struct gw_user *user);

#endif
