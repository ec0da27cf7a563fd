/* SPDX-License-Identifier: MIT */
/* kill -9 in the middle of edits, a hundred times at random moments: what is there afterwards loads, no
 * line that was there is lost, and the next edit sweeps what was left. */
#include "folder.h"
#include "gateway/config/authorized_keys.h"
#include "gateway/config/identity.h"
#include "keys.h"

#include "gateway/base/err.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define ROUNDS 100
#define LATEST_NS 5000000

static void edit_for_ever(const char *path)
{
    struct gw_diag diag = {0};
    for (;;) {
        if (gw_authorized_keys_authorize(path, &(struct gw_authorize){.peer = ID_2, .services = "ssh"}, NULL,
                                         &diag) != 0 ||
            gw_authorized_keys_deauthorize(path, ID_2, &diag) != 0)
            _exit(1);
    }
}

static void kill_at_random(pid_t child)
{
    int status;
    nanosleep(&(struct timespec){.tv_nsec = random() % LATEST_NS}, NULL);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void expect_whole(const char *path)
{
    struct gw_authorized_keys *list;
    struct gw_diag diag = {0};
    char text[1024];
    assert_int_equal(gw_authorized_keys_load(&list, path, &diag), 0);
    assert_int_equal(diag.errors, 0);
    assert_true(list->count == 1 || list->count == 2);
    assert_string_equal(list->keys[0].comment, "stays");
    gw_authorized_keys_free(list);
    assert_true(file_read(path, text, sizeof text) > 0);
    assert_int_equal(strncmp(text, "# mine\n" ID_1 " stays\n", strlen("# mine\n" ID_1 " stays\n")), 0);
}

static void authorized_keys_survive(void **state)
{
    static const char first[] = "# mine\n" ID_1 " stays\n";
    struct folder folder;
    struct gw_diag diag = {0};
    char path[FILE_LEN];
    (void)state;
    srandom(1);
    folder_make(&folder);
    folder_file(&folder, "authorized_keys", path);
    file_write(path, first, strlen(first), 0600);
    for (int round = 0; round < ROUNDS; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            edit_for_ever(path);
        kill_at_random(child);
        expect_whole(path);
    }
    assert_int_equal(gw_authorized_keys_authorize(path, &(struct gw_authorize){.peer = ID_3}, NULL, &diag),
                     0);
    assert_int_equal(folder_count(&folder), 2); /* the file and its lock */
    folder_remove(&folder);
}

static void make_for_ever(const char *path)
{
    for (;;) {
        struct gw_identity *identity;
        if (gw_identity_generate(&identity, gw_random_system()) != 0 ||
            gw_identity_save_new(identity, path) != 0)
            _exit(1);
        gw_identity_free(identity);
        unlink(path);
    }
}

static void an_identity_is_whole_or_absent(void **state)
{
    struct folder folder;
    char path[FILE_LEN];
    (void)state;
    srandom(2);
    folder_make(&folder);
    folder_file(&folder, "identity.key", path);
    for (int round = 0; round < ROUNDS; round++) {
        struct gw_identity *identity;
        struct gw_diag diag = {0};
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            make_for_ever(path);
        kill_at_random(child);
        int err = gw_identity_load(&identity, path, &diag);
        assert_true(err == 0 || err == -ENOENT);
        gw_identity_free(identity);
        gw_diag_clear(&diag);
        unlink(path);
    }
    folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(authorized_keys_survive),
                                       cmocka_unit_test(an_identity_is_whole_or_absent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
