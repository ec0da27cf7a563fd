/* SPDX-License-Identifier: MIT */
/* What a client may send to the control socket: any bytes in any pieces, over a real socket, with commands that answer, run on, or take
 * the connection away. A byte of 0xff cuts the input: the loop runs in between. */
#include "gateway/daemon/control.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gw_loop *loop;
static struct gw_control *control;
static char path[64];
static struct gw_control_task task;
static unsigned tasks, cancelled;

static void say(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    (void)now, (void)ctx;
    gw_control_reply(client, json_pack("{s:o}", "echo", json_deep_copy(request)));
}

static void fail(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    const char *text = json_string_value(json_object_get(request, "text"));
    (void)now, (void)ctx;
    gw_control_fail(client, "failed", "%s", text ? text : "no text");
}

static void on_cancel(struct gw_control_task *gone)
{
    (void)gone;
    cancelled++;
}

static void run_on(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    (void)now, (void)ctx;
    if (task.client) {
        gw_control_fail(client, "busy", "one at a time");
        return;
    }
    task = (struct gw_control_task){.cancel = on_cancel,
                                    .ends_at_eof = json_is_true(json_object_get(request, "eof"))};
    tasks++;
    gw_control_task_begin(client, &task);
    gw_control_reply(client, NULL);
    if (json_is_true(json_object_get(request, "end"))) {
        gw_control_task_end(&task);
        cancelled++;
    }
}

static void detach(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    uint8_t *rest;
    size_t len;
    (void)request, (void)now, (void)ctx;
    close(gw_control_detach(client, &rest, &len));
    free(rest);
}

static const struct gw_control_command commands[] = {
    {"say", say}, {"fail", fail}, {"run", run_on}, {"detach", detach}, {NULL, NULL},
};

static void start(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    /* An abstract socket: no file. */
    snprintf(path, sizeof path, "@peergate-fuzz-%ld", (long)getpid());
    loop = gw_loop_new();
    const struct gw_control_params params = {.loop = loop, .path = path, .commands = commands};
    if (!loop || gw_control_new(&control, &params) != 0)
        abort();
}

static int connect_client(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    memcpy(at.sun_path + 1, path + 1, strlen(path) - 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) < 0)
        abort();
    return fd;
}

static void turn(int fd)
{
    char answers[4096];
    for (int i = 0; i < 3; i++)
        event_base_loop(gw_loop_base(loop), EVLOOP_NONBLOCK);
    while (fd >= 0 && recv(fd, answers, sizeof answers, 0) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!loop)
        start();
    int fd = connect_client();
    while (size > 0) {
        const uint8_t *cut = memchr(data, 0xff, size);
        size_t len = cut ? (size_t)(cut - data) : size;
        if (len > 0 && send(fd, data, len, MSG_NOSIGNAL) < 0)
            break;
        turn(fd);
        data += len + (cut != NULL);
        size -= len + (cut != NULL);
    }
    if (size % 2 == 0)
        shutdown(fd, SHUT_WR);
    turn(fd);
    close(fd);
    turn(-1);
    /* A client that is gone leaves no task behind, unless that one waits for its own end. */
    if (task.client && task.ends_at_eof)
        abort();
    if (task.client) {
        gw_control_task_end(&task);
        cancelled++;
        turn(-1);
    }
    if (tasks != cancelled)
        abort();
    return 0;
}
