/* SPDX-License-Identifier: MIT */
/* Messages: counted, bounded, sorted, without control characters. */
#include "gateway/config/diag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void messages_name_file_and_line(void **state)
{
    struct gw_diag diag = {0};
    (void)state;
    gw_diag_error(&diag, "c.yaml", 7, "port: %d", 5);
    gw_diag_warning(&diag, "c.yaml", 0, "whole");
    gw_diag_error(&diag, "", 0, "bare\n\x1b[1m\xc2\x9b");
    assert_int_equal(diag.count, 3);
    assert_int_equal(diag.errors, 2);
    assert_string_equal(diag.entries[0].text, "c.yaml:7: port: 5");
    assert_string_equal(diag.entries[1].text, "c.yaml: whole");
    assert_string_equal(diag.entries[2].text, "bare??[1m??");
    gw_diag_clear(&diag);
    assert_int_equal(diag.count, 0);
}

static void there_is_a_bound(void **state)
{
    struct gw_diag diag = {0};
    char *text = NULL, longest[2000];
    size_t len = 0;
    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    gw_diag_error(&diag, "f", 1, "%s", longest);
    assert_int_equal(strlen(diag.entries[0].text), 511);
    for (unsigned i = 0; i < 10 * GW_DIAG_MAX; i++)
        gw_diag_error(&diag, "f", i, "e");
    assert_int_equal(diag.count, GW_DIAG_MAX);
    assert_int_equal(diag.errors, 10 * GW_DIAG_MAX + 1);
    FILE *out = open_memstream(&text, &len);
    gw_diag_print(&diag, out);
    fclose(out);
    assert_non_null(strstr(text, "error: and 901 more\n"));
    free(text);
    gw_diag_clear(&diag);
}

static void sorted_by_line(void **state)
{
    static const unsigned lines[] = {5, 1, 9, 1, 3};
    struct gw_diag diag = {0};
    (void)state;
    gw_diag_error(&diag, "first", 99, "of another file");
    for (unsigned i = 0; i < 5; i++)
        gw_diag_error(&diag, "f", lines[i], "%u", i);
    gw_diag_sort(&diag, 1);
    assert_string_equal(diag.entries[0].text, "first:99: of another file");
    assert_string_equal(diag.entries[1].text, "f:1: 1");
    assert_string_equal(diag.entries[2].text, "f:1: 3");
    assert_string_equal(diag.entries[5].text, "f:9: 2");
    gw_diag_clear(&diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(messages_name_file_and_line),
                                       cmocka_unit_test(there_is_a_bound), cmocka_unit_test(sorted_by_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
