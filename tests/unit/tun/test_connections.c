/* SPDX-License-Identifier: MIT */
/* The kernel's connections, as this machine's kernel tells them. */
#include "frontends/tun/connections.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
    int listening, client, server;
    struct gw_addr from, to;
};

static struct gw_addr name_of(int fd, int (*ask)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    struct gw_addr addr;
    assert_int_equal(ask(fd, (struct sockaddr *)&name, &len), 0);
    assert_int_equal(gw_addr_from_sockaddr(&addr, (struct sockaddr *)&name), 0);
    return addr;
}

/* From one address of loopback to another; is_dual: by a socket for IPv6, as ::ffff:a.b.c.d. */
static struct pair connect_pair(const char *from, const char *to, bool is_dual)
{
    struct sockaddr_storage address;
    struct gw_addr local, remote;
    assert_int_equal(gw_addr_parse_ip(&local, from, 0), 0);
    assert_int_equal(gw_addr_parse_ip(&remote, to, 0), 0);
    struct pair pair = {.listening = socket(remote.family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0)};
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(&remote, &address);
    assert_int_equal(bind(pair.listening, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(pair.listening, 1), 0);
    remote = name_of(pair.listening, getsockname);
    pair.client = socket(is_dual || local.family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < 2; i++) {
        const struct gw_addr *at = i ? &remote : &local;
        len = (socklen_t)gw_addr_to_sockaddr(at, &address);
        if (is_dual) {
            struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(at->port)};
            memset(mapped.sin6_addr.s6_addr + 10, 0xff, 2);
            memcpy(mapped.sin6_addr.s6_addr + 12, at->ip, 4);
            memcpy(&address, &mapped, sizeof mapped);
            len = sizeof mapped;
        }
        assert_int_equal((i ? connect : bind)(pair.client, (struct sockaddr *)&address, len), 0);
    }
    pair.server = accept(pair.listening, NULL, NULL);
    assert_true(pair.server >= 0);
    pair.from = name_of(pair.client, getsockname);
    pair.to = remote;
    return pair;
}

static void close_pair(const struct pair *pair)
{
    close(pair->client);
    close(pair->server);
    close(pair->listening);
}

static unsigned count_of(const struct gw_connections *list, const struct gw_addr *local,
                         const struct gw_addr *remote)
{
    unsigned count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += gw_addr_equal(&list->items[i].local, local) && gw_addr_equal(&list->items[i].remote, remote);
    return count;
}

static void those_of_the_address(void **state)
{
    (void)state;
    const struct {
        const char *from, *to, *other;
        bool is_dual;
    } rows[] = {
        /* 1 */ {"127.61.7.1", "127.61.7.2", "127.61.7.3", false},
        /* 2 */ {"127.61.7.1", "127.61.7.2", "127.61.7.3", true},
        /* 3 */ {"::1", "::1", "::2", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_connections list = {0};
        struct gw_addr other;
        struct pair pair = connect_pair(rows[i].from, rows[i].to, rows[i].is_dual);
        assert_int_equal(gw_connections_read(&list, &pair.from), 0);
        assert_int_equal(count_of(&list, &pair.from, &pair.to), 1);
        for (size_t k = 0; k < list.count; k++)
            assert_true(gw_addr_same_ip(&list.items[k].local, &pair.from));
        size_t before = list.count;
        assert_int_equal(gw_addr_parse_ip(&other, rows[i].other, 0), 0);
        assert_int_equal(gw_connections_read(&list, &other), 0);
        assert_int_equal(list.count, before);
        /* The accepted end is one as well; the socket that listens is none. */
        assert_int_equal(gw_connections_read(&list, &pair.to), 0);
        assert_true(count_of(&list, &pair.to, &pair.from) >= 1);
        for (size_t k = 0; k < list.count; k++)
            assert_true(list.items[k].remote.port != 0);
        gw_connections_free(&list);
        assert_int_equal(list.count, 0);
        close_pair(&pair);
    }
}

/* More than one datagram of the kernel's. */
static void many(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    static struct pair pairs[COUNT];
    struct gw_connections list = {0};
    struct gw_addr at;
    for (unsigned i = 0; i < COUNT; i++)
        pairs[i] = connect_pair("127.61.8.1", "127.61.8.2", i % 2);
    assert_int_equal(gw_addr_parse_ip(&at, "127.61.8.1", 0), 0);
    assert_int_equal(gw_connections_read(&list, &at), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(count_of(&list, &pairs[i].from, &pairs[i].to), 1);
        close_pair(&pairs[i]);
    }
    gw_connections_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(those_of_the_address), cmocka_unit_test(many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
