/* SPDX-License-Identifier: MIT */
/* A splice between a socket pair and a stream that the test plays. */
#include "fake_stream.h"
#include "faults.h"

#include "gateway/local/splice.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct gw_loop *loop;
static struct gw_splice *bridged;
static struct gw_stream stream;
static int app; /* the application's end */
static const struct gw_mono now = {GW_S(1)};

static struct {
    unsigned readable, accepted, ended, refused;
    unsigned long long reason;
    const char *head;        /* said in on_accepted */
    const char *last_answer; /* said in on_refused */
} seen;

static void on_readable(struct gw_splice *s, struct gw_mono at, void *user)
{
    (void)s, (void)at, (void)user;
    seen.readable++;
}

static void on_accepted(struct gw_splice *s, struct gw_mono at, void *user)
{
    (void)at, (void)user;
    seen.accepted++;
    if (seen.head)
        assert_int_equal(gw_splice_head(s, seen.head, strlen(seen.head)), 0);
}

static void on_end(struct gw_splice *s, struct gw_mono at, unsigned long long reason, void *user)
{
    (void)s, (void)at, (void)user;
    seen.ended++;
    seen.reason = reason;
}

static void on_refused(struct gw_splice *s, struct gw_mono at, unsigned long long reason, void *user)
{
    (void)user;
    seen.refused++;
    seen.reason = reason;
    gw_splice_say_and_close(s, at, seen.last_answer, strlen(seen.last_answer));
}

static const struct gw_splice_events events = {on_readable, on_accepted, on_end, on_refused};

static int setup(void **state)
{
    int fds[2];
    (void)state;
    loop = gw_loop_new();
    assert_non_null(loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    app = fds[1];
    memset(&seen, 0, sizeof seen);
    fake_init(&stream, FAKE_CAP);
    bridged = gw_splice_new(loop, fds[0], &events, NULL);
    assert_non_null(bridged);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_clear();
    if (app >= 0)
        close(app);
    if (!seen.ended && bridged)
        gw_splice_close(bridged, now, GW_REASON_SHUTTING_DOWN);
    gw_loop_free(loop);
    return 0;
}

static void turn(void)
{
    event_base_loop(gw_loop_base(loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void turn_for_ms(int ms)
{
    for (int i = 0; i < ms; i++) {
        usleep(1000);
        turn();
    }
}

/* As after gw_stream_open. */
static void bridge(const char *first, uint64_t limit)
{
    stream.ops = &gw_splice_stream_ops;
    stream.user = bridged;
    assert_int_equal(gw_splice_bridge_opened(bridged, now, &stream, first, strlen(first), limit), 0);
}

static void accept_it(void)
{
    stream.ops->on_accepted(&stream, now, stream.user);
}

static void write_app(const char *text)
{
    assert_int_equal(write(app, text, strlen(text)), strlen(text));
}

static void expect_app(const char *text)
{
    char got[256];
    ssize_t n = read(app, got, sizeof got);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static void expect_out(const char *text)
{
    assert_int_equal(stream.out_len, strlen(text));
    assert_memory_equal(stream.out, text, strlen(text));
}

static void test_raw_then_bridge(void **state)
{
    char bytes[8];
    (void)state;
    write_app("helloworld");
    turn();
    assert_int_equal(seen.readable, 1);
    assert_int_equal(recv(gw_splice_fd(bridged), bytes, 5, 0), 5);
    /* What was read, then what lies in the socket, for which there is no further edge. */
    bridge("hello", GW_SPLICE_UNLIMITED);
    expect_out("helloworld");
    assert_int_equal(seen.accepted, 0);
    seen.head = "yes ";
    accept_it();
    fake_deliver(&stream, "data", 4);
    expect_app("yes data");
}

static void test_end_in_order(void **state)
{
    (void)state;
    bridge("", GW_SPLICE_UNLIMITED);
    accept_it();
    write_app("a");
    shutdown(app, SHUT_WR);
    turn();
    expect_out("a");
    assert_true(stream.is_finished);
    fake_deliver(&stream, "b", 1);
    fake_fin(&stream);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.reason, GW_REASON_NONE);
    assert_true(stream.is_released);
    expect_app("b");
    expect_app("");
}

static void test_fin_first(void **state)
{
    (void)state;
    bridge("", GW_SPLICE_UNLIMITED);
    accept_it();
    fake_fin(&stream);
    expect_app("");
    write_app("late");
    turn();
    expect_out("late");
    close(app);
    app = -1;
    turn();
    assert_int_equal(seen.ended, 1);
    assert_true(stream.is_released);
}

/* The stream is full; then it has room, and says so from within or from without. */
static void test_stream_full(void **state)
{
    (void)state;
    stream.room = 3;
    bridge("", GW_SPLICE_UNLIMITED);
    write_app("abcdefgh");
    turn();
    expect_out("abc");
    turn();
    stream.room = 2;
    stream.ops->on_writable(&stream, now, stream.user);
    expect_out("abcde");
    /* on_writable while nothing is lent: the reserve that failed had just been asked. */
    stream.room = 0;
    stream.writable_inside = 1;
    stream.room_inside = 1;
    stream.ops->on_writable(&stream, now, stream.user);
    expect_out("abcdef");
    /* While room is lent. */
    stream.room = 1;
    stream.writable_inside = 2;
    stream.ops->on_writable(&stream, now, stream.user);
    expect_out("abcdefg");
    /* A stream that says so again and again without having room does not hold up the loop. */
    stream.writable_inside = 1000;
    stream.ops->on_writable(&stream, now, stream.user);
    expect_out("abcdefg");
    assert_true(stream.writable_inside > 900);
    stream.writable_inside = 0;
    stream.room = FAKE_CAP;
    turn_for_ms(30);
    expect_out("abcdefgh");
}

static void fill_app(void)
{
    static char junk[65536];
    while (send(gw_splice_fd(bridged), junk, sizeof junk, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        ;
    assert_int_equal(errno, EAGAIN);
}

static size_t drain_app(void)
{
    static char junk[65536];
    size_t total = 0;
    ssize_t n;
    while ((n = read(app, junk, sizeof junk)) > 0)
        total += (size_t)n;
    return total;
}

/* The socket is full: the stream keeps its bytes until the edge. */
static void test_socket_full(void **state)
{
    (void)state;
    bridge("", GW_SPLICE_UNLIMITED);
    accept_it();
    turn();
    fill_app();
    fake_deliver(&stream, "kept", 4);
    fake_fin(&stream);
    assert_int_equal(stream.kept_len, 4);
    turn();
    assert_int_equal(stream.resumed, 0);
    drain_app();
    turn();
    assert_int_equal(stream.resumed, 1);
    expect_app("kept");
    expect_app("");
}

/* A reply that the socket does not take at once goes before the stream's bytes, and the end comes last. */
static void test_head_waits(void **state)
{
    (void)state;
    bridge("", GW_SPLICE_UNLIMITED);
    turn();
    fill_app();
    seen.head = "one ";
    accept_it();
    assert_int_equal(gw_splice_head(bridged, "two ", 4), 0);
    fake_deliver(&stream, "three", 5);
    fake_fin(&stream);
    drain_app();
    turn();
    expect_app("one two three");
    expect_app("");
    /* And an end behind a head alone. */
    fault_clear();
}

static void test_head_then_fin(void **state)
{
    (void)state;
    bridge("", GW_SPLICE_UNLIMITED);
    turn();
    fill_app();
    seen.head = "reply";
    accept_it();
    fake_fin(&stream);
    drain_app();
    turn();
    expect_app("reply");
    expect_app("");
}

/* No memory in the kernel, in each state: tried again without an edge. */
static void test_no_buffers(void **state)
{
    (void)state;
    turn();
    fault_set(FAULT_SENDMSG, ENOBUFS, 0, 2, 0);
    assert_int_equal(gw_splice_head(bridged, "raw ", 4), 0);
    turn_for_ms(40);
    expect_app("raw ");
    assert_int_equal(fault_count(FAULT_SENDMSG), 2);
    bridge("", GW_SPLICE_UNLIMITED);
    accept_it();
    fault_set(FAULT_SENDMSG, ENOMEM, 0, 2, 0);
    fake_deliver(&stream, "bridged", 7);
    turn_for_ms(40);
    expect_app("bridged");
    fault_set(FAULT_RECV, ENOMEM, 0, 2, 0);
    write_app("in");
    turn();
    expect_out("");
    turn_for_ms(40);
    expect_out("in");
}

static void test_refused(void **state)
{
    (void)state;
    write_app("early");
    bridge("", GW_SPLICE_UNLIMITED);
    expect_out("early");
    write_app("more");
    seen.last_answer = "no";
    stream.ops->on_closed(&stream, now, GW_REASON_REFUSED, stream.user);
    assert_int_equal(seen.refused, 1);
    assert_int_equal(seen.reason, GW_REASON_REFUSED);
    assert_int_equal(seen.ended, 0);
    expect_app("no");
    expect_app("");
    shutdown(app, SHUT_WR);
    turn();
    assert_int_equal(seen.ended, 1);
}

/* Nobody reads the last answer: it is over nevertheless. */
static void test_refused_and_stuck(void **state)
{
    (void)state;
    bridge("", GW_SPLICE_UNLIMITED);
    turn();
    fill_app();
    seen.last_answer = "no";
    stream.ops->on_closed(&stream, now, GW_REASON_NOT_LISTED, stream.user);
    assert_int_equal(seen.ended, 0);
    for (int i = 0; i < 300 && !seen.ended; i++)
        turn_for_ms(10);
    assert_int_equal(seen.ended, 1);
}

static void test_unbridge(void **state)
{
    (void)state;
    bridge("", GW_SPLICE_UNLIMITED);
    gw_splice_unbridge(bridged, now, GW_REASON_CANCELLED);
    assert_true(stream.is_reset);
    assert_null(gw_splice_stream(bridged));
    gw_splice_say_and_close(bridged, now, "late", 4);
    expect_app("late");
}

static void test_closed_by_peer(void **state)
{
    (void)state;
    bridge("", GW_SPLICE_UNLIMITED);
    accept_it();
    stream.ops->on_closed(&stream, now, GW_REASON_PEER_RESTARTED, stream.user);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.reason, GW_REASON_PEER_RESTARTED);
}

static void test_broken_socket(void **state)
{
    (void)state;
    bridge("", GW_SPLICE_UNLIMITED);
    accept_it();
    close(app);
    app = -1;
    fake_deliver(&stream, "x", 1); /* EPIPE, from within on_data */
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.reason, GW_REASON_CANCELLED);
    assert_true(stream.is_reset);
}

static void test_timed_out_socket(void **state)
{
    (void)state;
    bridge("", GW_SPLICE_UNLIMITED);
    accept_it();
    fault_set(FAULT_RECV, ETIMEDOUT, 0, 1, 0);
    write_app("x");
    turn();
    assert_int_equal(seen.reason, GW_REASON_TIMED_OUT);
    assert_int_equal(stream.reason, GW_REASON_TIMED_OUT);
}

/* Blocked in both directions, it still hears that the application went. */
static void test_reset_while_blocked(void **state)
{
    (void)state;
    stream.room = 0;
    bridge("", GW_SPLICE_UNLIMITED);
    accept_it();
    write_app("x");
    turn();
    fill_app(); /* bytes that the application never read: its close is a reset */
    close(app);
    app = -1;
    turn();
    assert_int_equal(seen.ended, 1);
    assert_true(stream.is_reset);
}

/* A request's end: its bytes, then only the end of the stream. */
static void test_limit(void **state)
{
    (void)state;
    bridge("GET", 3);
    accept_it();
    write_app("12");
    turn();
    write_app("3");
    turn();
    expect_out("GET123");
    assert_int_equal(seen.ended, 0);
    shutdown(app, SHUT_WR);
    turn();
    assert_true(stream.is_finished);
    assert_int_equal(seen.ended, 0);
}

static void test_over_limit(void **state)
{
    (void)state;
    bridge("", 3);
    accept_it();
    write_app("1234");
    turn();
    expect_out("123");
    assert_int_equal(seen.ended, 1);
    assert_true(stream.is_reset);
}

/* First bytes that the stream does not take at once. */
static void test_first_waits(void **state)
{
    (void)state;
    stream.room = 2;
    write_app("four");
    bridge("three", GW_SPLICE_UNLIMITED);
    expect_out("th");
    stream.room = 4;
    stream.ops->on_writable(&stream, now, stream.user);
    expect_out("threef");
    stream.room = 100;
    stream.ops->on_writable(&stream, now, stream.user);
    expect_out("threefour");
}

static void test_acceptor(void **state)
{
    (void)state;
    memcpy(stream.kept, "waiting", 7);
    stream.kept_len = 7;
    stream.is_fin_kept = true;
    gw_splice_bridge_accepted(bridged, now, &stream);
    expect_app("waiting");
    expect_app("");
    write_app("reply");
    turn();
    expect_out("reply");
}

static void test_acceptor_too_late(void **state)
{
    (void)state;
    stream.is_reset = true;
    stream.reason = GW_REASON_CANCELLED;
    gw_splice_bridge_accepted(bridged, now, &stream);
    assert_int_equal(seen.ended, 1);
}

static void test_detach(void **state)
{
    (void)state;
    int fd = gw_splice_detach(bridged);
    bridged = NULL;
    write_app("x");
    turn();
    assert_int_equal(seen.readable, 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_raw_then_bridge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fin_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_socket_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_head_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_head_then_fin, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_buffers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_and_stuck, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unbridge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_by_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timed_out_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_while_blocked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_over_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_acceptor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_acceptor_too_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_detach, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
