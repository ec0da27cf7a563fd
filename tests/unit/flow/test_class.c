/* SPDX-License-Identifier: MIT */
/* Which class an opener wishes for, and the words of the classes. */
#include "gateway/flow/class.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_by_what_is_asked_for(void **state)
{
    static const struct {
        const char *service;
        uint16_t port;
        enum gw_class class_;
    } table[] = {
        {"ssh", 0, GW_CLASS_INTERACTIVE},    {"SSH", 2222, GW_CLASS_INTERACTIVE},
        {"", 22, GW_CLASS_INTERACTIVE},      {"", 3389, GW_CLASS_INTERACTIVE},
        {"shell", 22, GW_CLASS_INTERACTIVE}, {"vnc", 0, GW_CLASS_INTERACTIVE},
        {"web", 80, GW_CLASS_NORMAL},        {"", 80, GW_CLASS_NORMAL},
        {"sshd", 0, GW_CLASS_NORMAL},        {"", 0, GW_CLASS_NORMAL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_int_equal(gw_class_of(table[i].service, table[i].port), table[i].class_);
}

static void test_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GW_CLASS_COUNT; i++) {
        enum gw_class class_ = GW_CLASS_COUNT;
        assert_true(gw_class_parse(&class_, gw_class_names[i]));
        assert_int_equal(class_, i);
    }
    enum gw_class kept = GW_CLASS_BULK;
    assert_false(gw_class_parse(&kept, "urgent"));
    assert_false(gw_class_parse(&kept, ""));
    assert_int_equal(kept, GW_CLASS_BULK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_what_is_asked_for),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
