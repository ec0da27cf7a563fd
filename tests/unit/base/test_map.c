/* SPDX-License-Identifier: MIT */
/* The hash map against an array, for both of its hashes; order, exhaustion, and keys chosen to collide. */
#include "gateway/base/err.h"
#include "gateway/base/map.h"
#include "gateway/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
static bool no_memory;
void *__wrap_calloc(size_t count, size_t size)
{
    return no_memory ? NULL : __real_calloc(count, size);
}

#define KEY_MAX 32
#define ITEMS 400

struct item {
    uint8_t before; /* so that keys are at odd addresses */
    uint8_t key[KEY_MAX];
    unsigned order; /* when it was inserted; 0 = it is not in */
    struct gw_map_node node;
};

static struct item items[ITEMS];
static struct gw_random_seeded random_source;

static void setup_items(struct gw_map *map, size_t key_len)
{
    uint8_t seed[16];
    gw_random_seeded_init(&random_source, key_len);
    gw_random_fill(&random_source.random, seed, sizeof seed);
    gw_map_init(map, key_len, seed);
    memset(items, 0, sizeof items);
    for (unsigned i = 0; i < ITEMS; i++) {
        memcpy(items[i].key, &i, 2);
        items[i].key[key_len - 1] ^=
            (uint8_t)(key_len > 2 ? 0x5a : 0); /* keys may share all but a few bits */
    }
}

static struct item *item_of(struct gw_map_node *node)
{
    return node != NULL ? gw_map_entry(node, struct item, node) : NULL;
}

/* The map has the items that the array says, in the order of insertion. */
static void check(const struct gw_map *map)
{
    unsigned count = 0, last = 0;
    for (unsigned i = 0; i < ITEMS; i++) {
        count += items[i].order != 0;
        assert_int_equal(gw_map_node_is_linked(&items[i].node), items[i].order != 0);
        assert_ptr_equal(item_of(gw_map_find(map, items[i].key)), items[i].order != 0 ? &items[i] : NULL);
    }
    assert_int_equal(map->len, count);
    for (struct gw_map_node *node = gw_map_first(map); node != NULL; node = gw_map_next(map, node)) {
        assert_true(item_of(node)->order > last);
        last = item_of(node)->order;
        count--;
    }
    assert_int_equal(count, 0);
}

static void against_model(size_t key_len)
{
    struct gw_map map;
    unsigned order = 0;
    setup_items(&map, key_len);
    for (unsigned step = 0; step < 20000; step++) {
        /* Waves, so that the map is nearly empty and nearly full now and then. */
        bool is_growing = step / 1500 % 2 == 0;
        struct item *item = &items[gw_random_u32(&random_source.random) % ITEMS];
        if (gw_random_u32(&random_source.random) % 4 == 0 ? is_growing : !is_growing) {
            gw_map_remove(&map, &item->node); /* also of what is not in */
            item->order = 0;
        } else if (item->order == 0) {
            assert_int_equal(gw_map_insert(&map, &item->node, item->key), 0);
            item->order = ++order;
        } else {
            struct item twin = *item;
            memset(&twin.node, 0, sizeof twin.node);
            assert_int_equal(gw_map_insert(&map, &twin.node, twin.key), -EEXIST);
            assert_false(gw_map_node_is_linked(&twin.node));
        }
        if (step % 97 == 0)
            check(&map);
    }
    check(&map);
    assert_true(map.bucket_count >= map.len && map.bucket_count <= 2 * ITEMS);
    gw_map_fini(&map);
}

static void test_against_model(void **state)
{
    (void)state;
    static const size_t key_lens[] = {2, 3, 4, 5, 8, 9, 16, 24, 32};
    for (size_t i = 0; i < sizeof key_lens / sizeof key_lens[0]; i++)
        against_model(key_lens[i]);
}

static void test_empty_and_reused(void **state)
{
    (void)state;
    struct gw_map map;
    setup_items(&map, 32);
    for (unsigned round = 0; round < 2; round++) {
        assert_null(gw_map_first(&map));
        assert_null(gw_map_find(&map, items[0].key));
        memset(&items[0].node, 0, sizeof items[0].node);
        assert_int_equal(gw_map_insert(&map, &items[0].node, items[0].key), 0);
        assert_ptr_equal(gw_map_first(&map), &items[0].node);
        assert_null(gw_map_next(&map, &items[0].node));
        gw_map_fini(&map);
        assert_int_equal(map.len, 0);
    }
}

static void test_removal_while_visiting(void **state)
{
    (void)state;
    struct gw_map map;
    setup_items(&map, 4);
    for (unsigned i = 0; i < ITEMS; i++) {
        assert_int_equal(gw_map_insert(&map, &items[i].node, items[i].key), 0);
        items[i].order = i + 1;
    }
    struct gw_map_node *next;
    for (struct gw_map_node *node = gw_map_first(&map); node != NULL; node = next) {
        next = gw_map_next(&map, node);
        if (item_of(node)->order % 3 == 0) {
            item_of(node)->order = 0;
            gw_map_remove(&map, node);
        }
    }
    check(&map);
    gw_map_fini(&map);
}

static int insert_item(struct gw_map *map, unsigned i)
{
    int err = gw_map_insert(map, &items[i].node, items[i].key);
    items[i].order = err == 0 ? i + 1 : 0;
    return err;
}

static void test_without_memory(void **state)
{
    (void)state;
    struct gw_map map;
    unsigned i = 0;
    setup_items(&map, 32);
    no_memory = true;
    assert_int_equal(insert_item(&map, i), GW_E_NOMEM);
    check(&map);
    no_memory = false;
    assert_int_equal(insert_item(&map, i), 0);
    no_memory = true;
    while (i < ITEMS - 1 && insert_item(&map, ++i) == 0)
        ;
    no_memory = false;
    assert_true(i > 1 && i < ITEMS - 1);
    check(&map); /* as it was, all of it */
    assert_int_equal(insert_item(&map, i), 0);
    check(&map);
    gw_map_fini(&map);
}

static size_t longest_chain(const struct gw_map *map)
{
    size_t longest = 0;
    for (size_t i = 0; i < map->bucket_count; i++) {
        size_t len = 0;
        for (struct gw_map_node *node = map->buckets[i]; node != NULL; node = node->chain)
            len++;
        longest = len > longest ? len : longest;
    }
    return longest;
}

/* Keys that would all share one bucket of a plain "key mod size" or "top bits" table. */
static void test_chosen_keys_do_not_collide(void **state)
{
    (void)state;
    enum { COUNT = 4096 };
    static struct {
        uint64_t key;
        struct gw_map_node node;
    } chosen[COUNT];
    for (unsigned shift = 0; shift <= 52; shift += 4) {
        for (size_t key_len = 7; key_len <= 8; key_len++) { /* SipHash, and the fast one */
            struct gw_map map;
            uint8_t seed[16];
            gw_random_seeded_init(&random_source, shift * 16 + key_len);
            gw_random_fill(&random_source.random, seed, sizeof seed);
            gw_map_init(&map, key_len, seed);
            memset(chosen, 0, sizeof chosen);
            for (uint64_t i = 0; i < COUNT && (key_len == 8 || shift < 44); i++) {
                chosen[i].key = i << shift;
                assert_int_equal(gw_map_insert(&map, &chosen[i].node, &chosen[i].key), 0);
            }
            assert_true(longest_chain(&map) <= 16);
            gw_map_fini(&map);
        }
    }
}

/* The seed matters: with another one, other keys are neighbours. */
static void test_seed_decides(void **state)
{
    (void)state;
    static const size_t key_lens[] = {4, 8, 32};
    for (size_t k = 0; k < 3; k++) {
        struct gw_map a, b;
        uint8_t seed[16] = {1};
        unsigned moved = 0;
        setup_items(&a, key_lens[k]);
        gw_map_init(&b, key_lens[k], seed);
        for (unsigned i = 0; i < 64; i++) {
            struct gw_map_node other = {0};
            assert_int_equal(gw_map_insert(&a, &items[i].node, items[i].key), 0);
            assert_int_equal(gw_map_insert(&b, &other, items[i].key), 0);
            moved += items[i].node.hash != other.hash;
            gw_map_remove(&b, &other);
        }
        assert_true(moved >= 63); /* key 0 of the fast hash stays */
        gw_map_fini(&a);
        gw_map_fini(&b);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_empty_and_reused),
        cmocka_unit_test(test_removal_while_visiting),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_chosen_keys_do_not_collide),
        cmocka_unit_test(test_seed_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
