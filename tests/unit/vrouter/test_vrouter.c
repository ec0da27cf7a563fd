/* SPDX-License-Identifier: MIT */
/* The virtual IP router: laptop listens at home's address in 127.64.0.0/16, two whole nodes in between. */
#include "../local/nodes.h"
#include "../socks5/client.h"

#include "frontends/vrouter/vrouter.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct nodes nodes;
static struct gw_vrouter_params params;
static struct gw_vrouter *router;
static struct gw_vrouter_peer *home;
static uint16_t port; /* of a server here, free at home's address too */
static int bind_errno;
static unsigned warnings;

int __real_bind(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len)
{
    if (bind_errno == 0)
        return __real_bind(fd, address, len);
    errno = bind_errno;
    return -1;
}

static void count_warnings(void *ctx, enum gw_log_level level, const char *line)
{
    (void)ctx, (void)line;
    warnings += level == GW_LOG_WARN;
}

static void start_router(struct nodes *all, void *arg)
{
    struct gw_addr local;
    (void)arg;
    params.loop = all->loop;
    assert_int_equal(gw_addr_parse_ip(&local, "127.64.9.1", 0), 0);
    assert_non_null(router = gw_vrouter_new(&params));
    home = gw_vrouter_add_peer(router, all->node[LAPTOP].gateway,
                               gw_gateway_public_key(all->node[HOME].gateway), &local, "home");
    assert_non_null(home);
}

static void stop_router(struct nodes *all, void *arg)
{
    (void)arg;
    gw_vrouter_free(router, gw_loop_now(all->loop));
}

static int setup(void **state)
{
    (void)state;
    params = (struct gw_vrouter_params){
        .retry_ns = GW_MS(50), .connections_max = 3, .udp_clients_max = 2, .udp_idle_ns = GW_S(60)};
    warnings = 0;
    gw_log_set_sink(count_warnings, NULL);
    nodes_start(&nodes, NULL);
    nodes_call(&nodes, start_router, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bind_errno = 0;
    nodes_call(&nodes, stop_router, NULL);
    nodes_stop(&nodes);
    return 0;
}

struct job {
    struct gw_vrouter_service service;
    struct gw_vrouter_service list[2];
    size_t count;
    int err;
    struct gw_vrouter_stats stats;
    struct gw_vrouter_status status;
};

static void do_add(struct nodes *all, void *arg)
{
    struct job *job = arg;
    job->err = gw_vrouter_add(home, &job->service, gw_loop_now(all->loop));
}

static void do_remove(struct nodes *all, void *arg)
{
    struct job *job = arg;
    gw_vrouter_remove(home, &job->service, gw_loop_now(all->loop));
}

static void do_set(struct nodes *all, void *arg)
{
    struct job *job = arg;
    job->err = gw_vrouter_set(home, job->list, job->count, gw_loop_now(all->loop));
}

static void do_stats(struct nodes *all, void *arg)
{
    (void)all;
    gw_vrouter_stats(router, arg);
}

static void keep_status(const struct gw_vrouter_status *status, void *ctx)
{
    *(struct gw_vrouter_status *)ctx = *status;
}

static void do_status(struct nodes *all, void *arg)
{
    (void)all;
    gw_vrouter_for_each(router, keep_status, arg);
}

static int add(const char *name, uint16_t number, bool is_udp)
{
    struct job job = {.service = {.port = number, .is_udp = is_udp}};
    snprintf(job.service.name, sizeof job.service.name, "%s", name);
    nodes_call(&nodes, do_add, &job);
    return job.err;
}

static void remove_service(const char *name, uint16_t number)
{
    struct job job = {.service = {.port = number}};
    snprintf(job.service.name, sizeof job.service.name, "%s", name);
    nodes_call(&nodes, do_remove, &job);
}

static struct gw_vrouter_stats stats(void)
{
    struct gw_vrouter_stats out;
    nodes_call(&nodes, do_stats, &out);
    return out;
}

static int open_at(const char *ip, uint16_t number, int type)
{
    struct gw_addr addr;
    struct sockaddr_storage ss;
    struct timeval patience = {.tv_sec = 30};
    int fd = socket(AF_INET, type, 0);
    assert_int_equal(gw_addr_parse_ip(&addr, ip, number), 0);
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(&addr, &ss);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (const struct sockaddr *)&ss, len), 0);
    return fd;
}

static int serve(const char *name)
{
    int fd = server_listen(&port);
    nodes_serve_port(&nodes, name, port, false);
    return fd;
}

static void test_stream(void **state)
{
    int server = serve("web");
    (void)state;
    assert_int_equal(add("web", port, false), 0);
    assert_int_equal(add("web", port, false), 0);
    int client = open_at("127.64.9.1", port, SOCK_STREAM);
    int peer = server_accept(server);
    send_pattern(client, 0, 100000, 1);
    expect_pattern(peer, 0, 100000, 1);
    shutdown(client, SHUT_WR);
    expect_end(peer);
    send_pattern(peer, 0, 300000, 2);
    close(peer);
    expect_pattern(client, 0, 300000, 2);
    expect_end(client);
    close(client);
    close(server);
    assert_int_equal(stats().accepted, 1);
    assert_int_equal(stats().services, 1);
}

static void test_refused(void **state)
{
    int server = serve("web");
    (void)state;
    assert_int_equal(add("other", port, false), 0); /* home doesn't list it */
    int client = open_at("127.64.9.1", port, SOCK_STREAM);
    expect_reset(client);
    close(client);
    close(server);
    assert_int_equal(add("nameless", 0, false), GW_E_INVAL);
}

static void test_limit_and_end(void **state)
{
    int server = serve("web"), client[3], peer[3];
    char byte;
    (void)state;
    assert_int_equal(add("web", port, false), 0);
    for (int i = 0; i < 3; i++) {
        client[i] = open_at("127.64.9.1", port, SOCK_STREAM);
        peer[i] = server_accept(server);
    }
    int fourth = open_at("127.64.9.1", port, SOCK_STREAM);
    assert_true(recv(fourth, &byte, 1, 0) <= 0);
    assert_int_equal(stats().refused, 1);
    /* The service goes: what is open goes on. */
    remove_service("web", port);
    send_pattern(client[0], 0, 1000, 1);
    expect_pattern(peer[0], 0, 1000, 1);
    assert_int_equal(stats().services, 0);
    assert_int_equal(stats().connections, 3);
    nodes_call(&nodes, stop_router, NULL);
    expect_reset(client[1]);
    nodes_call(&nodes, start_router, NULL);
    for (int i = 0; i < 3; i++) {
        close(client[i]);
        close(peer[i]);
    }
    close(fourth);
    close(server);
}

static int udp_server(uint16_t *out)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    struct timeval patience = {.tv_sec = 30};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    *out = ntohs(sin.sin_port);
    return fd;
}

/* One datagram there and, with its sender's address, back. */
static void expect_round(int client, int server, const char *text)
{
    char bytes[64];
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    ssize_t size = (ssize_t)strlen(text);
    assert_int_equal(send(client, text, (size_t)size, 0), size);
    assert_int_equal(recvfrom(server, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &len), size);
    assert_int_equal(sendto(server, bytes, (size_t)size, 0, (struct sockaddr *)&from, len), size);
    assert_int_equal(recv(client, bytes, sizeof bytes, 0), size);
    assert_memory_equal(bytes, text, (size_t)size);
}

static void test_datagrams(void **state)
{
    uint16_t at;
    int server = udp_server(&at);
    (void)state;
    nodes_serve_port(&nodes, "game", at, true);
    assert_int_equal(add("game", at, true), 0);
    int one = open_at("127.64.9.1", at, SOCK_DGRAM), two = open_at("127.64.9.1", at, SOCK_DGRAM),
        three = open_at("127.64.9.1", at, SOCK_DGRAM);
    expect_round(one, server, "one");
    expect_round(two, server, "two");
    expect_round(one, server, "one again");
    assert_int_equal(stats().udp_clients, 2);
    /* The third takes the place of the one that was silent longest, which comes back with a new flow. */
    expect_round(three, server, "three");
    expect_round(two, server, "two again");
    assert_int_equal(stats().udp_clients, 2);
    close(one), close(two), close(three), close(server);
}

static void test_in_use(void **state)
{
    struct job job = {0};
    int server = serve("web"), fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f400901)};
    (void)state;
    assert_int_equal(__real_bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(add("web", port, false), -EADDRINUSE);
    nodes_call(&nodes, do_status, &job.status);
    assert_int_equal(job.status.err, -EADDRINUSE);
    assert_int_equal(warnings, 1);
    usleep(200000);
    assert_int_equal(warnings, 1);
    /* As soon as the other one is gone it listens. */
    close(fd);
    for (int i = 0; i < 1500 && stats().listening == 0; i++)
        usleep(20000);
    assert_int_equal(stats().listening, 1);
    close(open_at("127.64.9.1", port, SOCK_STREAM));
    close(server);
}

static void test_errors(void **state)
{
    static const int errors[] = {EACCES, EMFILE, EADDRNOTAVAIL, ENOBUFS};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        bind_errno = errors[i];
        assert_int_equal(add("web", (uint16_t)(40000 + i), false), -errors[i]);
        assert_int_equal(add("ssh", (uint16_t)(41000 + i), i % 2), -errors[i]);
        assert_true(strlen(gw_vrouter_advice(-errors[i])) > 5);
        assert_int_equal(stats().listening, 0);
        /* Low ports are spoken of once. */
        assert_int_equal(warnings, errors[i] == EACCES ? 1 : 2);
        warnings = 0;
        struct job job = {0};
        nodes_call(&nodes, do_set, &job);
        assert_int_equal(stats().services, 0);
    }
}

static void test_set(void **state)
{
    int server = serve("web");
    struct job job = {.list = {{"web", port, false}, {"hidden", 0, false}}, .count = 2};
    (void)state;
    nodes_call(&nodes, do_set, &job);
    assert_int_equal(job.err, 0);
    assert_int_equal(stats().services, 1);
    /* The same port under another name. */
    snprintf(job.list[0].name, sizeof job.list[0].name, "www");
    nodes_call(&nodes, do_set, &job);
    assert_int_equal(job.err, 0);
    assert_int_equal(stats().services, 1);
    nodes_call(&nodes, do_status, &job.status);
    assert_string_equal(job.status.service->name, "www");
    assert_string_equal(job.status.peer, "home");
    close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit_and_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_datagrams, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_set, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
