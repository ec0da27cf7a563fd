/* SPDX-License-Identifier: MIT */
#include "frontends/tun/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/peergate-journal-XXXXXX", path[64];

static void add(struct gw_changes *changes, const char *line)
{
    struct gw_change change;
    assert_int_equal(gw_change_parse(&change, line), 0);
    assert_int_equal(gw_changes_add(changes, &change), 0);
    gw_changes_finish(changes);
}

static void what_was_written_is_read(void **state)
{
    struct gw_changes a = {0}, b = {0}, got = {0};
    unsigned bad;
    (void)state;
    add(&a, "address peer0 0 0 0 10.64.0.1/16");
    add(&b, "address peer0 0 0 0 10.64.0.1/16");
    add(&b, "rule-table - 1885805401 5202 0 ::/0");
    assert_int_equal(gw_journal_write(path, &a, &b), 0);
    assert_int_equal(gw_journal_read(&got, path, &bad), 0);
    assert_int_equal(bad, 0);
    assert_int_equal(got.count, 2);
    assert_memory_equal(got.items, b.items, 2 * sizeof *b.items);
    assert_int_equal(gw_journal_write(path, NULL, NULL), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(gw_journal_write(path, NULL, NULL), 0);
    gw_changes_free(&a);
    gw_changes_free(&b);
    gw_changes_free(&got);
    assert_int_equal(gw_journal_read(&got, path, &bad), 0);
    assert_int_equal(got.count, 0);
}

static void damage_costs_only_its_lines(void **state)
{
    struct gw_changes got = {0};
    unsigned bad;
    FILE *file = fopen(path, "w");
    (void)state;
    assert_non_null(file);
    fputs("nonsense\naddress peer0 0 0 0 10.64.0.1/16\naddress peer0 0 0 0 10.6", file);
    fclose(file);
    assert_int_equal(gw_journal_read(&got, path, &bad), 0);
    assert_int_equal(got.count, 1);
    assert_int_equal(bad, 2);
    gw_changes_free(&got);
    unlink(path);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/tun.journal", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    rmdir(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(damage_costs_only_its_lines),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
