/* SPDX-License-Identifier: MIT */
/* Killed at each single step of changing resolv.conf and of taking that back, and again at each step of the undo that follows: in the end the original is there, the same
 * file that it was, and nothing else is. In a mount namespace with an /etc of its own, so as root only. */
#include "frontends/dns/system/system.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#define CONF "/etc/resolv.conf"
#define STATE "/etc/state"
#define JOURNAL STATE "/dns.journal"
#define NO_KILL 1000000u

/* ---- the calls that change files, each one a step */

static unsigned steps_left = NO_KILL;

static void step(void)
{
    if (steps_left-- == 0)
        raise(SIGKILL);
}

#define WRAP(type, name, params, args) \
    type __real_##name params;         \
    type __wrap_##name params;         \
    type __wrap_##name params          \
    {                                  \
        step();                        \
        return __real_##name args;     \
    }
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
WRAP(int, unlink, (const char *path), (path))
WRAP(ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    step();
    return __real_open(path, flags, mode);
}

/* ---- a daemon's life, and an undo, in a process of its own */

static void apply_and_end(void)
{
    struct gw_sysdns_wish wish;
    struct gw_sysdns *sysdns;
    struct gw_sysdns_status status = {.state = GW_SYSDNS_NOT_WANTED};
    struct gw_loop *loop = gw_loop_new();
    memset(&wish, 0, sizeof wish);
    gw_addr_parse(&wish.servers[wish.server_count++], "127.0.0.1:53");
    gw_sysdns_add_domain(&wish, "p2p");
    wish.answers_all = true;
    if (!loop || gw_sysdns_new(&sysdns, loop, JOURNAL) != 0)
        _exit(2);
    gw_sysdns_set(sysdns, GW_SYSDNS_RESOLV_CONF, &wish);
    while (status.state != GW_SYSDNS_APPLIED) {
        if (status.state == GW_SYSDNS_FAILED)
            _exit(3);
        event_base_loop(gw_loop_base(loop), EVLOOP_ONCE);
        gw_sysdns_status(sysdns, &status);
    }
    gw_sysdns_free(sysdns);
    gw_loop_free(loop);
}

static void restore(void)
{
    char text[GW_SYSDNS_TEXT_MAX];
    enum gw_sysdns_restored restored = gw_sysdns_restore(JOURNAL, text);
    if (restored != GW_SYSDNS_RESTORED && restored != GW_SYSDNS_NOTHING)
        _exit(4);
}

/* Is it over? Not when it was killed at that step. */
static bool run_until(unsigned steps, void (*fn)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        steps_left = steps;
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return false;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

/* ---- what there is */

static void describe(char *out, size_t out_len)
{
    char text[256] = "";
    struct stat st;
    if (lstat(CONF, &st) < 0) {
        snprintf(out, out_len, "none");
        return;
    }
    ssize_t len = S_ISLNK(st.st_mode) ? readlink(CONF, text, sizeof text - 1) : -1;
    int fd = len < 0 ? open(CONF, O_RDONLY) : -1;
    if (fd >= 0) {
        len = read(fd, text, sizeof text - 1);
        close(fd);
    }
    text[len > 0 ? len : 0] = '\0';
    snprintf(out, out_len, "%o %u %u %lld.%ld %llu %s", st.st_mode, st.st_uid, st.st_gid,
             (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (unsigned long long)st.st_ino, text);
}

/* Of /etc and of the state folder, without what is always there. */
static unsigned count_others(const char *folder)
{
    unsigned count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        count += strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, "state") != 0 &&
                 strcmp(name, "resolv.conf") != 0 && strcmp(name, "elsewhere") != 0 &&
                 strcmp(name, "dns.journal.lock") != 0;
    }
    closedir(dir);
    return count;
}

static void expect_as_before(const char *before, unsigned first, unsigned second)
{
    char now[512];
    describe(now, sizeof now);
    if (strcmp(now, before) != 0 || count_others("/etc") != 0 || access(JOURNAL, F_OK) == 0)
        fail_msg("killed at step %u, then at %u: \"%s\" instead of \"%s\", %u other files in /etc", first,
                 second, now, before, count_others("/etc"));
}

/* ---- */

static bool has_namespace;

static int make_namespace(void **state)
{
    (void)state;
    gw_log_set_level(GW_LOG_ERROR);
    has_namespace = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
                    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                    mount("none", "/etc", "tmpfs", 0, NULL) == 0 && mkdir(STATE, 0700) == 0;
    return 0;
}

static void kill_everywhere(void)
{
    char before[512];
    unsigned kills = 0, first = 0;
    if (!has_namespace)
        skip();
    describe(before, sizeof before);
    for (;; first++) {
        for (unsigned second = 0;; second++) {
            bool is_over = run_until(first, apply_and_end);
            bool is_restored = run_until(second, restore);
            kills += (is_over ? 0u : 1u) + (is_restored ? 0u : 1u);
            assert_true(run_until(NO_KILL, restore));
            expect_as_before(before, first, second);
            if (is_over && second == 0)
                goto done;
            if (is_restored)
                break;
        }
    }
done:
    print_message("%u steps, %u kills\n", first, kills);
    assert_true(first > 10 && kills > 50); /* as many as the C library makes calls */
}

static void write_conf(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_file(void **state)
{
    const struct timespec times[2] = {{.tv_sec = 1000000000, .tv_nsec = 7},
                                      {.tv_sec = 1000000001, .tv_nsec = 9}};
    (void)state;
    if (!has_namespace)
        skip();
    write_conf(CONF, "nameserver 192.0.2.1\nsearch lan");
    assert_int_equal(chmod(CONF, 0640), 0);
    assert_int_equal(chown(CONF, 7, 8), 0);
    assert_int_equal(utimensat(AT_FDCWD, CONF, times, 0), 0);
    kill_everywhere();
    unlink(CONF);
}

static void test_link(void **state)
{
    (void)state;
    if (!has_namespace)
        skip();
    write_conf("/etc/elsewhere", "nameserver 192.0.2.1\n");
    assert_int_equal(symlink("elsewhere", CONF), 0);
    kill_everywhere();
    unlink(CONF);
}

static void test_none(void **state)
{
    (void)state;
    kill_everywhere();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_file), cmocka_unit_test(test_link),
                                       cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, make_namespace, NULL);
}
