/* SPDX-License-Identifier: MIT */
/* The server on real sockets: batches, TCP in pieces and pipelined, idle and too many clients, clients that don't read. */
#include "ask.h"

#include "frontends/dns/listener.h"
#include "gateway/base/err.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct gw_loop *loop;
static struct gw_dns_table *table;
static struct gw_dns_server *server;
static struct gw_addr at[3];
static pthread_t thread;
static int stop_pipe[2];

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    char byte;
    (void)what, (void)arg;
    if (read(fd, &byte, 1) == 1)
        gw_loop_stop(loop);
}

/* The next call of each kind fails so. */
static _Atomic int receive_errno, send_errno;

int __real_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *timeout);
int __wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *timeout);
int __wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *timeout)
{
    int err = atomic_exchange(&receive_errno, 0);
    if (err == 0)
        return __real_recvmmsg(fd, msgs, count, flags, timeout);
    errno = err;
    return -1;
}

int __real_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
    int err = atomic_exchange(&send_errno, 0);
    if (err == 0)
        return __real_sendmmsg(fd, msgs, count, flags);
    errno = err;
    return -1;
}

static void *run(void *arg)
{
    struct event *stop = event_new(gw_loop_base(loop), stop_pipe[0], EV_READ | EV_PERSIST, on_stop, NULL);
    (void)arg;
    event_add(stop, NULL);
    gw_loop_run(loop);
    event_free(stop);
    return NULL;
}

static int setup(void **state)
{
    static const char *const listen[] = {"127.0.0.1:0", "[::1]:0", "0.0.0.0:0"};
    struct gw_dns_server_params params = {
        .listen = at, .listen_count = 3, .tcp_clients = 4, .tcp_idle_ns = GW_S(3)};
    size_t bad;
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(gw_addr_parse(&at[i], listen[i]), 0);
    loop = params.loop = gw_loop_new();
    table = make_table();
    params.zone = gw_dns_table_zone(table);
    assert_int_equal(gw_dns_server_new(&server, &params, &bad), 0);
    for (unsigned i = 0; i < 3; i++)
        at[i] = *gw_dns_server_listen(server, i);
    assert_int_equal(pipe(stop_pipe), 0);
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(write(stop_pipe[1], "", 1), 1);
    pthread_join(thread, NULL);
    gw_dns_server_free(server);
    gw_dns_table_free(table);
    gw_loop_free(loop);
    close(stop_pipe[0]);
    close(stop_pipe[1]);
    return 0;
}

static int dial(const struct gw_addr *to, int type)
{
    struct sockaddr_storage ss;
    struct timeval patience = {.tv_sec = 60};
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(to, &ss);
    int fd = socket(ss.ss_family, type, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (const struct sockaddr *)&ss, len), 0);
    return fd;
}

static void expect_answer(const uint8_t *bytes, ssize_t len)
{
    assert_true(len > 0);
    ldns_pkt *pkt = parse(bytes, (size_t)len);
    assert_string_equal(record_text(ldns_pkt_answer(pkt), 0), "home.demo.p2p. 300 IN A 127.64.0.7");
    ldns_pkt_free(pkt);
}

static void test_udp(void **state)
{
    size_t len;
    uint8_t *query = make_query("home.demo.p2p.", GW_DNS_A, 0, &len), bytes[1500];
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct gw_addr to = at[i];
        /* A server on all addresses answers from the one that was asked: the socket is connected, others would not reach it. */
        if (i == 2)
            assert_int_equal(gw_addr_parse_ip(&to, "127.64.77.1", at[i].port), 0);
        int fd = dial(&to, SOCK_DGRAM);
        for (unsigned n = 0; n < 300; n++) {
            assert_int_equal(send(fd, query, len, 0), len);
            if (n % 100 != 99)
                continue;
            for (unsigned back = 0; back < 100; back++)
                expect_answer(bytes, recv(fd, bytes, sizeof bytes, 0));
        }
        /* Neither half a header nor an answer is answered; the socket goes on. */
        send(fd, "xyz", 3, 0);
        query[2] |= 0x80;
        send(fd, query, len, 0);
        query[2] &= 0x7f;
        send(fd, query, len, 0);
        expect_answer(bytes, recv(fd, bytes, sizeof bytes, 0));
        assert_int_equal(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT), -1);
        close(fd);
    }
    free(query);
}

/* Whatever the kernel says: at most this one answer is lost, and the next question is answered. */
static void test_errors(void **state)
{
    static const int errors[] = {EINTR,    ENOMEM, ENOBUFS, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH,
                                 EMSGSIZE, EPERM,  EIO,     EBADF,        EINVAL,       EAGAIN};
    size_t len;
    uint8_t *query = make_query("home.demo.p2p.", GW_DNS_A, 0, &len), bytes[1500];
    (void)state;
    for (size_t i = 0; i < 2 * sizeof errors / sizeof errors[0]; i++) {
        int fd = dial(&at[0], SOCK_DGRAM);
        atomic_store(i % 2 ? &receive_errno : &send_errno, errors[i / 2]);
        assert_int_equal(send(fd, query, len, 0), len);
        usleep(20000);
        assert_int_equal(send(fd, query, len, 0), len);
        expect_answer(bytes, recv(fd, bytes, sizeof bytes, 0));
        close(fd);
    }
    free(query);
}

static void receive_framed(int fd)
{
    uint8_t bytes[1500];
    assert_int_equal(recv(fd, bytes, 2, MSG_WAITALL), 2);
    size_t len = gw_load16_be(bytes);
    assert_int_equal(recv(fd, bytes, len, MSG_WAITALL), len);
    expect_answer(bytes, (ssize_t)len);
}

static void test_tcp(void **state)
{
    size_t len;
    uint8_t *query = make_query("home.demo.p2p.", GW_DNS_A, 1232, &len), framed[1000];
    (void)state;
    gw_store16_be(framed, (uint16_t)len);
    memcpy(framed + 2, query, len);
    for (unsigned i = 0; i < 2; i++) {
        int fd = dial(&at[i], SOCK_STREAM);
        /* A byte at a time, then many at once. */
        for (size_t n = 0; n < len + 2; n++)
            assert_int_equal(send(fd, framed + n, 1, 0), 1);
        receive_framed(fd);
        for (unsigned n = 0; n < 200; n++)
            assert_int_equal(send(fd, framed, len + 2, 0), len + 2);
        shutdown(fd, SHUT_WR);
        for (unsigned n = 0; n < 200; n++)
            receive_framed(fd);
        assert_int_equal(recv(fd, framed + 900, 1, 0), 0);
        close(fd);
    }
    free(query);
}

static void expect_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
    close(fd);
}

static void test_bad_tcp(void **state)
{
    int idle = dial(&at[0], SOCK_STREAM), fd = dial(&at[0], SOCK_STREAM), slow = dial(&at[0], SOCK_STREAM);
    (void)state;
    assert_int_equal(send(slow, "\0\50x", 3, 0), 3);
    assert_int_equal(send(fd, "\xff\xff", 2, 0), 2);
    expect_closed(fd);
    fd = dial(&at[0], SOCK_STREAM);
    assert_int_equal(send(fd, "\0\3xyz", 5, 0), 5);
    expect_closed(fd);
    /* Who says nothing, or half of something, is sent away. */
    expect_closed(idle);
    expect_closed(slow);
}

static void test_too_many_clients(void **state)
{
    int fd[6];
    struct gw_dns_server_stats stats;
    (void)state;
    for (unsigned i = 0; i < 6; i++)
        fd[i] = dial(&at[0], SOCK_STREAM);
    /* The two that are oldest go at once. */
    expect_closed(fd[0]);
    expect_closed(fd[1]);
    for (unsigned i = 2; i < 6; i++)
        close(fd[i]);
    gw_dns_server_stats(server, &stats);
    assert_true(stats.tcp_evicted >= 2);
}

/* Sends until the server stops reading; then it has kept a bounded number of bytes, and the client is sent away. */
static void test_never_reads(void **state)
{
    size_t len;
    int fd = dial(&at[0], SOCK_STREAM), small = 4096;
    uint8_t *query = make_query("home.demo.p2p.", GW_DNS_TXT, 0, &len), framed[600];
    size_t total = 0;
    ssize_t n;
    (void)state;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    gw_store16_be(framed, (uint16_t)len);
    memcpy(framed + 2, query, len);
    while ((n = send(fd, framed, len + 2, MSG_NOSIGNAL)) > 0)
        total += (size_t)n;
    assert_true(total < 64u << 20);
    close(fd);
    free(query);
}

static void test_in_use(void **state)
{
    struct gw_dns_server *second;
    struct gw_dns_server_params params = {
        .loop = loop, .listen = at, .listen_count = 1, .zone = gw_dns_table_zone(table)};
    size_t bad = 9;
    (void)state;
    assert_int_equal(gw_dns_server_new(&second, &params, &bad), -EADDRINUSE);
    assert_int_equal(bad, 0);
    params.listen_count = GW_DNS_LISTEN_MAX + 1;
    assert_int_equal(gw_dns_server_new(&second, &params, &bad), GW_E_LIMIT);
}

/* --- few ports are free */

#define RANGE_FIRST 40000u
#define RANGE_LAST 40039u

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return is_written;
}

/* A network of our own, in which all TCP ports but one of those that the kernel chooses from are taken. */
static bool enter_narrow_network(void)
{
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    char range[32];
    if (unshare(CLONE_NEWNET) < 0)
        return false;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    snprintf(range, sizeof range, "%u %u", RANGE_FIRST, RANGE_LAST);
    if (ioctl(fd, SIOCSIFFLAGS, &up) < 0 || !write_file("/proc/sys/net/ipv4/ip_local_port_range", range))
        return false;
    for (unsigned port = RANGE_FIRST; port < RANGE_LAST; port++) {
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(fd, (struct sockaddr *)&to, sizeof to) < 0 || listen(fd, 1) < 0)
            return false;
    }
    return true;
}

static int listen_in_narrow_network(void)
{
    struct gw_addr address;
    struct gw_dns_server_params params = {.listen = &address, .listen_count = 1};
    size_t bad;
    int failures = 0;
    if (!enter_narrow_network() || gw_addr_parse(&address, "127.0.0.1:0") != 0)
        return 99;
    params.loop = gw_loop_new();
    struct gw_dns_table *zone = make_table();
    params.zone = gw_dns_table_zone(zone);
    for (int i = 0; i < 20; i++) {
        struct gw_dns_server *one;
        if (gw_dns_server_new(&one, &params, &bad) != 0) {
            failures++;
            continue;
        }
        failures += gw_dns_server_listen(one, 0)->port != RANGE_LAST;
        gw_dns_server_free(one);
    }
    gw_dns_table_free(zone);
    gw_loop_free(params.loop);
    return failures;
}

static void test_few_ports_are_free(void **state)
{
    int status;
    (void)state;
    if (geteuid() != 0)
        skip();
    pid_t child = fork();
    if (child == 0)
        _exit(listen_in_narrow_network());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 99)
        skip(); /* no namespaces here */
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_udp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tcp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_tcp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test(test_few_ports_are_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
