/* SPDX-License-Identifier: MIT */
/* The ring list: order, and removal of anything at any time. */
#include "gateway/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct item {
    char name;
    struct gw_list link;
};

/* The names in order, checked in both directions. */
static const char *names(const struct gw_list *head)
{
    static char forward[16];
    size_t len = 0;
    gw_list_for_each (node, head)
        forward[len++] = gw_list_entry(node, struct item, link)->name;
    forward[len] = '\0';
    for (const struct gw_list *node = head->prev; node != head; node = node->prev)
        assert_int_equal(gw_list_entry(node, struct item, link)->name, forward[--len]);
    assert_int_equal(len, 0);
    return forward;
}

static void test_order(void **state)
{
    (void)state;
    struct gw_list head;
    struct item items[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};
    gw_list_init(&head);
    assert_true(gw_list_is_empty(&head));
    assert_string_equal(names(&head), "");
    assert_null(gw_list_pop_front(&head));
    gw_list_push_back(&head, &items[1].link);
    gw_list_push_back(&head, &items[2].link);
    gw_list_push_front(&head, &items[0].link);
    gw_list_push_back(&head, &items[3].link);
    assert_string_equal(names(&head), "abcd");
    assert_false(gw_list_is_empty(&head));

    gw_list_remove(&items[2].link);
    assert_string_equal(names(&head), "abd");
    assert_false(gw_list_is_linked(&items[2].link));
    assert_true(gw_list_is_linked(&items[1].link));
    gw_list_remove(&items[2].link); /* again: nothing */
    assert_string_equal(names(&head), "abd");

    assert_ptr_equal(gw_list_pop_front(&head), &items[0].link);
    assert_false(gw_list_is_linked(&items[0].link));
    assert_string_equal(names(&head), "bd");
    gw_list_push_back(&head, &items[0].link);
    assert_string_equal(names(&head), "bda");
}

static void test_removal_while_visiting(void **state)
{
    (void)state;
    for (unsigned mask = 0; mask < 32; mask++) {
        struct gw_list head;
        struct item items[5];
        char expected[6] = "";
        unsigned kept = 0;
        gw_list_init(&head);
        for (unsigned i = 0; i < 5; i++) {
            items[i].name = (char)('a' + i);
            gw_list_push_back(&head, &items[i].link);
            if (!(mask & 1u << i))
                expected[kept++] = items[i].name;
        }
        unsigned visited = 0;
        gw_list_for_each (node, &head) {
            visited++;
            if (mask & 1u << (gw_list_entry(node, struct item, link)->name - 'a'))
                gw_list_remove(node);
        }
        assert_int_equal(visited, 5);
        assert_string_equal(names(&head), expected);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_removal_while_visiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
