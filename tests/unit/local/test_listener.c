/* SPDX-License-Identifier: MIT */
/* Listening, above all at paths that are there already. */
#include "gateway/base/err.h"
#include "gateway/local/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
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

static struct gw_loop *loop;
static char dir[] = "/tmp/peergate-listener-XXXXXX";
static char path[64];
static unsigned clients;

static void on_client(struct gw_listener *listener, int fd, struct gw_mono now, void *user)
{
    (void)listener, (void)now;
    close(fd);
    clients++;
    if (user)
        gw_listener_free(listener);
}

static int listen_at(struct gw_listener **out, const char *text, unsigned mode, void *user)
{
    struct gw_target target;
    assert_int_equal(gw_listener_parse(&target, text), 0);
    struct gw_listener_params params = {
        .loop = loop, .target = &target, .mode = mode, .on_client = on_client, .user = user};
    return gw_listener_new(out, &params);
}

static int listen_at_path(struct gw_listener **out, unsigned mode)
{
    char text[80];
    snprintf(text, sizeof text, "unix:%s", path);
    return listen_at(out, text, mode, NULL);
}

static int connect_unix(void)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    strcpy(sun.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&sun, sizeof sun) == 0)
        return fd;
    close(fd);
    return -1;
}

static void turn(void)
{
    event_base_loop(gw_loop_base(loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void test_unix(void **state)
{
    struct gw_listener *first, *second;
    struct stat st;
    (void)state;
    assert_int_equal(listen_at_path(&first, 0), 0);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    /* Somebody listens: hands off. */
    assert_int_equal(listen_at_path(&second, 0), -EADDRINUSE);
    int fd = connect_unix();
    assert_true(fd >= 0);
    clients = 0;
    turn();
    /* The look at who listens there was a client too. */
    assert_int_equal(clients, 2);
    close(fd);
    gw_listener_free(first);
    assert_int_equal(lstat(path, &st), -1);
    assert_int_equal(errno, ENOENT);
}

static void test_mode(void **state)
{
    struct gw_listener *listener;
    struct stat st;
    mode_t mask = umask(0077);
    (void)state;
    assert_int_equal(listen_at_path(&listener, 0666), 0);
    umask(mask);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    gw_listener_free(listener);
}

/* What a kill -9 leaves. */
static void test_stale(void **state)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct gw_listener *listener;
    (void)state;
    strcpy(sun.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
    close(fd);
    assert_int_equal(listen_at_path(&listener, 0), 0);
    fd = connect_unix();
    assert_true(fd >= 0);
    close(fd);
    gw_listener_free(listener);
}

/* A file that is no socket, and a link to one, stay as they are. */
static void test_not_a_socket(void **state)
{
    struct gw_listener *listener;
    struct stat st;
    (void)state;
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(listen_at_path(&listener, 0), -EEXIST);
    assert_int_equal(lstat(path, &st), 0);
    unlink(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(listen_at_path(&listener, 0), -EEXIST);
    unlink(path);
    assert_int_equal(listen_at(&listener, "unix:/nowhere/at/all", 0, NULL), -ENOENT);
}

/* The path was taken over by somebody else meanwhile: it is theirs. */
static void test_replaced(void **state)
{
    struct gw_listener *listener;
    struct stat st;
    (void)state;
    assert_int_equal(listen_at_path(&listener, 0), 0);
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    gw_listener_free(listener);
    assert_int_equal(lstat(path, &st), 0);
    unlink(path);
}

static int connect_tcp(uint16_t port, bool is_ip6)
{
    struct sockaddr_storage ss;
    struct gw_addr addr;
    assert_int_equal(gw_addr_parse_ip(&addr, is_ip6 ? "::1" : "127.0.0.1", port), 0);
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(&addr, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
    return fd;
}

static void test_tcp(void **state)
{
    struct gw_listener *listener, *second;
    char text[32];
    int fds[200];
    (void)state;
    assert_int_equal(listen_at(&listener, "*:0", 0, NULL), 0);
    uint16_t port = gw_listener_target(listener)->port;
    assert_true(port != 0);
    clients = 0;
    for (int i = 0; i < 200; i++)
        fds[i] = connect_tcp(port, i % 2);
    /* A bounded number each turn. */
    turn();
    assert_in_range(clients, 1, 199);
    for (int i = 0; i < 20; i++)
        turn();
    assert_int_equal(clients, 200);
    for (int i = 0; i < 200; i++)
        close(fds[i]);
    snprintf(text, sizeof text, "*:%u", port);
    assert_int_equal(listen_at(&second, text, 0, NULL), -EADDRINUSE);
    gw_listener_free(listener);
    assert_int_equal(listen_at(&second, text, 0, NULL), 0);
    gw_listener_free(second);
    assert_int_equal(listen_at(&second, "192.0.2.1:0", 0, NULL), -EADDRNOTAVAIL);
}

/* The owner frees it from within. */
static void test_free_inside(void **state)
{
    struct gw_listener *listener;
    (void)state;
    assert_int_equal(listen_at(&listener, "127.0.0.1:0", 0, &clients), 0);
    uint16_t port = gw_listener_target(listener)->port;
    int a = connect_tcp(port, false), b = connect_tcp(port, false);
    clients = 0;
    turn();
    assert_int_equal(clients, 1);
    close(a);
    close(b);
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/socket", dir);
    loop = gw_loop_new();
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    gw_loop_free(loop);
    rmdir(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unix),         cmocka_unit_test(test_mode),     cmocka_unit_test(test_stale),
        cmocka_unit_test(test_not_a_socket), cmocka_unit_test(test_replaced), cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_free_inside),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
