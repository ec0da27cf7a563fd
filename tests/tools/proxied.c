/* SPDX-License-Identifier: MIT */
#include "tests/tools/proxied.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { REPLY_SHORT = 10, REPLY_IPV6 = 22, ATYP_IPV4 = 1, ATYP_IPV6 = 4 };

/* --- the target ---------------------------------------------------------------------------------------------- */

static void script_add(struct proxied_target *t, const void *bytes, size_t n)
{
    if (n > sizeof t->script - t->script_end) {
        errno = 0;
        tool_die("the request is too long");
    }
    memcpy(t->script + t->script_end, bytes, n);
    t->script_end += n;
}

/* Greeting: version 5, one method, "no authentication". CONNECT: by name, whatever the name looks like. */
static void script_add_socks(struct proxied_target *t, const char *host_port)
{
    const char *colon = strrchr(host_port, ':');
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;
    size_t len = colon ? (size_t)(colon - host_port) : 0;

    errno = 0;
    if (!len || len > 255 || !port || port > 65535)
        tool_die("not HOST:PORT: %s", host_port);
    script_add(t, "\5\1\0", 3);
    t->greeting_end = t->script_end;
    script_add(t, "\5\1\0\3", 4);
    script_add(t, &(uint8_t){(uint8_t)len}, 1);
    script_add(t, host_port, len);
    script_add(t, (uint8_t[]){(uint8_t)(port >> 8), (uint8_t)port}, 2);
    t->connect_end = t->script_end;
}

void proxied_target_init(struct proxied_target *t, const char *proxy, const char *host_port,
                         enum proxied_pipeline pipeline, const void *request, size_t request_len)
{
    *t = (struct proxied_target){.address = tool_address(proxy ? proxy : host_port), .pipeline = pipeline};
    if (proxy)
        script_add_socks(t, host_port);
    script_add(t, request, request_len);
}

/* --- steps --------------------------------------------------------------------------------------------------- */

static void fail(struct proxied *p, const char *why)
{
    p->state = PROXIED_FAILED;
    p->why = why;
}

static const char *why_errno(void)
{
    switch (errno) {
    case ECONNREFUSED:
        return "connection refused";
    case ECONNRESET:
    case EPIPE:
        return "connection reset";
    case EADDRNOTAVAIL:
        return "out of ports";
    case EMFILE:
        return "out of descriptors";
    case ETIMEDOUT:
        return "connection timed out";
    default:
        return "socket error";
    }
}

/* Sends what may be sent by now; the few bytes always fit a fresh socket's buffer. */
static void send_script(struct proxied *p)
{
    const struct proxied_target *t = p->target;
    ssize_t n;

    if (p->sent == p->may_send)
        return;
    if (t->connect_end && p->sent <= t->greeting_end && p->may_send > t->greeting_end)
        p->asked = tool_now();
    n = send(p->fd, t->script + p->sent, (size_t)(p->may_send - p->sent), MSG_NOSIGNAL);
    if (n == p->may_send - p->sent)
        p->sent = p->may_send;
    else
        fail(p, n < 0 ? why_errno() : "short write");
}

static void allow(struct proxied *p, size_t end)
{
    if (end > p->may_send)
        p->may_send = (uint16_t)end;
    send_script(p);
}

void proxied_watch(struct proxied *p, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = p->data};

    if (epoll_ctl(p->epoll, EPOLL_CTL_MOD, p->fd, &event))
        tool_die("epoll_ctl");
}

static void connected(struct proxied *p)
{
    const struct proxied_target *t = p->target;
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
        errno = error ? error : errno;
        fail(p, why_errno());
        return;
    }
    proxied_watch(p, EPOLLIN);
    if (!t->connect_end) {
        p->state = PROXIED_OPEN;
        p->asked = p->opened = tool_now();
        allow(p, t->script_end);
        return;
    }
    p->state = PROXIED_GREETED;
    allow(p, t->pipeline == PROXIED_ALL ? t->script_end : t->greeting_end);
}

/* Has `want` bytes of reply? Reads what is missing, never more. */
static bool have(struct proxied *p, size_t want)
{
    ssize_t n = recv(p->fd, p->reply + p->reply_len, want - p->reply_len, 0);

    if (n > 0)
        p->reply_len = (uint8_t)(p->reply_len + n);
    else if (n == 0)
        fail(p, "closed by the proxy");
    else if (errno != EAGAIN && errno != EINTR)
        fail(p, why_errno());
    return p->state != PROXIED_FAILED && p->reply_len == want;
}

static void greeted(struct proxied *p)
{
    const struct proxied_target *t = p->target;

    if (!have(p, 2))
        return;
    if (p->reply[0] != 5 || p->reply[1] != 0) {
        fail(p, "method refused");
        return;
    }
    p->reply_len = 0;
    p->state = PROXIED_ASKED;
    allow(p, t->pipeline == PROXIED_STEPWISE ? t->connect_end : t->script_end);
}

static const char *why_reply(uint8_t code)
{
    static const char *const why[] = {
        "",
        "reply 1: general failure",
        "reply 2: not allowed",
        "reply 3: network unreachable",
        "reply 4: host unreachable",
        "reply 5: refused",
        "reply 6: timed out",
        "reply 7: command not supported",
        "reply 8: address type not supported",
    };

    return code < sizeof why / sizeof *why ? why[code] : "unknown reply";
}

static void asked(struct proxied *p)
{
    if (p->reply_len < REPLY_SHORT && !have(p, REPLY_SHORT))
        return;
    if (p->reply[3] == ATYP_IPV6 && !have(p, REPLY_IPV6))
        return;
    if (p->reply[0] != 5 || (p->reply[3] != ATYP_IPV4 && p->reply[3] != ATYP_IPV6)) {
        fail(p, "not a SOCKS5 reply");
    } else if (p->reply[1] != 0) {
        fail(p, why_reply(p->reply[1]));
    } else {
        p->opened = tool_now();
        p->state = PROXIED_OPEN;
        allow(p, p->target->script_end);
    }
}

void proxied_event(struct proxied *p)
{
    if (p->state == PROXIED_CONNECTING)
        connected(p);
    if (p->state == PROXIED_GREETED)
        greeted(p);
    if (p->state == PROXIED_ASKED)
        asked(p);
}

static void set_options(int fd, const struct proxied_target *t)
{
    int on = 1;

    if (t->address.sa.ss_family == AF_UNIX)
        return;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
        tool_die("TCP_NODELAY");
    if (t->congestion &&
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, t->congestion, (socklen_t)strlen(t->congestion)))
        tool_die("congestion control %s", t->congestion);
}

/* --- life ---------------------------------------------------------------------------------------------------- */

void proxied_start(struct proxied *p, const struct proxied_target *t, int epoll, void *data)
{
    const struct sockaddr *sa = (const struct sockaddr *)&t->address.sa;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = data};

    *p = (struct proxied){.target = t, .epoll = epoll, .data = data, .started = tool_now()};
    p->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0) {
        fail(p, why_errno());
        return;
    }
    set_options(p->fd, t);
    if (connect(p->fd, sa, t->address.len) && errno != EINPROGRESS) {
        fail(p, why_errno());
        return;
    }
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, p->fd, &event))
        tool_die("epoll_ctl");
}

void proxied_close(struct proxied *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}
