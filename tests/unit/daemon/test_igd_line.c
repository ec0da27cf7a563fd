/* SPDX-License-Identifier: MIT */
/* What the UPnP helper says, and what of it is believed. */
#include "gateway/daemon/igd_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define URL "http://192.168.1.1:5000/rootDesc.xml"

static struct gw_igd_line parse(const char *text)
{
    struct gw_igd_line line;
    gw_igd_line_parse(&line, text);
    return line;
}

static void test_good(void **state)
{
    char text[GW_ADDR_STRLEN];
    (void)state;
    struct gw_igd_line line = parse("mapped " URL " 11.0.1.1 41000 3600");
    assert_int_equal(line.verdict, GW_IGD_SAID_MAPPED);
    assert_string_equal(line.url, URL);
    assert_string_equal(gw_addr_format(&line.external, text), "11.0.1.1:41000");
    assert_int_equal(line.lifetime_s, 3600);
    line = parse("refused " URL " ConflictInMappingEntry\033[31m");
    assert_int_equal(line.verdict, GW_IGD_SAID_REFUSED);
    assert_string_equal(line.reason, "ConflictInMappingEntry?[31m");
    assert_int_equal(parse("found " URL).verdict, GW_IGD_SAID_FOUND);
    assert_int_equal(parse("none").verdict, GW_IGD_SAID_NONE);
}

static void test_bad(void **state)
{
    static const char *const nothing[] = {"",
                                          " ",
                                          "found",
                                          "found ftp://192.168.1.1/",
                                          "mapped",
                                          ("said " URL),
                                          "found http://a\tb",
                                          "==12==ERROR: AddressSanitizer",
                                          "peergate igd: cannot give up privileges"};
    static const char *const senseless[] = {"11.0.1.1 0 60",  "11.0.1.1 65536 60",      "11.0.1.1 -1 60",
                                            "127.0.0.1 5 60", "224.0.0.1 5 60",         "0.0.0.0 5 60",
                                            "::1 5 60",       "11.0.1.1 5 99999999999", "11.0.1.1 5 60 more",
                                            "11.0.1.1 5x 60", "somewhere.example 5 60", "11.0.1.1"};
    char text[400];
    (void)state;
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        assert_int_equal(parse(nothing[i]).verdict, GW_IGD_SAID_NONE);
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        strcpy(text, "mapped " URL " ");
        strcat(text, senseless[i]);
        struct gw_igd_line line = parse(text);
        assert_int_equal(line.verdict, GW_IGD_SAID_REFUSED);
        assert_false(gw_addr_is_set(&line.external));
    }
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "found http://", 13);
    assert_int_equal(parse(text).verdict, GW_IGD_SAID_NONE); /* no URL that is cut off is asked */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
