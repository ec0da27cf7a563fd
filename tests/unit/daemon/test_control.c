/* SPDX-License-Identifier: MIT */
/* The control socket over real sockets: lines, tasks, limits, and clients that misbehave. */
#include "gateway/daemon/control.h"
#include "gateway/daemon/verdict.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BIG 200000u

struct world {
    struct gw_loop *loop;
    struct gw_control *control;
    char path[64];
    struct gw_control_task task;
    unsigned cancelled;
    struct gw_list verdicts;
    int detached;
    uint8_t *rest;
    size_t rest_len;
};

/* --- commands --- */

static void echo(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    (void)now, (void)ctx;
    gw_control_reply(client, json_pack("{s:O}", "text", json_object_get(request, "text")));
}

static void refuse(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    (void)request, (void)now, (void)ctx;
    gw_control_fail(client, "no", "not for %s", "you");
}

static void on_cancel(struct gw_control_task *task)
{
    struct world *world = gw_container_of(task, struct world, task);
    assert_null(task->client);
    world->cancelled++;
}

static void begin(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    struct world *world = ctx;
    (void)now;
    world->task = (struct gw_control_task){.cancel = on_cancel,
                                           .ends_at_eof = json_is_true(json_object_get(request, "eof"))};
    gw_control_task_begin(client, &world->task);
    gw_control_reply(client, NULL);
}

static void detach(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    struct world *world = ctx;
    (void)request, (void)now;
    world->detached = gw_control_detach(client, &world->rest, &world->rest_len);
}

static void wait_verdict(struct gw_control_client *client, const json_t *request, struct gw_mono now,
                         void *ctx)
{
    struct world *world = ctx;
    (void)now;
    gw_verdict_wait(&world->verdicts, client, json_string_value(json_object_get(request, "token")));
}

#define LONG 3000000

static unsigned long_answers;
static void answer_long(struct gw_control_client *client, const json_t *request, struct gw_mono now,
                        void *ctx)
{
    char *text = malloc(LONG + 1);
    (void)request, (void)now, (void)ctx;
    memset(text, 'z', LONG);
    text[LONG] = '\0';
    gw_control_reply(client, json_pack("{s:s}", "text", text));
    free(text);
    long_answers++;
}

static const struct gw_control_command commands[] = {
    {"echo", echo},     {"refuse", refuse},        {"begin", begin},
    {"detach", detach}, {"verdict", wait_verdict}, {"long", answer_long},
    {NULL, NULL},
};

/* --- the world --- */

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    signal(SIGPIPE, SIG_IGN);
    world->loop = gw_loop_new();
    world->detached = -1;
    gw_list_init(&world->verdicts);
    snprintf(world->path, sizeof world->path, "@peergate-test-control-%ld", (long)getpid());
    const struct gw_control_params params = {
        .loop = world->loop, .path = world->path, .commands = commands, .ctx = world};
    assert_int_equal(gw_control_new(&world->control, &params), 0);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    gw_control_free(world->control);
    gw_loop_free(world->loop);
    if (world->detached >= 0)
        close(world->detached);
    free(world->rest);
    free(world);
    return 0;
}

static void turn(struct world *world)
{
    for (int i = 0; i < 5; i++)
        event_base_loop(gw_loop_base(world->loop), EVLOOP_NONBLOCK);
}

static int connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    memcpy(at.sun_path + 1, path + 1, strlen(path) - 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&at,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))),
                     0);
    return fd;
}

static void say(struct world *world, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    turn(world);
}

/* Everything that came since; "" = nothing; NULL = the server hung up. */
static const char *hear(int fd)
{
    static char text[4096];
    ssize_t got = recv(fd, text, sizeof text - 1, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        return NULL;
    text[got < 0 ? 0 : got] = '\0';
    return text;
}

/* --- tests --- */

static void test_lines(void **state)
{
    struct world *world = *state;
    int fd = connect_to(world->path);
    say(world, fd, "{\"command\":\"echo\",\"text\":\"a\"}\n");
    assert_string_equal(hear(fd), "{\"ok\":true,\"text\":\"a\"}\n");
    say(world, fd, "{\"command\":\"ec");
    assert_string_equal(hear(fd), "");
    say(world, fd, "ho\",\"text\":1}\n{\"command\":\"refuse\"}\n{\"com");
    assert_string_equal(
        hear(fd), "{\"ok\":true,\"text\":1}\n{\"ok\":false,\"code\":\"no\",\"error\":\"not for you\"}\n");
    say(world, fd, "mand\":\"nothing\"}\n");
    assert_non_null(strstr(hear(fd), "unknown-command"));
    close(fd);
    turn(world);
}

static void test_not_a_request(void **state)
{
    static const char *const lines[] = {
        "\n", "hello\n", "[]\n", "{}\n", "{\"command\":1}\n", "{\"command\":\"echo\",\"command\":\"echo\"}\n",
        "{\n"};
    struct world *world = *state;
    int fd = connect_to(world->path);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        say(world, fd, lines[i]);
        assert_non_null(strstr(hear(fd), "\"malformed\""));
    }
    say(world, fd, "{\"command\":\"echo\",\"text\":2}\n");
    assert_non_null(strstr(hear(fd), "true"));
    close(fd);
}

static void test_one_shot(void **state)
{
    struct world *world = *state;
    int fd = connect_to(world->path);
    say(world, fd, "{\"command\":\"echo\",\"text\":3}\n");
    shutdown(fd, SHUT_WR);
    turn(world);
    assert_non_null(strstr(hear(fd), "3"));
    assert_null(hear(fd));
    close(fd);
}

static void test_line_too_long(void **state)
{
    struct world *world = *state;
    int fd = connect_to(world->path);
    char *line = malloc(BIG);
    memset(line, 'x', BIG);
    for (size_t sent = 0; sent < BIG;) {
        ssize_t put = send(fd, line + sent, BIG - sent, MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN)
            break;
        sent += put > 0 ? (size_t)put : 0;
        turn(world);
    }
    free(line);
    turn(world);
    const char *text = hear(fd);
    assert_true(text == NULL || strstr(text, "too-long") != NULL);
    close(fd);
    turn(world);
}

static void test_too_many_clients(void **state)
{
    struct world *world = *state;
    int fds[GW_CONTROL_CLIENTS_MAX + 1];
    for (unsigned i = 0; i <= GW_CONTROL_CLIENTS_MAX; i++) {
        fds[i] = connect_to(world->path);
        turn(world);
    }
    turn(world);
    assert_non_null(strstr(hear(fds[GW_CONTROL_CLIENTS_MAX]), "busy"));
    assert_null(hear(fds[GW_CONTROL_CLIENTS_MAX]));
    close(fds[0]);
    turn(world);
    int late = connect_to(world->path);
    turn(world);
    say(world, late, "{\"command\":\"echo\",\"text\":4}\n");
    assert_non_null(strstr(hear(late), "4"));
    close(late);
    for (unsigned i = 1; i <= GW_CONTROL_CLIENTS_MAX; i++)
        close(fds[i]);
    turn(world);
}

static void test_a_task_holds_the_next_command_back(void **state)
{
    struct world *world = *state;
    int fd = connect_to(world->path);
    say(world, fd, "{\"command\":\"begin\"}\n{\"command\":\"echo\",\"text\":5}\n");
    assert_string_equal(hear(fd), "{\"ok\":true}\n");
    gw_control_reply(world->task.client, json_pack("{s:i}", "line", 2));
    gw_control_task_end(&world->task);
    turn(world);
    assert_string_equal(hear(fd), "{\"ok\":true,\"line\":2}\n{\"ok\":true,\"text\":5}\n");
    assert_int_equal(world->cancelled, 0);
    close(fd);
    turn(world);
}

static void test_a_task_outlives_a_half_close(void **state)
{
    struct world *world = *state;
    int fd = connect_to(world->path);
    say(world, fd, "{\"command\":\"begin\"}\n");
    shutdown(fd, SHUT_WR);
    turn(world);
    assert_int_equal(world->cancelled, 0);
    gw_control_reply(world->task.client, NULL);
    gw_control_task_end(&world->task);
    turn(world);
    assert_string_equal(hear(fd), "{\"ok\":true}\n{\"ok\":true}\n");
    assert_null(hear(fd));
    close(fd);
}

static void test_a_task_ends_with_its_client(void **state)
{
    struct world *world = *state;
    int fd = connect_to(world->path);
    say(world, fd, "{\"command\":\"begin\",\"eof\":true}\n");
    close(fd);
    turn(world);
    assert_int_equal(world->cancelled, 1);
    /* One that waits for its own end notices when it speaks. */
    fd = connect_to(world->path);
    say(world, fd, "{\"command\":\"begin\"}\n");
    assert_non_null(hear(fd));
    close(fd);
    turn(world);
    assert_int_equal(world->cancelled, 1);
    gw_control_reply(world->task.client, NULL);
    turn(world);
    assert_int_equal(world->cancelled, 2);
}

static void test_a_task_ends_with_the_server(void **state)
{
    struct world *world = *state;
    int fd = connect_to(world->path);
    say(world, fd, "{\"command\":\"begin\"}\n");
    assert_non_null(hear(fd));
    gw_control_reply(world->task.client, json_pack("{s:b}", "last", 1));
    gw_control_free(world->control);
    world->control = NULL;
    assert_int_equal(world->cancelled, 1);
    assert_string_equal(hear(fd), "{\"ok\":true,\"last\":true}\n");
    assert_null(hear(fd));
    close(fd);
}

static void test_slow_reader(void **state)
{
    struct world *world = *state;
    int fd = connect_to(world->path);
    char *text = malloc(BIG);
    memset(text, 'y', BIG - 1);
    text[BIG - 1] = '\0';
    say(world, fd, "{\"command\":\"begin\"}\n");
    for (int i = 0; i < 20 && world->cancelled == 0; i++) {
        gw_control_reply(world->task.client, json_pack("{s:s}", "text", text));
        turn(world);
    }
    free(text);
    assert_int_equal(world->cancelled, 1);
    close(fd);
}

/* Reads as much as has come, without waiting; how much that was. */
static size_t hear_all(struct world *world, int fd)
{
    char text[65536];
    size_t total = 0;
    ssize_t got;
    do {
        turn(world);
        got = recv(fd, text, sizeof text, 0);
        total += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    return total;
}

/* Answers of several megabytes arrive whole; who does not read them is not answered further until it does. */
static void test_long_answers(void **state)
{
    struct world *world = *state;
    int fd = connect_to(world->path);
    long_answers = 0;
    say(world, fd, "{\"command\":\"long\"}\n{\"command\":\"long\"}\n{\"command\":\"long\"}\n");
    for (int i = 0; i < 20; i++)
        turn(world);
    assert_int_equal(long_answers, 1);
    assert_true(hear_all(world, fd) > 3 * (size_t)LONG);
    assert_int_equal(long_answers, 3);
    /* So does the last one of a client that says no more. */
    say(world, fd, "{\"command\":\"long\"}\n{\"command\":\"long\"}\n");
    shutdown(fd, SHUT_WR);
    turn(world);
    assert_true(hear_all(world, fd) > 2 * (size_t)LONG);
    assert_null(hear(fd));
    close(fd);
}

static void test_detach(void **state)
{
    struct world *world = *state;
    int fd = connect_to(world->path);
    say(world, fd, "{\"command\":\"detach\"}\nbytes of its own");
    assert_true(world->detached >= 0);
    assert_int_equal(world->rest_len, 16);
    assert_memory_equal(world->rest, "bytes of its own", 16);
    /* The connection lives on without us. */
    assert_int_equal(send(world->detached, "more", 4, MSG_NOSIGNAL), 4);
    assert_string_equal(hear(fd), "more");
    close(fd);
    turn(world);
}

static void test_verdict(void **state)
{
    struct world *world = *state;
    int a = connect_to(world->path), b = connect_to(world->path);
    say(world, a, "{\"command\":\"verdict\",\"token\":\"one\"}\n");
    say(world, b, "{\"command\":\"verdict\",\"token\":\"two\"}\n");
    assert_non_null(strstr(hear(a), "waiting"));
    assert_non_null(strstr(hear(b), "waiting"));
    gw_verdict_tell(&world->verdicts, "three", "x", NULL);
    gw_verdict_tell(&world->verdicts, "", "x", NULL);
    gw_verdict_tell(&world->verdicts, "two", "", NULL);
    gw_verdict_tell(&world->verdicts, "one", "broke", "it broke");
    turn(world);
    assert_string_equal(hear(a), "{\"ok\":false,\"code\":\"broke\",\"error\":\"it broke\"}\n");
    assert_string_equal(hear(b), "{\"ok\":true}\n");
    /* One that goes away waits no more; none and too long ones are refused. */
    say(world, a, "{\"command\":\"verdict\",\"token\":\"one\"}\n");
    close(a);
    turn(world);
    assert_true(gw_list_is_empty(&world->verdicts));
    say(world, b, "{\"command\":\"verdict\"}\n");
    assert_non_null(strstr(hear(b), "malformed"));
    close(b);
    turn(world);
}

/* Another user gets in by an abstract socket, which has no file mode; not further. */
static void test_another_user(void **state)
{
    struct world *world = *state;
    if (geteuid() != 0)
        skip();
    pid_t child = fork();
    if (child == 0) {
        if (setresuid(65534, 65534, 65534) != 0)
            _exit(1);
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        char text[256];
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        memcpy(at.sun_path + 1, world->path + 1, strlen(world->path) - 1);
        if (connect(fd, (struct sockaddr *)&at,
                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(world->path))) != 0)
            _exit(2);
        ssize_t got = recv(fd, text, sizeof text - 1, 0);
        text[got > 0 ? got : 0] = '\0';
        _exit(strstr(text, "not-allowed") ? 0 : 3);
    }
    int status = 0;
    for (int i = 0; i < 6000 && waitpid(child, &status, WNOHANG) == 0; i++) {
        turn(world);
        usleep(10000);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_only_one_listens(void **state)
{
    struct world *world = *state;
    struct gw_control *second;
    struct gw_control_params params = {.loop = world->loop, .path = world->path, .commands = commands};
    assert_int_equal(gw_control_new(&second, &params), -EADDRINUSE);
    char path[300];
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    params.path = path;
    assert_int_equal(gw_control_new(&second, &params), -ENAMETOOLONG);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_lines),
        T(test_not_a_request),
        T(test_one_shot),
        T(test_line_too_long),
        T(test_too_many_clients),
        T(test_a_task_holds_the_next_command_back),
        T(test_a_task_outlives_a_half_close),
        T(test_a_task_ends_with_its_client),
        T(test_a_task_ends_with_the_server),
        T(test_slow_reader),
        T(test_long_answers),
        T(test_detach),
        T(test_verdict),
        T(test_another_user),
        T(test_only_one_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
