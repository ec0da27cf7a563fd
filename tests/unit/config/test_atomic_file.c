/* SPDX-License-Identifier: MIT */
/* Atomic replacement when the disk fails at any step: the old file is there, whole, and nothing is left
 * beside it. */
#include "gateway/config/atomic_file.h"

#include "folder.h"

#include "gateway/base/err.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* ---- calls that fail: the one that is failed_call'th, with failed_errno */

static unsigned failed_call, calls_made;
static int failed_errno;
static size_t write_at_most;

static bool fails_now(void)
{
    if (++calls_made != failed_call)
        return false;
    errno = failed_errno;
    return true;
}

static int failing_open(const char *path, int flags, mode_t mode)
{
    return fails_now() ? -1 : gw_file_calls_system.open(path, flags, mode);
}

static ssize_t failing_write(int fd, const void *data, size_t len)
{
    if (fails_now())
        return -1;
    return gw_file_calls_system.write(fd, data, len < write_at_most ? len : write_at_most);
}

static int failing_fsync(int fd)
{
    return fails_now() ? -1 : gw_file_calls_system.fsync(fd);
}

static int failing_rename(const char *from, const char *to)
{
    return fails_now() ? -1 : gw_file_calls_system.rename(from, to);
}

static int failing_link(const char *from, const char *to)
{
    return fails_now() ? -1 : gw_file_calls_system.link(from, to);
}

static int failing_close(int fd)
{
    int result = gw_file_calls_system.close(fd);
    return fails_now() ? -1 : result;
}

static const struct gw_file_calls failing = {failing_open,   failing_write, failing_fsync,
                                             failing_rename, failing_link,  failing_close};

static void fail_at(unsigned call, int err)
{
    failed_call = call;
    failed_errno = err;
    calls_made = 0;
}

/* ---- */

struct fixture {
    struct folder folder;
    char path[FILE_LEN];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    folder_make(&fixture->folder);
    folder_file(&fixture->folder, "f", fixture->path);
    write_at_most = SIZE_MAX;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    folder_remove(&fixture->folder);
    free(fixture);
    return 0;
}

static void expect_content(const struct fixture *fixture, const char *expected)
{
    char text[64];
    assert_true(file_read(fixture->path, text, sizeof text) >= 0);
    assert_string_equal(text, expected);
}

static void written_and_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct stat st;
    umask(0);
    assert_int_equal(gw_atomic_write(NULL, fixture->path, "one", 3, GW_ATOMIC_REPLACE), 0);
    expect_content(fixture, "one");
    assert_int_equal(gw_atomic_write(NULL, fixture->path, "", 0, GW_ATOMIC_REPLACE), 0);
    expect_content(fixture, "");
    assert_int_equal(chmod(fixture->path, 0644), 0);
    assert_int_equal(gw_atomic_write(NULL, fixture->path, "three", 5, GW_ATOMIC_REPLACE), 0);
    expect_content(fixture, "three");
    assert_int_equal(stat(fixture->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(folder_count(&fixture->folder), 1);
    umask(022);
}

static void new_means_new(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(gw_atomic_write(NULL, fixture->path, "one", 3, GW_ATOMIC_NEW), 0);
    assert_int_equal(gw_atomic_write(NULL, fixture->path, "two", 3, GW_ATOMIC_NEW), -EEXIST);
    expect_content(fixture, "one");
    assert_int_equal(folder_count(&fixture->folder), 1);
}

static void short_writes_go_on(void **state)
{
    struct fixture *fixture = *state;
    write_at_most = 1;
    fail_at(0, 0);
    assert_int_equal(gw_atomic_write(&failing, fixture->path, "slowly", 6, GW_ATOMIC_REPLACE), 0);
    expect_content(fixture, "slowly");
    assert_int_equal(calls_made, 1 + 6 + 1 + 1 + 1 + 3);
    fail_at(4, EINTR);
    assert_int_equal(gw_atomic_write(&failing, fixture->path, "again", 5, GW_ATOMIC_REPLACE), 0);
    expect_content(fixture, "again");
}

/* The calls in their order: open, write, fsync, rename, close; then open, fsync and close of the folder. */
static void every_call_fails_once(void **state)
{
    static const int errors[] = {ENOSPC, EIO, EROFS, EDQUOT, EMFILE, EACCES};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        for (unsigned call = 1; call <= 8; call++) {
            assert_int_equal(gw_atomic_write(NULL, fixture->path, "old", 3, GW_ATOMIC_REPLACE), 0);
            fail_at(call, errors[i]);
            int err = gw_atomic_write(&failing, fixture->path, "new", 3, GW_ATOMIC_REPLACE);
            assert_int_equal(
                err, call == 8 ? 0 : -errors[i]); /* nothing was written through the folder's descriptor */
            expect_content(fixture, call <= 4 ? "old" : "new");
            assert_int_equal(folder_count(&fixture->folder), 1);
        }
    }
}

static void new_files_fail_clean(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned call = 1; call <= 4; call++) {
        fail_at(call, ENOSPC);
        assert_int_equal(gw_atomic_write(&failing, fixture->path, "new", 3, GW_ATOMIC_NEW), -ENOSPC);
        assert_int_equal(folder_count(&fixture->folder), 0);
    }
}

static void impossible_paths(void **state)
{
    char path[5000];
    (void)state;
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(gw_atomic_write(NULL, path, "x", 1, GW_ATOMIC_REPLACE), GW_E_TOO_BIG);
    assert_int_equal(gw_atomic_write(NULL, "/nowhere/at/all", "x", 1, GW_ATOMIC_REPLACE), -ENOENT);
    assert_int_equal(gw_atomic_write(NULL, "/tmp/", "x", 1, GW_ATOMIC_REPLACE), -EISDIR);
    assert_int_equal(gw_file_lock("/nowhere/at/all"), -ENOENT);
}

/* A file of a killed writer goes; one whose writer lives, and one that only looks alike, stay. */
static void what_the_dead_left_is_swept(void **state)
{
    static const char *const names[] = {".f.tmp-0123456789abcdef", ".f.tmp-ffffffffffffffff",
                                        ".f.tmp-0123456789abcdeg", ".g.tmp-0123456789abcdef"};
    struct fixture *fixture = *state;
    char path[FILE_LEN];
    for (size_t i = 0; i < 4; i++)
        file_write(folder_file(&fixture->folder, names[i], path), "x", 1, 0600);
    int alive = open(folder_file(&fixture->folder, names[1], path), O_RDONLY);
    assert_int_equal(flock(alive, LOCK_EX), 0);
    assert_int_equal(gw_atomic_write(NULL, fixture->path, "x", 1, GW_ATOMIC_REPLACE), 0);
    assert_int_equal(access(folder_file(&fixture->folder, names[0], path), F_OK), -1);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(access(folder_file(&fixture->folder, names[i], path), F_OK), 0);
    close(alive);
}

/* Writers sweep while others write: nobody loses a file that he is writing. */
static void parallel_writers(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned writer = 0; writer < 8; writer++) {
        pid_t child = fork();
        assert_true(child >= 0);
        for (unsigned i = 0; child == 0 && i < 100; i++) {
            if (gw_atomic_write(NULL, fixture->path, "whole", 5, GW_ATOMIC_REPLACE) != 0)
                _exit(1);
        }
        if (child == 0)
            _exit(0);
    }
    for (unsigned writer = 0; writer < 8; writer++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    expect_content(fixture, "whole");
    assert_int_equal(folder_count(&fixture->folder), 1);
}

/* What root writes stays the user's; needs root. */
static void the_owner_stays(void **state)
{
    struct fixture *fixture = *state;
    char lock[FILE_LEN];
    struct stat st;
    if (geteuid() != 0 || chown(fixture->folder.path, 65534, 65534) != 0) {
        skip();
        return;
    }
    assert_int_equal(gw_atomic_write(NULL, fixture->path, "one", 3, GW_ATOMIC_NEW), 0);
    assert_int_equal(stat(fixture->path, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(chown(fixture->path, 65533, 65533), 0);
    assert_int_equal(gw_atomic_write(NULL, fixture->path, "two", 3, GW_ATOMIC_REPLACE), 0);
    assert_int_equal(stat(fixture->path, &st), 0);
    assert_int_equal(st.st_uid, 65533);
    int fd = gw_file_lock(fixture->path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(stat(folder_file(&fixture->folder, ".f.lock", lock), &st), 0);
    assert_int_equal(st.st_uid, 65533);
}

/* A real full disk; needs root, for mount. */
static void a_full_disk(void **state)
{
    struct fixture *fixture = *state;
    static char large[128 * 1024];
    char text[8];
    if (geteuid() != 0 || mount("none", fixture->folder.path, "tmpfs", 0, "size=64k") != 0) {
        skip();
        return;
    }
    int first = gw_atomic_write(NULL, fixture->path, "old", 3, GW_ATOMIC_REPLACE);
    int full = gw_atomic_write(NULL, fixture->path, large, sizeof large, GW_ATOMIC_REPLACE);
    file_read(fixture->path, text, sizeof text);
    unsigned count = folder_count(&fixture->folder);
    int remounted = mount("none", fixture->folder.path, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=64k");
    int read_only = gw_atomic_write(NULL, fixture->path, "new", 3, GW_ATOMIC_REPLACE);
    assert_int_equal(umount(fixture->folder.path), 0);
    assert_int_equal(first, 0);
    assert_int_equal(full, -ENOSPC);
    assert_string_equal(text, "old");
    assert_int_equal(count, 1);
    assert_int_equal(remounted, 0);
    assert_int_equal(read_only, -EROFS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_and_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(new_means_new, setup, teardown),
        cmocka_unit_test_setup_teardown(short_writes_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(every_call_fails_once, setup, teardown),
        cmocka_unit_test_setup_teardown(new_files_fail_clean, setup, teardown),
        cmocka_unit_test(impossible_paths),
        cmocka_unit_test_setup_teardown(what_the_dead_left_is_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(parallel_writers, setup, teardown),
        cmocka_unit_test_setup_teardown(the_owner_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
