/* SPDX-License-Identifier: MIT */
/* Byte streams from a proxy's client to a service of the other node, over real sockets and the whole engine. */
#include "../local/nodes.h"
#include "client.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct nodes nodes;
static int listener;
static uint16_t port;

static int setup(void **state)
{
    (void)state;
    nodes_start(&nodes, NULL);
    listener = server_listen(&port);
    nodes_serve_port(&nodes, "web", port, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nodes_wait(&nodes, nodes_are_quiet);
    close(listener);
    nodes_stop(&nodes);
    return 0;
}

static int open_pair(int *service)
{
    int client = socks5_open(nodes.port, "home.demo", port);
    *service = server_accept(listener);
    return client;
}

static void test_names(void **state)
{
    static const char *const names[] = {"home", "home.demo", "home.demo.p2p", "HOME.Demo.p2p.", "10.64.0.2"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char byte = 'x';
        int client = socks5_open(nodes.port, names[i], port);
        int service = server_accept(listener);
        send_all(client, "a", 1);
        assert_true(recv_all(service, &byte, 1));
        assert_int_equal(byte, 'a');
        close(client);
        expect_end(service);
        close(service);
    }
    int client = socks5_open(nodes.port, "web.home.demo.p2p", 1);
    close(server_accept(listener));
    expect_end(client);
    close(client);
}

struct half {
    int fd;
    uint64_t len;
    unsigned seed;
};

static void *send_half(void *arg)
{
    const struct half *half = arg;
    send_pattern(half->fd, 0, half->len, half->seed);
    shutdown(half->fd, SHUT_WR);
    return NULL;
}

/* Both directions at once, each ended by itself. */
static void test_half_close(void **state)
{
    static const uint64_t lens[][2] = {{0, 0},         {1, 0},         {0, 1},
                                       {100, 3000000}, {3000000, 100}, {2000003, 2500001}};
    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        pthread_t threads[2];
        int service, client = open_pair(&service);
        struct half up = {client, lens[i][0], 1}, down = {service, lens[i][1], 2};
        pthread_create(&threads[0], NULL, send_half, &up);
        pthread_create(&threads[1], NULL, send_half, &down);
        expect_pattern(service, 0, lens[i][0], 1);
        expect_end(service);
        expect_pattern(client, 0, lens[i][1], 2);
        expect_end(client);
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
        close(client);
        close(service);
    }
}

/* The answer comes after the request has ended: what a half-close is for. */
static void test_answer_after_end(void **state)
{
    (void)state;
    int service, client = open_pair(&service);
    send_pattern(client, 0, 100000, 3);
    shutdown(client, SHUT_WR);
    expect_pattern(service, 0, 100000, 3);
    expect_end(service);
    usleep(50000);
    send_pattern(service, 0, 2000000, 4);
    close(service);
    expect_pattern(client, 0, 2000000, 4);
    expect_end(client);
    close(client);
}

static void test_resets(void **state)
{
    (void)state;
    int service, client = open_pair(&service);
    close_reset(client);
    expect_reset(service);
    close(service);

    client = open_pair(&service);
    close_reset(service);
    expect_reset(client);
    close(client);

    /* In the middle of a download that nobody reads. */
    client = open_pair(&service);
    send_pattern(service, 0, 200000, 5);
    close_reset(client);
    expect_reset(service);
    close(service);
}

static void *read_all_of_it(void *arg)
{
    struct half *half = arg;
    expect_pattern(half->fd, 0, half->len, half->seed);
    return NULL;
}

/* One client stops reading; another's download and the stopped one's own upload go on. */
static void test_stalled_reader(void **state)
{
    char byte;
    (void)state;
    int stalled_service, stalled = open_pair(&stalled_service);
    struct half flood = {stalled_service, 64u << 20, 6};
    pthread_t flooder;
    pthread_create(&flooder, NULL, send_half, &flood);
    usleep(200000);
    for (int i = 0; i < 3; i++) {
        int service, client = open_pair(&service);
        struct half down = {client, 4u << 20, 7};
        pthread_t reader;
        pthread_create(&reader, NULL, read_all_of_it, &down);
        send_pattern(service, 0, 4u << 20, 7);
        pthread_join(reader, NULL);
        close(service);
        expect_end(client);
        close(client);
    }
    send_all(stalled, "z", 1);
    assert_true(recv_all(stalled_service, &byte, 1));
    assert_int_equal(byte, 'z');
    /* And when it reads again, nothing is missing. */
    expect_pattern(stalled, 0, 64u << 20, 6);
    expect_end(stalled);
    pthread_join(flooder, NULL);
    close(stalled);
    close(stalled_service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_after_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stalled_reader, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
