/* SPDX-License-Identifier: MIT */
/* UDP ASSOCIATE, to a service of the other node and directly. */
#include "../local/nodes.h"
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#define BYTES(text) text, sizeof text - 1

static struct nodes nodes;
static int echo; /* a UDP socket that the test answers from */
static uint16_t echo_port;

static void set_patience(int fd, int ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
}

static int udp_socket(uint16_t *port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    set_patience(fd, 200);
    *port = ntohs(sin.sin_port);
    return fd;
}

static void connect_udp(int fd, uint16_t port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof sin), 0);
}

static struct gw_rule loopback;
static const struct gw_policy direct = {.is_direct = true, .allow = &loopback, .allow_count = 1};

static void with_direct(struct gw_socks5_params *params)
{
    assert_int_equal(gw_rule_parse(&loopback, "127.0.0.0/8"), 0);
    params->policy = &direct;
}

static int setup(void **state)
{
    (void)state;
    nodes_start(&nodes, with_direct);
    echo = udp_socket(&echo_port);
    nodes_serve_port(&nodes, "dns", echo_port, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nodes_wait(&nodes, nodes_are_quiet);
    close(echo);
    nodes_stop(&nodes);
    return 0;
}

/* The TCP connection; *udp is a socket connected to the relay. */
static int associate(int *udp)
{
    uint8_t reply[12];
    uint16_t own;
    int tcp = connect_to(nodes.port);
    send_all(tcp, "\5\1\0\5\3\0\1\0\0\0\0\0\0", 13);
    assert_true(recv_all(tcp, reply, 12));
    assert_memory_equal(reply, "\5\0\5\0\0\1\x7f\0\0\1", 10);
    *udp = udp_socket(&own);
    connect_udp(*udp, (uint16_t)(reply[10] << 8 | reply[11]));
    return tcp;
}

static struct sockaddr_in asker;

/* Whatever else comes, repeats of earlier ones, is skipped. */
static bool is_at_echo(const char *data, size_t len)
{
    char bytes[10000];
    ssize_t n;
    do {
        socklen_t asker_len = sizeof asker;
        n = recvfrom(echo, bytes, sizeof bytes, 0, (struct sockaddr *)&asker, &asker_len);
    } while (n >= 0 && ((size_t)n != len || memcmp(bytes, data, len) != 0));
    return n >= 0;
}

/* Datagrams may be lost, on a busy machine also here: what waits for too long is dropped. So each is sent until it has arrived. */
static void ask(int udp, const char *datagram, size_t len, const char *data, size_t data_len)
{
    for (int i = 0; i < 50; i++) {
        assert_int_equal(send(udp, datagram, len, 0), len);
        if (is_at_echo(data, data_len))
            return;
    }
    fail_msg("'%.*s' never arrives", (int)data_len, data);
}

/* The reply to what was asked last. */
static void expect_reply(int udp, const char *data, size_t data_len, const char *datagram, size_t len)
{
    char got[10000];
    ssize_t n = -1;
    for (int i = 0; i < 50 && n < 0; i++) {
        assert_int_equal(sendto(echo, data, data_len, 0, (struct sockaddr *)&asker, sizeof asker), data_len);
        n = recv(udp, got, sizeof got, 0);
    }
    assert_int_equal(n, len);
    assert_memory_equal(got, datagram, len);
    /* A repeat that was only late. */
    while (recv(udp, got, sizeof got, MSG_DONTWAIT) >= 0)
        ;
}

static void test_to_peer(void **state)
{
    int udp, tcp = associate(&udp);
    (void)state;
    ask(udp, BYTES("\0\0\0\3\15dns.home.demo\0\65question"), BYTES("question"));
    expect_reply(udp, BYTES("reply"), BYTES("\0\0\0\3\15dns.home.demo\0\65reply"));
    /* The same service by address and port is another destination of the client's, with its own answers. */
    char datagram[14] = "\0\0\0\1\x0a\x40\0\2";
    datagram[8] = (char)(echo_port >> 8);
    datagram[9] = (char)echo_port;
    memcpy(datagram + 10, "more", 4);
    ask(udp, datagram, 14, BYTES("more"));
    memcpy(datagram + 10, "less", 4);
    expect_reply(udp, BYTES("less"), datagram, 14);
    /* Empty ones are datagrams too. */
    ask(udp, datagram, 10, BYTES(""));
    close(tcp);
    close(udp);
}

static void test_dropped(void **state)
{
    uint16_t other_port;
    int udp, tcp = associate(&udp);
    (void)state;
    assert_int_equal(send(udp, BYTES("\0\0\1\3\15dns.home.demo\0\65fragment"), 0), 28);
    assert_int_equal(send(udp, BYTES("\0\0\0\7rubbish"), 0), 11);
    assert_int_equal(send(udp, BYTES(""), 0), 0);
    ask(udp, BYTES("\0\0\0\3\15dns.home.demo\0\65one"), BYTES("one"));
    /* Somebody else on the same machine. */
    struct sockaddr_in relay;
    socklen_t len = sizeof relay;
    assert_int_equal(getpeername(udp, (struct sockaddr *)&relay, &len), 0);
    int other = udp_socket(&other_port);
    connect_udp(other, ntohs(relay.sin_port));
    assert_int_equal(send(other, BYTES("\0\0\0\3\15dns.home.demo\0\65two"), 0), 23);
    assert_false(is_at_echo(BYTES("two")));
    ask(udp, BYTES("\0\0\0\3\15dns.home.demo\0\65three"), BYTES("three"));
    expect_reply(udp, BYTES("yes"), BYTES("\0\0\0\3\15dns.home.demo\0\65yes"));
    close(other);
    struct gw_socks5_stats stats = nodes_socks5_stats(&nodes);
    assert_int_equal(stats.datagrams_dropped, 4);
    assert_true(stats.datagrams_out >= 2);
    assert_true(stats.datagrams_in >= 1);
    close(tcp);
    close(udp);
}

/* A service that is not there: the failure is remembered for a while, and the others are not disturbed. */
static void test_not_listed(void **state)
{
    int udp, tcp = associate(&udp);
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(send(udp, BYTES("\0\0\0\3\16none.home.demo\0\65x"), 0), 22);
    ask(udp, BYTES("\0\0\0\3\15dns.home.demo\0\65one"), BYTES("one"));
    assert_in_range(nodes_services_stats(&nodes).not_listed, 1, 2);
    close(tcp);
    close(udp);
}

static void test_direct(void **state)
{
    int udp, tcp = associate(&udp);
    char datagram[13] = "\0\0\0\1\x7f\0\0\1";
    (void)state;
    datagram[8] = (char)(echo_port >> 8);
    datagram[9] = (char)echo_port;
    memcpy(datagram + 10, "abc", 3);
    ask(udp, datagram, 13, BYTES("abc"));
    expect_reply(udp, BYTES("abc"), datagram, 13);
    close(tcp);
    close(udp);
}

static bool has_no_relay(struct nodes *all)
{
    struct gw_socks5_stats stats;
    gw_socks5_stats(all->socks5, &stats);
    return stats.associations_open == 0;
}

/* The TCP connection's end is the association's. */
static void test_life(void **state)
{
    char byte;
    int udp, tcp = associate(&udp);
    (void)state;
    ask(udp, BYTES("\0\0\0\3\15dns.home.demo\0\65one"), BYTES("one"));
    assert_int_equal(nodes_services_stats(&nodes).flows_open, 1);
    send_all(tcp, "ignored", 7);
    close(tcp);
    nodes_wait(&nodes, has_no_relay);
    send(udp, "x", 1, 0);
    assert_true(recv(udp, &byte, 1, 0) < 0 && errno == ECONNREFUSED);
    close(udp);
}

/* More destinations than are kept: the oldest make room. */
static void test_many(void **state)
{
    int udp, tcp = associate(&udp);
    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        char datagram[32], data[8];
        int data_len = snprintf(data, sizeof data, "%u", i);
        int len = snprintf(datagram, sizeof datagram, "%c%c%c\3\15dns.home.demo%c%c%s", 0, 0, 0,
                           (char)(i >> 8), (char)i, data);
        ask(udp, datagram, (size_t)len, data, (size_t)data_len);
    }
    struct gw_services_stats stats = nodes_services_stats(&nodes);
    assert_true(stats.accepted >= 600);
    assert_true(stats.flows_open <= 256);
    close(tcp);
    close(udp);
}

static void burst(struct nodes *all, void *arg)
{
    (void)all;
    /* Nothing of this is read before the loop has its turn. */
    int udp = *(int *)arg;
    for (int i = 0; i < 20; i++)
        send(udp, "\0\0\0\3\15dns.home.demo\0\65z", 21, 0);
}

static void test_burst(void **state)
{
    int arrived = 0, udp, tcp = associate(&udp);
    (void)state;
    ask(udp, BYTES("\0\0\0\3\15dns.home.demo\0\65one"), BYTES("one"));
    for (int i = 0; i < 50 && arrived < 20; i++) {
        nodes_call(&nodes, burst, &udp);
        for (arrived = 0; arrived < 20 && is_at_echo("z", 1); arrived++)
            ;
    }
    assert_int_equal(arrived, 20);
    close(tcp);
    close(udp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_to_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_direct, setup, teardown),
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_burst, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
