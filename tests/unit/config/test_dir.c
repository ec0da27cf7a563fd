/* SPDX-License-Identifier: MIT */
/* Which folder: option, environment, home; and paths within it. */
#include "gateway/config/dir.h"

#include "folder.h"

#include "gateway/base/err.h"

static void expect_dir(const char *option, const char *expected)
{
    char out[GW_DIR_PATH_MAX];
    assert_int_equal(gw_dir_choose(out, option), 0);
    assert_string_equal(out, expected);
}

static void the_option_goes_first(void **state)
{
    char here[GW_DIR_PATH_MAX], expected[GW_DIR_PATH_MAX + 8];
    (void)state;
    setenv("PEERGATE_DIR", "/from/environment", 1);
    expect_dir("/from/option", "/from/option");
    expect_dir("/from/option///", "/from/option");
    expect_dir("/", "/");
    expect_dir(NULL, "/from/environment");
    expect_dir("", "/from/environment");
    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/sub", strcmp(here, "/") == 0 ? "" : here);
    expect_dir("sub", expected);
    unsetenv("PEERGATE_DIR");
}

static void the_default_depends_on_who_asks(void **state)
{
    (void)state;
    setenv("HOME", "/users/someone", 1);
    unsetenv("XDG_CONFIG_HOME");
    if (geteuid() == 0) {
        expect_dir(NULL, "/etc/peergate");
        assert_int_equal(seteuid(65534), 0);
    }
    expect_dir(NULL, "/users/someone/.config/peergate");
    setenv("XDG_CONFIG_HOME", "/xdg", 1);
    expect_dir(NULL, "/xdg/peergate");
    setenv("XDG_CONFIG_HOME", "relative", 1);
    expect_dir(NULL, "/users/someone/.config/peergate");
    unsetenv("XDG_CONFIG_HOME");
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

static void paths_start_from_the_folder(void **state)
{
    static const char *const vectors[][3] = {
        {"/d", "f", "/d/f"}, {"/d", "/a/f", "/a/f"}, {"/d", "~/f", "/users/someone/f"},
        {".", "f", "f"},     {"/", "f", "/f"},       {"/d", "~f", "/d/~f"},
    };
    char out[GW_DIR_PATH_MAX], longest[GW_DIR_PATH_MAX + 1];
    (void)state;
    setenv("HOME", "/users/someone", 1);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        assert_int_equal(gw_dir_resolve(out, vectors[i][0], vectors[i][1]), 0);
        assert_string_equal(out, vectors[i][2]);
    }
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(gw_dir_resolve(out, "/d", longest), GW_E_TOO_BIG);
}

static void the_folder_of_a_file(void **state)
{
    static const char *const vectors[][2] = {{"/d/f", "/d"}, {"f", "."}, {"/f", "/"}, {"d/e/f", "d/e"}};
    char out[GW_DIR_PATH_MAX];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(gw_dir_of_file(out, vectors[i][0]), 0);
        assert_string_equal(out, vectors[i][1]);
    }
}

static void made_with_what_is_above(void **state)
{
    struct folder folder;
    char path[FILE_LEN], inner[FILE_LEN + 4];
    struct stat st;
    (void)state;
    folder_make(&folder);
    folder_file(&folder, "a", path);
    snprintf(inner, sizeof inner, "%s/b", path);
    assert_int_equal(gw_dir_create(inner), 0);
    assert_int_equal(gw_dir_create(inner), 0);
    assert_int_equal(stat(inner, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(rmdir(inner), 0);
    file_write(inner, "", 0, 0600);
    assert_int_equal(gw_dir_create(inner), -ENOTDIR);
    assert_int_equal(unlink(inner), 0);
    assert_int_equal(rmdir(path), 0);
    folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_option_goes_first), cmocka_unit_test(the_default_depends_on_who_asks),
        cmocka_unit_test(paths_start_from_the_folder), cmocka_unit_test(the_folder_of_a_file),
        cmocka_unit_test(made_with_what_is_above)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
