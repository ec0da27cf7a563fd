/* SPDX-License-Identifier: MIT */
/* hiredis on libevent. A connection is its own object, since hiredis frees its part when it ends, and tells us then. Whatever goes wrong with one ends both:
 * they are of use together only, and begin anew together. */
#include "gateway/link/redis.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX 4096u /* commands without an answer */
#define BEAT_S 3          /* a PING so often; unanswered at the next one: gone */
#define RETRY_MIN_S 1
#define RETRY_MAX_S 30
#define NAME_MAX_ 128u
#define VALUE_MAX 4096u /* longer ones are none of ours */

struct connection {
    struct gw_redis *redis;
    redisAsyncContext *context; /* NULL: there is none */
    bool is_ready;              /* let in, and listening if it is to */
};

struct gw_redis {
    struct gw_redis_params params;
    char path[108], password[128], topics[GW_REDIS_TOPICS][NAME_MAX_];
    struct connection commands, listener;
    struct event *timer; /* the next try, or the next beat */
    unsigned waiting;
    unsigned subscribed;
    unsigned retry_s;
    bool is_up, is_ping_open, is_ending, is_told; /* told: the log says that it is not there */
};

static void end(struct gw_redis *redis, const char *why);

/* ---- state */

static void arm(struct gw_redis *redis, unsigned seconds)
{
    struct timeval tv = {.tv_sec = seconds};
    evtimer_add(redis->timer, &tv);
}

static const char *place_of(const struct gw_redis *redis, char text[GW_ADDR_STRLEN])
{
    return gw_addr_is_set(&redis->params.addr) ? gw_addr_log(&redis->params.addr, text) : redis->path;
}

static void look_whether_up(struct gw_redis *redis)
{
    char text[GW_ADDR_STRLEN];
    if (redis->is_up || !redis->commands.is_ready || !redis->listener.is_ready)
        return;
    redis->is_up = true;
    redis->retry_s = RETRY_MIN_S;
    redis->is_ping_open = false;
    arm(redis, BEAT_S);
    gw_log_info("redis at %s: %s", place_of(redis, text), redis->is_told ? "it is back" : "connected");
    redis->is_told = false;
    redis->params.events.on_state(true, redis->params.events.ctx);
}

/* ---- answers */

static struct gw_redis *answered(redisAsyncContext *context)
{
    struct connection *connection = context->data;
    /* What waits on a connection that is over is called back, too, maybe later. */
    if (connection == &connection->redis->commands && connection->context == context)
        connection->redis->waiting--;
    return connection->redis;
}

/* Something whose answer nobody waits for. */
static void on_done(redisAsyncContext *context, void *reply, void *arg)
{
    const redisReply *got = reply;
    struct gw_redis *redis = answered(context);
    (void)arg;
    if (got && got->type == REDIS_REPLY_ERROR && !redis->is_ending)
        end(redis, got->str);
}

static void on_pong(redisAsyncContext *context, void *reply, void *arg)
{
    struct gw_redis *redis = answered(context);
    const redisReply *got = reply;
    (void)arg;
    if (!got || redis->is_ending)
        return;
    if (got->type == REDIS_REPLY_ERROR) {
        end(redis, got->str);
        return;
    }
    redis->is_ping_open = false;
    redis->commands.is_ready = true;
    look_whether_up(redis);
}

static void on_values(redisAsyncContext *context, void *reply, void *arg)
{
    struct gw_redis *redis = answered(context);
    const redisReply *got = reply;
    struct gw_view values[GW_REDIS_NAMES_MAX];
    if (!got || redis->is_ending || got->type != REDIS_REPLY_ARRAY || got->elements > GW_REDIS_NAMES_MAX)
        return;
    for (size_t i = 0; i < got->elements; i++) {
        const redisReply *value = got->element[i];
        bool is_good = value->type == REDIS_REPLY_STRING && value->len <= VALUE_MAX;
        values[i] = is_good ? (struct gw_view){(const uint8_t *)value->str, (size_t)value->len}
                            : (struct gw_view){(const uint8_t *)"", 0};
    }
    redis->params.events.on_values((uint32_t)(uintptr_t)arg, values, (unsigned)got->elements,
                                   redis->params.events.ctx);
}

/* "message", topic, bytes; or "subscribe", topic, how many. */
static void on_message(redisAsyncContext *context, void *reply, void *arg)
{
    struct gw_redis *redis = ((struct connection *)context->data)->redis;
    const redisReply *got = reply;
    (void)arg;
    if (!got || redis->is_ending)
        return;
    if (got->type != REDIS_REPLY_ARRAY || got->elements != 3 || got->element[0]->type != REDIS_REPLY_STRING ||
        got->element[1]->type != REDIS_REPLY_STRING) {
        end(redis, got->type == REDIS_REPLY_ERROR ? got->str : "it does not let us listen");
        return;
    }
    if (strcmp(got->element[0]->str, "subscribe") == 0) {
        redis->listener.is_ready = ++redis->subscribed == GW_REDIS_TOPICS;
        look_whether_up(redis);
        return;
    }
    const redisReply *bytes = got->element[2];
    if (strcmp(got->element[0]->str, "message") != 0 || bytes->type != REDIS_REPLY_STRING ||
        bytes->len > VALUE_MAX || !redis->is_up)
        return;
    redis->params.events.on_message(got->element[1]->str,
                                    (struct gw_view){(const uint8_t *)bytes->str, (size_t)bytes->len},
                                    redis->params.events.ctx);
}

/* ---- commands */

static bool command(struct connection *connection, redisCallbackFn *fn, void *arg, int argc,
                    const char **argv, const size_t *lens)
{
    struct gw_redis *redis = connection->redis;
    bool is_counted = connection == &redis->commands;
    if (!connection->context || redis->is_ending || (is_counted && redis->waiting >= WAITING_MAX))
        return false;
    if (redisAsyncCommandArgv(connection->context, fn, arg, argc, argv, lens) != REDIS_OK)
        return false;
    redis->waiting += is_counted;
    return true;
}

static bool command_text(struct connection *connection, redisCallbackFn *fn, const char *word,
                         const char *argument)
{
    const char *argv[] = {word, argument};
    const size_t lens[] = {strlen(word), argument ? strlen(argument) : 0};
    return command(connection, fn, NULL, argument ? 2 : 1, argv, lens);
}

void gw_redis_put(struct gw_redis *redis, const char *name, const void *value, size_t len, unsigned ttl_s)
{
    char ttl[16];
    snprintf(ttl, sizeof ttl, "%u", ttl_s);
    const char *set[] = {"SET", name, value, "EX", ttl}, *del[] = {"DEL", name};
    const size_t set_lens[] = {3, strlen(name), len, 2, strlen(ttl)}, del_lens[] = {3, strlen(name)};
    if (!redis->is_up)
        return;
    if (len > 0)
        command(&redis->commands, on_done, NULL, 5, set, set_lens);
    else
        command(&redis->commands, on_done, NULL, 2, del, del_lens);
}

bool gw_redis_get(struct gw_redis *redis, uint32_t id, const char *const *names, unsigned count)
{
    const char *argv[1 + GW_REDIS_NAMES_MAX] = {"MGET"};
    size_t lens[1 + GW_REDIS_NAMES_MAX] = {4};
    if (!redis->is_up || count > GW_REDIS_NAMES_MAX)
        return false;
    for (unsigned i = 0; i < count; i++) {
        argv[1 + i] = names[i];
        lens[1 + i] = strlen(names[i]);
    }
    return command(&redis->commands, on_values, (void *)(uintptr_t)id, 1 + (int)count, argv, lens);
}

void gw_redis_tell(struct gw_redis *redis, const char *topic, const void *bytes, size_t len)
{
    const char *argv[] = {"PUBLISH", topic, bytes};
    const size_t lens[] = {7, strlen(topic), len};
    if (redis->is_up)
        command(&redis->commands, on_done, NULL, 3, argv, lens);
}

bool gw_redis_is_up(const struct gw_redis *redis)
{
    return redis->is_up;
}

/* ---- connections */

static void close_one(struct connection *connection)
{
    redisAsyncContext *context = connection->context;
    connection->context = NULL;
    connection->is_ready = false;
    if (context)
        redisAsyncFree(context); /* calls back, with no reply, what waits */
}

/* Both are over. Another try later. */
static void end(struct gw_redis *redis, const char *why)
{
    char text[GW_ADDR_STRLEN];
    bool was_up = redis->is_up;
    if (redis->is_ending)
        return;
    redis->is_ending = true;
    redis->is_up = false;
    if (!redis->is_told)
        gw_log_warn("redis at %s: %s; it is tried again, until then this anchor has only its own clients",
                    place_of(redis, text), why);
    redis->is_told = true;
    close_one(&redis->commands);
    close_one(&redis->listener);
    redis->waiting = redis->subscribed = 0;
    redis->is_ending = false;
    arm(redis, redis->retry_s);
    redis->retry_s = 2 * redis->retry_s < RETRY_MAX_S ? 2 * redis->retry_s : RETRY_MAX_S;
    if (was_up)
        redis->params.events.on_state(false, redis->params.events.ctx);
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
    struct connection *connection = context->data;
    (void)status;
    if (connection->context != context)
        return;                 /* closed by us */
    connection->context = NULL; /* hiredis frees it */
    end(connection->redis, context->errstr && context->errstr[0] ? context->errstr : "it closed");
}

/* Let in, on the right database; then what it is for. */
static void greet(struct connection *connection)
{
    struct gw_redis *redis = connection->redis;
    char database[16];
    snprintf(database, sizeof database, "%u", redis->params.database);
    if (redis->password[0])
        command_text(connection, on_done, "AUTH", redis->password);
    if (redis->params.database > 0)
        command_text(connection, on_done, "SELECT", database);
    if (connection == &redis->commands) {
        command_text(connection, on_pong, "PING", NULL);
        return;
    }
    for (unsigned i = 0; i < GW_REDIS_TOPICS; i++)
        command_text(connection, on_message, "SUBSCRIBE", redis->topics[i]);
}

static void on_connect(const redisAsyncContext *context, int status)
{
    struct connection *connection = context->data;
    if (connection->context != context)
        return;
    if (status == REDIS_OK) {
        greet(connection);
        return;
    }
    connection->context = NULL; /* hiredis frees it */
    end(connection->redis, context->errstr);
}

static bool open_one(struct connection *connection)
{
    struct gw_redis *redis = connection->redis;
    const struct gw_addr *addr = &redis->params.addr;
    char text[GW_ADDR_STRLEN];
    struct gw_addr ip = *addr;
    redisAsyncContext *context;
    if (gw_addr_is_set(addr)) {
        /* Without brackets and port. */
        gw_addr_format(&ip, text);
        char *host = text + (text[0] == '['), *last = strrchr(text, ':');
        *last = '\0';
        if (text[0] == '[')
            *strrchr(host, ']') = '\0';
        context = redisAsyncConnect(host, addr->port);
    } else {
        context = redisAsyncConnectUnix(redis->path);
    }
    if (!context)
        return false;
    if (context->err) {
        redisAsyncFree(context);
        return false;
    }
    connection->context = context;
    context->data = connection;
    return redisLibeventAttach(context, gw_loop_base(redis->params.loop)) == REDIS_OK &&
           redisAsyncSetConnectCallback(context, on_connect) == REDIS_OK &&
           redisAsyncSetDisconnectCallback(context, on_disconnect) == REDIS_OK;
}

/* ---- time */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct gw_redis *redis = arg;
    (void)fd, (void)what;
    if (redis->is_up) {
        bool is_silent = redis->is_ping_open;
        redis->is_ping_open = true;
        arm(redis, BEAT_S);
        if (is_silent || !command_text(&redis->commands, on_pong, "PING", NULL))
            end(redis, "it does not answer");
    } else if (redis->commands.context || redis->listener.context) {
        end(redis, "it does not answer");
    } else if (!open_one(&redis->commands) || !open_one(&redis->listener)) {
        end(redis, "cannot be connected to");
    } else {
        arm(redis, BEAT_S);
    }
}

/* ---- life */

int gw_redis_new(struct gw_redis **out, const struct gw_redis_params *params)
{
    struct gw_redis *redis = calloc(1, sizeof *redis);
    if (!redis)
        return GW_E_NOMEM;
    redis->params = *params;
    snprintf(redis->path, sizeof redis->path, "%s", params->path ? params->path : "");
    snprintf(redis->password, sizeof redis->password, "%s", params->password ? params->password : "");
    for (unsigned i = 0; i < GW_REDIS_TOPICS; i++)
        snprintf(redis->topics[i], sizeof redis->topics[i], "%s", params->topics[i]);
    redis->commands.redis = redis->listener.redis = redis;
    redis->retry_s = RETRY_MIN_S;
    redis->timer = evtimer_new(gw_loop_base(params->loop), on_timer, redis);
    if (!redis->timer) {
        free(redis);
        return GW_E_NOMEM;
    }
    arm(redis, 0);
    *out = redis;
    return 0;
}

void gw_redis_free(struct gw_redis *redis)
{
    if (!redis)
        return;
    redis->is_ending = true;
    close_one(&redis->commands);
    close_one(&redis->listener);
    event_free(redis->timer);
    gw_wipe(redis, sizeof *redis);
    free(redis);
}
