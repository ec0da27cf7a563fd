/* SPDX-License-Identifier: MIT */
/* The journal: what is written is read, and nothing else is taken for it. */
#include "frontends/dns/system/journal.h"
#include "gateway/base/err.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

static const struct gw_sysdns_record example = {
    .kind = GW_SYSDNS_RESOLVED,
    .boot = "0f4a3bbd-0000-4000-8000-123456789abc",
    .device = "peer0",
    .index = 7,
    .hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    .was_missing = true,
    .is_global = true,
};

static void expect_same(const struct gw_sysdns_record *a, const struct gw_sysdns_record *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->boot, b->boot);
    assert_string_equal(a->device, b->device);
    assert_int_equal(a->index, b->index);
    assert_string_equal(a->hash, b->hash);
    assert_int_equal(a->was_missing, b->was_missing);
    assert_int_equal(a->is_global, b->is_global);
}

static void test_round_trip(void **state)
{
    char text[GW_SYSDNS_JOURNAL_MAX];
    struct gw_sysdns_record record, back;
    (void)state;
    for (unsigned kind = 1; kind < GW_SYSDNS_KINDS; kind++) {
        record = example;
        record.kind = (enum gw_sysdns_kind)kind;
        assert_int_equal(gw_sysdns_record_parse(&back, text, gw_sysdns_record_format(&record, text)), 0);
        expect_same(&record, &back);
        record = (struct gw_sysdns_record){.kind = (enum gw_sysdns_kind)kind};
        assert_int_equal(gw_sysdns_record_parse(&back, text, gw_sysdns_record_format(&record, text)), 0);
        expect_same(&record, &back);
    }
    record = example;
    record.index = INT32_MAX;
    strcpy(record.device, "\xc3\xa4_-.:#\"$(x)");
    assert_int_equal(gw_sysdns_record_parse(&back, text, gw_sysdns_record_format(&record, text)), 0);
    expect_same(&record, &back);
}

static void refuse(const char *text, size_t len)
{
    struct gw_sysdns_record record = example;
    assert_int_equal(gw_sysdns_record_parse(&record, text, len), GW_E_MALFORMED);
    assert_int_equal(record.kind, GW_SYSDNS_OFF);
    assert_string_equal(record.device, "");
}

/* Cut short anywhere, a line lost, doubled or moved, something behind it. */
static void test_damaged(void **state)
{
    char text[GW_SYSDNS_JOURNAL_MAX], other[2 * GW_SYSDNS_JOURNAL_MAX];
    size_t len = gw_sysdns_record_format(&example, text);
    (void)state;
    for (size_t i = 0; i < len; i++)
        refuse(text, i);
    for (char *line = text, *end; *line; line = end) {
        end = strchr(line, '\n') + 1;
        snprintf(other, sizeof other, "%.*s%s", (int)(line - text), text, end);
        refuse(other, strlen(other));
        snprintf(other, sizeof other, "%.*s%s", (int)(end - text), text, line);
        refuse(other, strlen(other));
    }
    snprintf(other, sizeof other, "%s\n", text);
    refuse(other, strlen(other));
    refuse(text, len + 1); /* its NUL */
    memset(other, 'x', sizeof other);
    refuse(other, sizeof other);
}

/* With any one byte another: refused, or a record that is written as it was read. */
static void test_every_byte(void **state)
{
    char text[GW_SYSDNS_JOURNAL_MAX], changed[GW_SYSDNS_JOURNAL_MAX], again[GW_SYSDNS_JOURNAL_MAX];
    size_t len = gw_sysdns_record_format(&example, text);
    struct gw_sysdns_record record;
    unsigned taken = 0;
    (void)state;
    for (size_t i = 0; i < len; i++) {
        for (int byte = 0; byte < 256; byte++) {
            memcpy(changed, text, len);
            changed[i] = (char)byte;
            if (gw_sysdns_record_parse(&record, changed, len) != 0)
                continue;
            taken++;
            assert_int_equal(gw_sysdns_record_format(&record, again), len);
            assert_memory_equal(again, changed, len);
        }
    }
    assert_true(taken > len); /* the text itself, once for each byte, and other names and numbers */
}

static void test_values(void **state)
{
    static const char head[] = "peergate-dns 1\nmechanism ";
    static const char *const bad[] = {
        "off\nboot -\ndevice -\nindex 0\nhash -\nmissing 0\nglobal 0\nend\n",
        "sudo\nboot -\ndevice -\nindex 0\nhash -\nmissing 0\nglobal 0\nend\n",
        "resolved\nboot xyz\ndevice -\nindex 0\nhash -\nmissing 0\nglobal 0\nend\n",
        "resolved\nboot -\ndevice a/b\nindex 0\nhash -\nmissing 0\nglobal 0\nend\n",
        "resolved\nboot -\ndevice ..\nindex 0\nhash -\nmissing 0\nglobal 0\nend\n",
        "resolved\nboot -\ndevice a b\nindex 0\nhash -\nmissing 0\nglobal 0\nend\n",
        "resolved\nboot -\ndevice sixteencharacter\nindex 0\nhash -\nmissing 0\nglobal 0\nend\n",
        "resolved\nboot -\ndevice -\nindex -1\nhash -\nmissing 0\nglobal 0\nend\n",
        "resolved\nboot -\ndevice -\nindex +1\nhash -\nmissing 0\nglobal 0\nend\n",
        "resolved\nboot -\ndevice -\nindex 2147483648\nhash -\nmissing 0\nglobal 0\nend\n",
        "resolved\nboot -\ndevice -\nindex 99999999999999999999\nhash -\nmissing 0\nglobal 0\nend\n",
        "resolved\nboot -\ndevice -\nindex 0\nhash abcd\nmissing 0\nglobal 0\nend\n",
        "resolved\nboot -\ndevice -\nindex 0\nhash -\nmissing 2\nglobal 0\nend\n",
    };
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int len = snprintf(text, sizeof text, "%s%s", head, bad[i]);
        refuse(text, (size_t)len);
    }
}

static void test_file(void **state)
{
    char folder[] = "/tmp/peergate-sysdns-XXXXXX", path[64], link[64];
    struct gw_sysdns_record record;
    const struct gw_sysdns_record none = {.kind = GW_SYSDNS_OFF};
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/journal", folder);
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(gw_sysdns_journal_read(&record, path), 0);
    assert_int_equal(record.kind, GW_SYSDNS_OFF);
    assert_int_equal(gw_sysdns_journal_write(path, &none), 0);
    assert_int_equal(gw_sysdns_journal_write(path, &example), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(gw_sysdns_journal_read(&record, path), 0);
    expect_same(&record, &example);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(gw_sysdns_journal_read(&record, link), -ELOOP);
    assert_int_equal(gw_sysdns_journal_read(&record, folder), -EISDIR);
    assert_int_equal(truncate(path, 20), 0);
    assert_int_equal(gw_sysdns_journal_read(&record, path), GW_E_MALFORMED);
    assert_int_equal(truncate(path, 100000), 0);
    assert_int_equal(gw_sysdns_journal_read(&record, path), GW_E_MALFORMED);
    assert_int_equal(gw_sysdns_journal_write(path, &none), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else is left in it */
    assert_int_equal(gw_sysdns_journal_write(path, &example), -ENOENT);
}

static void test_boot_and_hash(void **state)
{
    char boot[GW_SYSDNS_BOOT_LEN + 1], hash[GW_SYSDNS_HASH_LEN + 1], other[GW_SYSDNS_HASH_LEN + 1];
    (void)state;
    gw_sysdns_boot_id(boot);
    assert_int_equal(strlen(boot), GW_SYSDNS_BOOT_LEN);
    gw_sysdns_hash(hash, "a", 1);
    gw_sysdns_hash(other, "b", 1);
    assert_int_equal(strlen(hash), GW_SYSDNS_HASH_LEN);
    assert_string_not_equal(hash, other);
    gw_sysdns_hash(other, "a", 1);
    assert_string_equal(hash, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_every_byte), cmocka_unit_test(test_values),
        cmocka_unit_test(test_file),       cmocka_unit_test(test_boot_and_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
