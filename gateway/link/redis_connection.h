/* SPDX-License-Identifier: MIT */
/* One connection of redis.h: what is said, what is answered, in bounds. hiredis reads and writes what goes over it; its own asynchronous half asserts what a server says, and keeps whatever comes until it is
 * whole. */
#ifndef GATEWAY_LINK_REDIS_CONNECTION_H
#define GATEWAY_LINK_REDIS_CONNECTION_H

#include "gateway/link/loop.h"
#include "gateway/wire/addr.h"

#include <event2/bufferevent.h>
#include <hiredis/hiredis.h>

#if HIREDIS_MAJOR < 1
typedef int gw_redis_count;
#else
typedef size_t gw_redis_count;
#endif

struct gw_redis_connection {
    /* The user's. It stands; something whole came, lent; it is over. Each may close it. */
    void (*on_connected)(struct gw_redis_connection *connection);
    void (*on_reply)(struct gw_redis_connection *connection, const redisReply *reply);
    void (*on_over)(struct gw_redis_connection *connection, const char *why);
    void *user;
    size_t answer_max; /* bytes of one answer */

    struct bufferevent *io; /* NULL: closed */
    redisReader *reader;
    redisReplyObjectFunctions functions;
    void *(*create_array)(const redisReadTask *task, gw_redis_count count); /* hiredis's */
    size_t unanswered; /* bytes that came since the last whole answer */
    bool is_connected;
};

/* Begins to connect: to addr, or, if that is not set, to a unix socket. false: there is nothing but what close takes away. */
bool gw_redis_connection_open(struct gw_redis_connection *connection, struct gw_loop *loop,
                              const struct gw_addr *addr, const char *path);
/* Nothing is told any more. Fine when it is closed. */
void gw_redis_connection_close(struct gw_redis_connection *connection);
/* false: it does not stand, or there is no memory. */
bool gw_redis_connection_say(struct gw_redis_connection *connection, int argc, const char **argv,
                             const size_t *lens);
/* What the socket takes at once of what was said; for one that is closed next. It stands. */
void gw_redis_connection_flush(struct gw_redis_connection *connection);

#endif
