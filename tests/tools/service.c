/* SPDX-License-Identifier: MIT */
/* A small TCP server to measure against: one thread, epoll, as many connections as there are descriptors.
 *
 *   service echo=127.0.0.1:7 hello=127.0.0.1:8000 http=127.0.0.1:8001 sink=unix:/tmp/sink
 *
 *   echo    what comes in goes out
 *   hello   speaks first ("hello\n"), then echoes
 *   http    "GET /N" is answered by N bytes of the pattern (pattern.h), anything else by a short page; then it closes
 *   sink    reads to the end, then answers with the number of bytes it got and closes
 *
 * A line {"ready": true} says when all listen. Ends on SIGTERM or SIGINT with a line of what it has served. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tests/tools/pattern.h"
#include "tests/tools/tool.h"

enum mode { ECHO, HELLO, HTTP, SINK, MODES };

static const char *const mode_names[] = {"echo", "hello", "http", "sink"};
_Static_assert(sizeof mode_names / sizeof *mode_names == MODES, "a name for each mode");

enum {
    EVENTS = 256,
    REQUEST_MAX = 2048,
    ECHO_TURN = 65536, /* echoed at once; what the peer does not take is kept, and no more is read */
    DISCARD_TURN = 1 << 20,
    TURN_MAX = 16, /* reads or writes for one connection before the next has its turn */
};

/* A listener or a connection: what epoll points at. */
struct conn {
    int fd;
    enum mode mode;
    bool listens;
    bool answering; /* http: the request is complete */
    uint64_t count; /* sink: got; http: offset in the pattern */
    uint64_t left;  /* http: still to send */
    uint8_t *held;  /* a request being collected, or an echo that was not taken yet */
    size_t held_len;
};

static int epoll;
static uint64_t accepted;
static uint64_t failed;

static void conn_watch(struct conn *c, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    if (epoll_ctl(epoll, operation, c->fd, &event))
        tool_die("epoll_ctl");
}

static void conn_free(struct conn *c)
{
    close(c->fd);
    free(c->held);
    free(c);
}

static uint8_t *conn_hold(struct conn *c, size_t room)
{
    if (!c->held)
        c->held = malloc(room);
    if (!c->held)
        tool_die("no memory");
    return c->held;
}

/* --- the four modes: each says whether the connection goes on -------------------------------------------------- */

static bool is_later(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool echo_flush(struct conn *c)
{
    ssize_t n = send(c->fd, c->held, c->held_len, MSG_NOSIGNAL);

    if (is_later(n))
        return true;
    if (n < 0)
        return false;
    c->held_len -= (size_t)n;
    memmove(c->held, c->held + n, c->held_len);
    if (!c->held_len) {
        free(c->held);
        c->held = NULL;
        conn_watch(c, EPOLLIN | EPOLLRDHUP, EPOLL_CTL_MOD);
    }
    return true;
}

static bool echo(struct conn *c)
{
    static uint8_t bytes[ECHO_TURN];
    ssize_t got;
    ssize_t sent;

    if (c->held_len)
        return echo_flush(c);
    got = recv(c->fd, bytes, sizeof bytes, 0);
    if (got <= 0)
        return is_later(got);
    sent = send(c->fd, bytes, (size_t)got, MSG_NOSIGNAL);
    if (sent < 0 && !is_later(sent))
        return false;
    if (sent < 0)
        sent = 0;
    if (sent < got) {
        c->held_len = (size_t)(got - sent);
        memcpy(conn_hold(c, ECHO_TURN), bytes + sent, c->held_len);
        conn_watch(c, EPOLLOUT, EPOLL_CTL_MOD);
    }
    return true;
}

static bool hello(struct conn *c)
{
    static const char greeting[] = "hello\n";

    return send(c->fd, greeting, sizeof greeting - 1, MSG_NOSIGNAL) == sizeof greeting - 1;
}

static bool http_answer(struct conn *c)
{
    unsigned long long length;
    char head[256];
    int n;

    if (sscanf((char *)c->held, "GET /%llu ", &length) == 1) {
        n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %llu\r\n"
                     "Connection: close\r\n\r\n",
                     length);
    } else {
        length = 0;
        n = snprintf(
            head, sizeof head,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\nConnection: close\r\n"
            "\r\nit works\n");
    }
    c->left = length;
    c->answering = true;
    if (send(c->fd, head, (size_t)n, MSG_NOSIGNAL | (length ? MSG_MORE : 0)) != n)
        return false;
    conn_watch(c, EPOLLOUT, EPOLL_CTL_MOD);
    return true;
}

static bool http_request(struct conn *c)
{
    uint8_t *request = conn_hold(c, REQUEST_MAX);
    ssize_t n = recv(c->fd, request + c->held_len, REQUEST_MAX - 1 - c->held_len, 0);

    if (n <= 0)
        return is_later(n);
    c->held_len += (size_t)n;
    request[c->held_len] = 0;
    return strstr((char *)request, "\r\n\r\n") ? http_answer(c) : c->held_len < REQUEST_MAX - 1;
}

static bool http_send(struct conn *c)
{
    for (int i = 0; c->left && i < TURN_MAX; i++) {
        ssize_t n = pattern_send(c->fd, c->count, c->left);

        if (n < 0)
            return is_later(n);
        c->count += (uint64_t)n;
        c->left -= (uint64_t)n;
    }
    return c->left > 0;
}

static bool http(struct conn *c)
{
    return c->answering ? http_send(c) : http_request(c);
}

static bool sink(struct conn *c)
{
    static uint8_t ignored[DISCARD_TURN]; /* TCP discards instead of copying; a unix socket copies */
    char text[32];

    for (int i = 0; i < TURN_MAX; i++) {
        ssize_t n = recv(c->fd, ignored, sizeof ignored, MSG_TRUNC);

        if (n < 0)
            return is_later(n);
        if (n == 0) {
            int len = snprintf(text, sizeof text, "%llu\n", (unsigned long long)c->count);

            (void)!send(c->fd, text, (size_t)len, MSG_NOSIGNAL);
            return false;
        }
        c->count += (uint64_t)n;
    }
    return true;
}

static bool (*const mode_run[])(struct conn *) = {echo, echo, http, sink};

/* --- listening ----------------------------------------------------------------------------------------------- */

static void accept_one(const struct conn *listener, int fd)
{
    struct conn *c = calloc(1, sizeof *c);
    int on = 1;

    if (!c)
        tool_die("no memory");
    *c = (struct conn){.fd = fd, .mode = listener->mode};
    accepted++;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* not on a unix socket */
    conn_watch(c, EPOLLIN | EPOLLRDHUP, EPOLL_CTL_ADD);
    if (c->mode == HELLO && !hello(c))
        conn_free(c);
}

static void accept_all(const struct conn *listener)
{
    for (int i = 0; i < EVENTS; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            accept_one(listener, fd);
            continue;
        }
        if (errno != EAGAIN)
            failed++;
        return;
    }
}

static void listen_on(const char *text, const char *congestion)
{
    struct conn *c = calloc(1, sizeof *c);
    const char *equals = strchr(text, '=');
    struct tool_address address;
    int on = 1;

    errno = 0;
    if (!equals || !c)
        tool_die("not MODE=ADDRESS: %s", text);
    while (c->mode < MODES && strncmp(text, mode_names[c->mode], (size_t)(equals - text)) != 0)
        c->mode++;
    if (c->mode == MODES)
        tool_die("no such mode: %s", text);
    address = tool_address(equals + 1);
    c->listens = true;
    c->fd = socket(address.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on))
        tool_die("socket");
    if (*congestion &&
        setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, congestion, (socklen_t)strlen(congestion)))
        tool_die("congestion control %s", congestion);
    if (address.sa.ss_family == AF_UNIX)
        unlink(equals + 1 + strlen("unix:")); /* of an earlier run */
    if (bind(c->fd, (struct sockaddr *)&address.sa, address.len) || listen(c->fd, 4096))
        tool_die("%s", text);
    conn_watch(c, EPOLLIN, EPOLL_CTL_ADD);
}

/* Becomes readable when the program is to end. */
static int signals_open(void)
{
    sigset_t signals;
    int fd;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    fd = signalfd(-1, &signals, SFD_CLOEXEC);
    if (fd < 0)
        tool_die("signalfd");
    return fd;
}

static void serve(struct conn *signals)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (c == signals)
                return;
            if (c->listens)
                accept_all(c);
            else if (!mode_run[c->mode](c))
                conn_free(c);
        }
    }
}

int main(int argc, char **argv)
{
    const char *congestion = "";
    const struct tool_option table[] = {
        {"congestion", TOOL_TEXT, &congestion, "TCP congestion control, e.g. bbr or cubic"},
        {0},
    };
    int at = tool_options(argc, argv, "service [OPTIONS] echo|hello|http|sink=ADDRESS ...", table);
    struct conn signals = {.fd = signals_open()};

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN); /* sendfile() has no MSG_NOSIGNAL */
    tool_raise_files();
    pattern_init();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    conn_watch(&signals, EPOLLIN, EPOLL_CTL_ADD);
    if (at == argc)
        tool_die("nothing to serve (--help)");
    for (; at < argc; at++)
        listen_on(argv[at], congestion);
    puts("{\"ready\": true}");
    fflush(stdout);
    serve(&signals);
    printf("{\"accepted\": %llu, \"failed\": %llu}\n", (unsigned long long)accepted,
           (unsigned long long)failed);
    return 0;
}
