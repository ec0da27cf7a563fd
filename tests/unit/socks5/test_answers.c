/* SPDX-License-Identifier: MIT */
/* Every way in which a request ends, as SOCKS5 code and as HTTP status; users and passwords; what is not ours. */
#include "../local/nodes.h"
#include "client.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct nodes nodes;
static int listener;
static uint16_t port;

/* The log's lines, to look for a sentence in. */
static char said[65536];
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;

static void sink(void *ctx, enum gw_log_level level, const char *line)
{
    (void)ctx, (void)level;
    pthread_mutex_lock(&said_lock);
    size_t len = strlen(said);
    snprintf(said + len, sizeof said - len, "%s\n", line);
    pthread_mutex_unlock(&said_lock);
}

static bool was_said(const char *text)
{
    pthread_mutex_lock(&said_lock);
    bool is_there = strstr(said, text) != NULL;
    pthread_mutex_unlock(&said_lock);
    return is_there;
}

static void short_timeouts(struct gw_socks5_params *params)
{
    params->handshake_timeout_ns = GW_MS(300);
    params->dial_timeout_ns = GW_S(2);
}

static void start(void (*change)(struct gw_socks5_params *))
{
    said[0] = '\0';
    gw_log_set_sink(sink, NULL);
    nodes_start(&nodes, change);
    listener = server_listen(&port);
    nodes_serve_port(&nodes, "web", port, false);
}

static int setup(void **state)
{
    (void)state;
    start(short_timeouts);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nodes_wait(&nodes, nodes_are_quiet);
    close(listener);
    nodes_stop(&nodes);
    gw_log_set_sink(NULL, NULL);
    return 0;
}

/* A port that nothing listens on. */
static uint16_t dead_port(void)
{
    uint16_t dead;
    close(server_listen(&dead));
    return dead;
}

/* A unix service whose queue is full: connect() never ends. */
static int deaf_socket(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(sun.sun_path, path);
    unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
    assert_int_equal(listen(fd, 0), 0);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&sun, sizeof sun), 0);
    (void)client; /* stays, for life */
    return fd;
}

static int code_of(const char *host, uint16_t at)
{
    int fd, code = socks5_connect(nodes.port, host, at, &fd);
    if (code == 0)
        close(fd);
    return code;
}

static int status_of(const char *request, char *answer, size_t cap)
{
    int fd = connect_to(nodes.port), status = 0;
    send_all(fd, request, strlen(request));
    long n = recv_to_end(fd, answer, cap - 1);
    assert_true(n >= 0);
    answer[n] = '\0';
    assert_int_equal(sscanf(answer, "HTTP/1.%*d %d", &status), 1);
    close(fd);
    return status;
}

static int connect_status(const char *authority)
{
    char request[512], answer[4096];
    snprintf(request, sizeof request, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority, authority);
    return status_of(request, answer, sizeof answer);
}

static void nobody(struct nodes *all, void *arg)
{
    (void)arg;
    gw_services_set_grants(all->node[HOME].services, NULL, gw_loop_now(all->loop));
}

static void test_four_answers(void **state)
{
    char target[80], path[64];
    (void)state;
    nodes_serve_port(&nodes, "dead", dead_port(), false);
    snprintf(path, sizeof path, "/tmp/peergate-test-%d", (int)getpid());
    snprintf(target, sizeof target, "unix:%s", path);
    nodes_serve(&nodes, "deaf", target, false);
    int deaf = deaf_socket(path);

    assert_int_equal(code_of("nothing.home.demo.p2p", 80), 4);
    assert_true(was_said("laptop asked for nothing: there is no such service here"));
    assert_true(was_said("asked for nothing.home.demo.p2p port 80: the peer has no such service"));
    assert_int_equal(code_of("home.demo", 1), 4);
    assert_true(was_said("laptop asked for TCP port 1: there is no such service here"));
    assert_int_equal(code_of("dead.home.demo", 80), 5);
    assert_true(was_said("laptop asked for dead: the local service at 127.0.0.1"));
    assert_int_equal(code_of("deaf.home.demo", 80), 6);
    assert_int_equal(connect_status("nothing.home.demo:80"), 404);
    assert_int_equal(connect_status("dead.home.demo:80"), 503);
    assert_int_equal(connect_status("deaf.home.demo:80"), 504);
    nodes_call(&nodes, nobody, NULL);
    assert_int_equal(code_of("web.home.demo", 80), 2);
    assert_true(was_said("laptop asked for web: refused, it is not in the list of authorized keys"));
    assert_int_equal(connect_status("web.home.demo:80"), 403);
    close(deaf);
    unlink(path);

    struct gw_services_stats stats = nodes_services_stats(&nodes);
    assert_int_equal(stats.not_listed, 3);
    assert_int_equal(stats.down, 2);
    assert_int_equal(stats.timed_out, 2);
    assert_int_equal(stats.refused, 2);
}

static void test_other_answers(void **state)
{
    (void)state;
    assert_int_equal(code_of("nobody.demo", 80), 4);
    assert_int_equal(code_of("home.elsewhere.p2p", 80), 4);
    assert_int_equal(code_of("example.com", 80), 2);
    assert_int_equal(code_of("192.0.2.1", 80), 2);
    assert_int_equal(connect_status("nobody.demo:80"), 502);
    assert_int_equal(connect_status("example.com:80"), 403);
    assert_int_equal(connect_status("[2001:db8::1]:80"), 403);
    /* The node's own name, without and with such a service. */
    assert_int_equal(code_of("laptop.demo", 80), 4);
}

static void cut(struct nodes *all, void *arg)
{
    (void)arg;
    all->is_cut = true;
}

static void test_no_answer_from_peer(void **state)
{
    (void)state;
    nodes_call(&nodes, cut, NULL);
    assert_int_equal(code_of("web.home.demo", 80), 6);
    assert_true(nodes_socks5_stats(&nodes).timed_out == 1);
}

static void test_silent_client(void **state)
{
    int fd = connect_to(nodes.port);
    (void)state;
    send_all(fd, "\x05", 1);
    expect_reset(fd);
    close(fd);
}

static void test_bad_requests(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *answer;
        size_t answer_len;
    } cases[] = {
        /* SOCKS4 */ {"\x04\x01\x00\x50\x01\x02\x03\x04\x00", 9, "\x00\x5b\x00\x00\x00\x00\x00\x00", 8},
        /* TLS */ {"\x16\x03\x01\x02\x00", 5, "", 0},
        /* no method in common */ {"\x05\x01\x07", 3, "\x05\xff", 2},
        /* BIND */
        {"\x05\x01\x00\x05\x02\x00\x01\x01\x02\x03\x04\x00\x50", 13,
         "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00", 12},
        /* address type 2 */
        {"\x05\x01\x00\x05\x01\x00\x02\x01\x02\x03\x04\x00\x50", 13,
         "\x05\x00\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00", 12},
        /* an empty name */
        {"\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50", 10, "\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00",
         12},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char answer[64];
        int fd = connect_to(nodes.port);
        send_all(fd, cases[i].bytes, cases[i].len);
        assert_int_equal(recv_to_end(fd, answer, sizeof answer), cases[i].answer_len);
        assert_memory_equal(answer, cases[i].answer, cases[i].answer_len);
        close(fd);
    }
}

static void test_http_pages(void **state)
{
    char answer[4096];
    (void)state;
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof answer), 400);
    assert_non_null(strstr(answer, "this is a proxy"));
    assert_int_equal(status_of("GET https://home.demo/ HTTP/1.1\r\n\r\n", answer, sizeof answer), 501);
    assert_int_equal(status_of("GET http://nobody.demo/ HTTP/1.1\r\n\r\n", answer, sizeof answer), 502);
    assert_non_null(strstr(answer, "no peer has this name"));
    assert_non_null(strstr(answer, "Content-Type: text/plain"));
    assert_int_equal(status_of("GET http://x/ HTTP/2.0\r\n\r\n", answer, sizeof answer), 505);
    assert_int_equal(status_of("GET  http://x/ HTTP/1.1\r\n\r\n", answer, sizeof answer), 400);
    assert_int_equal(status_of("CONNECT home.demo HTTP/1.1\r\n\r\n", answer, sizeof answer), 400);
}

/* ---- users */

static void with_users(struct gw_socks5_params *params)
{
    static const struct gw_socks5_user users[] = {{"ann", "secret"}, {"bob", "hidden"}};
    params->users = users;
    params->user_count = 2;
}

static int setup_users(void **state)
{
    (void)state;
    start(with_users);
    return 0;
}

static int socks5_login(const char *message, size_t len)
{
    char reply[4];
    int fd = connect_to(nodes.port);
    send_all(fd, "\x05\x02\x00\x02", 4);
    assert_true(recv_all(fd, reply, 2));
    assert_memory_equal(reply, "\x05\x02", 2);
    send_all(fd, message, len);
    assert_true(recv_all(fd, reply, 2));
    assert_int_equal(reply[0], 1);
    if (reply[1] != 0)
        expect_end(fd);
    close(fd);
    return reply[1];
}

static void test_users(void **state)
{
    char answer[4096];
    (void)state;
    assert_int_equal(socks5_login("\x01\3ann\6secret", 12), 0);
    assert_int_equal(socks5_login("\x01\3bob\6hidden", 12), 0);
    assert_int_equal(socks5_login("\x01\3ann\6hidden", 12), 1);
    assert_int_equal(socks5_login("\x01\3ann\5secre", 11), 1);
    assert_int_equal(socks5_login("\x01\x00\x00", 3), 1);
    /* Without a user there is no way in. */
    int fd = connect_to(nodes.port);
    send_all(fd, "\x05\x01\x00", 3);
    assert_int_equal(recv_to_end(fd, answer, sizeof answer), 2);
    assert_memory_equal(answer, "\x05\xff", 2);
    close(fd);
    assert_int_equal(status_of("CONNECT nobody.demo:80 HTTP/1.1\r\n\r\n", answer, sizeof answer), 407);
    assert_non_null(strstr(answer, "Proxy-Authenticate: Basic"));
    /* ann:secret, ann:wrong */
    assert_int_equal(
        status_of("CONNECT nobody.demo:80 HTTP/1.1\r\nProxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n",
                  answer, sizeof answer),
        502);
    assert_int_equal(
        status_of("CONNECT nobody.demo:80 HTTP/1.1\r\nProxy-Authorization: Basic YW5uOndyb25n\r\n\r\n",
                  answer, sizeof answer),
        407);
    assert_int_equal(nodes_socks5_stats(&nodes).refused_auth, 6);
}

/* ---- what is not ours */

static struct gw_rule loopback;
static const struct gw_policy direct = {.is_direct = true, .allow = &loopback, .allow_count = 1};

static void with_direct(struct gw_socks5_params *params)
{
    assert_int_equal(gw_rule_parse(&loopback, "127.0.0.0/8"), 0);
    params->policy = &direct;
}

static int setup_direct(void **state)
{
    (void)state;
    start(with_direct);
    return 0;
}

static void test_direct(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (int i = 0; i < 2; i++) {
        int client = socks5_open(nodes.port, hosts[i], port);
        int service = server_accept(listener);
        send_pattern(client, 0, 300000, 1);
        shutdown(client, SHUT_WR);
        expect_pattern(service, 0, 300000, 1);
        expect_end(service);
        send_pattern(service, 0, 300000, 2);
        close(service);
        expect_pattern(client, 0, 300000, 2);
        expect_end(client);
        close(client);
    }
    /* Both ways of breaking. */
    int client = socks5_open(nodes.port, "127.0.0.1", port);
    int service = server_accept(listener);
    close_reset(service);
    expect_reset(client);
    close(client);
    client = socks5_open(nodes.port, "127.0.0.1", port);
    service = server_accept(listener);
    close_reset(client);
    expect_reset(service);
    close(service);
    assert_int_equal(code_of("127.0.0.1", dead_port()), 5);
    assert_int_equal(code_of("::1", port), 2);
    assert_int_equal(code_of("192.0.2.7", 80), 2);
    /* A name of ours is never passed on. */
    assert_int_equal(code_of("nobody.demo", 80), 4);
}

static void serve_own(struct nodes *all, void *arg)
{
    struct gw_service_config config = {.name = "web", .is_enabled = true};
    assert_int_equal(gw_target_parse(&config.target, arg), 0);
    assert_int_equal(gw_services_put(all->node[LAPTOP].services, &config, gw_loop_now(all->loop)), 0);
}

/* This node's own name leads to its own services, whatever the policy says. */
static void test_own_name(void **state)
{
    char target[32], byte;
    (void)state;
    snprintf(target, sizeof target, "127.0.0.1:%u", port);
    nodes_call(&nodes, serve_own, target);
    int client = socks5_open(nodes.port, "web.laptop.demo", 80);
    int service = server_accept(listener);
    send_all(client, "q", 1);
    assert_true(recv_all(service, &byte, 1));
    close(service);
    expect_end(client);
    close(client);
}

/* ---- unix sockets */

static char unix_path[64];
static struct gw_target unix_listen[2];

static void on_unix(struct gw_socks5_params *params)
{
    char text[80];
    snprintf(unix_path, sizeof unix_path, "/tmp/peergate-proxy-%d", (int)getpid());
    snprintf(text, sizeof text, "unix:%s", unix_path);
    assert_int_equal(gw_listener_parse(&unix_listen[0], "127.0.0.1:0"), 0);
    assert_int_equal(gw_listener_parse(&unix_listen[1], text), 0);
    params->listen = unix_listen;
    params->listen_count = 2;
    params->mode = 0620;
}

static int setup_unix(void **state)
{
    (void)state;
    start(on_unix);
    return 0;
}

static void test_unix_listener(void **state)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct stat st;
    char reply[16];
    (void)state;
    assert_int_equal(stat(unix_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0620);
    strcpy(sun.sun_path, unix_path);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&sun, sizeof sun), 0);
    send_all(client, "\x05\x01\x00\x05\x01\x00\x03\x0dweb.home.demo\x00\x50hello", 28);
    assert_true(recv_all(client, reply, 12));
    assert_int_equal(reply[3], 0);
    int service = server_accept(listener);
    assert_true(recv_all(service, reply, 5));
    assert_memory_equal(reply, "hello", 5);
    send_pattern(service, 0, 1000000, 1);
    close(service);
    expect_pattern(client, 0, 1000000, 1);
    expect_end(client);
    close(client);
    /* No UDP for a client without an address. */
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&sun, sizeof sun), 0);
    send_all(client, "\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", 13);
    assert_true(recv_all(client, reply, 12));
    assert_int_equal(reply[3], 7);
    close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_four_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_answer_from_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_client, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_http_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_users, setup_users, teardown),
        cmocka_unit_test_setup_teardown(test_direct, setup_direct, teardown),
        cmocka_unit_test_setup_teardown(test_own_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unix_listener, setup_unix, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
