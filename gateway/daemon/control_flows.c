/* SPDX-License-Identifier: MIT */
/* The commands that carry bytes. `connect`: the connection itself becomes the flow. `forward`: the daemon listens for as long as the client
 * stays, and every connection there becomes a flow. */
#include "gateway/daemon/daemon.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/flow/class.h"
#include "gateway/local/listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 255u

/* "class", if there is one. */
static bool read_class(struct gw_control_client *client, const json_t *request,
                       struct gw_connect_params *params)
{
    const json_t *word = json_object_get(request, "class");
    if (!word)
        return true;
    params->has_class = json_is_string(word) && gw_class_parse(&params->class_, json_string_value(word));
    if (!params->has_class)
        gw_control_fail(client, "malformed", "a class is interactive, normal or bulk");
    return params->has_class;
}

/* "host", "service" or "port", and "class". false: the client was told what is missing. */
static bool read_destination(struct gw_control_client *client, const json_t *request,
                             struct gw_connect_params *params)
{
    json_int_t port = json_integer_value(json_object_get(request, "port"));
    params->host = json_string_value(json_object_get(request, "host"));
    params->service = json_string_value(json_object_get(request, "service"));
    if (!params->host || !*params->host || strlen(params->host) > HOST_MAX) {
        gw_control_fail(client, "malformed", "a \"host\" is missing, or is no name");
        return false;
    }
    if (params->service && !gw_service_name_is_valid(params->service)) {
        gw_control_fail(client, "malformed", "this is no name of a service");
        return false;
    }
    if (port < 0 || port > 65535 || (port == 0 && json_object_get(request, "port"))) {
        gw_control_fail(client, "malformed", "a port is a number from 1 to 65535");
        return false;
    }
    params->port = (uint16_t)port;
    return read_class(client, request, params);
}

void gw_control_connect(struct gw_control_client *client, const json_t *request, struct gw_mono now,
                        void *ctx)
{
    struct gw_daemon *daemon = ctx;
    struct gw_connect_params params = {.wants_json = true};
    (void)now;
    if (!read_destination(client, request, &params))
        return;
    params.token = json_string_value(json_object_get(request, "token"));
    params.fd = gw_control_detach(client, &params.rest, &params.rest_len);
    gw_connect_start(&daemon->connects, &params);
}

void gw_control_verdict(struct gw_control_client *client, const json_t *request, struct gw_mono now,
                        void *ctx)
{
    struct gw_daemon *daemon = ctx;
    (void)now;
    gw_verdict_wait(&daemon->connects.verdicts, client, json_string_value(json_object_get(request, "token")));
}

/* --- forward --- */

struct forward {
    struct gw_control_task task;
    struct gw_daemon *daemon;
    struct gw_listener *listener;
    json_t *request;
    struct gw_connect_params params; /* strings in request */
    uint64_t left_out;               /* failures that the client was not told, since it does not read */
};

static void free_forward(struct forward *forward)
{
    gw_listener_free(forward->listener);
    json_decref(forward->request);
    free(forward);
}

static void on_cancel(struct gw_control_task *task)
{
    struct forward *forward = gw_container_of(task, struct forward, task);
    gw_connects_end_group(&forward->daemon->connects, forward, gw_loop_now(forward->daemon->loop));
    free_forward(forward);
}

/* The person at the command hears what the program at the port cannot be told. */
static void on_failed(const char *code, const char *sentence, void *group)
{
    struct forward *forward = group;
    json_t *event;
    if (!forward->task.client)
        return;
    if (gw_control_is_behind(forward->task.client)) {
        forward->left_out++;
        return;
    }
    event = json_pack("{s:s,s:s,s:s}", "event", "failed", "code", code, "sentence", sentence);
    if (forward->left_out > 0)
        json_object_set_new(event, "left_out", json_integer((json_int_t)forward->left_out));
    forward->left_out = 0;
    gw_control_reply(forward->task.client, event);
}

static void on_client(struct gw_listener *listener, int fd, struct gw_mono now, void *user)
{
    struct forward *forward = user;
    struct gw_connect_params params = forward->params;
    (void)listener, (void)now;
    params.fd = fd;
    params.group = forward;
    params.on_failed = on_failed;
    gw_connect_start(&forward->daemon->connects, &params);
}

static int start_listening(struct forward *forward, const char *listen, const char **sentence)
{
    struct gw_target target;
    int err = gw_listener_parse(&target, listen);
    if (err != 0) {
        *sentence = "it is no address to listen on (127.0.0.1:8080, [::1]:8080, *:8080, unix:/path)";
        return err;
    }
    const struct gw_listener_params params = {
        .loop = forward->daemon->loop, .target = &target, .on_client = on_client, .user = forward};
    err = gw_listener_new(&forward->listener, &params);
    *sentence = err == -EADDRINUSE ? "another program has it" : gw_strerror(err);
    return err;
}

void gw_control_forward(struct gw_control_client *client, const json_t *request, struct gw_mono now,
                        void *ctx)
{
    const char *listen = json_string_value(json_object_get(request, "listen")), *sentence;
    struct gw_connect_params params = {.fd = -1};
    char at[GW_TARGET_STRLEN];
    (void)now;

    if (!listen) {
        gw_control_fail(client, "malformed", "\"listen\" is missing");
        return;
    }
    if (!read_destination(client, request, &params))
        return;
    struct forward *forward = calloc(1, sizeof *forward);
    if (!forward) {
        gw_control_fail(client, "no-memory", "out of memory");
        return;
    }
    forward->task.cancel = on_cancel;
    forward->task.ends_at_eof = true;
    forward->daemon = ctx;
    forward->params = params;
    if (start_listening(forward, listen, &sentence) != 0) {
        gw_control_fail(client, "cannot-listen", "cannot listen on %s: %s", listen, sentence);
        free(forward);
        return;
    }
    forward->request = json_incref((json_t *)(uintptr_t)request);
    gw_control_task_begin(client, &forward->task);
    gw_control_reply(
        client, json_pack("{s:s}", "listen", gw_target_format(gw_listener_target(forward->listener), at)));
}
