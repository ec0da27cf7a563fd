/* SPDX-License-Identifier: MIT */
/* What is asked, what is answered, in the order of the commands. Whatever goes wrong with one connection ends both: they are of use together only, and begin anew
 * together. */
#include "gateway/link/redis.h"

#include "gateway/base/err.h"
#include "gateway/base/list.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"
#include "gateway/link/redis_connection.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX 4096u /* commands without an answer */
#define BEAT_S 3          /* a PING so often; unanswered at the next one: gone */
#define RETRY_MIN_S 1
#define RETRY_MAX_S 30
#define NAME_MAX_ 128u
#define VALUE_MAX 4096u /* longer ones are none of ours */
/* Of one answer: twice as much as that of a lookup. Somebody else may write what we look up. */
#define ANSWER_MAX (2u * GW_REDIS_NAMES_MAX * VALUE_MAX)

/* KEYS: names. ARGV[1]: what their values begin with. (What is no text at all gives an error, which is nobody's bytes.) */
#define FORGET                                                                                       \
    "for _, name in ipairs(KEYS) do"                                                                 \
    " if redis.pcall('GETRANGE', name, 0, #ARGV[1] - 1) == ARGV[1] then redis.call('DEL', name) end" \
    " end"
#define FORGET_WORDS 3u /* in front of the names */

enum answer { ANSWER_DONE, ANSWER_PONG, ANSWER_VALUES, ANSWER_SCRIPTS };

/* A command without an answer. */
struct waiting {
    enum answer answer;
    uint32_t id; /* of a lookup */
};

struct connection {
    struct gw_redis_connection wire;
    bool is_ready; /* let in, and listening if it is to */
    struct waiting waiting[WAITING_MAX];
    unsigned first, count; /* of these, in a ring */
};

struct gw_redis {
    struct gw_redis_params params;
    char path[108], password[128], topics[GW_REDIS_TOPICS][NAME_MAX_];
    struct connection commands, listener;
    struct event *timer; /* the next try, or the next beat */
    unsigned subscribed;
    unsigned retry_s;
    bool is_up, is_ping_open, is_ending, is_told; /* told: the log says that it is not there */
    bool has_scripts;                             /* it runs ours */
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

/* To one that does nothing. */
static void on_scripts(struct gw_redis *redis, const redisReply *got)
{
    char text[GW_ADDR_STRLEN];
    redis->has_scripts = got->type != REDIS_REPLY_ERROR;
    if (!redis->has_scripts)
        gw_log_debug("redis at %s runs no scripts for us: %s", place_of(redis, text), got->str);
}

static void on_pong(struct gw_redis *redis)
{
    redis->is_ping_open = false;
    redis->commands.is_ready = true;
    look_whether_up(redis);
}

static void on_values(struct gw_redis *redis, uint32_t id, const redisReply *got)
{
    struct gw_view values[GW_REDIS_NAMES_MAX];
    if (got->type != REDIS_REPLY_ARRAY || got->elements > GW_REDIS_NAMES_MAX)
        return;
    for (size_t i = 0; i < got->elements; i++) {
        const redisReply *value = got->element[i];
        bool is_good = value->type == REDIS_REPLY_STRING && (size_t)value->len <= VALUE_MAX;
        values[i] = is_good ? (struct gw_view){(const uint8_t *)value->str, (size_t)value->len}
                            : (struct gw_view){(const uint8_t *)"", 0};
    }
    redis->params.events.on_values(id, values, (unsigned)got->elements, redis->params.events.ctx);
}

static void on_answer(struct gw_redis *redis, struct connection *connection, const redisReply *got)
{
    if (connection->count == 0) {
        end(redis, got->type == REDIS_REPLY_ERROR ? got->str : "it answers what nobody asked");
        return;
    }
    struct waiting waiting = connection->waiting[connection->first];
    connection->first = (connection->first + 1) % WAITING_MAX;
    connection->count--;
    if (waiting.answer == ANSWER_VALUES)
        on_values(redis, waiting.id, got);
    else if (waiting.answer == ANSWER_SCRIPTS)
        on_scripts(redis, got);
    else if (got->type == REDIS_REPLY_ERROR)
        end(redis, got->str);
    else if (waiting.answer == ANSWER_PONG)
        on_pong(redis);
}

/* "message", topic, bytes; or "subscribe", topic, how many. */
static void on_message(struct gw_redis *redis, const redisReply *got)
{
    if (got->elements != 3 || got->element[0]->type != REDIS_REPLY_STRING ||
        got->element[1]->type != REDIS_REPLY_STRING) {
        end(redis, "it does not let us listen");
        return;
    }
    if (strcmp(got->element[0]->str, "subscribe") == 0) {
        redis->listener.is_ready = ++redis->subscribed == GW_REDIS_TOPICS;
        look_whether_up(redis);
        return;
    }
    const redisReply *bytes = got->element[2];
    if (strcmp(got->element[0]->str, "message") != 0 || bytes->type != REDIS_REPLY_STRING ||
        (size_t)bytes->len > VALUE_MAX || !redis->is_up)
        return;
    redis->params.events.on_message(got->element[1]->str,
                                    (struct gw_view){(const uint8_t *)bytes->str, (size_t)bytes->len},
                                    redis->params.events.ctx);
}

static struct connection *connection_of(struct gw_redis_connection *wire)
{
    return gw_container_of(wire, struct connection, wire);
}

/* What the listener gets is a message, but for the answers to what lets it in. */
static void on_reply(struct gw_redis_connection *wire, const redisReply *got)
{
    struct gw_redis *redis = wire->user;
    if (wire == &redis->listener.wire && got->type == REDIS_REPLY_ARRAY)
        on_message(redis, got);
    else
        on_answer(redis, connection_of(wire), got);
}

/* ---- commands */

static bool command(struct connection *connection, struct waiting waiting, int argc, const char **argv,
                    const size_t *lens)
{
    if (connection->count >= WAITING_MAX || !gw_redis_connection_say(&connection->wire, argc, argv, lens))
        return false;
    connection->waiting[(connection->first + connection->count++) % WAITING_MAX] = waiting;
    return true;
}

static bool command_text(struct connection *connection, enum answer answer, const char *word,
                         const char *argument)
{
    const char *argv[] = {word, argument};
    const size_t lens[] = {strlen(word), argument ? strlen(argument) : 0};
    return command(connection, (struct waiting){.answer = answer}, argument ? 2 : 1, argv, lens);
}

void gw_redis_put(struct gw_redis *redis, const char *name, const void *value, size_t len, unsigned ttl_s)
{
    char ttl[16];
    snprintf(ttl, sizeof ttl, "%u", ttl_s);
    const char *argv[] = {"SET", name, value, "EX", ttl};
    const size_t lens[] = {3, strlen(name), len, 2, strlen(ttl)};
    if (redis->is_up)
        command(&redis->commands, (struct waiting){.answer = ANSWER_DONE}, 5, argv, lens);
}

/* EVAL script count NAME ... begin; or DEL NAME ... */
void gw_redis_forget(struct gw_redis *redis, const char *const *names, unsigned count, const void *begin,
                     size_t len)
{
    const char *argv[FORGET_WORDS + GW_REDIS_NAMES_MAX + 1] = {"EVAL", FORGET};
    size_t lens[FORGET_WORDS + GW_REDIS_NAMES_MAX + 1] = {4, sizeof FORGET - 1};
    char number[16];
    if (!redis->is_up || count > GW_REDIS_NAMES_MAX)
        return;
    argv[2] = redis->has_scripts ? number : "DEL";
    snprintf(number, sizeof number, "%u", count);
    lens[2] = strlen(argv[2]);
    for (unsigned i = 0; i < count; i++) {
        argv[FORGET_WORDS + i] = names[i];
        lens[FORGET_WORDS + i] = strlen(names[i]);
    }
    argv[FORGET_WORDS + count] = begin;
    lens[FORGET_WORDS + count] = len;
    const struct waiting done = {.answer = ANSWER_DONE};
    if (redis->has_scripts)
        command(&redis->commands, done, (int)(FORGET_WORDS + count + 1), argv, lens);
    else
        command(&redis->commands, done, (int)(1 + count), argv + FORGET_WORDS - 1, lens + FORGET_WORDS - 1);
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
    return command(&redis->commands, (struct waiting){ANSWER_VALUES, id}, 1 + (int)count, argv, lens);
}

void gw_redis_tell(struct gw_redis *redis, const char *topic, const void *bytes, size_t len)
{
    const char *argv[] = {"PUBLISH", topic, bytes};
    const size_t lens[] = {7, strlen(topic), len};
    if (redis->is_up)
        command(&redis->commands, (struct waiting){.answer = ANSWER_DONE}, 3, argv, lens);
}

bool gw_redis_is_up(const struct gw_redis *redis)
{
    return redis->is_up;
}

/* ---- connections */

static void close_one(struct connection *connection)
{
    gw_redis_connection_close(&connection->wire);
    connection->is_ready = false;
    connection->first = connection->count = 0;
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
    redis->subscribed = 0;
    redis->is_ending = false;
    arm(redis, redis->retry_s);
    redis->retry_s = 2 * redis->retry_s < RETRY_MAX_S ? 2 * redis->retry_s : RETRY_MAX_S;
    if (was_up)
        redis->params.events.on_state(false, redis->params.events.ctx);
}

/* Let in, on the right database; then what it is for. */
static void on_connected(struct gw_redis_connection *wire)
{
    struct gw_redis *redis = wire->user;
    struct connection *connection = connection_of(wire);
    char database[16];
    snprintf(database, sizeof database, "%u", redis->params.database);
    if (redis->password[0])
        command_text(connection, ANSWER_DONE, "AUTH", redis->password);
    if (redis->params.database > 0)
        command_text(connection, ANSWER_DONE, "SELECT", database);
    if (connection == &redis->commands) {
        const char *argv[] = {"EVAL", "return 1", "0"};
        const size_t lens[] = {4, 8, 1};
        command(connection, (struct waiting){.answer = ANSWER_SCRIPTS}, 3, argv, lens);
        command_text(connection, ANSWER_PONG, "PING", NULL);
        return;
    }
    for (unsigned i = 0; i < GW_REDIS_TOPICS; i++) {
        /* Its answer is a message, so nothing waits for it. */
        if (command_text(connection, ANSWER_DONE, "SUBSCRIBE", redis->topics[i]))
            connection->count--;
    }
}

static void on_over(struct gw_redis_connection *wire, const char *why)
{
    end(wire->user, why);
}

static bool open_one(struct gw_redis *redis, struct connection *connection)
{
    connection->wire.on_connected = on_connected;
    connection->wire.on_reply = on_reply;
    connection->wire.on_over = on_over;
    connection->wire.user = redis;
    connection->wire.answer_max = ANSWER_MAX;
    return gw_redis_connection_open(&connection->wire, redis->params.loop, &redis->params.addr, redis->path);
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
        if (is_silent || !command_text(&redis->commands, ANSWER_PONG, "PING", NULL))
            end(redis, "it does not answer");
    } else if (redis->commands.wire.io || redis->listener.wire.io) {
        end(redis, "it does not answer");
    } else if (!open_one(redis, &redis->commands) || !open_one(redis, &redis->listener)) {
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
    if (redis->is_up)
        gw_redis_connection_flush(&redis->commands.wire);
    close_one(&redis->commands);
    close_one(&redis->listener);
    event_free(redis->timer);
    gw_wipe(redis, sizeof *redis);
    free(redis);
}
