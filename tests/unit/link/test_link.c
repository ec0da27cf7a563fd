/* SPDX-License-Identifier: MIT */
/* The turn: real sockets and a real loop below, and above an engine that the test plays. */
#include "gateway/base/err.h"
#include "gateway/link/link.h"

#include "calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* --- the engine --- */

struct gateway {
    struct gw_loop *loop;
    struct gw_addr to;
    unsigned to_send, stride, per_train; /* trains that are left to be pulled */
    unsigned to_dismiss, farewells;
    unsigned pulled, received, received_trains, failed, last_failure;
    unsigned handshakes_left, handshakes, handshake_us;
    unsigned expired;
    struct gw_mono deadline;
    unsigned stop_when_received, stop_when_expired;
    unsigned pull_us;
    bool is_shared;
    uint32_t link; /* where trains leave */
    bool stops_when_failed;
    struct gw_tuple last_tuple;
};

static void spend_us(unsigned us)
{
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while (us > 0 && (now.tv_sec - began.tv_sec) * 1000000 + (now.tv_nsec - began.tv_nsec) / 1000 < (long)us);
}

void gw_gateway_input(struct gateway *gateway, struct gw_mono now, struct gw_train *train)
{
    (void)now;
    gateway->received_trains++;
    gateway->received += train->count;
    gateway->last_tuple = train->tuple;
    /* It is ours to write to. */
    memset(train->slab, 0xff, gw_train_len(train));
    if (gateway->stop_when_received && gateway->received >= gateway->stop_when_received)
        gw_loop_stop(gateway->loop);
}

bool gw_gateway_output(struct gateway *gateway, struct gw_mono now, struct gw_train *train)
{
    (void)now;
    if (gateway->to_send == 0)
        return false;
    gateway->to_send--;
    gateway->pulled++;
    spend_us(gateway->pull_us);
    train->stride = train->last_len = (uint16_t)gateway->stride;
    train->count = (uint16_t)gateway->per_train;
    train->tuple.remote = gateway->to;
    train->tuple.link = gateway->link;
    memset(train->slab, 1, gw_train_len(train));
    return true;
}

/* Its own datagrams, whatever else is to be pulled. */
bool gw_gateway_dismiss(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                        struct gw_train *train)
{
    (void)now, (void)peer;
    if (gateway->to_dismiss == 0)
        return false;
    gateway->to_dismiss--;
    train->stride = train->last_len = (uint16_t)gateway->stride;
    train->count = 1;
    train->tuple.remote = gateway->to;
    memset(train->slab, 2, gw_train_len(train));
    return true;
}

bool gw_gateway_farewell(struct gateway *gateway, struct gw_mono now, struct gw_farewell *farewell,
                         struct gw_train *train)
{
    farewell->round++;
    gateway->farewells++;
    return gw_gateway_dismiss(gateway, now, NULL, train);
}

bool gw_gateway_is_shared(const struct gateway *gateway, struct gw_mono now)
{
    (void)now;
    return gateway->is_shared;
}

void gw_gateway_send_failed(struct gateway *gateway, struct gw_mono now, const struct gw_train *train,
                            int err)
{
    (void)now, (void)train;
    gateway->failed++;
    gateway->last_failure = (unsigned)-err;
    if (gateway->stops_when_failed)
        gw_loop_stop(gateway->loop);
}

bool gw_gateway_handshake(struct gateway *gateway, struct gw_mono now)
{
    (void)now;
    if (gateway->handshakes_left == 0)
        return false;
    gateway->handshakes_left--;
    gateway->handshakes++;
    spend_us(gateway->handshake_us);
    return gateway->handshakes_left > 0;
}

struct gw_mono gw_gateway_next_deadline(const struct gateway *gateway)
{
    return gateway->deadline;
}

void gw_gateway_expire(struct gateway *gateway, struct gw_mono now)
{
    assert_true(gw_mono_due(gateway->deadline, now));
    gateway->deadline =
        ++gateway->expired == gateway->stop_when_expired ? GW_NEVER : gw_mono_add(now, GW_MS(2));
    if (gateway->expired == gateway->stop_when_expired)
        gw_loop_stop(gateway->loop);
}

/* --- the test --- */

struct world {
    struct gw_loop *loop;
    struct gw_link *from, *to;
    struct gateway sender, receiver;
    struct event *limit;
    bool is_late;
};

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    struct world *world = arg;
    (void)fd, (void)what;
    world->is_late = true;
    gw_loop_stop(world->loop);
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    const struct gw_udp_params params = {.link = GW_LINK_PRIMARY};
    char why[512];
    memset(&calls, 0, sizeof calls);
    world->loop = gw_loop_new();
    assert_int_equal(gw_link_new(&world->from, world->loop, &params, why, sizeof why), 0);
    assert_int_equal(gw_link_new(&world->to, world->loop, &params, why, sizeof why), 0);
    world->sender = world->receiver = (struct gateway){.loop = world->loop, .deadline = GW_NEVER};
    world->sender.stride = 1000;
    world->sender.per_train = 20;
    gw_addr_parse_ip(&world->sender.to, "127.0.0.1", gw_link_port(world->to));
    assert_int_equal(gw_link_attach(world->from, &world->sender), 0);
    assert_int_equal(gw_link_attach(world->to, &world->receiver), 0);
    world->limit = evtimer_new(gw_loop_base(world->loop), on_limit, world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    memset(&calls, 0, sizeof calls);
    event_free(world->limit);
    gw_link_detach(world->from);
    gw_link_free(world->from);
    gw_link_free(world->to);
    gw_loop_free(world->loop);
    free(world);
    return 0;
}

static void run(struct world *world)
{
    struct timeval limit = {.tv_sec = 60};
    evtimer_add(world->limit, &limit);
    assert_int_equal(gw_loop_run(world->loop), 0);
    assert_false(world->is_late);
}

static void test_trains_arrive(void **state)
{
    struct world *world = *state;
    world->sender.to_send = 50;
    world->receiver.stop_when_received = 1000;
    run(world);
    assert_int_equal(world->sender.pulled, 50);
    assert_int_equal(world->receiver.received, 1000);
    assert_int_equal(gw_link_stats(world->from)->datagrams_sent, 1000);
}

static void test_full_socket_stops_the_pulling(void **state)
{
    struct world *world = *state;
    world->sender.to_send = 3;
    world->receiver.stop_when_received = 60;
    /* The second train does not fit for a while: the third is not pulled before. */
    calls.send_errnos[1] = calls.send_errnos[2] = calls.send_errnos[3] = EAGAIN;
    run(world);
    assert_int_equal(world->receiver.received, 60);
    assert_int_equal(gw_link_stats(world->from)->send_full, 3);
    assert_int_equal(world->sender.failed, 0);
}

static void test_a_refused_train_is_told_and_the_next_goes(void **state)
{
    static const int errnos[] = {ENOBUFS, EPERM, ENETUNREACH, EHOSTUNREACH, EMSGSIZE};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++) {
        memset(&calls, 0, sizeof calls);
        world->sender.to_send = 3;
        world->receiver.received = 0;
        world->receiver.stop_when_received = 40;
        calls.send_errnos[0] = errnos[i];
        calls.send_errnos[1] = errnos[i] == EMSGSIZE ? EMSGSIZE : 0; /* by the interface, so again */
        run(world);
        assert_int_equal(world->sender.failed, i + 1);
        assert_int_equal(world->sender.last_failure, errnos[i]);
    }
}

static void test_sending_shares_the_loop(void **state)
{
    struct world *world = *state;
    /* A train takes 0.3 ms: a turn sends a few, and receives in between. */
    world->sender.to_send = 40;
    world->sender.pull_us = 300;
    world->receiver.stop_when_received = 100;
    run(world);
    assert_true(world->sender.pulled >= 5 && world->sender.pulled < 30);
}

static void test_deadlines(void **state)
{
    struct world *world = *state;
    world->sender.deadline = gw_mono_add(gw_loop_now(world->loop), GW_MS(5));
    world->sender.stop_when_expired = 4;
    run(world);
    assert_int_equal(world->sender.expired, 4);
}

static void test_handshakes_get_a_share(void **state)
{
    struct world *world = *state;
    /* A flood of 0.2 ms each does not keep data from flowing. */
    world->receiver.handshakes_left = 1000000;
    world->receiver.handshake_us = 200;
    world->sender.to_send = 100;
    world->receiver.stop_when_received = 2000;
    run(world);
    assert_int_equal(world->receiver.received, 2000);
    assert_true(world->receiver.handshakes > 0 && world->receiver.handshakes < 500);
}

static void test_handshakes_all_get_done(void **state)
{
    struct world *world = *state;
    world->receiver.handshakes_left = 200;
    world->sender.deadline = gw_mono_add(gw_loop_now(world->loop), GW_MS(50));
    world->sender.stop_when_expired = 1;
    run(world);
    assert_int_equal(world->receiver.handshakes, 200);
}

static void test_receive_errors_do_not_spin(void **state)
{
    struct world *world = *state;
    calls.receive_errnos[0] = calls.receive_errnos[1] = calls.receive_errnos[2] = ENOMEM;
    world->sender.to_send = 1;
    world->receiver.stop_when_received = 20;
    run(world);
    assert_int_equal(gw_link_stats(world->to)->receive_errors, 3);
}

static void test_the_last_word_is_sent(void **state)
{
    struct world *world = *state;
    world->sender.to_send = 2;
    gw_link_detach(world->from);
    assert_int_equal(gw_link_stats(world->from)->trains_sent, 2);
    world->receiver.stop_when_received = 40;
    run(world);
}

/* Each of its peers, behind what was to be said before. */
static void test_goodbyes(void **state)
{
    struct world *world = *state;
    world->sender.to_send = 2;
    world->sender.to_dismiss = 500;
    gw_link_detach(world->from);
    assert_int_equal(gw_link_stats(world->from)->datagrams_sent, 2 * 20 + 500);
    assert_int_equal(world->sender.farewells, 501);
    world->receiver.stop_when_received = 40;
    run(world);
}

/* A socket that has no room for a moment ends nothing. */
static void test_goodbyes_wait_for_room(void **state)
{
    struct world *world = *state;
    world->sender.to_dismiss = 50;
    calls.send_errnos[0] = calls.send_errnos[1] = EAGAIN;
    gw_link_detach(world->from);
    assert_int_equal(gw_link_stats(world->from)->datagrams_sent, 50);
}

/* At once, also where a train waits for the socket; never more often than a few times. */
static void test_dismissals(void **state)
{
    struct world *world = *state;
    world->sender.to_dismiss = 1;
    gw_link_dismiss(world->from, NULL, gw_loop_now(world->loop));
    assert_int_equal(gw_link_stats(world->from)->datagrams_sent, 1);
    world->sender.to_dismiss = 1000;
    gw_link_dismiss(world->from, NULL, gw_loop_now(world->loop));
    unsigned sent = 1000 - world->sender.to_dismiss;
    assert_true(sent > 0 && sent < 10);
    /* A full socket: the first waits, as any train does, and no more are asked for. */
    memset(&calls, 0, sizeof calls);
    calls.send_errnos[0] = calls.send_errnos[1] = EAGAIN;
    gw_link_dismiss(world->from, NULL, gw_loop_now(world->loop));
    assert_int_equal(1000 - world->sender.to_dismiss, sent + 1);
    gw_link_dismiss(world->from, NULL, gw_loop_now(world->loop));
    assert_int_equal(1000 - world->sender.to_dismiss, sent + 1);
    world->receiver.stop_when_received = sent + 2;
    run(world);
}

/* A train for a further socket leaves from that one's port; what comes there is of that link; closed, it takes nothing more. */
static void test_further_sockets(void **state)
{
    struct world *world = *state;
    assert_int_equal(gw_link_open(world->to, 0, false), -EINVAL);
    int port = gw_link_open(world->to, 5, false), from_port = gw_link_open(world->from, 7, false);
    assert_true(port > 0 && from_port > 0);
    assert_int_equal(gw_link_open(world->to, 5, false), -EINVAL);
    uint16_t primary = world->sender.to.port;
    world->sender.to.port = (uint16_t)port;
    world->sender.link = 7;
    world->sender.to_send = 1;
    world->receiver.stop_when_received = 20;
    run(world);
    assert_int_equal(world->receiver.last_tuple.link, 5);
    assert_int_equal(world->receiver.last_tuple.remote.port, from_port);
    gw_link_close(world->from, 7);
    gw_link_close(world->from, 7);
    world->sender.to_send = 1;
    world->sender.stops_when_failed = true;
    run(world);
    assert_int_equal(world->sender.last_failure, ENOTCONN);
    world->sender.link = 0;
    world->sender.to.port = primary;
    world->sender.to_send = 1;
    world->receiver.stop_when_received = 40;
    run(world);
    assert_int_equal(world->receiver.last_tuple.link, 0);
}

/* One of both families: by IPv6 too it leaves from that port, and takes what comes there. */
static void test_further_of_both_families(void **state)
{
    struct world *world = *state;
    if (!gw_link_has(world->to, GW_UDP_V6))
        skip();
    int port = gw_link_open(world->to, 1, true), from_port = gw_link_open(world->from, 1, true);
    assert_true(port > 0 && from_port > 0);
    world->sender.link = 1;
    for (unsigned i = 0; i < 2; i++) {
        gw_addr_parse_ip(&world->sender.to, i == 0 ? "::1" : "127.0.0.1", (uint16_t)port);
        world->sender.to_send = 1;
        world->receiver.stop_when_received = 20 * (i + 1);
        run(world);
        assert_int_equal(world->receiver.last_tuple.link, 1);
        assert_int_equal(world->receiver.last_tuple.remote.family, i == 0 ? 6 : 4);
        assert_int_equal(world->receiver.last_tuple.remote.port, from_port);
    }
    gw_link_close(world->to, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_trains_arrive),
        T(test_full_socket_stops_the_pulling),
        T(test_a_refused_train_is_told_and_the_next_goes),
        T(test_sending_shares_the_loop),
        T(test_deadlines),
        T(test_handshakes_get_a_share),
        T(test_handshakes_all_get_done),
        T(test_receive_errors_do_not_spin),
        T(test_the_last_word_is_sent),
        T(test_goodbyes),
        T(test_goodbyes_wait_for_room),
        T(test_dismissals),
        T(test_further_sockets),
        T(test_further_of_both_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
