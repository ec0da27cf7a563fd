/* SPDX-License-Identifier: MIT */
/* Reading whole files within bounds, permissions, and words for the shell. */
#include "gateway/config/file.h"

#include "folder.h"

#include "gateway/base/err.h"

static void bounds_hold(void **state)
{
    struct folder folder;
    struct gw_file file;
    struct gw_diag diag = {0};
    char path[FILE_LEN];
    (void)state;
    folder_make(&folder);
    folder_file(&folder, "f", path);
    file_write(path, "12345", 5, 0600);
    assert_int_equal(gw_file_read(&file, path, 5, &diag), 0);
    assert_int_equal(file.len, 5);
    assert_string_equal(file.data, "12345");
    gw_file_free(&file);
    assert_int_equal(gw_file_read(&file, path, 4, &diag), GW_E_TOO_BIG);
    assert_int_equal(diag.errors, 1);
    file_write(path, "", 0, 0600);
    assert_int_equal(gw_file_read(&file, path, 4, &diag), 0);
    assert_int_equal(file.len, 0);
    gw_file_free(&file);
    folder_remove(&folder);
    gw_diag_clear(&diag);
}

/* Opening one must not wait for somebody to write to it. */
static void a_fifo_is_no_file(void **state)
{
    struct folder folder;
    struct gw_file file;
    struct gw_diag diag = {0};
    char path[FILE_LEN];
    (void)state;
    folder_make(&folder);
    assert_int_equal(mkfifo(folder_file(&folder, "f", path), 0600), 0);
    assert_int_equal(gw_file_read(&file, path, 4, &diag), GW_E_INVAL);
    assert_int_equal(gw_file_read(&file, "/nowhere/at/all", 4, &diag), -ENOENT);
    assert_int_equal(diag.errors, 1);
    folder_remove(&folder);
    gw_diag_clear(&diag);
}

static void modes(void **state)
{
    struct gw_diag diag = {0};
    (void)state;
    assert_int_equal(gw_file_check_mode("f", 0600, true, &diag), 0);
    assert_int_equal(gw_file_check_mode("f", 0400, true, &diag), 0);
    assert_int_equal(gw_file_check_mode("f", 0644, false, &diag), 0);
    assert_int_equal(diag.errors, 0);
    assert_int_equal(gw_file_check_mode("f", 0640, true, &diag), GW_E_PERMISSION);
    assert_int_equal(gw_file_check_mode("f", 0664, false, &diag), GW_E_PERMISSION);
    assert_string_equal(diag.entries[1].text, "f: others may change this file (mode 0664): chmod go-w f");
    gw_diag_clear(&diag);
}

static const struct {
    const char *word, *quoted;
} words[] = {
    {"/etc/peergate/identity.key", "/etc/peergate/identity.key"},
    {"/users/a b/f", "'/users/a b/f'"},
    {"it's", "'it'\\''s'"},
    {"", "''"},
    {"$(rm -rf)", "'$(rm -rf)'"},
};

static void words_for_the_shell(void **state)
{
    char out[64];
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_string_equal(gw_shell_word(words[i].word, out, sizeof out), words[i].quoted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bounds_hold), cmocka_unit_test(a_fifo_is_no_file),
                                       cmocka_unit_test(modes), cmocka_unit_test(words_for_the_shell)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
