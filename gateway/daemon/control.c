/* SPDX-License-Identifier: MIT */
/* The control socket's server. */
#include "gateway/daemon/control.h"

#include "gateway/base/err.h"
#include "gateway/base/list.h"
#include "gateway/base/log.h"
#include "gateway/local/listener.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct gw_control {
    struct gw_control_params params;
    struct gw_listener *listener;
    struct gw_list clients;
    unsigned client_count;
};

struct gw_control_client {
    struct gw_list node;
    struct gw_control *control;
    struct bufferevent *io;
    struct gw_control_task *task;
    bool is_reading; /* inside read_lines */
    bool is_gone;    /* freed when read_lines returns */
    bool is_ending;  /* sent its last byte, or is to be closed when the answer is out */
};

/* --- life of a client --- */

static void close_client(struct gw_control_client *client)
{
    if (client->task) {
        struct gw_control_task *task = client->task;
        client->task = NULL;
        task->client = NULL;
        task->cancel(task);
    }
    if (client->io) {
        int fd = bufferevent_getfd(client->io);
        bufferevent_free(client->io);
        close(fd);
        client->io = NULL;
    }
    if (gw_list_is_linked(&client->node)) {
        gw_list_remove(&client->node);
        client->control->client_count--;
    }
    client->is_gone = true;
    if (!client->is_reading)
        free(client);
}

static bool has_answer_to_send(const struct gw_control_client *client)
{
    return evbuffer_get_length(bufferevent_get_output(client->io)) > 0;
}

/* Nothing more will come and nothing is running. */
static void close_if_done(struct gw_control_client *client)
{
    if (!client->is_gone && client->is_ending && !client->task && !client->is_reading &&
        !has_answer_to_send(client))
        close_client(client);
}

int gw_control_detach(struct gw_control_client *client, uint8_t **rest, size_t *rest_len)
{
    struct evbuffer *input = bufferevent_get_input(client->io);
    int fd = bufferevent_getfd(client->io);

    *rest_len = evbuffer_get_length(input);
    *rest = *rest_len > 0 ? malloc(*rest_len) : NULL;
    if (*rest)
        evbuffer_remove(input, *rest, *rest_len);
    else
        *rest_len = 0;
    bufferevent_free(client->io);
    client->io = NULL;
    client->task = NULL;
    close_client(client);
    return fd;
}

/* --- answers --- */

/* It has not read what it asked for before. */
bool gw_control_is_behind(const struct gw_control_client *client)
{
    return evbuffer_get_length(bufferevent_get_output(client->io)) > GW_CONTROL_UNREAD_MAX;
}

static void free_line(const void *data, size_t len, void *extra)
{
    (void)data, (void)len;
    free(extra);
}

/* An answer is as long as it is. Only lines that come by themselves (a task's) can pile up, since a client that is behind gets no further command run. */
static void send_line(struct gw_control_client *client, char *line)
{
    if (client->is_gone || !line) {
        free(line);
        return;
    }
    struct evbuffer *output = bufferevent_get_output(client->io);
    if (gw_control_is_behind(client)) {
        free(line);
        gw_log_warn("control: a client does not read its answers: closed");
        client->is_ending = true;
        evbuffer_drain(output, evbuffer_get_length(output));
        bufferevent_trigger_event(client->io, BEV_EVENT_ERROR, BEV_TRIG_DEFER_CALLBACKS);
    } else if (evbuffer_add_reference(output, line, strlen(line), free_line, line) != 0) {
        free(line);
    }
}

static char *dump_line(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(object);
    if (!text)
        return NULL;
    size_t len = strlen(text);
    char *line = realloc(text, len + 2);
    if (!line) {
        free(text);
        return NULL;
    }
    memcpy(line + len, "\n", 2);
    return line;
}

char *gw_control_reply_line(json_t *reply)
{
    json_t *line = json_pack("{s:b}", "ok", 1);
    if (reply)
        json_object_update(line, reply);
    json_decref(reply);
    return dump_line(line);
}

char *gw_control_fail_line(const char *code, const char *sentence)
{
    return dump_line(json_pack("{s:b,s:s,s:s}", "ok", 0, "code", code, "error", sentence));
}

void gw_control_reply(struct gw_control_client *client, json_t *reply)
{
    send_line(client, gw_control_reply_line(reply));
}

void gw_control_fail(struct gw_control_client *client, const char *code, const char *format, ...)
{
    char sentence[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    send_line(client, gw_control_fail_line(code, sentence));
}

/* --- commands --- */

static void run_line(struct gw_control_client *client, const char *text, size_t len)
{
    struct gw_control *control = client->control;
    json_error_t error;
    json_t *request = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    const char *name = json_string_value(json_object_get(request, "command"));

    if (!request) {
        gw_control_fail(client, "malformed", "this is not a line of JSON: %s", error.text);
    } else if (!name) {
        gw_control_fail(client, "malformed", "a request is an object with a \"command\"");
    } else {
        const struct gw_control_command *command = control->params.commands;
        while (command->name && strcmp(command->name, name) != 0)
            command++;
        if (command->name)
            command->run(client, request, gw_loop_now(control->params.loop), control->params.ctx);
        else
            gw_control_fail(client, "unknown-command", "there is no command \"%s\"", name);
    }
    json_decref(request);
}

/* Runs what has come, line by line, until a command takes its time or the answers are not read. The client may be gone afterwards. */
static void read_lines(struct gw_control_client *client)
{
    if (client->is_reading)
        return;
    client->is_reading = true;
    while (!client->is_gone && !client->task && !gw_control_is_behind(client)) {
        size_t len;
        struct evbuffer *input = bufferevent_get_input(client->io);
        char *line = evbuffer_readln(input, &len, EVBUFFER_EOL_LF);
        if (line) {
            run_line(client, line, len);
            free(line);
            continue;
        }
        if (evbuffer_get_length(input) >= GW_CONTROL_LINE_MAX) {
            gw_control_fail(client, "too-long", "a line has at most %u bytes", GW_CONTROL_LINE_MAX);
            bufferevent_disable(client->io, EV_READ);
            evbuffer_drain(input, evbuffer_get_length(input));
            client->is_ending = true;
        }
        break;
    }
    client->is_reading = false;
    if (client->is_gone)
        free(client);
    else
        close_if_done(client);
}

void gw_control_task_begin(struct gw_control_client *client, struct gw_control_task *task)
{
    task->client = client;
    client->task = task;
}

void gw_control_task_end(struct gw_control_task *task)
{
    struct gw_control_client *client = task->client;
    if (!client)
        return;
    task->client = NULL;
    client->task = NULL;
    /* What it sent meanwhile is read from the loop, not from in here. */
    if (!client->is_reading)
        bufferevent_trigger(client->io, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

/* --- events --- */

static void on_read(struct bufferevent *io, void *arg)
{
    (void)io;
    read_lines(arg);
}

/* All of it is out: what waited for that goes on. */
static void on_written(struct bufferevent *io, void *arg)
{
    (void)io;
    read_lines(arg);
}

static void on_event(struct bufferevent *io, short what, void *arg)
{
    struct gw_control_client *client = arg;
    (void)io;
    bool is_half_closed = (what & BEV_EVENT_EOF) && !(client->task && client->task->ends_at_eof);
    if (is_half_closed) {
        client->is_ending = true;
        read_lines(client);
    } else {
        close_client(client);
    }
}

/* The file's mode keeps others out; where it lets nobody but the owner in, a connection that was passed on to somebody else is refused too. */
static bool is_welcome(const struct gw_control *control, int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
        return false;
    return who.uid == 0 || who.uid == geteuid() || (control->params.mode & 077) != 0;
}

static void refuse(int fd, const char *code, const char *sentence)
{
    char *line = gw_control_fail_line(code, sentence);
    if (line && send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        gw_log_debug("control: a refused client did not even listen");
    free(line);
    close(fd);
}

static void on_client(struct gw_listener *listener, int fd, struct gw_mono now, void *user)
{
    struct gw_control *control = user;
    (void)listener, (void)now;
    if (!is_welcome(control, fd)) {
        refuse(fd, "not-allowed", "only the user who runs the daemon, and root, may control it");
        return;
    }
    if (control->client_count >= GW_CONTROL_CLIENTS_MAX) {
        refuse(fd, "busy", "too many control clients at a time");
        return;
    }
    struct gw_control_client *client = calloc(1, sizeof *client);
    struct bufferevent *io =
        client ? bufferevent_socket_new(gw_loop_base(control->params.loop), fd, 0) : NULL;
    if (!io) {
        free(client);
        close(fd);
        return;
    }
    client->control = control;
    client->io = io;
    gw_list_push_back(&control->clients, &client->node);
    control->client_count++;
    bufferevent_setcb(io, on_read, on_written, on_event, client);
    bufferevent_setwatermark(io, EV_READ, 0, GW_CONTROL_LINE_MAX);
    bufferevent_enable(io, EV_READ | EV_WRITE);
}

int gw_control_new(struct gw_control **out, const struct gw_control_params *params)
{
    struct gw_target target = {.kind = GW_TARGET_UNIX};
    *out = NULL;
    if (strlen(params->path) >= sizeof target.name)
        return -ENAMETOOLONG;
    strcpy(target.name, params->path);
    struct gw_control *control = calloc(1, sizeof *control);
    if (!control)
        return GW_E_NOMEM;
    control->params = *params;
    gw_list_init(&control->clients);
    const struct gw_listener_params listen = {.loop = params->loop,
                                              .target = &target,
                                              .mode = params->mode,
                                              .on_client = on_client,
                                              .user = control};
    int err = gw_listener_new(&control->listener, &listen);
    if (err != 0) {
        free(control);
        return err;
    }
    *out = control;
    return 0;
}

/* The last answers, as far as the socket takes them now. (The bufferevent keeps others from writing its output.) */
static void send_rest(struct gw_control_client *client)
{
    struct evbuffer *output = bufferevent_get_output(client->io);
    size_t len = evbuffer_get_length(output);
    const unsigned char *bytes = len > 0 ? evbuffer_pullup(output, -1) : NULL;
    if (bytes && send(bufferevent_getfd(client->io), bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        gw_log_debug("control: a client did not hear the end");
}

void gw_control_hang_up(struct gw_control *control)
{
    if (!control)
        return;
    gw_list_for_each (node, &control->clients) {
        struct gw_control_client *client = gw_list_entry(node, struct gw_control_client, node);
        send_rest(client);
        close_client(client);
    }
}

void gw_control_free(struct gw_control *control)
{
    if (!control)
        return;
    gw_control_hang_up(control);
    gw_listener_free(control->listener);
    free(control);
}
