/* SPDX-License-Identifier: MIT */
/* The log: levels, what reaches the sink, and that it never disturbs its caller. */
#include "gateway/base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
    unsigned count;
    enum gw_log_level level;
    char line[4096];
} seen;

static void keep(void *ctx, enum gw_log_level level, const char *line)
{
    assert_ptr_equal(ctx, &seen);
    seen.count++;
    seen.level = level;
    snprintf(seen.line, sizeof seen.line, "%s", line);
    errno = EPIPE; /* as a sink that fails would */
}

static int setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    gw_log_set_sink(keep, &seen);
    gw_log_set_level(GW_LOG_INFO);
    gw_log_set_hide_addresses(false);
    return 0;
}

static void log_at(enum gw_log_level level)
{
    switch (level) {
    case GW_LOG_ERROR:
        gw_log_error("x %d", 1);
        break;
    case GW_LOG_WARN:
        gw_log_warn("x %d", 1);
        break;
    case GW_LOG_INFO:
        gw_log_info("x %d", 1);
        break;
    case GW_LOG_DEBUG:
        gw_log_debug("x %d", 1);
        break;
    }
}

static void test_levels(void **state)
{
    (void)state;
    for (int set = GW_LOG_ERROR; set <= GW_LOG_DEBUG; set++) {
        gw_log_set_level((enum gw_log_level)set);
        assert_int_equal(gw_log_level(), set);
        for (int level = GW_LOG_ERROR; level <= GW_LOG_DEBUG; level++) {
            seen.count = 0;
            log_at((enum gw_log_level)level);
            assert_int_equal(seen.count, level <= set);
            if (level <= set) {
                assert_int_equal(seen.level, level);
                assert_string_equal(seen.line, "x 1");
            }
        }
    }
}

static void test_level_names(void **state)
{
    (void)state;
    assert_string_equal(gw_log_level_names[GW_LOG_ERROR], "error");
    assert_string_equal(gw_log_level_names[GW_LOG_WARN], "warn");
    assert_string_equal(gw_log_level_names[GW_LOG_INFO], "info");
    assert_string_equal(gw_log_level_names[GW_LOG_DEBUG], "debug");
}

static int count_up(int *n)
{
    return ++*n;
}

static void test_debug_arguments_cost_nothing_when_off(void **state)
{
    (void)state;
    int n = 0;
    gw_log_debug("%d", count_up(&n));
    assert_int_equal(n, 0);
    gw_log_set_level(GW_LOG_DEBUG);
    gw_log_debug("%d", count_up(&n));
    assert_int_equal(n, 1);
    assert_string_equal(seen.line, "1");
}

static void test_keeps_errno(void **state)
{
    (void)state;
    for (int level = GW_LOG_ERROR; level <= GW_LOG_INFO; level++) {
        errno = EXDEV;
        log_at((enum gw_log_level)level);
        assert_int_equal(errno, EXDEV);
    }
    errno = EXDEV;
    gw_log_error("because: %m");
    assert_int_equal(errno, EXDEV);
    assert_non_null(strstr(seen.line, strerror(EXDEV)));
}

static void test_control_characters_are_defused(void **state)
{
    (void)state;
    gw_log_warn("name %s", "a\nerror forged\r\x1b[2J\x7f\tb");
    assert_string_equal(seen.line, "name a?error forged??[2J??b");
    gw_log_warn("%s", "M\xc3\xbcller ~"); /* UTF-8 stays */
    assert_string_equal(seen.line, "M\xc3\xbcller ~");
}

static void test_long_lines_are_cut(void **state)
{
    (void)state;
    static const struct {
        int len;
        bool is_cut;
    } table[] = {{0, false},   {1, false},   {1022, false}, {1023, false},
                 {1024, true}, {1025, true}, {3000, true}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        gw_log_error("%0*d", table[i].len, 0);
        size_t len = strlen(seen.line);
        size_t whole = table[i].len > 0 ? (size_t)table[i].len : 1;
        assert_int_equal(len, table[i].is_cut ? 1023 : whole);
        assert_int_equal(strcmp(seen.line + len - (len < 3 ? len : 3), "...") == 0, table[i].is_cut);
    }
}

static void test_hide_switch(void **state)
{
    (void)state;
    assert_false(gw_log_hides_addresses());
    gw_log_set_hide_addresses(true);
    assert_true(gw_log_hides_addresses());
}

static void test_default_sink_is_stderr(void **state)
{
    (void)state;
    char text[64] = "";
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    gw_log_set_sink(NULL, NULL);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    gw_log_warn("peer %s is away", "home");
    gw_log_debug("not this");
    fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    fclose(file);
    assert_string_equal(text, "warn peer home is away\n");
    assert_int_equal(seen.count, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_levels, setup),
        cmocka_unit_test_setup(test_level_names, setup),
        cmocka_unit_test_setup(test_debug_arguments_cost_nothing_when_off, setup),
        cmocka_unit_test_setup(test_keeps_errno, setup),
        cmocka_unit_test_setup(test_control_characters_are_defused, setup),
        cmocka_unit_test_setup(test_long_lines_are_cut, setup),
        cmocka_unit_test_setup(test_hide_switch, setup),
        cmocka_unit_test_setup(test_default_sink_is_stderr, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
