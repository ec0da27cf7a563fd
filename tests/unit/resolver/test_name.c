/* SPDX-License-Identifier: MIT */
#include "gateway/base/err.h"
#include "gateway/wire/peer_id.h"
#include "resolver/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

static void test_labels(void **state)
{
    static const struct {
        const char *text;
        unsigned count;
        bool has_p2p;
        const char *label[4];
    } cases[] = {
        {"home", 1, false, {"home"}},
        {"HOME.", 1, false, {"home"}},
        {"home.demo", 2, false, {"home", "demo"}},
        {"Home.Demo.P2P", 2, true, {"home", "demo"}},
        {"ssh.home.demo.p2p.", 3, true, {"ssh", "home", "demo"}},
        {"home.p2p", 1, true, {"home"}},
        {"p2p", 1, false, {"p2p"}},
        {"a.b.c.d.e.f", 6, false, {"a", "b", "c", "d"}},
        {"my_web.a-b.1", 3, false, {"my_web", "a-b", "1"}},
        {"xp2p", 1, false, {"xp2p"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gw_dns_name name;
        assert_int_equal(gw_dns_name_parse(&name, cases[i].text), 0);
        assert_int_equal(name.count, cases[i].count);
        assert_int_equal(name.has_p2p, cases[i].has_p2p);
        assert_false(name.has_peer_id);
        for (unsigned n = 0; n < 4 && cases[i].label[n]; n++)
            assert_string_equal(name.label[n], cases[i].label[n]);
    }
}

static void test_bad_names(void **state)
{
    static const char *const bad[] = {"",       ".", "..",  "a..b", ".a", "a b", "-a",  "a-",
                                      "a.-b.c", "ä", "a/b", "a:1",  "*",  "a\n", ".p2p"};
    struct gw_dns_name name;
    char text[300];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (gw_dns_name_parse(&name, bad[i]) != GW_E_MALFORMED)
            fail_msg("'%s'", bad[i]);
    }
    memset(text, 'a', sizeof text);
    text[63] = '\0';
    assert_int_equal(gw_dns_name_parse(&name, text), 0);
    text[63] = 'a';
    text[64] = '\0';
    assert_int_equal(gw_dns_name_parse(&name, text), GW_E_MALFORMED);
    for (size_t i = 0; i < 253; i++)
        text[i] = i % 2 ? '.' : 'a';
    text[253] = '\0';
    assert_int_equal(gw_dns_name_parse(&name, text), 0);
    text[253] = '.';
    text[254] = '\0';
    assert_int_equal(gw_dns_name_parse(&name, text), 0);
    text[254] = 'a';
    text[255] = '\0';
    assert_int_equal(gw_dns_name_parse(&name, text), GW_E_MALFORMED);
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(gw_dns_name_parse(&name, text), GW_E_MALFORMED);
}

/* Base58 means its case, though the name as a whole does not. */
static void test_peer_ids(void **state)
{
    uint8_t key[32];
    char id[GW_PEER_ID_STRLEN], text[128];
    struct gw_dns_name name;
    (void)state;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(i * 37 + 5);
    gw_peer_id_format(key, id);
    static const char *const forms[] = {"%s", "%s.", "%s.p2p", "%s.P2P.", "ssh.%s", "ssh.%s.p2p"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, forms[i], id);
#pragma GCC diagnostic pop
        assert_int_equal(gw_dns_name_parse(&name, text), 0);
        assert_true(name.has_peer_id);
        assert_memory_equal(name.ed25519, key, sizeof key);
        assert_int_equal(name.count, i < 4 ? 1 : 2);
    }
    snprintf(text, sizeof text, "%s.demo", id);
    assert_int_equal(gw_dns_name_parse(&name, text), 0);
    assert_false(name.has_peer_id);
    id[20] = id[20] == 'a' ? 'b' : 'a';
    assert_int_equal(gw_dns_name_parse(&name, id),
                     0); /* still a label; whether a peer ID is the codec's matter */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_peer_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
