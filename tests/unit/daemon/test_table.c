/* SPDX-License-Identifier: MIT */
/* Columns and numbers for people. */
#include "gateway/daemon/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What the function prints, with stdout in a file. */
static void printed(const struct gw_table *table, char *out, size_t out_len)
{
    FILE *file = tmpfile();
    int kept = dup(STDOUT_FILENO);
    fflush(stdout);
    dup2(fileno(file), STDOUT_FILENO);
    gw_table_print(table);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    rewind(file);
    out[fread(out, 1, out_len - 1, file)] = '\0';
    fclose(file);
}

static void test_columns(void **state)
{
    static const char *const headers[] = {"NAME", ">SIZE", "EMPTY", "LAST", NULL};
    struct gw_table table = {.headers = headers};
    char text[512];
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct gw_table_row *row = gw_table_add(&table);
        unsigned column = 0;
        gw_table_cell(row, &column, GW_BOLD, "%s", i == 0 ? "a" : "longer-name");
        gw_table_cell(row, &column, GW_PLAIN, "%u", i == 0 ? 7u : 1000000u);
        column++;
        gw_table_cell(row, &column, GW_GREEN, "x");
    }
    printed(&table, text, sizeof text);
    /* No colours in a file, no column that says nothing, no blanks at the end. */
    assert_string_equal(text, "NAME            SIZE  LAST\n"
                              "a                  7  x\n"
                              "longer-name  1000000  x\n");
    gw_table_free(&table);
}

static void test_long_cells_are_cut(void **state)
{
    static const char *const headers[] = {"NAME", NULL};
    struct gw_table table = {.headers = headers};
    char text[512], name[300];
    unsigned column = 0;
    (void)state;
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    gw_table_cell(gw_table_add(&table), &column, GW_PLAIN, "%s", name);
    printed(&table, text, sizeof text);
    assert_int_equal(strlen(text), strlen("NAME\n") + GW_TABLE_CELL);
    gw_table_free(&table);
}

static void test_numbers(void **state)
{
    char text[GW_TEXT_LEN];
    (void)state;
    assert_string_equal(gw_text_bytes(text, 0), "0 B");
    assert_string_equal(gw_text_bytes(text, 999), "999 B");
    assert_string_equal(gw_text_bytes(text, 1500), "1.5 KB");
    assert_string_equal(gw_text_bytes(text, 150000), "150 KB");
    assert_string_equal(gw_text_bytes(text, 2.5e9), "2.5 GB");
    assert_string_equal(gw_text_bytes(text, 3e18), "3000000 TB");
    assert_string_equal(gw_text_seconds(text, 3), "3 s");
    assert_string_equal(gw_text_seconds(text, 600), "10 min");
    assert_string_equal(gw_text_seconds(text, 7200), "2 h");
    assert_string_equal(gw_text_seconds(text, 864000), "10 d");
    assert_string_equal(gw_text_ms(text, 0.123), "0.12 ms");
    assert_string_equal(gw_text_ms(text, 12.34), "12.3 ms");
    assert_string_equal(gw_text_ms(text, 250), "250 ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_long_cells_are_cut),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
