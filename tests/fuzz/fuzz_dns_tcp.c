/* SPDX-License-Identifier: MIT */
/* DNS by streams, where one read is no message: an asker who says what he likes in any pieces (frontends/dns/tcp.c), and, for what is not ours, an upstream who cuts its answer by UDP and then
 * says what it likes by TCP (flight.c). What the asker gets back is whole messages, each of which ldns can read, and no more of them than there were questions. Sockets are local pairs.
 * Input: steps  op u8 | length u16 | bytes. op % 8: 0, 1: the asker says them, 1: behind their length; 2: the upstream answers by UDP with them; 3: by UDP with the question, cut; 4, 5: it says them by TCP, 5: behind
 * their length; 6: by TCP with the question and them behind it; 7: the asker ends his side. */
#include "frontends/dns/private.h"
#include "gateway/base/log.h"
#include "gateway/base/random.h"
#include "gateway/wire/cursor.h"

#include <assert.h>
#include <errno.h>
#include <ldns/ldns.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEARD_MAX 1048576u

static struct gw_loop *loop;
static struct gw_dns_table *table;
static struct gw_random_seeded dice;

/* ---- sockets */

static bool is_played;
static int far_udp = -1, far_tcp = -1; /* the upstream's ends of the last ones */

int socket(int domain, int type, int protocol)
{
    int pair[2], *far = (type & 0xf) == SOCK_DGRAM ? &far_udp : &far_tcp;
    if (!is_played)
        return (int)syscall(SYS_socket, domain, type, protocol);
    if (socketpair(AF_UNIX, type, 0, pair) != 0)
        abort();
    if (*far >= 0)
        close(*far);
    *far = pair[1];
    return pair[0];
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    return is_played ? 0 : (int)syscall(SYS_connect, fd, address, len);
}

int bind(int fd, const struct sockaddr *address, socklen_t len)
{
    return is_played ? 0 : (int)syscall(SYS_bind, fd, address, len);
}

int getpeername(int fd, struct sockaddr *restrict address, socklen_t *restrict len)
{
    struct sockaddr_storage ss;
    struct gw_addr from;
    (void)fd;
    gw_addr_parse(&from, "127.0.0.1:40000");
    *len = (socklen_t)gw_addr_to_sockaddr(&from, &ss);
    memcpy(address, &ss, *len);
    return 0;
}

/* ---- the asker */

static struct {
    int fd;
    uint8_t heard[HEARD_MAX];
    size_t len;
} asker;

static void turn(void)
{
    event_base_loop(gw_loop_base(loop), EVLOOP_NONBLOCK);
}

static void hear(void)
{
    ssize_t n;
    do {
        n = recv(asker.fd, asker.heard + asker.len, HEARD_MAX - asker.len, MSG_DONTWAIT);
        asker.len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
}

static void say(int fd, const uint8_t *bytes, size_t len)
{
    while (fd >= 0 && len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        if (n > 0)
            bytes += n, len -= (size_t)n;
        turn();
        hear();
    }
}

static void say_framed(int fd, const uint8_t *bytes, size_t len)
{
    uint8_t head[2];
    gw_store16_be(head, (uint16_t)len);
    say(fd, head, sizeof head);
    say(fd, bytes, len);
}

static void judge(const struct gw_dns_server *server)
{
    size_t at = 0;
    uint64_t answers = 0;
    while (asker.len - at >= 2 && asker.len - at - 2 >= gw_load16_be(asker.heard + at)) {
        size_t len = gw_load16_be(asker.heard + at);
        ldns_pkt *pkt;
        if (ldns_wire2pkt(&pkt, asker.heard + at + 2, len) != LDNS_STATUS_OK)
            abort();
        assert(ldns_pkt_qr(pkt));
        ldns_pkt_free(pkt);
        at += 2 + len;
        answers++;
    }
    assert(answers <= server->stats.tcp_queries);
    assert(at == asker.len || server->stats.tcp_clients == 0); /* it was cut off, or all is whole */
}

/* ---- the upstream */

/* The last question that came to it, as it would be answered; 0: none. */
static size_t take_question(int fd, uint8_t out[1024])
{
    ssize_t n = fd >= 0 ? recv(fd, out, 1024, MSG_DONTWAIT | MSG_PEEK) : -1;
    return n > 0 ? (size_t)n : 0;
}

static void answer_cut(void)
{
    uint8_t message[1024];
    size_t len = take_question(far_udp, message);
    if (len < GW_DNS_HEADER_LEN)
        return;
    message[2] |= 0x82; /* QR, TC */
    say(far_udp, message, len);
}

static void answer_with(const uint8_t *bytes, size_t len)
{
    static uint8_t message[GW_DNS_TCP_MAX + 1024];
    size_t asked = take_question(far_tcp, message);
    if (asked < 2 + GW_DNS_HEADER_LEN)
        return;
    message[2 + 2] |= 0x80;
    message[2 + 7] = (uint8_t)(len > 0 ? bytes[0] % 4 : 0); /* answers that it says are there */
    message[2 + 11] = 0;                                    /* no OPT behind them */
    asked -= asked > 11 + 2 + GW_DNS_HEADER_LEN ? 11 : 0;   /* ours was the last */
    if (len > 1)
        memcpy(message + asked, bytes + 1, len - 1);
    asked += len > 1 ? len - 1 : 0;
    say_framed(far_tcp, message + 2, asked - 2 < GW_DNS_TCP_MAX ? asked - 2 : GW_DNS_TCP_MAX);
}

static void step(uint8_t op, const uint8_t *bytes, size_t len)
{
    switch (op % 8) {
    case 0:
        say(asker.fd, bytes, len);
        break;
    case 1:
        say_framed(asker.fd, bytes, len);
        break;
    case 2:
        say(far_udp, bytes, len);
        break;
    case 3:
        answer_cut();
        break;
    case 4:
        say(far_tcp, bytes, len);
        break;
    case 5:
        say_framed(far_tcp, bytes, len);
        break;
    case 6:
        answer_with(bytes, len);
        break;
    default:
        shutdown(asker.fd, SHUT_WR);
        break;
    }
    turn();
    hear();
}

/* ---- */

static struct gw_dns_table *make_table(void)
{
    struct gw_dns_host host = {
        .name = "home.demo", .peer_id = "12D3KooWtest", .ipv4 = {.family = 4, .ip = {127, 64, 0, 7}}};
    struct gw_dns_table *made = gw_dns_table_new();
    if (!made || gw_dns_table_put(made, &host, true) != 0)
        abort();
    return made;
}

static struct gw_dns_forward *make_forward(void)
{
    struct gw_dns_forward_params params = {.loop = loop,
                                           .random = &dice.random,
                                           .upstream_count = 1,
                                           .timeout_ns = GW_S(5),
                                           .tries = 2,
                                           .cache_entries = 4};
    struct gw_dns_forward *forward;
    gw_addr_parse(&params.upstreams[0], "192.0.2.53:53");
    if (gw_dns_forward_new(&forward, &params) != 0)
        abort();
    return forward;
}

static struct gw_dns_server *make_server(struct gw_dns_forward *forward)
{
    const struct gw_dns_server_params params = {
        .loop = loop, .zone = gw_dns_table_zone(table), .forward = forward};
    struct gw_dns_server *server;
    size_t bad;
    int pair[2];
    if (gw_dns_server_new(&server, &params, &bad) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        abort();
    asker.fd = pair[0];
    asker.len = 0;
    tcp_on_client(NULL, pair[1], gw_loop_now(loop), server);
    return server;
}

static void set_up(void)
{
    signal(SIGPIPE, SIG_IGN);
    gw_log_set_level(GW_LOG_ERROR);
    loop = gw_loop_new();
    table = make_table();
    if (!loop)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_dns_forward_stats stats;
    if (!loop)
        set_up();
    gw_random_seeded_init(&dice, 1);
    is_played = true;
    struct gw_dns_forward *forward = make_forward();
    struct gw_dns_server *server = make_server(forward);
    while (size >= 3) {
        size_t len = gw_load16_be(data + 1);
        len = len < size - 3 ? len : size - 3;
        step(data[0], data + 3, len);
        data += 3 + len, size -= 3 + len;
    }
    judge(server);
    close(asker.fd);
    turn();
    gw_dns_forward_stats(forward, &stats); /* who waits for an upstream may have ended only his own side */
    assert(server->stats.tcp_clients == 0 || stats.pending > 0);
    gw_dns_server_free(server);
    gw_dns_forward_free(forward);
    is_played = false;
    if (far_udp >= 0)
        close(far_udp);
    if (far_tcp >= 0)
        close(far_tcp);
    far_udp = far_tcp = -1;
    return 0;
}
