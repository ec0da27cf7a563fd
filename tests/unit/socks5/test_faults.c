/* SPDX-License-Identifier: MIT */
/* Every errno of every socket call on the way: the connection ends or goes on as it should, nothing is left, the next one works. */
#include "../local/faults.h"
#include "../local/nodes.h"
#include "client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct nodes nodes;
static int listener;
static uint16_t port;

static struct gw_rule loopback;
static const struct gw_policy direct = {.is_direct = true, .allow = &loopback, .allow_count = 1};

static void with_direct(struct gw_socks5_params *params)
{
    assert_int_equal(gw_rule_parse(&loopback, "127.0.0.0/8"), 0);
    params->policy = &direct;
    params->handshake_timeout_ns = GW_S(5);
}

static int setup(void **state)
{
    (void)state;
    nodes_start(&nodes, with_direct);
    listener = server_listen(&port);
    nodes_serve_port(&nodes, "web", port, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_clear();
    nodes_wait(&nodes, nodes_are_quiet);
    close(listener);
    nodes_stop(&nodes);
    return 0;
}

static int open_pair(int *service)
{
    int client = socks5_open(nodes.port, "web.home.demo", 80);
    *service = server_accept(listener);
    return client;
}

static void expect_works(void)
{
    int service, client = open_pair(&service);
    send_pattern(client, 0, 100000, 1);
    shutdown(client, SHUT_WR);
    expect_pattern(service, 0, 100000, 1);
    expect_end(service);
    send_pattern(service, 0, 100000, 2);
    close(service);
    expect_pattern(client, 0, 100000, 2);
    expect_end(client);
    close(client);
}

/* Calls that only have to be made again. */
static void test_again(void **state)
{
    (void)state;
    expect_works();
    fault_set(FAULT_RECV, EINTR, 0, 20, nodes.thread);
    fault_set(FAULT_SENDMSG, EINTR, 0, 20, nodes.thread);
    fault_set(FAULT_ACCEPT4, EINTR, 0, 5, nodes.thread);
    fault_set(FAULT_CONNECT, EINTR, 1, 0, nodes.thread);
    expect_works();
    fault_set(FAULT_SENDMSG, ENOBUFS, 1, 5, nodes.thread);
    expect_works();
    fault_set(FAULT_SENDMSG, ENOMEM, 0, 3, nodes.thread);
    expect_works();
    fault_set(FAULT_ACCEPT4, ECONNABORTED, 0, 3, nodes.thread);
    expect_works();
    fault_set_short_reads(1, nodes.thread);
    expect_works();
}

/* recv() that is out of memory in the middle of things. */
static void test_recv_nobufs(void **state)
{
    int service, client = open_pair(&service);
    (void)state;
    fault_set(FAULT_RECV, ENOBUFS, 0, 3, nodes.thread);
    send_pattern(client, 0, 1000000, 1);
    expect_pattern(service, 0, 1000000, 1);
    assert_int_equal(fault_count(FAULT_RECV), 3);
    close(client);
    expect_end(service);
    close(service);
}

/* Both ends see a reset, wherever the call was. */
static void test_broken(void **state)
{
    static const int errs[] = {ECONNRESET, ETIMEDOUT, EPIPE, EHOSTUNREACH, EIO};
    (void)state;
    for (size_t i = 0; i < sizeof errs / sizeof errs[0]; i++) {
        int service, client = open_pair(&service);
        fault_set(FAULT_RECV, errs[i], 0, 1, nodes.thread);
        send_all(client, "x", 1);
        expect_reset(service);
        expect_reset(client);
        close(client);
        close(service);

        client = open_pair(&service);
        fault_set(FAULT_SENDMSG, errs[i], 0, 1, nodes.thread);
        send_all(client, "x", 1);
        expect_reset(service);
        expect_reset(client);
        close(client);
        close(service);

        client = open_pair(&service);
        fault_set(FAULT_SHUTDOWN, errs[i], 0, 1, nodes.thread);
        shutdown(client, SHUT_WR);
        expect_reset(service);
        expect_reset(client);
        close(client);
        close(service);
        nodes_wait(&nodes, nodes_are_quiet);
    }
    fault_clear();
    expect_works();
}

/* What the service's host answers, as SOCKS5 sees it. */
static void test_dial(void **state)
{
    static const struct {
        enum fault_call call;
        int err, code;
    } cases[] = {
        {FAULT_CONNECT, ECONNREFUSED, 5}, {FAULT_CONNECT, ETIMEDOUT, 6},     {FAULT_CONNECT, ENETUNREACH, 3},
        {FAULT_CONNECT, EHOSTUNREACH, 3}, {FAULT_CONNECT, EADDRNOTAVAIL, 3}, {FAULT_CONNECT, EACCES, 5},
        {FAULT_CONNECT, ECONNRESET, 5},   {FAULT_SOCKET, EMFILE, 1},         {FAULT_SOCKET, ENFILE, 1},
        {FAULT_SOCKET, ENOBUFS, 1},       {FAULT_SOCKET, ENOMEM, 1},         {FAULT_SOCKET, EAFNOSUPPORT, 3},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd;
        fault_set(cases[i].call, cases[i].err, 0, 1, nodes.thread);
        int code = socks5_connect(nodes.port, "web.home.demo", 80, &fd);
        if (code != cases[i].code)
            fail_msg("errno %d: %d", cases[i].err, code);
        fault_set(cases[i].call, cases[i].err, 0, 1, nodes.thread);
        code = socks5_connect(nodes.port, "127.0.0.1", port, &fd);
        if (code != cases[i].code)
            fail_msg("directly, errno %d: %d", cases[i].err, code);
        fault_clear();
    }
    /* connect() that was interrupted goes on by itself. */
    expect_works();
}

/* The first of two addresses fails, the second is there. */
static void test_dial_next_address(void **state)
{
    char target[32];
    (void)state;
    snprintf(target, sizeof target, "localhost:%u", port);
    nodes_serve(&nodes, "web", target, false);
    expect_works();
    int fd;
    fault_set(FAULT_CONNECT, ENETUNREACH, 0, 1, nodes.thread);
    /* ::1 refuses: nothing listens there. */
    assert_int_equal(socks5_connect(nodes.port, "web.home.demo", 80, &fd), 5);
    expect_works();
}

/* No descriptors: clients are turned away at once, and served again when there are some. */
static void test_out_of_descriptors(void **state)
{
    static const int errs[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    (void)state;
    for (size_t i = 0; i < sizeof errs / sizeof errs[0]; i++) {
        char byte;
        fault_set(FAULT_ACCEPT4, errs[i], 0, 1, nodes.thread);
        int client = connect_to(nodes.port);
        assert_true(recv(client, &byte, 1, 0) <= 0);
        close(client);
        expect_works();
    }
}

/* A client whose handshake breaks at any of its calls. */
static void test_broken_handshake(void **state)
{
    struct timeval tv = {.tv_usec = 100000};
    (void)state;
    for (unsigned skip = 0; skip < 6; skip++) {
        for (int call = FAULT_RECV; call <= FAULT_SENDMSG; call++) {
            char bytes[16];
            fault_set((enum fault_call)call, ECONNRESET, skip, 1, nodes.thread);
            int client = connect_to(nodes.port);
            send_all(client, "\5\1\0\5\1\0\3\xdweb.home.demo\0\x50hello", 28);
            shutdown(client, SHUT_WR);
            /* The service may have it and not answer. */
            setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
            while (recv(client, bytes, sizeof bytes, 0) > 0)
                ;
            close(client);
            fault_clear();
        }
    }
    /* Whoever got through is in the queue of the service. */
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    int service;
    while ((service = accept(listener, NULL, NULL)) >= 0)
        close(service);
    tv = (struct timeval){.tv_sec = 10};
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    nodes_wait(&nodes, nodes_are_quiet);
    expect_works();
}

/* Replies that wait because the socket is full for now. */
static void test_slow_replies(void **state)
{
    static const int errs[] = {ENOBUFS, ENOMEM};
    (void)state;
    for (unsigned skip = 0; skip < 3; skip++) {
        for (size_t i = 0; i < 2; i++) {
            fault_set(FAULT_SENDMSG, errs[i], skip, 2, nodes.thread);
            expect_works();
            assert_int_equal(fault_count(FAULT_SENDMSG), 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recv_nobufs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dial, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dial_next_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_handshake, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_replies, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
