/* SPDX-License-Identifier: MIT */
/* YAML to a tree: lines, kinds, duplicates, aliases, and every limit. */
#include "gateway/config/tree.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gw_node *parse(const char *text, int expected, struct gw_diag *diag)
{
    struct gw_node *root;
    assert_int_equal(gw_tree_parse(&root, text, strlen(text), "f", diag), expected);
    return root;
}

static void expect_error(const char *text, int err, const char *message)
{
    struct gw_diag diag = {0};
    assert_null(parse(text, err, &diag));
    assert_int_equal(diag.errors, 1);
    assert_string_equal(diag.entries[0].text, message);
    gw_diag_clear(&diag);
}

static void nodes_know_their_lines(void **state)
{
    struct gw_diag diag = {0};
    struct gw_node *root = parse("a: 1\nb:\n  - x\n  - {c: ~, d: 'null'}\n\ne:\n", 0, &diag);
    (void)state;
    const struct gw_node *list = gw_tree_get(root, "b"), *map = list->last;
    assert_int_equal(root->kind, GW_NODE_MAP);
    assert_int_equal(root->count, 3);
    assert_string_equal(gw_tree_get(root, "a")->text, "1");
    assert_int_equal(list->kind, GW_NODE_LIST);
    assert_int_equal(list->count, 2);
    assert_int_equal(list->first->line, 3);
    assert_int_equal(map->line, 4);
    assert_true(gw_tree_get(map, "c")->is_null);
    assert_false(gw_tree_get(map, "d")->is_null);
    assert_true(gw_tree_get(root, "e")->is_null);
    assert_int_equal(gw_tree_get(root, "e")->key_line, 6);
    assert_null(gw_tree_get(root, "f"));
    gw_tree_free(root);
}

static void empty_files(void **state)
{
    static const char *const texts[] = {"", "\n\n", "# nothing\n", "---\n"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct gw_diag diag = {0};
        struct gw_node *root = parse(texts[i], 0, &diag);
        assert_true(!root || root->is_null);
        gw_tree_free(root);
    }
}

static void duplicates_are_told_and_the_tree_is_there(void **state)
{
    struct gw_diag diag = {0};
    struct gw_node *root = parse("a: 1\nb: 2\na: 3\na: 4\n", 0, &diag);
    (void)state;
    assert_non_null(root);
    assert_int_equal(diag.errors, 2);
    assert_string_equal(diag.entries[0].text, "f:3: a: is there already, in line 1");
    assert_string_equal(diag.entries[1].text, "f:4: a: is there already, in line 3");
    gw_tree_free(root);
    gw_diag_clear(&diag);
}

static void aliases_are_copies(void **state)
{
    struct gw_diag diag = {0};
    struct gw_node *root = parse("a: &x {k: [1, 2]}\nb: *x\nc: &y 7\nd: *y\n", 0, &diag);
    (void)state;
    const struct gw_node *b = gw_tree_get(root, "b");
    assert_string_equal(gw_tree_get(b, "k")->last->text, "2");
    assert_ptr_not_equal(b, gw_tree_get(root, "a"));
    assert_string_equal(gw_tree_get(root, "d")->text, "7");
    gw_tree_free(root);
}

static void a_billion_laughs(void **state)
{
    static char text[4096];
    struct gw_diag diag = {0};
    size_t used = (size_t)sprintf(text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    (void)state;
    for (int i = 1; i < 10; i++)
        used += (size_t)sprintf(text + used,
                                "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i,
                                i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_null(parse(text, GW_E_TOO_BIG, &diag));
    assert_string_equal(diag.entries[0].text,
                        "f:1: too much: more than 100000 values, aliases counted as what they stand for");
    gw_diag_clear(&diag);
}

static void limits(void **state)
{
    char *large = malloc(2 * GW_TREE_BYTES_MAX), deep[64];
    struct gw_diag diag = {0};
    struct gw_node *root;
    (void)state;
    memset(large, '#', 2 * GW_TREE_BYTES_MAX);
    assert_int_equal(gw_tree_parse(&root, large, GW_TREE_BYTES_MAX, "f", &diag), 0);
    gw_tree_free(root);
    assert_int_equal(gw_tree_parse(&root, large, GW_TREE_BYTES_MAX + 1, "f", &diag), GW_E_TOO_BIG);
    memset(large, '[', GW_TREE_BYTES_MAX);
    assert_int_equal(gw_tree_parse(&root, large, GW_TREE_BYTES_MAX, "f", &diag), GW_E_TOO_BIG);
    memset(deep, '[', 16);
    memset(deep + 16, ']', 16);
    deep[32] = '\0';
    gw_tree_free(parse(deep, 0, &diag));
    for (size_t i = 0; i + 1 < GW_TREE_BYTES_MAX; i += 2)
        memcpy(large + i, "-\n", 2);
    assert_int_equal(gw_tree_parse(&root, large, GW_TREE_BYTES_MAX, "f", &diag), GW_E_TOO_BIG);
    free(large);
    gw_diag_clear(&diag);
}

static void what_is_refused(void **state)
{
    (void)state;
    expect_error(
        "a: [1, 2\nb: 3\n", GW_E_CONFIG,
        "f:2: not YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins in line 1)");
    expect_error(
        "a: 1\n\tb: 2\n", GW_E_CONFIG,
        "f:2: not YAML: found a tab character that violates indentation (while scanning a plain scalar that begins in line 1)");
    expect_error("a: \"x\\0y\"\n", GW_E_CONFIG, "f:1: a control character or a line break in a value");
    expect_error("a: |\n  x\n  y\n", GW_E_CONFIG, "f:1: a control character or a line break in a value");
    expect_error("{a: 1}: 2\n", GW_E_CONFIG, "f:1: a key must be plain text");
    expect_error("[1]: 2\n", GW_E_CONFIG, "f:1: a key must be plain text");
    expect_error("a: &x 1\n*x : 2\n", GW_E_CONFIG, "f:2: a key must be plain text");
    expect_error("a: *nothing\n", GW_E_CONFIG, "f:1: *nothing: no such anchor before this line");
    expect_error("a: &x [*x]\n", GW_E_CONFIG, "f:1: *x: stands inside of what it stands for");
    expect_error("a: 1\n---\nb: 1\n", GW_E_CONFIG, "f:2: a second document (---); one is expected");
    expect_error("a: \xff\xfe\n", GW_E_CONFIG, "f:1: not YAML: invalid leading UTF-8 octet");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_know_their_lines),
        cmocka_unit_test(empty_files),
        cmocka_unit_test(duplicates_are_told_and_the_tree_is_there),
        cmocka_unit_test(aliases_are_copies),
        cmocka_unit_test(a_billion_laughs),
        cmocka_unit_test(limits),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
