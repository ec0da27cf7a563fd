/* SPDX-License-Identifier: MIT */
/* Speaks to the daemon. */
#include "gateway/daemon/client.h"

#include "gateway/config/config.h"
#include "gateway/config/dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_LEN (64u * 1024u * 1024u)

/* control.socket of the configuration, if that can be read; else where it is by default. */
static void socket_path(const struct gw_cmd_context *ctx, char out[GW_DIR_PATH_MAX])
{
    char path[GW_DIR_PATH_MAX];
    struct gw_diag diag = {0};
    struct gw_config *config = NULL;

    gw_cmd_path(ctx, GW_FILE_CONTROL, out, GW_DIR_PATH_MAX);
    if (gw_cmd_path(ctx, GW_FILE_CONFIG, path, sizeof path) && gw_config_load(&config, path, &diag) == 0)
        snprintf(out, GW_DIR_PATH_MAX, "%s", config->control.socket);
    gw_config_free(config);
    gw_diag_clear(&diag);
}

/* The descriptor, or -errno. */
static int connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path)
        return -ENAMETOOLONG;
    strcpy(at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

/* A program that asked for JSON gets it also when there is nobody to ask; what nc prints is a peer's. */
static void tell_program(const struct gw_cmd_context *ctx, const char *code, json_t *error)
{
    json_t *answer = json_pack("{s:b,s:s,s:o}", "ok", 0, "code", code, "error", error);
    if (ctx->json && !ctx->command->is_raw && answer)
        gw_client_print_json(ctx, answer);
    json_decref(answer);
}

bool gw_client_open(struct gw_client *client, const struct gw_cmd_context *ctx)
{
    char path[GW_DIR_PATH_MAX];
    socket_path(ctx, path);
    *client = (struct gw_client){.ctx = ctx, .fd = connect_to(path)};
    if (client->fd >= 0)
        return true;
    switch (-client->fd) {
    case ENOENT:
    case ECONNREFUSED:
        tell_program(ctx, "no-daemon", json_sprintf("no daemon is running for %s", ctx->dir));
        if (ctx->command == &gw_cmd_down)
            gw_cmd_fail(ctx, "no daemon is running for %s", ctx->dir);
        else
            gw_cmd_fail(ctx, "no daemon is running for %s\nStart it with `peergate --dir %s up`.", ctx->dir,
                        ctx->dir);
        break;
    case EACCES:
    case EPERM:
        tell_program(ctx, "not-allowed", json_sprintf("not allowed to use %s", path));
        gw_cmd_fail(ctx, "not allowed to use %s\nRun this as the user who started the daemon, or as root.",
                    path);
        break;
    default:
        tell_program(ctx, "failed",
                     json_sprintf("cannot reach the daemon by %s: %s", path, strerror(-client->fd)));
        gw_cmd_fail(ctx, "cannot reach the daemon by %s: %s", path, strerror(-client->fd));
    }
    return false;
}

bool gw_client_is_running(const struct gw_cmd_context *ctx)
{
    char path[GW_DIR_PATH_MAX];
    socket_path(ctx, path);
    int fd = connect_to(path);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

void gw_client_close(struct gw_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    free(client->data);
    *client = (struct gw_client){.fd = -1};
}

/* --- out --- */

static bool send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

bool gw_client_send(struct gw_client *client, json_t *request)
{
    char *line = json_dumps(request, JSON_COMPACT);
    bool is_sent = line && send_all(client->fd, line, strlen(line)) && send_all(client->fd, "\n", 1);
    free(line);
    json_decref(request);
    if (!is_sent)
        gw_cmd_fail(client->ctx, "the daemon hung up");
    return is_sent;
}

/* --- in --- */

/* false: the end. */
static bool read_more(struct gw_client *client)
{
    if (client->len == client->cap) {
        size_t cap = client->cap ? 2 * client->cap : 4096;
        char *data = cap <= LINE_MAX_LEN ? realloc(client->data, cap) : NULL;
        if (!data)
            return false;
        client->data = data;
        client->cap = cap;
    }
    ssize_t got;
    do
        got = read(client->fd, client->data + client->len, client->cap - client->len);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return false;
    client->len += (size_t)got;
    return true;
}

json_t *gw_client_receive(struct gw_client *client)
{
    char *end;
    size_t seen = 0;
    while (!(client->len > seen && (end = memchr(client->data + seen, '\n', client->len - seen)))) {
        seen = client->len;
        if (!read_more(client))
            return NULL;
    }
    size_t line_len = (size_t)(end - client->data);
    json_t *line = json_loadb(client->data, line_len, 0, NULL);
    client->len -= line_len + 1;
    memmove(client->data, end + 1, client->len);
    if (!line)
        gw_cmd_fail(client->ctx, "the daemon's answer is no JSON: is it of another version?");
    return line;
}

json_t *gw_client_receive_ok(struct gw_client *client)
{
    json_t *line = gw_client_receive(client);
    if (!line) {
        gw_cmd_fail(client->ctx, "the daemon hung up");
        return NULL;
    }
    if (json_is_true(json_object_get(line, "ok")))
        return line;
    if (client->ctx->json)
        gw_client_print_json(client->ctx, line);
    gw_cmd_fail(client->ctx, "%s", gw_json_text(line, "error"));
    json_decref(line);
    return NULL;
}

static json_t *ask_once(const struct gw_cmd_context *ctx, json_t *request,
                        json_t *(*receive)(struct gw_client *client))
{
    struct gw_client client;
    json_t *answer = NULL;
    if (!gw_client_open(&client, ctx)) {
        json_decref(request);
        return NULL;
    }
    if (gw_client_send(&client, request))
        answer = receive(&client);
    gw_client_close(&client);
    return answer;
}

json_t *gw_client_ask_as_is(const struct gw_cmd_context *ctx, json_t *request)
{
    return ask_once(ctx, request, gw_client_receive);
}

json_t *gw_client_ask(const struct gw_cmd_context *ctx, json_t *request)
{
    json_t *answer = ask_once(ctx, request, gw_client_receive_ok);
    if (answer && ctx->json) {
        gw_client_print_json(ctx, answer);
        json_object_clear(answer);
    }
    return answer;
}

void gw_client_print_json(const struct gw_cmd_context *ctx, const json_t *object)
{
    gw_cmd_json_printed(ctx);
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    putchar('\n');
    fflush(stdout);
}

void gw_client_print_json_line(const struct gw_cmd_context *ctx, const json_t *object)
{
    gw_cmd_json_printed(ctx);
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
    fflush(stdout);
}

/* --- members --- */

const char *gw_json_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const struct {
    const char *state, *word;
    enum gw_colour colour;
} states[] = {
    {"established", "connected", GW_GREEN},
    {"handshaking", "connecting", GW_YELLOW},
    {"stale", "silent", GW_YELLOW},
    {"failed", "unreachable", GW_RED},
    {"idle", "idle", GW_DIM},
};

const char *gw_json_state_word(const json_t *peer, enum gw_colour *colour)
{
    enum gw_colour unused;
    const char *state = gw_json_text(peer, "state");
    colour = colour ? colour : &unused;
    *colour = GW_RED;
    if (json_is_object(json_object_get(peer, "seal_conflict")))
        return "no seal"; /* connected, and nothing can pass */
    if (json_is_object(json_object_get(peer, "shut_out")))
        return "shut out";
    if (json_is_object(json_object_get(peer, "ended"))) {
        *colour = GW_DIM;
        return "ended";
    }
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        *colour = states[i].colour;
        if (strcmp(states[i].state, state) == 0)
            return states[i].word;
    }
    *colour = GW_PLAIN;
    return state;
}

const char *gw_json_path_kind(const json_t *path)
{
    const char *kind = gw_json_text(path, "kind");
    if (strcmp(kind, "tls") == 0)
        return "tls via";
    return strcmp(gw_json_text(path, "transport"), "tls") == 0 ? "tls via anchor" : kind;
}

json_int_t gw_json_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

double gw_json_real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

bool gw_json_are_of_several(const json_t *answer)
{
    return json_array_size(json_object_get(answer, "networks")) > 1;
}
