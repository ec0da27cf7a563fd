/* SPDX-License-Identifier: MIT */
/* What other processes of the same user see of a process that hides its memory. */
#include "gateway/daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

static int status_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_no_core(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit;
        bool is_hidden = gw_process_hide_memory() == 0 && prctl(PR_GET_DUMPABLE) == 0;
        _exit(is_hidden && getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 ? 0 : 1);
    }
    assert_int_equal(status_of(pid), 0);
}

/* Becomes an ordinary user, as which a process is dumpable at first. */
static void become_nobody(void)
{
    if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0 ||
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
        _exit(99);
}

/* errno of another process of the user that opens the memory of one; 0 = it could. */
static int errno_of_reader(bool is_hidden)
{
    int ready[2], done[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t owner = fork();
    if (owner == 0) {
        become_nobody();
        close(done[1]);
        if (is_hidden && gw_process_hide_memory() != 0)
            _exit(1);
        if (write(ready[1], "", 1) != 1)
            _exit(2);
        _exit(read(done[0], &byte, 1) == 0 ? 0 : 3);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    pid_t reader = fork();
    if (reader == 0) {
        char path[64];
        become_nobody();
        close(done[1]);
        snprintf(path, sizeof path, "/proc/%ld/mem", (long)owner);
        _exit(open(path, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno);
    }
    int error = status_of(reader);
    close(done[1]);
    assert_int_equal(status_of(owner), 0);
    close(done[0]);
    close(ready[0]);
    close(ready[1]);
    return error;
}

static void test_memory_of_one_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    if (errno_of_reader(false) != 0)
        skip(); /* the system keeps processes of one user apart anyway (yama, a container) */
    assert_int_equal(errno_of_reader(true), EACCES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_core),
        cmocka_unit_test(test_memory_of_one_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
