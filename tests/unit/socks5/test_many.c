/* SPDX-License-Identifier: MIT */
/* Thousands of connections at once, again and again: nothing stays behind, and an idle one is small. */
#include "../local/nodes.h"
#include "client.h"

#include <dirent.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#define COUNT 2000
#define ROUNDS 12
/* Between the least of one half of the rounds and the least of the other: 20 bytes of a connection would show. */
#define GROWTH_MAX (256 * 1024)
/* Of both nodes together, for one idle connection, kernel's share not counted. */
#define BYTES_EACH_MAX (2 * 2048)

static struct nodes nodes;
static int listener;
static uint16_t port;
static int clients[COUNT], services[COUNT];

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static size_t bytes_in_use(void)
{
    return mallinfo2().uordblks;
}

static bool holds_nothing(struct nodes *all)
{
    return all->budget[0].used == 0 && all->budget[1].used == 0;
}

static bool is_quiet(struct nodes *all)
{
    return nodes_are_quiet(all) && holds_nothing(all); /* streams wait for their last acknowledgements */
}

static void open_all(void)
{
    for (int i = 0; i < COUNT; i++) {
        char byte = 0;
        clients[i] = socks5_open(nodes.port, "home.demo", port);
        services[i] = server_accept(listener);
        send_all(clients[i], "?", 1);
        assert_true(recv_all(services[i], &byte, 1));
        send_all(services[i], "!", 1);
        assert_true(recv_all(clients[i], &byte, 1));
        assert_int_equal(byte, '!');
    }
}

static void close_all(void)
{
    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 0)
            close_reset(clients[i]);
        else
            close(clients[i]);
        close(services[i]);
    }
    nodes_wait(&nodes, is_quiet);
}

static void test_growth(void **state)
{
    size_t idle = 0, after[ROUNDS], first = SIZE_MAX, last = SIZE_MAX;
    unsigned descriptors = 0;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        open_all();
        nodes_wait(&nodes, holds_nothing);
        if (round == ROUNDS - 1)
            idle = bytes_in_use() - after[round - 1];
        close_all();
        after[round] = bytes_in_use();
        /* What is in use just then varies, the least of several hardly; the first round fills what is kept. */
        if (round > 0 && round < ROUNDS / 2 && after[round] < first)
            first = after[round];
        if (round >= ROUNDS / 2 && after[round] < last)
            last = after[round];
        if (round == 0)
            descriptors = open_descriptors();
    }
    assert_int_equal(open_descriptors(), descriptors);
    print_message(
        "%zu bytes each while idle; at least %zu in use after the first rounds, %zu after the last\n",
        idle / COUNT, first, last);
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(idle / COUNT <= BYTES_EACH_MAX);
    assert_true(last < first + GROWTH_MAX);
#endif
}

static int setup(void **state)
{
    struct rlimit limit = {20000, 20000};
    (void)state;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    nodes_start(&nodes, NULL);
    listener = server_listen(&port);
    nodes_serve_port(&nodes, "web", port, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close(listener);
    nodes_stop(&nodes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_growth, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
