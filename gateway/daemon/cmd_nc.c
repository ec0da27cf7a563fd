/* SPDX-License-Identifier: MIT */
/* The command `nc`: a service of a peer on stdin and stdout. */
#include "gateway/base/random.h"
#include "gateway/daemon/client.h"
#include "gateway/daemon/cmd_destination.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_LEN 65536u

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
    char advice[GW_CMD_ADVICE_MAX];
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
        gw_cmd_advise(advice, sizeof advice, gw_json_text(line, "code"), host);
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
    if (status != GW_EXIT_OK || (status = gw_cmd_check_class(ctx, class_)) != GW_EXIT_OK)
        return status;
    json_t *request = json_pack("{s:s,s:s*}", "command", "connect", "class", class_);
    if (!gw_cmd_set_destination(request, argv[1], argv[2])) {
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
             "  ssh -o ProxyCommand='peergate nc %h %p' laptop.demo\n\n" GW_CMD_CLASS_HELP,
    .run = run_nc,
    .is_raw = true,
};
