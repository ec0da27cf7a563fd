/* SPDX-License-Identifier: MIT */
/* Carriers over loopback: two ends in one loop, with OpenSSL as it is; the engine is played by the test. */
#include "gateway/link/carriers.h"

#include "gateway/base/err.h"
#include "gateway/wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct end {
    struct gw_carriers *carriers;
    unsigned ups, downs, trains, datagrams;
    size_t bytes;
    bool is_used;
    struct gw_tuple last, up;
    uint8_t next; /* the mark that has to come */
};

static struct gw_loop *loop;
static struct end server, client;
static struct event *acceptor, *timer;
static int listening;
static struct gw_addr at;
static uint8_t slab[GW_TRAIN_SLAB];
static bool (*is_done)(void);

static void on_train(struct gw_train *train, void *ctx)
{
    struct end *end = ctx;
    end->trains++;
    end->datagrams += train->count;
    end->bytes += gw_train_len(train);
    end->last = train->tuple;
    for (unsigned i = 0; i < train->count; i++) {
        const uint8_t *datagram = gw_train_datagram(train, i);
        assert_int_equal(datagram[0], GW_MESSAGE_DATA);
        assert_int_equal(datagram[gw_train_datagram_len(train, i) - 1], end->next);
        end->next++;
    }
}

static void on_up(const struct gw_tuple *tuple, void *user, void *ctx)
{
    struct end *end = ctx;
    assert_ptr_equal(user, end);
    end->ups++;
    end->up = *tuple;
}

static void on_down(const struct gw_tuple *tuple, void *user, void *ctx)
{
    struct end *end = ctx;
    (void)tuple, (void)user;
    end->downs++;
}

static bool is_used(const struct gw_tuple *tuple, void *ctx)
{
    const struct end *end = ctx;
    assert_true(gw_tuple_is_carrier(tuple));
    return end->is_used;
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    (void)what, (void)arg;
    int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (got >= 0)
        gw_carriers_take(server.carriers, got);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    if (is_done())
        gw_loop_stop(loop);
}

static void run_until(bool (*done)(void))
{
    is_done = done;
    assert_int_equal(gw_loop_run(loop), 0);
}

static struct gw_carriers *make(struct end *end)
{
    const struct gw_carriers_params params = {.loop = loop,
                                              .on_train = on_train,
                                              .on_up = on_up,
                                              .on_down = on_down,
                                              .is_used = is_used,
                                              .ctx = end};
    *end = (struct end){.is_used = true};
    assert_int_equal(gw_carriers_new(&end->carriers, &params), 0);
    return end->carriers;
}

static int set_up(void **state)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    (void)state;
    loop = gw_loop_new();
    make(&server);
    make(&client);
    assert_int_equal(gw_addr_parse(&at, "127.0.0.1:1"), 0);
    at.port = 0;
    len = (socklen_t)gw_addr_to_sockaddr(&at, &name);
    listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&name, len), 0);
    assert_int_equal(listen(listening, 128), 0);
    len = sizeof name;
    getsockname(listening, (struct sockaddr *)&name, &len);
    gw_addr_from_sockaddr(&at, (struct sockaddr *)&name);
    acceptor = event_new(gw_loop_base(loop), listening, EV_READ | EV_PERSIST, on_accept, NULL);
    event_add(acceptor, NULL);
    timer = event_new(gw_loop_base(loop), -1, EV_PERSIST, on_tick, NULL);
    event_add(timer, &(struct timeval){.tv_usec = 2000});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gw_carriers_free(client.carriers);
    gw_carriers_free(server.carriers);
    event_free(acceptor);
    event_free(timer);
    close(listening);
    gw_loop_free(loop);
    return 0;
}

static int call(struct gw_tuple *tuple)
{
    const struct gw_carriers_call call = {.to = at, .name = "anchor.example", .user = &client};
    return gw_carriers_connect(client.carriers, &call, tuple);
}

static void send_train(struct end *end, const struct gw_tuple *tuple, uint8_t *mark, unsigned count,
                       size_t len, size_t last_len)
{
    struct gw_train train = {.tuple = *tuple,
                             .slab = slab,
                             .stride = (uint16_t)len,
                             .count = (uint16_t)count,
                             .last_len = (uint16_t)last_len};
    memset(slab, 0, sizeof slab);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *datagram = gw_train_datagram(&train, i);
        datagram[0] = GW_MESSAGE_DATA;
        datagram[gw_train_datagram_len(&train, i) - 1] = (*mark)++;
    }
    gw_carriers_send(end->carriers, &train);
}

static bool is_up(void)
{
    return client.ups == 1;
}

static bool has_all(void)
{
    return server.datagrams == 45 + 1 + 64;
}

static bool has_answer(void)
{
    return client.datagrams == 1;
}

static bool is_down(void)
{
    return server.downs == 1;
}

static void test_there_and_back(void **state)
{
    (void)state;
    struct gw_tuple tuple;
    uint8_t mark = 0, back = 0;
    assert_int_equal(call(&tuple), 0);
    send_train(&client, &tuple, &(uint8_t){0}, 1, 100, 100); /* before it stands: lost, not kept */
    run_until(is_up);
    assert_true(gw_tuple_equal(&client.up, &tuple));
    send_train(&client, &tuple, &mark, 45, 1400, 1400);
    send_train(&client, &tuple, &mark, 1, 32, 32);
    send_train(&client, &tuple, &mark, 64, 900, 77);
    run_until(has_all);
    assert_in_range(server.trains, 3, 10); /* trains stay together as far as they come together */
    send_train(&server, &server.last, &back, 1, 9216, 9216);
    run_until(has_answer);
    gw_carriers_close(client.carriers, &tuple);
    assert_int_equal(client.downs, 0);
    run_until(is_down);
    struct gw_carriers_stats stats;
    gw_carriers_stats(server.carriers, &stats);
    assert_int_equal(stats.open, 0);
    assert_int_equal(stats.taken, 1);
    assert_int_equal(stats.wrong, 0);
    gw_carriers_send(server.carriers,
                     &(struct gw_train){.tuple = server.last, .count = 1}); /* a slot that is free */
}

static bool has_failed(void)
{
    return client.downs == 1;
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct gw_tuple tuple;
    event_del(acceptor);
    close(listening);
    listening = -1;
    int err = call(&tuple);
    if (err == 0)
        run_until(has_failed);
    else
        assert_int_equal(err, -ECONNREFUSED);
    assert_int_equal(client.ups, 0);
}

static bool all_came(void)
{
    struct gw_carriers_stats stats;
    gw_carriers_stats(server.carriers, &stats);
    return stats.taken + stats.refused >= 40;
}

/* Strangers of one place: eight, and no more. */
static void test_strangers_are_bounded(void **state)
{
    (void)state;
    int fds[40];
    struct sockaddr_storage name;
    struct gw_carriers_stats stats;
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(&at, &name);
    server.is_used = false;
    for (unsigned i = 0; i < 40; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&name, len), 0);
    }
    run_until(all_came);
    gw_carriers_stats(server.carriers, &stats);
    assert_int_equal(stats.open, GW_CARRIERS_STRANGERS_OF_ONE);
    assert_int_equal(stats.strangers, GW_CARRIERS_STRANGERS_OF_ONE);
    assert_int_equal(stats.refused, 40 - GW_CARRIERS_STRANGERS_OF_ONE);
    for (unsigned i = 0; i < 40; i++)
        close(fds[i]);
}

/* The far end does not read: what is sent to it is dropped, not kept. */
static bool some_turns(void)
{
    static unsigned turns;
    return ++turns % 50 == 0;
}

static void test_backpressure(void **state)
{
    (void)state;
    struct gw_tuple tuple;
    struct gw_carriers_stats stats;
    uint8_t mark = 0;
    assert_int_equal(call(&tuple), 0);
    run_until(is_up);
    for (unsigned i = 0; i < 2000; i++) /* 100 MB before the loop gets to write any */
        send_train(&client, &tuple, &mark, 36, 1400, 1400);
    gw_carriers_stats(client.carriers, &stats);
    assert_in_range(stats.dropped, 36 * 1980, 36 * 2000);
    server.next = 0;
    gw_carriers_close(client.carriers, &tuple);
    run_until(some_turns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_there_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strangers_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_backpressure, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
