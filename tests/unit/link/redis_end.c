/* SPDX-License-Identifier: MIT */
#include "tests/unit/link/redis_end.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SUBSCRIBED "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
#define PONG "+PONG\r\n"
#define RUN ":1\r\n"
#define REFUSED "-NOPERM this user has no permissions to run the 'eval' command\r\n"

static void drop(struct redis_end_client *client)
{
    if (client->fd < 0)
        return;
    event_free(client->event);
    close(client->fd);
    *client = (struct redis_end_client){.end = client->end, .fd = -1};
}

static size_t say(const struct redis_end_client *client, const void *data, size_t len)
{
    ssize_t sent = client->fd < 0 ? -1 : send(client->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? 0 : (size_t)sent;
}

static void on_said(evutil_socket_t fd, short what, void *arg)
{
    struct redis_end_client *client = arg;
    char text[4096];
    ssize_t len = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    (void)what;
    if (len <= 0) {
        drop(client);
        return;
    }
    text[len] = '\0';
    struct redis_end *end = client->end;
    end->asked++;
    snprintf(end->said, sizeof end->said, "%s", text);
    if (strstr(text, "SUBSCRIBE")) {
        client->listens = true;
        say(client, SUBSCRIBED, sizeof SUBSCRIBED - 1);
    }
    if (strstr(text, "return 1"))
        say(client, end->refuses_scripts ? REFUSED : RUN,
            end->refuses_scripts ? sizeof REFUSED - 1 : sizeof RUN - 1);
    if (strstr(text, "PING"))
        say(client, PONG, sizeof PONG - 1);
}

static void on_client(evutil_socket_t fd, short what, void *arg)
{
    struct redis_end *end = arg;
    int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    (void)what;
    for (unsigned i = 0; i < 2 && got >= 0; i++) {
        struct redis_end_client *client = &end->clients[i];
        if (client->fd >= 0)
            continue;
        client->fd = got;
        client->event = event_new(end->base, got, EV_READ | EV_PERSIST, on_said, client);
        event_add(client->event, NULL);
        return;
    }
    if (got >= 0)
        close(got);
}

void redis_end_init(struct redis_end *end, struct event_base *base, const char *path, bool refuses_scripts)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    *end = (struct redis_end){.base = base, .refuses_scripts = refuses_scripts};
    snprintf(end->path, sizeof end->path, "%s", path);
    memcpy(at.sun_path, end->path,
           sizeof end->path < sizeof at.sun_path ? sizeof end->path : sizeof at.sun_path);
    for (unsigned i = 0; i < 2; i++)
        end->clients[i] = (struct redis_end_client){.end = end, .fd = -1};
    end->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(path);
    if (end->fd < 0 || bind(end->fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(end->fd, 8) != 0)
        abort();
    end->event = event_new(base, end->fd, EV_READ | EV_PERSIST, on_client, end);
    event_add(end->event, NULL);
}

void redis_end_fini(struct redis_end *end)
{
    for (unsigned i = 0; i < 2; i++)
        drop(&end->clients[i]);
    event_free(end->event);
    close(end->fd);
    unlink(end->path);
}

size_t redis_end_say(struct redis_end *end, bool to_listener, const void *data, size_t len)
{
    for (unsigned i = 0; i < 2; i++) {
        if (end->clients[i].fd >= 0 && end->clients[i].listens == to_listener)
            return say(&end->clients[i], data, len);
    }
    return 0;
}
