/* SPDX-License-Identifier: MIT */
/* A stream's first bytes: what is encoded is decoded, at any split; what may not be is refused. */
#include "gateway/base/err.h"
#include "gateway/flow/preface.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check_round_trip(const struct gw_open *open)
{
    uint8_t bytes[GW_PREFACE_MAX + 1];
    struct gw_open back;
    int len = gw_preface_encode(bytes, open);
    assert_true(len > 0);
    bytes[len] = 0xff; /* the user's first byte */
    for (int cut = 0; cut < len; cut++)
        assert_int_equal(gw_preface_decode(&back, bytes, (size_t)cut), 0);
    assert_int_equal(gw_preface_decode(&back, bytes, (size_t)len + 1), len);
    assert_int_equal(back.is_datagrams, open->is_datagrams);
    assert_int_equal(back.class_, open->class_);
    assert_int_equal(back.port, open->port);
    assert_string_equal(back.service, open->service);
}

static void test_round_trip(void **state)
{
    struct gw_open open = {.class_ = GW_CLASS_BULK, .service = "ssh"};
    (void)state;
    check_round_trip(&open);
    memset(open.service, 'a', GW_SERVICE_NAME_MAX);
    check_round_trip(&open);
    open = (struct gw_open){.is_datagrams = true, .port = 53};
    check_round_trip(&open);
}

static void test_encode_refuses(void **state)
{
    uint8_t bytes[GW_PREFACE_MAX];
    struct gw_open open = {.service = "a b"};
    (void)state;
    assert_int_equal(gw_preface_encode(bytes, &open), GW_E_INVAL);
    memset(open.service, 'a', sizeof open.service);
    assert_int_equal(gw_preface_encode(bytes, &open), GW_E_INVAL);
    open = (struct gw_open){.port = 0};
    assert_int_equal(gw_preface_encode(bytes, &open), GW_E_INVAL);
    open = (struct gw_open){.port = 1, .class_ = GW_CLASS_COUNT};
    assert_int_equal(gw_preface_encode(bytes, &open), GW_E_INVAL);
}

static void test_decode(void **state)
{
    static const struct {
        uint8_t bytes[8];
        size_t len;
        int result;
    } cases[] = {
        {{0}, 0, 0},
        {{0, 1, 3, 's', 's', 'h'}, 6, 6},
        {{0, 1, 3, 's', 's'}, 5, 0},
        {{0, 1, 0}, 3, GW_E_MALFORMED},  /* empty name */
        {{0, 1, 64}, 3, GW_E_MALFORMED}, /* too long, told before it is there */
        {{0, 1, 2, 's', '\n'}, 5, GW_E_MALFORMED},
        {{0, 1, 2, 's', 0}, 5, GW_E_MALFORMED},
        {{1, 0, 0, 22}, 4, 4},
        {{1, 0, 0}, 3, 0},
        {{1, 0, 0, 0}, 4, GW_E_MALFORMED}, /* port 0 */
        {{3, 0, 0, 53}, 4, 4},
        {{4, 0, 0, 53}, 4, GW_E_MALFORMED}, /* unknown kind */
        {{1, 77, 0, 22}, 4, 4},             /* unknown class: normal */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gw_open open;
        assert_int_equal(gw_preface_decode(&open, cases[i].bytes, cases[i].len), cases[i].result);
        if (cases[i].bytes[1] == 77)
            assert_int_equal(open.class_, GW_CLASS_NORMAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_encode_refuses),
        cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
