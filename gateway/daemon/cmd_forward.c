/* SPDX-License-Identifier: MIT */
/* The command `forward`: a service of a peer on a local port. */
#include "gateway/daemon/client.h"
#include "gateway/daemon/cmd_destination.h"
#include "gateway/wire/addr.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the daemon is to listen on: a port alone is one of 127.0.0.1, and a path starts from where the person is, which is not where the daemon is. */
static json_t *listen_text(const char *listen)
{
    char here[PATH_MAX];
    if (listen[strspn(listen, "0123456789")] == '\0')
        return json_sprintf("127.0.0.1:%s", listen);
    if (strncmp(listen, "unix:", 5) == 0 && listen[5] != '/' && listen[5] != '\0' &&
        getcwd(here, sizeof here))
        return json_sprintf("unix:%s/%s", here, listen + 5);
    return json_string(listen);
}

/* HOST:PORT or HOST:SERVICE, the last colon counts. */
static json_t *forward_request(const char *listen, char *destination)
{
    char *colon = strrchr(destination, ':');
    if (!colon || colon == destination || colon[1] == '\0')
        return NULL;
    *colon = '\0';
    json_t *request = json_pack("{s:s}", "command", "forward");
    json_object_set_new(request, "listen", listen_text(listen));
    if (gw_cmd_set_destination(request, destination, colon + 1))
        return request;
    json_decref(request);
    return NULL;
}

static int interrupted_fd = -1;
static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int signo)
{
    (void)signo;
    is_interrupted = 1;
    shutdown(interrupted_fd, SHUT_RDWR);
}

/* The name may come with a reload, so that is no reason not to listen. */
static void warn_of_name(const struct gw_cmd_context *ctx, const char *host)
{
    struct gw_addr ip;
    if (gw_addr_parse_ip(&ip, host, 0) == 0)
        return;
    json_t *answer = gw_client_ask_as_is(ctx, json_pack("{s:s,s:s}", "command", "resolve", "host", host));
    if (strcmp(gw_json_text(answer, "code"), "unknown-name") == 0)
        gw_cmd_fail(ctx, "until there is one, connections will fail: %s", gw_json_text(answer, "error"));
    json_decref(answer);
}

/* What the daemon says while it listens: the connections that came to nothing. */
static void tell_events(const struct gw_cmd_context *ctx, struct gw_client *client, const char *destination,
                        const char *host)
{
    char advice[GW_CMD_ADVICE_MAX];
    for (json_t *line; (line = gw_client_receive(client)) != NULL; json_decref(line)) {
        if (strcmp(gw_json_text(line, "event"), "failed") != 0)
            continue;
        gw_cmd_advise(advice, sizeof advice, gw_json_text(line, "code"), host);
        gw_cmd_fail(ctx, "a connection to %s failed: %s%s%s", destination, gw_json_text(line, "sentence"),
                    advice[0] ? "; " : "", advice);
        if (ctx->json)
            gw_client_print_json_line(ctx, line);
    }
}

static int forward(struct gw_cmd_context *ctx, json_t *request, const char *destination)
{
    struct gw_client client;
    char host[512];
    if (!gw_client_open(&client, ctx)) {
        json_decref(request);
        return GW_EXIT_FAILED;
    }
    json_t *answer = gw_client_send(&client, request) ? gw_client_receive_ok(&client) : NULL;
    if (!answer) {
        gw_client_close(&client);
        return GW_EXIT_FAILED;
    }
    if (ctx->json)
        gw_client_print_json_line(ctx, answer);
    else
        printf("listening on %s for %s; Ctrl-C ends it\n", gw_json_text(answer, "listen"), destination);
    fflush(stdout);
    json_decref(answer);
    interrupted_fd = client.fd;
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    snprintf(host, sizeof host, "%.*s", (int)(strrchr(destination, ':') - destination), destination);
    warn_of_name(ctx, host);
    tell_events(ctx, &client, destination, host);
    gw_client_close(&client);
    return is_interrupted ? GW_EXIT_OK : gw_cmd_fail(ctx, "the daemon has ended");
}

static int run_forward(struct gw_cmd_context *ctx, int argc, char **argv)
{
    char destination[512];
    const char *class_ = NULL;
    const struct gw_cmd_option options[] = {{"--class", NULL, &class_}, {NULL, NULL, NULL}};
    int status = gw_cmd_options(ctx, &argc, argv, options, 2, 2);
    if (status != GW_EXIT_OK || (status = gw_cmd_check_class(ctx, class_)) != GW_EXIT_OK)
        return status;
    snprintf(destination, sizeof destination, "%s", argv[2]);
    json_t *request = forward_request(argv[1], destination);
    if (!request)
        return gw_cmd_usage_error(ctx, "\"%s\" is not HOST:PORT or HOST:SERVICE", argv[2]);
    if (class_)
        json_object_set_new(request, "class", json_string(class_));
    return forward(ctx, request, argv[2]);
}

const struct gw_command gw_cmd_forward = {
    .name = "forward",
    .summary = "listen on a local port for a service of a peer",
    .usage = "usage: peergate forward [--class CLASS] [--json] LISTEN HOST:PORT|HOST:SERVICE\n\n"
             "Every connection to LISTEN (a port, ADDRESS:PORT or unix:PATH) becomes one to that\n"
             "service of the peer, until Ctrl-C. A port alone is one of 127.0.0.1. When one fails,\n"
             "says why; with --json also as a line of JSON.\n\n"
             "  peergate forward 8080 home.demo:web\n\n" GW_CMD_CLASS_HELP,
    .run = run_forward,
};
