/* SPDX-License-Identifier: MIT */
/* Numbers with units: what parses to what, what does not, and that what is printed parses to the same. */
#include "gateway/config/units.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

typedef int parse_fn(int64_t *out, const char *text);

struct vector {
    parse_fn *parse;
    const char *text;
    int64_t value; /* -1: malformed */
};

static const struct vector vectors[] = {
    {gw_int_parse, "0", 0},
    {gw_int_parse, "65535", 65535},
    {gw_int_parse, "007", 7},
    {gw_int_parse, "9223372036854775807", INT64_MAX},
    {gw_int_parse, "9223372036854775808", -1},
    {gw_int_parse, "", -1},
    {gw_int_parse, "-1", -1},
    {gw_int_parse, "+1", -1},
    {gw_int_parse, " 1", -1},
    {gw_int_parse, "1 ", -1},
    {gw_int_parse, "1.0", -1},
    {gw_int_parse, "0x10", -1},
    {gw_duration_parse, "20", 20000000000},
    {gw_duration_parse, "20s", 20000000000},
    {gw_duration_parse, "20S", 20000000000},
    {gw_duration_parse, "1m30s", 90000000000},
    {gw_duration_parse, "500ms", 500000000},
    {gw_duration_parse, "3us", 3000},
    {gw_duration_parse, "7ns", 7},
    {gw_duration_parse, "2h", 7200000000000},
    {gw_duration_parse, "1d", 86400000000000},
    {gw_duration_parse, "0", 0},
    {gw_duration_parse, "", -1},
    {gw_duration_parse, "s", -1},
    {gw_duration_parse, "20x", -1},
    {gw_duration_parse, "20 s", -1},
    {gw_duration_parse, "1m30", -1},
    {gw_duration_parse, "1.5s", -1},
    {gw_duration_parse, "-5s", -1},
    {gw_duration_parse, "9223372036854775807", -1},
    {gw_duration_parse, "106752d", -1},
    {gw_duration_parse, "106751d24h", -1},
    {gw_bytes_parse, "65536", 65536},
    {gw_bytes_parse, "64MB", 64000000},
    {gw_bytes_parse, "64mib", 67108864},
    {gw_bytes_parse, "1GB", 1000000000},
    {gw_bytes_parse, "1B", 1},
    {gw_bytes_parse, "1TiB", 1099511627776},
    {gw_bytes_parse, "64M", -1},
    {gw_bytes_parse, "1MB1KB", -1},
    {gw_bytes_parse, "99999999TB", -1},
    {gw_mode_parse, "0600", 0600},
    {gw_mode_parse, "600", 0600},
    {gw_mode_parse, "0o660", 0660},
    {gw_mode_parse, "0", 0},
    {gw_mode_parse, "0680", -1},
    {gw_mode_parse, "rw", -1},
    {gw_mode_parse, "", -1},
};

static void vectors_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        int64_t value = -1;
        int err = vectors[i].parse(&value, vectors[i].text);
        if (err != (vectors[i].value < 0 ? GW_E_MALFORMED : 0) || (!err && value != vectors[i].value))
            fail_msg("%zu \"%s\": %d, %lld", i, vectors[i].text, err, (long long)value);
    }
}

static void check_round_trip(parse_fn *parse, char *(*format)(int64_t, char *, size_t), int64_t value)
{
    char text[64];
    int64_t again = -1;
    assert_int_equal(parse(&again, format(value, text, sizeof text)), 0);
    assert_true(again == value);
}

static void what_is_printed_parses(void **state)
{
    static const int64_t scales[] = {1, 1000, 1024, 1000000, 1 << 20, 1000000000, 60000000000, 3600000000000};
    (void)state;
    srandom(1);
    for (int i = 0; i < 20000; i++) {
        int64_t value = (random() % 100000) * scales[i % 8];
        check_round_trip(gw_duration_parse, gw_duration_format, value);
        check_round_trip(gw_bytes_parse, gw_bytes_format, value);
    }
}

static void printed_as_people_write(void **state)
{
    char text[64];
    (void)state;
    assert_string_equal(gw_duration_format(20000000000, text, sizeof text), "20s");
    assert_string_equal(gw_duration_format(75000000000, text, sizeof text), "75s");
    assert_string_equal(gw_duration_format(0, text, sizeof text), "0s");
    assert_string_equal(gw_duration_format(3600000000000, text, sizeof text), "1h");
    assert_string_equal(gw_bytes_format(64000000, text, sizeof text), "64MB");
    assert_string_equal(gw_bytes_format(67108864, text, sizeof text), "64MiB");
    assert_string_equal(gw_bytes_format(0, text, sizeof text), "0B");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_hold),
        cmocka_unit_test(what_is_printed_parses),
        cmocka_unit_test(printed_as_people_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
