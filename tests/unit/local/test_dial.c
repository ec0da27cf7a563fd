/* SPDX-License-Identifier: MIT */
/* Dials that end at once, later, never, or are called off. */
#include "gateway/base/err.h"
#include "gateway/local/dial.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct gw_loop *loop;
static struct gw_dialer *dialer;
static int result;
static bool is_done;

static void on_done(int fd, struct gw_mono now, void *user)
{
    (void)now, (void)user;
    result = fd;
    is_done = true;
    gw_loop_stop(loop);
}

static bool refuse_all(const struct gw_addr *address, void *user)
{
    (void)address, (void)user;
    return false;
}

/* The result, after waiting for it. */
static int dial(const char *text, bool is_datagrams, int64_t timeout_ns,
                bool (*is_permitted)(const struct gw_addr *, void *))
{
    struct gw_target target;
    struct gw_dial *handle;
    assert_int_equal(gw_target_parse(&target, text), 0);
    struct gw_dial_params params = {.target = &target,
                                    .is_datagrams = is_datagrams,
                                    .timeout_ns = timeout_ns,
                                    .is_permitted = is_permitted,
                                    .on_done = on_done};
    is_done = false;
    int at_once = gw_dial(dialer, &params, gw_loop_now(loop), &handle);
    if (at_once != -EINPROGRESS)
        return at_once;
    assert_int_equal(gw_loop_run(loop), 0);
    assert_true(is_done);
    return result;
}

static int server(int family, uint16_t *port)
{
    struct sockaddr_storage ss;
    struct gw_addr addr;
    assert_int_equal(gw_addr_parse_ip(&addr, family == AF_INET6 ? "::1" : "127.0.0.1", 0), 0);
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(&addr, &ss);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
    assert_int_equal(gw_addr_from_sockaddr(&addr, (struct sockaddr *)&ss), 0);
    *port = addr.port;
    return fd;
}

static void expect_connected(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    assert_true(fd >= 0);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&ss, &len), 0);
    close(fd);
}

static void test_tcp(void **state)
{
    char text[64];
    uint16_t port, port6;
    int four = server(AF_INET, &port), six = server(AF_INET6, &port6);
    (void)state;
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    expect_connected(dial(text, false, 0, NULL));
    snprintf(text, sizeof text, "[::1]:%u", port6);
    expect_connected(dial(text, false, 0, NULL));
    /* localhost is both families, whichever listens; no resolver is asked. */
    snprintf(text, sizeof text, "localhost:%u", port);
    expect_connected(dial(text, false, 0, NULL));
    snprintf(text, sizeof text, "web.LocalHost.:%u", port6);
    expect_connected(dial(text, false, 0, NULL));
    assert_int_equal(dial(text, false, 0, refuse_all), GW_E_PERMISSION);
    close(four);
    close(six);
    assert_int_equal(dial(text, false, 0, NULL), -ECONNREFUSED);
    assert_int_equal(gw_dial_reason(-ECONNREFUSED), GW_REASON_SERVICE_DOWN);
}

static void test_udp(void **state)
{
    (void)state;
    expect_connected(dial("127.0.0.1:9", true, 0, NULL));
    assert_int_equal(dial("unix:/x", true, 0, NULL), -EPROTONOSUPPORT);
}

static void test_unix(void **state)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    char path[64], text[80];
    (void)state;
    snprintf(path, sizeof path, "/tmp/peergate-dial-%d", (int)getpid());
    snprintf(text, sizeof text, "unix:%s", path);
    strcpy(sun.sun_path, path);
    assert_int_equal(dial(text, false, 0, NULL), -ENOENT);
    assert_int_equal(gw_dial_reason(-ENOENT), GW_REASON_SERVICE_DOWN);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
    assert_int_equal(dial(text, false, 0, NULL), -ECONNREFUSED);
    assert_int_equal(listen(fd, 0), 0);
    int first = dial(text, false, 0, NULL);
    assert_true(first >= 0);
    /* The queue is full now: it is tried until the time is over. */
    assert_int_equal(dial(text, false, GW_MS(100), NULL), GW_E_TIMEOUT);
    assert_int_equal(gw_dial_reason(GW_E_TIMEOUT), GW_REASON_TIMED_OUT);
    close(first);
    close(fd);
    unlink(path);
    /* Abstract. */
    memset(&sun, 0, sizeof sun);
    sun.sun_family = AF_UNIX;
    int n = snprintf(sun.sun_path + 1, sizeof sun.sun_path - 1, "peergate-%d", (int)getpid());
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)),
                     0);
    assert_int_equal(listen(fd, 1), 0);
    snprintf(text, sizeof text, "unix:@peergate-%d", (int)getpid());
    expect_connected(dial(text, false, 0, NULL));
    close(fd);
}

/* A queue that is full swallows SYNs: nobody answers. */
static void test_timeout(void **state)
{
    char text[64];
    uint16_t port;
    int fds[8], fd = server(AF_INET, &port);
    (void)state;
    assert_int_equal(listen(fd, 0), 0);
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    for (int i = 0; i < 8; i++) {
        fds[i] = dial(text, false, GW_MS(50), NULL);
        if (fds[i] < 0)
            assert_int_equal(fds[i], GW_E_TIMEOUT);
    }
    assert_int_equal(fds[7], GW_E_TIMEOUT);
    for (int i = 0; i < 8; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    /* And called off in the middle. */
    struct gw_target target;
    struct gw_dial *handle;
    struct gw_dial_params params = {.target = &target, .on_done = on_done};
    assert_int_equal(gw_target_parse(&target, text), 0);
    int more[8], result_now = 0;
    for (int i = 0; i < 8; i++) {
        more[i] = result_now = gw_dial(dialer, &params, gw_loop_now(loop), &handle);
        if (result_now == -EINPROGRESS)
            gw_dial_cancel(handle);
    }
    assert_int_equal(result_now, -EINPROGRESS);
    for (int i = 0; i < 8; i++) {
        if (more[i] >= 0)
            close(more[i]);
    }
    close(fd);
}

/* A name that no resolver has, without waiting for more than its answer; and one that is called off. */
static void test_names(void **state)
{
    struct gw_target target;
    struct gw_dial *handle;
    struct gw_dial_params params = {.target = &target, .on_done = on_done};
    (void)state;
    int err = dial("nothing.invalid:80", false, GW_S(2), NULL);
    assert_true(err == GW_E_UNKNOWN || err == GW_E_TIMEOUT);
    assert_int_equal(gw_dial_reason(GW_E_UNKNOWN), GW_REASON_SERVICE_UNREACHABLE);
    assert_int_equal(gw_target_parse(&target, "other.invalid:80"), 0);
    err = gw_dial(dialer, &params, gw_loop_now(loop), &handle);
    if (err == -EINPROGRESS) {
        is_done = false;
        gw_dial_cancel(handle);
        event_base_loop(gw_loop_base(loop), EVLOOP_NONBLOCK);
        assert_false(is_done);
    }
}

static int setup(void **state)
{
    (void)state;
    loop = gw_loop_new();
    dialer = gw_dialer_new(loop);
    return loop && dialer ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    gw_dialer_free(dialer);
    gw_loop_free(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),     cmocka_unit_test(test_udp),   cmocka_unit_test(test_unix),
        cmocka_unit_test(test_timeout), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
