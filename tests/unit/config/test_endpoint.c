/* SPDX-License-Identifier: MIT */
/* Endpoints, sockets, prefixes and rules: text to struct, back, and what a rule matches. */
#include "gateway/config/endpoint.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* printed NULL: refused */
struct vector {
    const char *text, *printed;
};

static const struct vector endpoints[] = {
    {"127.0.0.1:7002", "127.0.0.1:7002"},
    {"[::1]:7002", "[::1]:7002"},
    {"[2001:DB8::1]:1", "[2001:db8::1]:1"},
    {"[::ffff:1.2.3.4]:5", "1.2.3.4:5"},
    {"[fe80::1%1]:5", "[fe80::1%1]:5"},
    {"[fe80::1%lo]:5", "[fe80::1%1]:5"},
    {"Home.Example.ORG:51820", "home.example.org:51820"},
    {"localhost:22", "localhost:22"},
    {"a_b-c:65535", "a_b-c:65535"},
    {"example.org.:1", "example.org.:1"},
    {"4you.example:1", "4you.example:1"},
    {"", NULL},
    {":", NULL},
    {":7002", NULL},
    {"127.0.0.1", NULL},
    {"127.0.0.1:", NULL},
    {"127.0.0.1:0", NULL},
    {"127.0.0.1:65536", NULL},
    {"127.0.0.1:-1", NULL},
    {"127.0.0.1:1x", NULL},
    {"127.0.0.1: 1", NULL},
    {"127.0.0.256:1", NULL},
    {"300.1.1.1:5", NULL},
    {"127.1:5", NULL},
    {"::1:7002", NULL},
    {"[::1]", NULL},
    {"[::1:7002", NULL},
    {"[127.0.0.1]:7002", NULL},
    {"[localhost]:7002", NULL},
    {"[]:1", NULL},
    {"a..b:1", NULL},
    {".a:1", NULL},
    {"a b:1", NULL},
    {"http://a:1", NULL},
    {"a:1:2", NULL},
    {"unix:/x", NULL},
};

static void endpoints_parse(void **state)
{
    char printed[512];
    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        struct gw_config_endpoint endpoint;
        const char *why = NULL;
        int err = gw_endpoint_parse(&endpoint, endpoints[i].text, 1, &why);
        if ((err == 0) != (endpoints[i].printed != NULL))
            fail_msg("\"%s\": %d", endpoints[i].text, err);
        if (err) {
            assert_non_null(why);
            continue;
        }
        assert_null(why);
        assert_string_equal(gw_config_endpoint_format(&endpoint, printed, sizeof printed),
                            endpoints[i].printed);
    }
}

static void host_names_have_bounds(void **state)
{
    struct gw_config_endpoint endpoint;
    char text[300];
    const char *why;
    (void)state;
    memset(text, 'a', sizeof text);
    strcpy(text + 63, ":1");
    assert_int_equal(gw_endpoint_parse(&endpoint, text, 1, &why), 0);
    memset(text, 'a', sizeof text);
    strcpy(text + 64, ":1");
    assert_int_equal(gw_endpoint_parse(&endpoint, text, 1, &why), GW_E_MALFORMED);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 ? '.' : 'a';
    strcpy(text + 253, ":1");
    assert_int_equal(gw_endpoint_parse(&endpoint, text, 1, &why), 0);
    text[253] = '.';
    text[254] = 'a';
    strcpy(text + 255, ":1");
    assert_int_equal(gw_endpoint_parse(&endpoint, text, 1, &why), GW_E_MALFORMED);
}

static void port_0_where_it_may(void **state)
{
    struct gw_config_endpoint endpoint;
    const char *why;
    (void)state;
    assert_int_equal(gw_socket_parse(&endpoint, "127.0.0.1:0", "/d", 0, &why), 0);
    assert_int_equal(endpoint.addr.port, 0);
    assert_int_equal(gw_socket_parse(&endpoint, "127.0.0.1:0", "/d", 1, &why), GW_E_MALFORMED);
}

static void unix_sockets(void **state)
{
    struct gw_config_endpoint endpoint;
    char text[512], path[130];
    const char *why;
    (void)state;
    assert_int_equal(gw_socket_parse(&endpoint, "unix:/run/x.sock", "/d", 0, &why), 0);
    assert_int_equal(endpoint.kind, GW_CONFIG_ENDPOINT_UNIX);
    assert_string_equal(gw_config_endpoint_format(&endpoint, text, sizeof text), "unix:/run/x.sock");
    assert_int_equal(gw_socket_parse(&endpoint, "unix:x.sock", "/d", 0, &why), 0);
    assert_string_equal(endpoint.name, "/d/x.sock");
    assert_int_equal(gw_socket_parse(&endpoint, "unix:", "/d", 0, &why), GW_E_MALFORMED);
    memset(path, 'a', sizeof path);
    memcpy(path, "unix:/", 6);
    path[5 + 107] = '\0';
    assert_int_equal(gw_socket_parse(&endpoint, path, "/d", 0, &why), 0);
    path[5 + 107] = 'a';
    path[5 + 108] = '\0';
    assert_int_equal(gw_socket_parse(&endpoint, path, "/d", 0, &why), GW_E_TOO_BIG);
}

static const struct vector prefixes[] = {
    {"10.64.0.0/16", "10.64.0.0/16"},
    {"10.64.3.4/16", "10.64.0.0/16"},
    {"10.0.0.1", "10.0.0.1/32"},
    {"0.0.0.0/0", "0.0.0.0/0"},
    {"1.2.3.255/25", "1.2.3.128/25"},
    {"fd00::1", "fd00::1/128"},
    {"fd00:1:2:3::4/64", "fd00:1:2:3::/64"},
    {"::/0", "::/0"},
    {"ffff::/1", "8000::/1"},
    {"10.0.0.0/33", NULL},
    {"10.0.0.0/", NULL},
    {"10.0.0.0/-1", NULL},
    {"10.0.0/8", NULL},
    {"::1/129", NULL},
    {"/8", NULL},
    {"", NULL},
    {"fe80::1%1/64", NULL},
    {"::ffff:1.2.3.4/96", NULL},
};

static void prefixes_parse(void **state)
{
    char printed[64];
    (void)state;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct gw_prefix prefix;
        int err = gw_prefix_parse(&prefix, prefixes[i].text);
        if ((err == 0) != (prefixes[i].printed != NULL))
            fail_msg("\"%s\": %d", prefixes[i].text, err);
        if (err)
            continue;
        gw_prefix_mask(&prefix);
        assert_string_equal(gw_prefix_format(&prefix, printed, sizeof printed), prefixes[i].printed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_parse),     cmocka_unit_test(host_names_have_bounds),
        cmocka_unit_test(port_0_where_it_may), cmocka_unit_test(unix_sockets),
        cmocka_unit_test(prefixes_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
