/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/natprobe.h"
#include "tests/tools/tool.h"

#define SOCKETS_MAX 64u
#define TRIES 3
#define CLOSE 64 /* ports of two mappings in a row that are so near are so by order, not by chance */

struct probe {
    const struct natprobe_options *options;
    struct stun_addr server, other; /* the server's address and port, and the other two */
    struct stun_addr local;         /* what the socket of the first test is bound to */
};

struct socket {
    int fd;
    struct stun_addr local;
};

/* ---- sockets and transactions */

/* Bound to the address that leads to the server, and to a port at random: neighbouring ones would look like a NAT's. */
static struct socket socket_open(const struct probe *probe)
{
    struct socket s = {.local = probe->server};
    socklen_t len = sizeof s.local;
    for (unsigned tries = 0; tries < 100; tries++) {
        uint16_t port;
        if (getrandom(&port, sizeof port, 0) != sizeof port)
            tool_die("getrandom");
        s.fd = socket(probe->server.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (s.fd < 0 || connect(s.fd, &probe->server.sa, stun_addr_len(&probe->server)))
            tool_die("no way to the server");
        if (getsockname(s.fd, &s.local.sa, &len))
            tool_die("getsockname");
        close(s.fd);
        stun_addr_set_port(&s.local, (uint16_t)(20000 + port % 40000));
        s.fd = socket(probe->server.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (s.fd >= 0 && bind(s.fd, &s.local.sa, stun_addr_len(&s.local)) == 0)
            return s;
        close(s.fd);
    }
    tool_die("no free port");
}

static void send_message(const struct socket *s, const struct stun_addr *to,
                         const struct stun_message *message)
{
    uint8_t bytes[STUN_MAX];
    size_t len = stun_encode(bytes, message);
    (void)sendto(s->fd, bytes, len, 0, &to->sa, stun_addr_len(to)); /* what is lost is sent again */
}

/* The response to that request within the time; from where it came is in response->origin. */
static bool await(const struct socket *s, const uint8_t *id, uint64_t until, struct stun_message *response)
{
    uint8_t bytes[STUN_MAX];
    for (;;) {
        uint64_t now = tool_now();
        struct pollfd fd = {.fd = s->fd, .events = POLLIN};
        struct stun_addr from = {0};
        socklen_t len = sizeof from;
        if (now >= until || poll(&fd, 1, (int)((until - now) / TOOL_MS) + 1) == 0)
            return false;
        ssize_t n = recvfrom(s->fd, bytes, sizeof bytes, MSG_DONTWAIT, &from.sa, &len);
        if (n > 0 && stun_decode(response, bytes, (size_t)n) && memcmp(response->id, id, STUN_ID_LEN) == 0) {
            response->origin = from;
            return true;
        }
    }
}

static struct stun_message request_new(void)
{
    struct stun_message request = {.type = STUN_REQUEST};
    if (getrandom(request.id, sizeof request.id, 0) != sizeof request.id)
        tool_die("getrandom");
    return request;
}

/* Sends the request up to three times; the answer is awaited at `at`, which is another socket where RESPONSE-PORT says so. */
static bool ask(const struct probe *probe, const struct socket *s, const struct stun_addr *to,
                struct stun_message *request, const struct socket *at, struct stun_message *response)
{
    for (int i = 0; i < TRIES; i++) {
        send_message(s, to, request);
        if (await(at, request->id, tool_now() + probe->options->timeout_ms * TOOL_MS, response))
            return true;
    }
    return false;
}

static bool mapped_to(const struct probe *probe, const struct socket *s, const struct stun_addr *to,
                      struct stun_addr *mapped)
{
    struct stun_message request = request_new(), response;
    if (!ask(probe, s, to, &request, s, &response))
        return false;
    *mapped = response.mapped;
    return true;
}

/* ---- the tests */

/* RFC 5780, 4.3. */
static const char *mapping(const struct probe *probe)
{
    struct socket s = socket_open(probe);
    struct stun_addr second = probe->other, mapped[3];
    stun_addr_set_port(&second, stun_addr_port(&probe->server));
    bool ok = mapped_to(probe, &s, &probe->server, &mapped[0]) && mapped_to(probe, &s, &second, &mapped[1]) &&
              mapped_to(probe, &s, &probe->other, &mapped[2]);
    close(s.fd);
    if (!ok)
        return "unknown";
    if (stun_addr_equal(&mapped[0], &mapped[1]))
        return "independent";
    return stun_addr_equal(&mapped[1], &mapped[2]) ? "address" : "address-port";
}

static bool lets_in(const struct probe *probe, bool other_ip, bool other_port)
{
    struct socket s = socket_open(probe);
    struct stun_message request = request_new(), response;
    request.change_ip = other_ip;
    request.change_port = other_port;
    bool ok = ask(probe, &s, &probe->server, &request, &s, &response);
    close(s.fd);
    return ok;
}

/* RFC 5780, 4.4; a fresh socket for each, so that none has sent to where the answer comes from. */
static const char *filtering(const struct probe *probe)
{
    if (lets_in(probe, true, true))
        return "independent";
    return lets_in(probe, false, true) ? "address" : "address-port";
}

/* How the ports of mappings that are made one after the other lie to each other; and their addresses. */
static const char *ports(const struct probe *probe, int *step, bool *has_pool)
{
    struct socket s[SOCKETS_MAX];
    struct stun_addr mapped[SOCKETS_MAX];
    unsigned count =
                 (unsigned)(probe->options->sockets < SOCKETS_MAX ? probe->options->sockets : SOCKETS_MAX),
             done = 0;
    unsigned kept = 0, close_by = 0;
    int smallest = CLOSE + 1;
    *has_pool = false;
    for (; done < count; done++) {
        s[done] = socket_open(probe);
        if (!mapped_to(probe, &s[done], &probe->server, &mapped[done]))
            break;
    }
    for (unsigned i = 0; i < done; i++) {
        int by = i ? stun_addr_port(&mapped[i]) - stun_addr_port(&mapped[i - 1]) : 0;
        kept += stun_addr_port(&mapped[i]) == stun_addr_port(&s[i].local);
        close_by += by != 0 && abs(by) <= CLOSE;
        if (by && abs(by) < abs(smallest))
            smallest = by;
        *has_pool |= i && !stun_addr_same_ip(&mapped[i], &mapped[0]);
        close(s[i].fd);
    }
    *step = 0;
    if (done < count || count < 4)
        return "unknown";
    if (kept == count)
        return "preserve";
    if (close_by < (count - 1) * 3 / 4)
        return "random";
    *step = smallest;
    return "sequential";
}

/* One socket to another by their outside addresses; both send, so that filters do not matter. */
static bool hairpin(const struct probe *probe)
{
    struct socket a = socket_open(probe), b = socket_open(probe);
    struct stun_addr at_a, at_b;
    struct stun_message from_a = request_new(), from_b = request_new(), got;
    bool ok = false;
    if (mapped_to(probe, &a, &probe->server, &at_a) && mapped_to(probe, &b, &probe->server, &at_b)) {
        for (int i = 0; i < TRIES && !ok; i++) {
            send_message(&a, &at_b, &from_a);
            send_message(&b, &at_a, &from_b);
            ok = await(&a, from_b.id, tool_now() + probe->options->timeout_ms * TOOL_MS / 3, &got);
        }
    }
    close(a.fd);
    close(b.fd);
    return ok;
}

static bool tcp(const struct probe *probe)
{
    int fd = socket(probe->server.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = -1;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    socklen_t len = sizeof error;
    if (connect(fd, &probe->server.sa, stun_addr_len(&probe->server)) == 0)
        error = 0;
    else if (errno == EINPROGRESS && poll(&p, 1, (int)(TRIES * probe->options->timeout_ms)) == 1)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    close(fd);
    return error == 0;
}

static void pause_ms(uint64_t ms)
{
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) && errno == EINTR)
        ;
}

/* Is a session with the server still open after some silence? Asked by another socket (RFC 5780, 4.6). */
static int alive(const struct probe *probe)
{
    struct socket x = socket_open(probe), y = socket_open(probe);
    struct stun_addr mapped;
    struct stun_message request, got;
    uint64_t until = tool_now() + probe->options->talk_ms * TOOL_MS;
    for (;;) {
        if (!mapped_to(probe, &x, &probe->server, &mapped))
            tool_die("no answer from the server");
        if (tool_now() >= until)
            break;
        uint64_t left_ms = (until - tool_now()) / TOOL_MS;
        pause_ms(left_ms < 400 ? left_ms + 1 : 400);
    }
    pause_ms(probe->options->quiet_ms);
    request = request_new();
    request.response_port = stun_addr_port(&mapped);
    printf("{\"alive\": %s}\n", ask(probe, &y, &probe->server, &request, &x, &got) ? "true" : "false");
    return 0;
}

/* A packet from where we have not sent to comes first; then we send there. Has our port changed for it? */
static int stranger(const struct probe *probe)
{
    struct socket x = socket_open(probe), y = socket_open(probe);
    struct stun_addr before, after;
    struct stun_message request = request_new(), got;
    if (!mapped_to(probe, &x, &probe->server, &before))
        tool_die("no answer from the server");
    request.response_port = stun_addr_port(&before);
    request.change_ip = request.change_port = true;
    send_message(&y, &probe->server, &request);
    bool came = await(&x, request.id, tool_now() + probe->options->timeout_ms * TOOL_MS, &got);
    if (!mapped_to(probe, &x, &probe->other, &after))
        tool_die("no answer from the server's other address");
    printf("{\"let_in\": %s, \"spoiled\": %s}\n", came ? "true" : "false",
           stun_addr_equal(&before, &after) ? "false" : "true");
    return 0;
}

int natprobe_measure(const struct natprobe_options *options)
{
    struct probe probe = {.options = options};
    struct tool_address server = tool_address(options->server);
    memcpy(&probe.server, &server.sa, server.len);
    struct socket s = socket_open(&probe);
    struct stun_message request = request_new(), response;
    if (!ask(&probe, &s, &probe.server, &request, &s, &response)) {
        printf("{\"udp\": false, \"tcp\": %s}\n", tcp(&probe) ? "true" : "false");
        return 0;
    }
    errno = 0;
    probe.other = response.other;
    if (probe.other.sa.sa_family != probe.server.sa.sa_family)
        tool_die("the server has no second address");
    if (options->alive)
        return alive(&probe);
    if (options->stranger)
        return stranger(&probe);
    char mapped[64];
    int step;
    bool is_nat = !stun_addr_equal(&response.mapped, &s.local), has_pool;
    const char *how = ports(&probe, &step, &has_pool);
    printf("{\"udp\": true, \"tcp\": %s, \"nat\": %s, \"mapped\": \"%s\", ", tcp(&probe) ? "true" : "false",
           is_nat ? "true" : "false", stun_addr_text(&response.mapped, mapped));
    printf("\"mapping\": \"%s\", \"filtering\": \"%s\", ", mapping(&probe), filtering(&probe));
    printf("\"ports\": \"%s\", \"step\": %d, \"pool\": %s, \"hairpin\": %s}\n", how, step,
           has_pool ? "true" : "false", hairpin(&probe) ? "true" : "false");
    return 0;
}
