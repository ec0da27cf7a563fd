/* SPDX-License-Identifier: MIT */
/* See redis_connection.h. */
#include "gateway/link/redis_connection.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/link/mark.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ELEMENTS_MAX 64u
#define READ_ONCE 16384u

/* ---- in */

/* None of our answers has so many: hiredis would make room for as many as it is told of. */
static void *create_array(const redisReadTask *task, gw_redis_count count)
{
    const struct gw_redis_connection *connection = task->privdata;
    return (size_t)count > ELEMENTS_MAX ? NULL : connection->create_array(task, count);
}

static bool make_reader(struct gw_redis_connection *connection)
{
    connection->reader = redisReaderCreate();
    if (!connection->reader)
        return false;
    connection->functions = *connection->reader->fn;
    connection->create_array = connection->functions.createArray;
    connection->functions.createArray = create_array;
    connection->reader->fn = &connection->functions;
    connection->reader->privdata = connection;
    return true;
}

/* All that is whole. false: it makes no sense. The connection may be closed, or another one, afterwards. */
static bool take_replies(struct gw_redis_connection *connection)
{
    struct bufferevent *io = connection->io;
    for (void *reply; connection->io == io;) {
        if (redisReaderGetReply(connection->reader, &reply) != REDIS_OK)
            return false;
        if (!reply)
            return true;
        connection->unanswered = 0;
        connection->on_reply(connection, reply);
        freeReplyObject(reply);
    }
    return true;
}

static void on_readable(struct bufferevent *io, void *arg)
{
    struct gw_redis_connection *connection = arg;
    char bytes[READ_ONCE];
    for (size_t len; connection->io == io && (len = bufferevent_read(io, bytes, sizeof bytes)) > 0;) {
        connection->unanswered += len;
        bool is_good =
            redisReaderFeed(connection->reader, bytes, len) == REDIS_OK && take_replies(connection);
        if (connection->io != io)
            return;
        if (!is_good || connection->unanswered > connection->answer_max)
            connection->on_over(connection, is_good ? "it says more than it was asked for"
                                                    : "it does not speak as a Redis does");
    }
}

static void on_event(struct bufferevent *io, short what, void *arg)
{
    struct gw_redis_connection *connection = arg;
    int err = errno;
    if (what & BEV_EVENT_CONNECTED) {
        const int on = 1;
        setsockopt(bufferevent_getfd(io), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection->is_connected = true;
        connection->on_connected(connection);
        return;
    }
    connection->on_over(connection, what & BEV_EVENT_EOF ? "it closed" : gw_strerror(err ? -err : -EIO));
}

/* ---- out */

bool gw_redis_connection_say(struct gw_redis_connection *connection, int argc, const char **argv,
                             const size_t *lens)
{
    char *text = NULL;
    if (!connection->is_connected)
        return false;
    long long len = redisFormatCommandArgv(&text, argc, argv, lens);
    if (len <= 0)
        return false;
    bool is_said = evbuffer_add(bufferevent_get_output(connection->io), text, (size_t)len) == 0;
    gw_wipe(text, (size_t)len); /* there may be a password in it */
    redisFreeCommand(text);
    return is_said;
}

void gw_redis_connection_flush(struct gw_redis_connection *connection)
{
    struct evbuffer *output = bufferevent_get_output(connection->io);
    evbuffer_unfreeze(output, 1); /* a bufferevent lets nobody else drain it */
    while (evbuffer_get_length(output) > 0 && evbuffer_write(output, bufferevent_getfd(connection->io)) > 0)
        ;
    evbuffer_freeze(output, 1);
}

/* ---- life */

bool gw_redis_connection_open(struct gw_redis_connection *connection, struct gw_loop *loop,
                              const struct gw_addr *addr, const char *path)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    struct sockaddr_un *unix_name = (struct sockaddr_un *)&name;
    int len = (int)sizeof *unix_name;
    if (gw_addr_is_set(addr)) {
        len = (int)gw_addr_to_sockaddr(addr, &name);
    } else {
        unix_name->sun_family = AF_UNIX;
        snprintf(unix_name->sun_path, sizeof unix_name->sun_path, "%s", path);
    }
    int fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    gw_mark_outside(fd);
    connection->io = bufferevent_socket_new(gw_loop_base(loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!connection->io)
        close(fd);
    if (!connection->io || !make_reader(connection))
        return false;
    bufferevent_setcb(connection->io, on_readable, NULL, on_event, connection);
    return bufferevent_enable(connection->io, EV_READ | EV_WRITE) == 0 &&
           bufferevent_socket_connect(connection->io, (struct sockaddr *)&name, len) == 0;
}

void gw_redis_connection_close(struct gw_redis_connection *connection)
{
    if (connection->io)
        bufferevent_free(connection->io);
    if (connection->reader)
        redisReaderFree(connection->reader);
    connection->io = NULL;
    connection->reader = NULL;
    connection->is_connected = false;
    connection->unanswered = 0;
}
