/* SPDX-License-Identifier: MIT */
/* A Redis (6 or later) on the loop: names with values that expire, topics. It connects, and connects again, by itself; while it is not there, calls do nothing. One
 * connection for commands and one that listens; what is not answered in time counts as gone. Nothing blocks. What the values mean is the user's. */
#ifndef GATEWAY_LINK_REDIS_H
#define GATEWAY_LINK_REDIS_H

#include "gateway/link/loop.h"
#include "gateway/wire/addr.h"
#include "gateway/wire/cursor.h"

#define GW_REDIS_TOPICS 2u
#define GW_REDIS_NAMES_MAX 16u /* of one command */

struct gw_redis;

struct gw_redis_events {
    /* Both connections stand and it listens; or not any more. Called when that changes. */
    void (*on_state)(bool is_up, void *ctx);
    /* The answer to gw_redis_get: as many values as names, lent; empty: not there. Nothing is said when it is lost. */
    void (*on_values)(uint32_t id, const struct gw_view *values, unsigned count, void *ctx);
    /* Lent. */
    void (*on_message)(const char *topic, struct gw_view bytes, void *ctx);
    void *ctx;
};

struct gw_redis_params {
    struct gw_loop *loop;
    struct gw_addr addr;  /* family 0: path */
    const char *path;     /* of a unix socket */
    const char *password; /* "" or NULL = none */
    unsigned database;
    const char *topics[GW_REDIS_TOPICS]; /* what it listens to */
    struct gw_redis_events events;
};

/* All is copied; begins to connect. 0 or GW_E_NOMEM. */
int gw_redis_new(struct gw_redis **out, const struct gw_redis_params *params);
/* Nothing is told any more. What was said and is not on its way yet gets as far as the socket takes it at once. NULL is fine. */
void gw_redis_free(struct gw_redis *redis);
/* For ttl_s seconds. Lost when it is not up, or too much waits already. */
void gw_redis_put(struct gw_redis *redis, const char *name, const void *value, size_t len, unsigned ttl_s);
/* Deletes each of at most GW_REDIS_NAMES_MAX names whose value begins with these bytes, by a script, so that nobody else's comes in between. Where the Redis lets us run none, whatever the
 * values are. Lost as above. */
void gw_redis_forget(struct gw_redis *redis, const char *const *names, unsigned count, const void *begin,
                     size_t len);
/* false: it is not up, or too much waits already: there will be no answer. */
bool gw_redis_get(struct gw_redis *redis, uint32_t id, const char *const *names, unsigned count);
void gw_redis_tell(struct gw_redis *redis, const char *topic, const void *bytes, size_t len);
bool gw_redis_is_up(const struct gw_redis *redis);

#endif
