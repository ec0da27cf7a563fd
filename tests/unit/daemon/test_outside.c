/* SPDX-License-Identifier: MIT */
/* What leaves the daemon: log lines, words to the service manager, and the lease file. */
#include "gateway/base/err.h"
#include "gateway/daemon/logsink.h"
#include "gateway/daemon/notify.h"
#include "gateway/daemon/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the engine: a clock with a lease --- */

static struct gw_session_local local;

struct gw_session_local *gw_gateway_local(struct gateway *gateway)
{
    (void)gateway;
    return &local;
}

/* --- the test --- */

struct world {
    char dir[128];
    char text[4096];
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->dir, sizeof world->dir, "/tmp/peergate-test-outside-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    gw_tai64n_init(&local.tai64n, (struct gw_wall){0, 0});
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    char command[256];
    gw_log_set_sink(NULL, NULL);
    unsetenv("NOTIFY_SOCKET");
    snprintf(command, sizeof command, "rm -rf '%s'", world->dir);
    assert_int_equal(system(command), 0);
    free(world);
    return 0;
}

static const char *in_dir(struct world *world, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", world->dir, name);
    return path;
}

static const char *read_file(struct world *world, const char *path)
{
    FILE *file = fopen(path, "r");
    size_t len = file ? fread(world->text, 1, sizeof world->text - 1, file) : 0;
    world->text[len] = '\0';
    if (file)
        fclose(file);
    return world->text;
}

static void test_log_file(void **state)
{
    struct world *world = *state;
    char path[256], old[256];
    struct gw_logsink sink;
    snprintf(path, sizeof path, "%s", in_dir(world, "log"));
    snprintf(old, sizeof old, "%s", in_dir(world, "log.1"));
    gw_logsink_init(&sink);
    assert_int_equal(gw_logsink_to_file(&sink, path), 0);
    gw_logsink_use(&sink);
    gw_log_info("one");
    rename(path, old);
    gw_log_warn("two");
    gw_logsink_reopen(&sink);
    gw_log_error("three");
    read_file(world, old);
    /* "2026-11-20 10:11:12.345 info  one" */
    assert_int_equal(strspn(world->text, "0123456789-:. "), 24);
    assert_non_null(strstr(world->text, " info  one\n"));
    assert_non_null(strstr(world->text, " warn  two\n"));
    assert_string_equal(read_file(world, path) + 24, "error three\n");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(gw_logsink_to_file(&sink, in_dir(world, "none/log")), -ENOENT);
    gw_log_info("still there");
    assert_non_null(strstr(read_file(world, path), "still there"));
    close(sink.fd);
}

static void test_notify(void **state)
{
    struct world *world = *state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    char text[512];
    gw_notify_ready("nobody listens");
    assert_false(gw_notify_is_wanted());
    const char *path = in_dir(world, "notify");
    assert_true(strlen(path) < sizeof at.sun_path);
    strcpy(at.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    setenv("NOTIFY_SOCKET", at.sun_path, 1);
    gw_notify_ready("good");
    memset(text, 0, sizeof text);
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "READY=1\nSTATUS=good\n"));
    gw_notify_reloading();
    memset(text, 0, sizeof text);
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "RELOADING=1\nMONOTONIC_USEC="));
    gw_notify_status("well");
    gw_notify_stopping();
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "STOPPING=1"));
    close(fd);
    gw_notify_stopping();
}

static struct gw_mono run_hook(struct gw_state *state, int64_t at_ns)
{
    return state->hook.run(&state->hook, (struct gw_mono){at_ns});
}

static void test_lease_survives(void **state)
{
    struct world *world = *state;
    struct gw_state first, second;
    uint8_t stamp[GW_TAI64N_LEN], later[GW_TAI64N_LEN];
    struct gw_wall lease;
    assert_int_equal(gw_state_init(&first, world->dir, NULL), 0);
    gw_tai64n_next(&local.tai64n, (struct gw_wall){1790000000, 0}, stamp);
    assert_true(gw_tai64n_lease_due(&local.tai64n, &lease));
    assert_true(gw_mono_is_never(run_hook(&first, 1)));
    assert_false(gw_tai64n_lease_due(&local.tai64n, &lease));
    /* The next run, its clock set back by years: still later than before. */
    gw_tai64n_init(&local.tai64n, (struct gw_wall){0, 0});
    assert_int_equal(gw_state_init(&second, world->dir, NULL), 0);
    gw_tai64n_next(&local.tai64n, (struct gw_wall){1500000000, 0}, later);
    assert_true(memcmp(later, stamp, sizeof stamp) > 0);
}

static void test_lease_that_makes_no_sense(void **state)
{
    static const char *const texts[] = {
        "", "x\n", "-5.0\n", "12\n", "1.2.3\n", "999999999999999999999999.0\n", "1.5 \n"};
    struct world *world = *state;
    struct gw_state tested;
    assert_int_equal(gw_state_init(&tested, world->dir, NULL), 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        FILE *file = fopen(tested.path, "w");
        fputs(texts[i], file);
        fclose(file);
        assert_int_equal(gw_state_init(&tested, world->dir, NULL), 0);
        assert_int_equal(local.tai64n.last.s, 0);
    }
}

static void test_lease_cannot_be_saved(void **state)
{
    struct world *world = *state;
    struct gw_state tested;
    uint8_t stamp[GW_TAI64N_LEN];
    assert_int_equal(gw_state_init(&tested, world->dir, NULL), 0);
    rmdir(tested.dir);
    gw_tai64n_next(&local.tai64n, (struct gw_wall){1790000000, 0}, stamp);
    /* Tried again after a while, not in every turn. */
    assert_int_equal(run_hook(&tested, GW_S(100)).ns, GW_S(160));
    assert_int_equal(run_hook(&tested, GW_S(101)).ns, GW_S(160));
    mkdir(tested.dir, 0700);
    assert_true(gw_mono_is_never(run_hook(&tested, GW_S(160))));
    assert_int_equal(access(tested.path, F_OK), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_log_file),
        T(test_notify),
        T(test_lease_survives),
        T(test_lease_that_makes_no_sense),
        T(test_lease_cannot_be_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
