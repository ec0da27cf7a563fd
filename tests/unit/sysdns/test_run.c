/* SPDX-License-Identifier: MIT */
/* Programs that end well, badly and not at all. */
#include "frontends/dns/system/run.h"
#include "gateway/base/err.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

struct seen {
    struct event_base *base;
    bool is_done;
    int status;
    char said[4096];
};

static void on_end(int status, const char *said, void *ctx)
{
    struct seen *seen = ctx;
    assert_false(seen->is_done);
    seen->is_done = true;
    seen->status = status;
    snprintf(seen->said, sizeof seen->said, "%s", said);
    event_base_loopbreak(seen->base);
}

static int start(struct seen *seen, struct gw_sysdns_run **run, const char *script, const char *input,
                 int keep_fd, unsigned timeout_ms)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    const struct gw_sysdns_run_params params = {.base = seen->base,
                                                .argv = argv,
                                                .input = input,
                                                .keep_fd = keep_fd,
                                                .timeout_ms = timeout_ms,
                                                .on_end = on_end,
                                                .ctx = seen};
    return gw_sysdns_run_new(run, &params);
}

static void run_script(struct seen *seen, const char *script, const char *input, int keep_fd,
                       unsigned timeout_ms)
{
    struct gw_sysdns_run *run;
    *seen = (struct seen){.base = event_base_new()};
    assert_non_null(seen->base);
    assert_int_equal(start(seen, &run, script, input, keep_fd, timeout_ms), 0);
    event_base_dispatch(seen->base);
    assert_true(seen->is_done);
    event_base_free(seen->base);
}

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void test_ends(void **state)
{
    struct seen seen;
    (void)state;
    run_script(&seen, "exit 0", NULL, -1, 5000);
    assert_int_equal(seen.status, 0);
    assert_string_equal(seen.said, "");
    run_script(&seen, "echo one >&2; echo two; exit 3", NULL, -1, 5000);
    assert_int_equal(seen.status, GW_E_STATE);
    assert_string_equal(seen.said, "two");
    run_script(&seen, "kill -9 $$", NULL, -1, 5000);
    assert_int_equal(seen.status, GW_E_STATE);
    run_script(&seen, "read a b; read c; echo \"$b,$a,$c\"", "x y\nz\n", -1, 5000);
    assert_int_equal(seen.status, 0);
    assert_string_equal(seen.said, "y,x,z");
    run_script(&seen, "head -c 100000 /dev/zero | tr '\\0' 'x' >&2", NULL, -1, 5000);
    assert_int_equal(seen.status, 0);
    assert_true(strlen(seen.said) < 4096 && seen.said[0] == 'x');
}

/* It starts with the signals as they are by default, no descriptors of ours, and a clean environment. */
static void test_clean(void **state)
{
    struct seen seen;
    sigset_t all, before;
    int ours = open("/dev/null", O_RDONLY);
    char script[128];
    (void)state;
    assert_true(ours > 2);
    fcntl(ours, F_SETFD, FD_CLOEXEC);
    setenv("PEERGATE_SECRET", "x", 1);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    signal(SIGPIPE, SIG_IGN);
    snprintf(script, sizeof script, "[ -z \"$PEERGATE_SECRET\" ] && [ ! -e /proc/$$/fd/%d ]", ours);
    run_script(&seen, script, NULL, -1, 5000);
    assert_int_equal(seen.status, 0);
    run_script(&seen, "kill -TERM $$; exit 0", NULL, -1, 5000);
    assert_int_equal(seen.status, GW_E_STATE); /* the mask was not inherited: it is gone */
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    close(ours);
}

static void test_too_long(void **state)
{
    struct seen seen;
    char path[] = "/tmp/peergate-run-XXXXXX", script[256];
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    double began = now();
    run_script(&seen, "sleep 100", NULL, -1, 100);
    assert_int_equal(seen.status, GW_E_TIMEOUT);
    assert_true(now() - began < 50);
    /* it may clean up */
    snprintf(script, sizeof script, "trap 'rm -f %s; exit 1' TERM; sleep 100 & wait", path);
    run_script(&seen, script, NULL, -1, 1000);
    assert_int_equal(seen.status, GW_E_TIMEOUT);
    assert_int_equal(access(path, F_OK), -1);
    /* it won't hear of it, and neither will what it started */
    began = now();
    run_script(&seen, "trap '' TERM; sleep 100 & sleep 100", NULL, -1, 500);
    assert_int_equal(seen.status, GW_E_TIMEOUT);
    assert_true(now() - began < 50);
    close(fd);
}

/* Whoever it starts holds the descriptor too, until it ends. */
static void test_lock(void **state)
{
    struct seen seen;
    char path[] = "/tmp/peergate-run-XXXXXX";
    int fd = mkstemp(path), other = open(path, O_RDWR | O_CLOEXEC);
    (void)state;
    assert_true(fd >= 0 && other >= 0);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    run_script(&seen, "(sleep 3) & exit 0", NULL, fd, 5000);
    assert_int_equal(seen.status, 0);
    close(fd);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(flock(other, LOCK_EX), 0);
    close(other);
    unlink(path);
}

static void test_freed(void **state)
{
    struct seen seen = {.base = event_base_new()};
    struct gw_sysdns_run *run;
    char path[] = "/tmp/peergate-run-XXXXXX", script[256];
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    /* what is nearly done is let finish */
    snprintf(script, sizeof script, "sleep 0.3; rm %s", path);
    assert_int_equal(start(&seen, &run, script, NULL, -1, 5000), 0);
    gw_sysdns_run_free(run);
    assert_int_equal(access(path, F_OK), -1);
    double began = now();
    assert_int_equal(start(&seen, &run, "trap '' TERM; sleep 100", NULL, -1, 5000), 0);
    gw_sysdns_run_free(run);
    assert_true(now() - began < 50);
    assert_false(seen.is_done);
    gw_sysdns_run_free(NULL);
    event_base_free(seen.base);
    close(fd);
}

static void test_not_there(void **state)
{
    struct seen seen = {.base = event_base_new()};
    const char *const argv[] = {"/nonexistent/resolvconf", NULL};
    const struct gw_sysdns_run_params params = {
        .base = seen.base, .argv = argv, .keep_fd = -1, .timeout_ms = 1000, .on_end = on_end, .ctx = &seen};
    struct gw_sysdns_run *run = (void *)&seen;
    (void)state;
    assert_int_equal(gw_sysdns_run_new(&run, &params), -ENOENT);
    assert_null(run);
    event_base_free(seen.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ends),     cmocka_unit_test(test_clean),
                                       cmocka_unit_test(test_too_long), cmocka_unit_test(test_lock),
                                       cmocka_unit_test(test_freed),    cmocka_unit_test(test_not_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
