/* SPDX-License-Identifier: MIT */
/* `nc` and `forward`: a service of a peer on stdin and stdout, or on a local port. */
#include "gateway/base/random.h"
#include "gateway/daemon/client.h"
#include "gateway/daemon/cmd.h"
#include "gateway/flow/class.h"
#include "gateway/wire/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_LEN 65536u
#define ADVICE_MAX 512u
#define CLASS_HELP                                                                    \
    "--class interactive|normal|bulk says who goes first when the link is full; by\n" \
    "itself ssh, telnet, rdp and vnc are interactive and all else is normal. A\n"     \
    "`class` that the peer has configured for the service overrides it there.\n"

/* "22" is a port, all else a service. */
static bool set_destination(json_t *request, const char *host, const char *service)
{
    char *end;
    long port = strtol(service, &end, 10);
    json_object_set_new(request, "host", json_string(host));
    if (*end != '\0' || end == service)
        return json_object_set_new(request, "service", json_string(service)) == 0;
    return port > 0 && port < 65536 && json_object_set_new(request, "port", json_integer(port)) == 0;
}

/* What the person can do about a failure of this code; "": nothing that a command would say. */
static void advise(char *out, size_t len, const char *code, const char *host)
{
    out[0] = '\0';
    if (strcmp(code, "unreachable") == 0 || strcmp(code, "timed-out") == 0)
        snprintf(out, len, "`peergate why %s` says more", host);
    else if (strcmp(code, "not-listed") == 0 || strcmp(code, "refused") == 0)
        snprintf(out, len, "`peergate services %s` lists what this node may use there", host);
    else if (strcmp(code, "shut-out") == 0)
        snprintf(out, len, "there, `peergate authorize` this node's peer ID, which `peergate id` prints");
}

/* class_ NULL: none is asked for. */
static int check_class(const struct gw_cmd_context *ctx, const char *class_)
{
    enum gw_class ignored;
    if (!class_ || gw_class_parse(&ignored, class_))
        return GW_EXIT_OK;
    return gw_cmd_usage_error(ctx, "--class is interactive, normal or bulk, not \"%s\"", class_);
}

/* --- nc --- */

struct direction {
    int from, to;
    char *data;
    size_t at, len;
    size_t chunk;   /* the most that one write may be: poll promises no more of a pipe */
    bool has_ended; /* nothing more to read */
    bool is_closed; /* and the other side knows */
};

static bool is_full(const struct direction *d)
{
    return d->len > 0;
}

static bool is_later(void)
{
    return errno == EAGAIN || errno == EINTR;
}

static bool read_some(struct direction *d)
{
    ssize_t got = read(d->from, d->data, BUFFER_LEN);
    if (got < 0)
        return is_later();
    d->at = 0;
    d->len = (size_t)got;
    d->has_ended = got == 0;
    return true;
}

static bool write_some(struct direction *d)
{
    ssize_t put = write(d->to, d->data + d->at, d->len < d->chunk ? d->len : d->chunk);
    if (put < 0)
        return is_later();
    d->at += (size_t)put;
    d->len -= (size_t)put;
    return true;
}

/* Moves what poll says can move; false: broken. */
static bool step(struct direction *d, short in, short out)
{
    if (is_full(d) && out != 0 && !write_some(d))
        return false;
    if (!is_full(d) && !d->has_ended && in != 0 && !read_some(d))
        return false;
    if (!is_full(d) && d->has_ended && !d->is_closed) {
        /* A socket is half-closed; a pipe or a file is closed. */
        if (shutdown(d->to, SHUT_WR) < 0)
            close(d->to);
        d->is_closed = true;
    }
    return true;
}

/* What the daemon says before the first byte: read byte by byte, since what follows is not ours. */
struct answer {
    char line[2048];
    size_t len;
    bool is_complete, is_ok;
};

/* false: refused, and the person was told. */
static bool read_answer(const struct gw_cmd_context *ctx, int fd, const char *host, struct answer *answer)
{
    char advice[ADVICE_MAX];
    char byte;
    ssize_t got;
    while ((got = read(fd, &byte, 1)) == 1 && byte != '\n') {
        if (answer->len + 1 < sizeof answer->line)
            answer->line[answer->len++] = byte;
    }
    if (got < 0 && is_later())
        return true;
    json_t *line = got == 1 ? json_loads(answer->line, 0, NULL) : NULL;
    answer->is_complete = true;
    answer->is_ok = json_is_true(json_object_get(line, "ok"));
    if (!answer->is_ok) {
        advise(advice, sizeof advice, gw_json_text(line, "code"), host);
        gw_cmd_fail(ctx, "%s%s%s", line ? gw_json_text(line, "error") : "the daemon hung up",
                    advice[0] ? "; " : "", advice);
    }
    json_decref(line);
    return answer->is_ok;
}

static size_t chunk_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? PIPE_BUF : BUFFER_LEN;
}

/* Until the far side has ended: what stdin still has then has nowhere to go. What stdin has before the daemon answers is sent already: it
 * travels with the opening of the flow. */
static int pump(const struct gw_cmd_context *ctx, int fd, const char *host)
{
    static char up_data[BUFFER_LEN], down_data[BUFFER_LEN];
    struct direction up = {.from = STDIN_FILENO, .to = fd, .data = up_data, .chunk = BUFFER_LEN};
    struct direction down = {
        .from = fd, .to = STDOUT_FILENO, .data = down_data, .chunk = chunk_of(STDOUT_FILENO)};
    struct answer answer = {0};

    while (!down.is_closed) {
        struct pollfd fds[] = {
            {.fd = is_full(&up) || up.has_ended ? -1 : STDIN_FILENO, .events = POLLIN},
            {.fd = is_full(&up) ? fd : -1, .events = POLLOUT},
            {.fd = is_full(&down) || down.has_ended ? -1 : fd, .events = POLLIN},
            {.fd = is_full(&down) ? STDOUT_FILENO : -1, .events = POLLOUT},
        };
        if (poll(fds, 4, -1) < 0) {
            if (errno != EINTR)
                return gw_cmd_fail(ctx, "cannot wait: %s", strerror(errno));
            continue;
        }
        if (!answer.is_complete && fds[2].revents != 0) {
            if (!read_answer(ctx, fd, host, &answer))
                return GW_EXIT_FAILED;
            fds[2].revents = 0;
        }
        if (!step(&down, fds[2].revents, fds[3].revents))
            return gw_cmd_fail(ctx, "the connection broke: %s", strerror(errno));
        /* A direction upwards that breaks says so downwards too, behind what was sent before. */
        if (!step(&up, fds[0].revents, fds[1].revents)) {
            up.has_ended = up.is_closed = true;
            up.len = 0;
        }
    }
    return GW_EXIT_OK;
}

/* A second connection, on which the daemon says how the flow ended: a closed socket alone does not tell whether all of it came. */
static bool wait_for_verdict(struct gw_client *verdict, const struct gw_cmd_context *ctx, const char *token)
{
    if (!gw_client_open(verdict, ctx))
        return false;
    json_t *answer = gw_client_send(verdict, json_pack("{s:s,s:s}", "command", "verdict", "token", token))
                         ? gw_client_receive_ok(verdict)
                         : NULL;
    if (!answer)
        gw_client_close(verdict);
    bool is_waiting = answer != NULL;
    json_decref(answer);
    return is_waiting;
}

static int take_verdict(struct gw_client *verdict)
{
    json_t *answer = gw_client_receive_ok(verdict);
    int status = answer ? GW_EXIT_OK : GW_EXIT_FAILED;
    json_decref(answer);
    return status;
}

static int connect_and_pump(struct gw_cmd_context *ctx, json_t *request, const char *host)
{
    struct gw_client client, verdict;
    char token[48];

    snprintf(token, sizeof token, "nc-%ld-%016llx", (long)getpid(),
             (unsigned long long)gw_random_u64(gw_random_system()));
    json_object_set_new(request, "token", json_string(token));
    if (!wait_for_verdict(&verdict, ctx, token)) {
        json_decref(request);
        return GW_EXIT_FAILED;
    }
    if (!gw_client_open(&client, ctx)) {
        json_decref(request);
        gw_client_close(&verdict);
        return GW_EXIT_FAILED;
    }
    int status = GW_EXIT_FAILED;
    if (gw_client_send(&client, request) && fcntl(client.fd, F_SETFL, O_NONBLOCK) == 0)
        status = pump(ctx, client.fd, host);
    gw_client_close(&client);
    if (status == GW_EXIT_OK)
        status = take_verdict(&verdict);
    gw_client_close(&verdict);
    return status;
}

static int run_nc(struct gw_cmd_context *ctx, int argc, char **argv)
{
    const char *class_ = NULL;
    const struct gw_cmd_option options[] = {{"--class", NULL, &class_}, {NULL, NULL, NULL}};
    int status = gw_cmd_options(ctx, &argc, argv, options, 2, 2);
    if (status != GW_EXIT_OK || (status = check_class(ctx, class_)) != GW_EXIT_OK)
        return status;
    json_t *request = json_pack("{s:s,s:s*}", "command", "connect", "class", class_);
    if (!set_destination(request, argv[1], argv[2])) {
        json_decref(request);
        return gw_cmd_usage_error(ctx, "\"%s\" is neither a service nor a port", argv[2]);
    }
    signal(SIGPIPE, SIG_IGN);
    return connect_and_pump(ctx, request, argv[1]);
}

const struct gw_command gw_cmd_nc = {
    .name = "nc",
    .summary = "connect stdin and stdout to a service of a peer",
    .usage = "usage: peergate nc [--class CLASS] HOST SERVICE|PORT\n\n"
             "Connects stdin and stdout to that service. When the peer refuses or cannot be\n"
             "reached, says why and exits with 1. For ssh:\n\n"
             "  ssh -o ProxyCommand='peergate nc %h %p' laptop.demo\n\n" CLASS_HELP,
    .run = run_nc,
    .is_raw = true,
};

/* --- forward --- */

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
    if (set_destination(request, destination, colon + 1))
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
    char advice[ADVICE_MAX];
    for (json_t *line; (line = gw_client_receive(client)) != NULL; json_decref(line)) {
        if (strcmp(gw_json_text(line, "event"), "failed") != 0)
            continue;
        advise(advice, sizeof advice, gw_json_text(line, "code"), host);
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
    if (status != GW_EXIT_OK || (status = check_class(ctx, class_)) != GW_EXIT_OK)
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
             "  peergate forward 8080 home.demo:web\n\n" CLASS_HELP,
    .run = run_forward,
};
