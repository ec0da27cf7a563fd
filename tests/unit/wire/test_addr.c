/* SPDX-License-Identifier: MIT */
/* Transport addresses: text, the kernel's structs, and that equal addresses are equal bytes. */
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/random.h"
#include "gateway/wire/addr.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct gw_addr parsed(const char *text)
{
    struct gw_addr a;
    assert_int_equal(gw_addr_parse(&a, text), 0);
    return a;
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
        uint8_t family;
    } table[] = {
        {"1.2.3.4:5", "1.2.3.4:5", 4},
        {"0.0.0.0:0", "0.0.0.0:0", 4},
        {"255.255.255.255:65535", "255.255.255.255:65535", 4},
        {"[::1]:5", "[::1]:5", 6},
        {"[::]:0", "[::]:0", 6},
        {"[2001:DB8:0:0:0:0:0:1]:443", "[2001:db8::1]:443", 6},
        {"[fe80::1%2]:5", "[fe80::1%2]:5", 6},
        {"[fe80::1]:5", "[fe80::1]:5", 6},
        {"[febf::1%4294967295]:65535", "[febf::1%4294967295]:65535", 6},
        {"[ff02::1%3]:5", "[ff02::1%3]:5", 6},
        {"[ff01::1%3]:5", "[ff01::1%3]:5", 6},
        {"[::ffff:1.2.3.4]:5", "1.2.3.4:5", 4},
        {"[::FFFF:c0a8:0101]:80", "192.168.1.1:80", 4},
        {"[::1.2.3.4]:5", "[::1.2.3.4]:5", 6}, /* "compatible" is not "mapped" */
        {"[64:ff9b::1.2.3.4]:5", "[64:ff9b::102:304]:5", 6},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", 6},
    };
    char out[GW_ADDR_STRLEN];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct gw_addr a = parsed(table[i].in);
        assert_int_equal(a.family, table[i].family);
        assert_string_equal(gw_addr_format(&a, out), table[i].out);
    }
}

static void test_ip_text(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } table[] = {
        {"1.2.3.4:5", "1.2.3.4"},
        {"255.255.255.255:65535", "255.255.255.255"},
        {"[::]:0", "::"},
        {"[2001:DB8::1]:443", "2001:db8::1"},
        {"[febf::1%4294967295]:65535", "febf::1%4294967295"},
        {"[::ffff:1.2.3.4]:5", "1.2.3.4"},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    const struct gw_addr none = {0};
    char out[GW_ADDR_STRLEN];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct gw_addr a = parsed(table[i].in), again;
        assert_string_equal(gw_addr_format_ip(&a, out), table[i].out);
        assert_int_equal(gw_addr_parse_ip(&again, out, a.port), 0);
        assert_memory_equal(&again, &a, sizeof a);
    }
    assert_string_equal(gw_addr_format_ip(&none, out), "-");
}

static void test_parts(void **state)
{
    (void)state;
    struct gw_addr a = parsed("1.2.3.4:1027");
    struct gw_addr expected = {.ip = {1, 2, 3, 4}, .port = 1027, .family = 4};
    assert_memory_equal(&a, &expected, sizeof a);
    a = parsed("[fe80::1:2%7]:9");
    expected = (struct gw_addr){.ip = {0xfe, 0x80, [13] = 1, [15] = 2}, .scope = 7, .port = 9, .family = 6};
    assert_memory_equal(&a, &expected, sizeof a);
}

static const char *const no_addresses[] = {
    "",
    ":",
    ":5",
    "-",
    "5",
    "1.2.3.4",
    "1.2.3.4:",
    "1.2.3:5",
    "1.2.3.4.5:6",
    "256.1.1.1:5",
    "01.2.3.4:5",
    "1.2.3.4:65536",
    "1.2.3.4:99999999999999999999",
    "1.2.3.4:05",
    "1.2.3.4:+5",
    "1.2.3.4: 5",
    "1.2.3.4:5 ",
    " 1.2.3.4:5",
    "1.2.3.4:5x",
    "1.2.3.4:-1",
    "1.2.3.4:0x5",
    "1.2.3.4%1:5",
    "[1.2.3.4]:5",
    "::1:5",
    "::1",
    "[::1]",
    "[::1]:",
    "[::1:5",
    "::1]:5",
    "[::1]5",
    "[]:5",
    "[:5",
    "[",
    "[]",
    "]:5",
    "[[::1]]:5",
    "[::1%1]:5",
    "[2001:db8::1%1]:5",
    "[::ffff:1.2.3.4%1]:5",
    "[fe80::1%]:5",
    "[fe80::1%0]:5",
    "[fe80::1%01]:5",
    "[fe80::1%4294967296]:5",
    "[fe80::1%-1]:5",
    "[fe80::1%1%2]:5",
    "[fe80::1%lo]:5",
    "[::g]:5",
    "[1:2:3:4:5:6:7:8:9]:5",
    "[1:2:3:4:5:6:7]:5",
    "[1::2::3]:5",
    "localhost:5",
    "example.org:5",
    "*:5",
    "[fe80::1%2]:5\n",
    "[00000000000000000000000000000000000000000000000000000000000000000000000000::1]:5",
};

static void test_no_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof no_addresses / sizeof no_addresses[0]; i++) {
        struct gw_addr a, untouched;
        memset(&a, 0x77, sizeof a);
        untouched = a;
        if (gw_addr_parse(&a, no_addresses[i]) != GW_E_MALFORMED)
            fail_msg("parsed \"%s\"", no_addresses[i]);
        assert_memory_equal(&a, &untouched, sizeof a);
    }
}

static void test_ip_alone(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: malformed */
    } table[] = {
        {"1.2.3.4", "1.2.3.4:7"},
        {"::1", "[::1]:7"},
        {"fe80::1%2", "[fe80::1%2]:7"},
        {"::ffff:1.2.3.4", "1.2.3.4:7"},
        {"1.2.3.4:5", NULL},
        {"[::1]", NULL},
        {"[::1]:5", NULL},
        {"::1%2", NULL},
        {"", NULL},
        {"1.2.3", NULL},
        {"fe80::1%", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char out[GW_ADDR_STRLEN];
        struct gw_addr a;
        assert_int_equal(gw_addr_parse_ip(&a, table[i].in, 7), table[i].out != NULL ? 0 : GW_E_MALFORMED);
        if (table[i].out != NULL)
            assert_string_equal(gw_addr_format(&a, out), table[i].out);
    }
}

static void test_kinds(void **state)
{
    (void)state;
    enum { NONE = 0, LOOPBACK = 1, MULTICAST = 2, UNSPECIFIED = 4 };
    static const struct {
        const char *text;
        int kinds;
    } table[] = {
        {"127.0.0.1:1", LOOPBACK},
        {"127.255.255.255:1", LOOPBACK},
        {"126.255.255.255:1", NONE},
        {"128.0.0.0:1", NONE},
        {"[::1]:1", LOOPBACK},
        {"[::2]:1", NONE},
        {"[1::1]:1", NONE},
        {"223.255.255.255:1", NONE},
        {"224.0.0.0:1", MULTICAST},
        {"239.255.255.255:1", MULTICAST},
        {"240.0.0.0:1", NONE},
        {"[ff00::]:1", MULTICAST},
        {"[ff02::1]:1", MULTICAST},
        {"[feff::1]:1", NONE},
        {"0.0.0.0:1", UNSPECIFIED},
        {"0.0.0.1:1", NONE},
        {"[::]:1", UNSPECIFIED},
        {"[::ffff:0.0.0.0]:1", UNSPECIFIED},
        {"[::ffff:127.0.0.1]:1", LOOPBACK},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct gw_addr a = parsed(table[i].text);
        int kinds = (gw_addr_is_loopback(&a) ? LOOPBACK : 0) | (gw_addr_is_multicast(&a) ? MULTICAST : 0) |
                    (gw_addr_is_unspecified(&a) ? UNSPECIFIED : 0);
        assert_int_equal(kinds, table[i].kinds);
        assert_true(gw_addr_is_set(&a));
    }
}

static void test_an_address_that_is_not_set(void **state)
{
    (void)state;
    char out[GW_ADDR_STRLEN];
    struct gw_addr none = {0};
    struct sockaddr_storage storage;
    assert_false(gw_addr_is_set(&none) || gw_addr_is_loopback(&none) || gw_addr_is_multicast(&none));
    assert_false(gw_addr_is_unspecified(&none));
    assert_string_equal(gw_addr_format(&none, out), "-");
    assert_int_equal(gw_addr_to_sockaddr(&none, &storage), 0);
}

static void test_equality(void **state)
{
    (void)state;
    struct gw_addr a = parsed("[fe80::1%2]:5"), b = a;
    assert_true(gw_addr_equal(&a, &b) && gw_addr_same_ip(&a, &b));
    b.port = 6;
    assert_false(gw_addr_equal(&a, &b));
    assert_true(gw_addr_same_ip(&a, &b));
    b = parsed("[fe80::1%3]:5");
    assert_false(gw_addr_equal(&a, &b) || gw_addr_same_ip(&a, &b));
    b = parsed("[fe80::2%2]:5");
    assert_false(gw_addr_equal(&a, &b) || gw_addr_same_ip(&a, &b));
    a = parsed("1.2.3.4:5");
    b = parsed("[102:304::]:5"); /* the same bytes, another family */
    assert_false(gw_addr_equal(&a, &b) || gw_addr_same_ip(&a, &b));
    b = parsed("[::ffff:1.2.3.4]:5");
    assert_true(gw_addr_equal(&a, &b));
}

static void test_prefixes(void **state)
{
    (void)state;
    uint8_t prefix[8];
    struct gw_addr a = parsed("198.51.100.7:5");
    gw_addr_prefix(&a, prefix);
    assert_memory_equal(prefix, "\xc6\x33\x64\x07\0\0\0\0", 8);
    a = parsed("[2001:db8:1:2:3:4:5:6]:5");
    gw_addr_prefix(&a, prefix);
    assert_memory_equal(prefix, "\x20\x01\x0d\xb8\0\x01\0\x02", 8);
}

static void test_sockaddr4(void **state)
{
    (void)state;
    struct gw_addr a = parsed("1.2.3.4:1027"), back;
    struct sockaddr_storage storage;
    struct sockaddr_in sin;
    assert_int_equal(gw_addr_to_sockaddr(&a, &storage), sizeof sin);
    memcpy(&sin, &storage, sizeof sin);
    assert_int_equal(sin.sin_family, AF_INET);
    assert_int_equal(ntohs(sin.sin_port), 1027);
    assert_int_equal(ntohl(sin.sin_addr.s_addr), 0x01020304);
    memset(&back, 0xff, sizeof back);
    assert_int_equal(gw_addr_from_sockaddr(&back, (struct sockaddr *)&storage), 0);
    assert_true(gw_addr_equal(&a, &back));
}

static void test_sockaddr6(void **state)
{
    (void)state;
    struct gw_addr a = parsed("[fe80::1%9]:1027"), back;
    struct sockaddr_storage storage;
    struct sockaddr_in6 sin6;
    assert_int_equal(gw_addr_to_sockaddr(&a, &storage), sizeof sin6);
    memcpy(&sin6, &storage, sizeof sin6);
    assert_int_equal(sin6.sin6_family, AF_INET6);
    assert_int_equal(ntohs(sin6.sin6_port), 1027);
    assert_int_equal(sin6.sin6_scope_id, 9);
    assert_int_equal(sin6.sin6_flowinfo, 0);
    assert_memory_equal(&sin6.sin6_addr, a.ip, 16);
    memset(&back, 0xff, sizeof back);
    assert_int_equal(gw_addr_from_sockaddr(&back, (struct sockaddr *)&storage), 0);
    assert_true(gw_addr_equal(&a, &back));
}

/* What the kernel may say of one and the same address comes out as the same bytes. */
static void test_sockaddr_is_normalised(void **state)
{
    (void)state;
    struct sockaddr_in6 sin6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(5), .sin6_flowinfo = 7, .sin6_scope_id = 3};
    struct gw_addr a, expected = parsed("1.2.3.4:5");
    memcpy(&sin6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04", 16);
    assert_int_equal(gw_addr_from_sockaddr(&a, (struct sockaddr *)&sin6), 0);
    assert_true(gw_addr_equal(&a, &expected));

    memcpy(&sin6.sin6_addr, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
    expected = parsed("[2001:db8::1]:5");
    assert_int_equal(gw_addr_from_sockaddr(&a, (struct sockaddr *)&sin6), 0);
    assert_true(gw_addr_equal(&a, &expected)); /* without the scope */
}

static void test_sockaddr_of_another_family(void **state)
{
    (void)state;
    struct sockaddr_storage storage = {.ss_family = AF_UNIX};
    struct gw_addr a;
    assert_int_equal(gw_addr_from_sockaddr(&a, (struct sockaddr *)&storage), GW_E_MALFORMED);
    storage.ss_family = AF_UNSPEC;
    assert_int_equal(gw_addr_from_sockaddr(&a, (struct sockaddr *)&storage), GW_E_MALFORMED);
}

static void test_sockaddr_needs_no_alignment(void **state)
{
    (void)state;
    struct gw_addr a = parsed("[2001:db8::1]:443"), back;
    struct sockaddr_storage storage;
    char bytes[sizeof storage + 8];
    gw_addr_to_sockaddr(&a, &storage);
    for (size_t offset = 0; offset < 8; offset++) {
        memcpy(bytes + offset, &storage, sizeof storage);
        assert_int_equal(gw_addr_from_sockaddr(&back, (void *)(bytes + offset)), 0);
        assert_true(gw_addr_equal(&a, &back));
    }
}

static void test_random_round_trips(void **state)
{
    (void)state;
    struct gw_random_seeded random;
    gw_random_seeded_init(&random, 1);
    for (unsigned i = 0; i < 20000; i++) {
        struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6};
        struct sockaddr_storage storage;
        struct gw_addr a, b;
        char text[GW_ADDR_STRLEN], again[GW_ADDR_STRLEN];
        gw_random_fill(&random.random, &sin6.sin6_addr, 16);
        if (i % 4 == 1) /* runs of zeros, for "::" */
            memset((uint8_t *)&sin6.sin6_addr + i / 4 % 12, 0, 4);
        if (i % 4 == 2)
            memcpy(&sin6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
        if (i % 4 == 3)
            memcpy(&sin6.sin6_addr, "\xfe\x80", 2);
        sin6.sin6_port = (in_port_t)gw_random_u32(&random.random);
        sin6.sin6_scope_id = gw_random_u32(&random.random);
        assert_int_equal(gw_addr_from_sockaddr(&a, (struct sockaddr *)&sin6), 0);
        assert_int_equal(gw_addr_parse(&b, gw_addr_format(&a, text)), 0);
        assert_memory_equal(&a, &b, sizeof a);
        assert_string_equal(gw_addr_format(&b, again), text);
        assert_true(gw_addr_to_sockaddr(&a, &storage) > 0);
        assert_int_equal(gw_addr_from_sockaddr(&b, (struct sockaddr *)&storage), 0);
        assert_memory_equal(&a, &b, sizeof a);
    }
}

static void test_log_can_hide(void **state)
{
    (void)state;
    char out[GW_ADDR_STRLEN];
    struct gw_addr a = parsed("1.2.3.4:5");
    gw_log_set_hide_addresses(true);
    assert_string_equal(gw_addr_log(&a, out), "(hidden)");
    assert_string_equal(gw_addr_format(&a, out), "1.2.3.4:5"); /* status is not the log */
    gw_log_set_hide_addresses(false);
    assert_string_equal(gw_addr_log(&a, out), "1.2.3.4:5");
}

static void test_sentences_can_hide(void **state)
{
    static const char *const table[][2] = {
        {"cannot listen on 127.0.0.1:1080: in use", "cannot listen on (hidden):1080: in use"},
        {"found \"10.0.0.0/33\"", "found \"(hidden)/33\""},
        {"::1 [::1]:80 [fe80::1%2]:5 ::ffff:1.2.3.4", "(hidden) [(hidden)]:80 [(hidden)]:5 (hidden)"},
        {"between 1.2.3.4-5.6.7.8, and 9.9.9.9.", "between (hidden)-(hidden), and (hidden)."},
        {"/d/config.yaml:12: peers[].name: expected text at 12:30:00, 2027-01-01",
         "/d/config.yaml:12: peers[].name: expected text at 12:30:00, 2027-01-01"},
        {"main::log v1.2.3.4x a1.2.3.4 face:b00c", "main::log v1.2.3.4x a1.2.3.4 face:b00c"},
        {"", ""},
    };
    char out[128], small[12];
    (void)state;
    assert_ptr_equal(gw_addr_log_text(table[0][0], out, sizeof out), table[0][0]);
    gw_log_set_hide_addresses(true);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_string_equal(gw_addr_log_text(table[i][0], out, sizeof out), table[i][1]);
    assert_string_equal(gw_addr_log_text("at 1.2.3.4 there", small, sizeof small), "at (hidden)");
    gw_log_set_hide_addresses(false);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_ip_text),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_no_addresses),
        cmocka_unit_test(test_ip_alone),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_an_address_that_is_not_set),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_sockaddr4),
        cmocka_unit_test(test_sockaddr6),
        cmocka_unit_test(test_sockaddr_is_normalised),
        cmocka_unit_test(test_sockaddr_of_another_family),
        cmocka_unit_test(test_sockaddr_needs_no_alignment),
        cmocka_unit_test(test_random_round_trips),
        cmocka_unit_test(test_log_can_hide),
        cmocka_unit_test(test_sentences_can_hide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
