/* SPDX-License-Identifier: MIT */
/* Virtual addresses: what follows from a key, who keeps an address, and 300 nodes that each make their own table. */
#include "gateway/base/err.h"
#include "gateway/base/random.h"
#include "resolver/vip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#define NODES 300

static uint8_t keys[NODES][GW_KEY_LEN];
static struct gw_random_seeded seeded;

static struct gw_prefix prefix(const char *ip, unsigned bits)
{
    struct gw_prefix out = {.bits = (uint8_t)bits};
    assert_int_equal(gw_addr_parse_ip(&out.ip, ip, 0), 0);
    return out;
}

static struct gw_addr addr(const char *ip)
{
    struct gw_addr out;
    assert_int_equal(gw_addr_parse_ip(&out, ip, 0), 0);
    return out;
}

static struct gw_vip *table_of(unsigned own, unsigned bits)
{
    struct gw_vip_params params = {.range = prefix("10.64.0.0", bits),
                                   .local_range = prefix("127.64.0.0", bits)};
    memcpy(params.own_key, keys[own], GW_KEY_LEN);
    struct gw_vip *vip = gw_vip_new(&params);
    assert_non_null(vip);
    return vip;
}

static const struct gw_vip_entry *assign(struct gw_vip *vip, unsigned node)
{
    const struct gw_vip_entry *entry;
    assert_int_equal(gw_vip_assign(vip, keys[node], NULL, &entry), 0);
    return entry;
}

static int make_keys(void **state)
{
    (void)state;
    gw_random_seeded_init(&seeded, 7);
    gw_random_fill(&seeded.random, keys, sizeof keys);
    return 0;
}

static void shuffle(unsigned order[NODES])
{
    for (unsigned i = 0; i < NODES; i++)
        order[i] = i;
    for (unsigned i = NODES - 1; i > 0; i--) {
        unsigned j = gw_random_u32(&seeded.random) % (i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

/* Computed apart from this code: BLAKE2s of 32 zero bytes, and of these with four more. */
static void test_vectors(void **state)
{
    static const uint8_t zero[GW_KEY_LEN];
    struct gw_prefix range = prefix("10.64.0.0", 16);
    struct gw_addr ip;
    char text[GW_ADDR_STRLEN];
    (void)state;
    gw_vip_ipv6(zero, &ip);
    assert_string_equal(gw_addr_format(&ip, text), "[fd83:e128:5e51:320b:5ea9:9e65:3bc2:b593]:0");
    gw_vip_derive_ipv4(&range, zero, 0, &ip);
    assert_string_equal(gw_addr_format(&ip, text), "10.64.193.199:0");
    gw_vip_derive_ipv4(&range, zero, 1, &ip);
    assert_string_equal(gw_addr_format(&ip, text), "10.64.116.158:0");
}

static void test_lookup(void **state)
{
    struct gw_vip *vip = table_of(0, 16);
    const struct gw_vip_entry *entry = assign(vip, 1);
    struct gw_addr ip = entry->ipv4;
    (void)state;
    assert_ptr_equal(gw_vip_by_key(vip, keys[1]), entry);
    ip.port = 80;
    assert_ptr_equal(gw_vip_by_address(vip, &ip), entry);
    assert_ptr_equal(gw_vip_by_address(vip, &entry->ipv6), entry);
    assert_ptr_equal(gw_vip_by_address(vip, &entry->local), entry);
    assert_int_equal(entry->local.ip[0], 127);
    assert_int_equal(entry->local.ip[1], 64);
    assert_ptr_equal(assign(vip, 1), entry);
    assert_ptr_equal(assign(vip, 0), gw_vip_own(vip));
    assert_null(gw_vip_by_key(vip, keys[2]));
    ip = addr("10.64.0.53");
    assert_null(gw_vip_by_address(vip, &ip));
    gw_vip_free(vip);
}

static void test_bad_ranges(void **state)
{
    static const unsigned bits[] = {0, 7, 29, 32};
    struct gw_vip_params params = {.range = prefix("10.64.0.0", 16), .local_range = prefix("127.64.0.0", 16)};
    (void)state;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        params.range.bits = (uint8_t)bits[i];
        assert_null(gw_vip_new(&params));
    }
    params.range = prefix("fd00::", 16);
    assert_null(gw_vip_new(&params));
    params.range = prefix("10.64.0.0", 16);
    params.alias_range = prefix("10.65.0.0", 17);
    assert_null(gw_vip_new(&params));
    gw_vip_free(NULL);
    gw_vip_space_free(NULL);
}

static void test_configured(void **state)
{
    struct gw_vip *vip = table_of(0, 16);
    struct gw_addr wanted = assign(vip, 1)->ipv4, outside = addr("192.168.7.7"), ipv6 = addr("fd00::1");
    const struct gw_vip_entry *two, *three = NULL;
    (void)state;
    uint64_t generation = gw_vip_generation(vip);
    assert_int_equal(gw_vip_assign(vip, keys[2], &wanted, &two), 0);
    assert_true(two->is_configured && gw_addr_equal(&two->ipv4, &wanted));
    assert_true(gw_vip_generation(vip) > generation);
    /* Who had it before has another now, and keeps the rest. */
    const struct gw_vip_entry *one = gw_vip_by_key(vip, keys[1]);
    assert_false(gw_addr_equal(&one->ipv4, &wanted));
    assert_ptr_equal(gw_vip_by_address(vip, &one->ipv4), one);
    assert_ptr_equal(gw_vip_by_address(vip, &wanted), two);

    assert_int_equal(gw_vip_assign(vip, keys[3], &wanted, &three), GW_E_INVAL);
    assert_null(gw_vip_by_key(vip, keys[3]));
    assert_int_equal(gw_vip_assign(vip, keys[3], &ipv6, &three), GW_E_INVAL);
    assert_int_equal(gw_vip_assign(vip, keys[3], &outside, &three), 0);
    assert_true(gw_addr_equal(&three->ipv4, &outside));
    /* The owner takes his word back: what fits stays, what lies outside goes. */
    assert_true(gw_addr_equal(&assign(vip, 2)->ipv4, &wanted));
    assert_false(two->is_configured);
    assert_false(gw_addr_equal(&assign(vip, 3)->ipv4, &outside));
    assert_null(gw_vip_by_address(vip, &outside));
    gw_vip_free(vip);
}

static void count(const struct gw_vip_entry *entry, void *ctx)
{
    (void)entry;
    ++*(unsigned *)ctx;
}

struct collector {
    struct gw_vip_entry *entries;
    unsigned count;
};

static void collect(const struct gw_vip_entry *entry, void *ctx)
{
    struct collector *all = ctx;
    all->entries[all->count++] = *entry;
}

static int compare(const void *a, const void *b)
{
    return memcmp(&((const struct gw_vip_entry *)a)->ipv4, &((const struct gw_vip_entry *)b)->ipv4,
                  sizeof(struct gw_addr));
}

static void expect_unique(struct gw_vip *vip)
{
    struct gw_vip_entry entries[NODES];
    struct collector all = {entries, 0};
    gw_vip_for_each(vip, collect, &all);
    assert_int_equal(all.count, NODES);
    qsort(entries, NODES, sizeof entries[0], compare);
    for (unsigned i = 1; i < NODES; i++)
        assert_false(gw_addr_equal(&entries[i - 1].ipv4, &entries[i].ipv4));
}

/* How many nodes of the table are not where they would be alone; every one is found by all of its addresses. */
static unsigned count_displaced(struct gw_vip *vip, unsigned bits)
{
    struct gw_prefix range = prefix("10.64.0.0", bits);
    unsigned displaced = 0;
    for (unsigned i = 0; i < NODES; i++) {
        const struct gw_vip_entry *entry = gw_vip_by_key(vip, keys[i]);
        struct gw_addr alone, ipv6;
        gw_vip_derive_ipv4(&range, keys[i], 0, &alone);
        gw_vip_ipv6(keys[i], &ipv6);
        displaced += !gw_addr_equal(&alone, &entry->ipv4);
        assert_true(gw_addr_equal(&ipv6, &entry->ipv6));
        assert_ptr_equal(gw_vip_by_address(vip, &entry->ipv4), entry);
        assert_ptr_equal(gw_vip_by_address(vip, &entry->local), entry);
    }
    return displaced;
}

/* Restores what `before` has in another order into a new table, meets the nodes in yet another order: nobody moves. */
static void expect_stable(struct gw_vip *before, unsigned own, unsigned bits)
{
    unsigned order[NODES];
    struct gw_vip *after = table_of(own, bits);
    shuffle(order);
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(gw_vip_restore(after, gw_vip_by_key(before, keys[order[i]])), 0);
    shuffle(order);
    for (unsigned i = 0; i < NODES; i++) {
        const struct gw_vip_entry *was = gw_vip_by_key(before, keys[order[i]]), *is = assign(after, order[i]);
        assert_true(gw_addr_equal(&was->ipv4, &is->ipv4));
        assert_true(gw_addr_equal(&was->local, &is->local));
    }
    gw_vip_free(after);
}

/* Every node meets all others in an order of its own. Own addresses go first, so tables of several nodes differ in who
 * was displaced, never in the canonical address. */
static void simulate(unsigned bits, unsigned tables, unsigned displaced_min)
{
    unsigned order[NODES], displaced = 0;
    for (unsigned own = 0; own < tables; own++) {
        struct gw_vip *vip = table_of(own, bits);
        shuffle(order);
        for (unsigned i = 0; i < NODES; i++)
            assign(vip, order[i]);
        expect_unique(vip);
        displaced += count_displaced(vip, bits);
        expect_stable(vip, own, bits);
        gw_vip_free(vip);
    }
    assert_true(displaced >= displaced_min * tables);
    print_message("%u nodes in a /%u: %u of %u entries displaced\n", NODES, bits, displaced, NODES * tables);
}

static void test_300_nodes(void **state)
{
    (void)state;
    simulate(16, 40, 0);
    simulate(20, 40, 1);
    simulate(23, 40, 30);
}

static void test_exhaustion(void **state)
{
    struct gw_vip *vip = table_of(0, 28);
    const struct gw_vip_entry *entry;
    unsigned total = 0;
    (void)state;
    for (unsigned i = 1; i < 14; i++)
        assign(vip, i);
    assert_int_equal(gw_vip_assign(vip, keys[20], NULL, &entry), GW_E_LIMIT);
    assert_null(gw_vip_by_key(vip, keys[20]));
    gw_vip_for_each(vip, count, &total);
    assert_int_equal(total, 14);
    gw_vip_free(vip);
}

/* Those of earlier runs who don't come back give way, one at a time. */
static void test_unseen_give_way(void **state)
{
    struct gw_vip *before = table_of(0, 28), *after = table_of(0, 28);
    const struct gw_vip_entry *entry;
    (void)state;
    for (unsigned i = 1; i < 14; i++)
        assert_int_equal(gw_vip_restore(after, assign(before, i)), 0);
    for (unsigned i = 7; i < 14; i++)
        assign(after, i);
    for (unsigned i = 20; i < 26; i++)
        assign(after, i);
    assert_int_equal(gw_vip_assign(after, keys[30], NULL, &entry), GW_E_LIMIT);
    for (unsigned i = 7; i < 14; i++)
        assert_true(
            gw_addr_equal(&gw_vip_by_key(before, keys[i])->ipv4, &gw_vip_by_key(after, keys[i])->ipv4));
    gw_vip_free(before);
    gw_vip_free(after);
}

/* The range was changed between two runs. */
static void test_restored_outside(void **state)
{
    struct gw_vip *vip = table_of(0, 24);
    struct gw_vip_entry saved = {.ipv4 = addr("10.99.1.1"), .local = addr("127.64.0.9")};
    (void)state;
    memcpy(saved.key, keys[1], GW_KEY_LEN);
    assert_int_equal(gw_vip_restore(vip, &saved), 0);
    assert_int_equal(gw_vip_by_key(vip, keys[1])->ipv4.family, 0);
    assert_int_equal(assign(vip, 1)->ipv4.ip[1], 64);
    assert_true(gw_addr_equal(&gw_vip_by_key(vip, keys[1])->local, &saved.local));
    /* Twice the same, and somebody else at a taken address. */
    assert_int_equal(gw_vip_restore(vip, &saved), 0);
    saved.ipv4 = assign(vip, 1)->ipv4;
    memcpy(saved.key, keys[2], GW_KEY_LEN);
    assert_int_equal(gw_vip_restore(vip, &saved), 0);
    assert_int_equal(gw_vip_by_key(vip, keys[2])->ipv4.family, 0);
    assert_int_equal(gw_vip_by_key(vip, keys[2])->local.family, 0);
    assert_int_equal(assign(vip, 2)->ipv4.family, 4);
    gw_vip_free(vip);
}

/* ---- several networks */

static struct gw_vip *table_in(struct gw_vip_space *space, unsigned own, const char *alias)
{
    struct gw_vip_params params = {
        .space = space, .range = prefix("10.64.0.0", 16), .local_range = prefix("127.64.0.0", 16)};
    if (alias)
        params.alias_range = prefix(alias, 16);
    memcpy(params.own_key, keys[own], GW_KEY_LEN);
    struct gw_vip *vip = gw_vip_new(&params);
    assert_non_null(vip);
    return vip;
}

/* Two networks with one range, and the same 300 peers in both: no two have one address here, and each is found with its network. */
static void test_equal_ranges(void **state)
{
    struct gw_vip_space *space = gw_vip_space_new();
    struct gw_vip *a = table_in(space, 0, NULL), *b = table_in(space, 0, "10.65.0.0");
    (void)state;
    for (unsigned i = 1; i < NODES; i++) {
        assign(a, i);
        assign(b, i);
    }
    expect_unique(a);
    expect_unique(b);
    for (unsigned i = 0; i < NODES; i++) {
        const struct gw_vip_entry *in_a = gw_vip_by_key(a, keys[i]), *in_b = gw_vip_by_key(b, keys[i]);
        const struct gw_vip *holder;
        assert_int_equal(in_a->ipv4.ip[1], 64);
        assert_int_equal(in_b->ipv4.ip[1], 65);
        assert_ptr_equal(gw_vip_space_find(space, &in_a->ipv4, &holder), in_a);
        assert_ptr_equal(holder, a);
        assert_ptr_equal(gw_vip_space_find(space, &in_b->ipv4, &holder), in_b);
        assert_ptr_equal(holder, b);
        assert_false(gw_addr_equal(&in_a->local, &in_b->local));
        assert_ptr_equal(gw_vip_space_find(space, &in_b->local, &holder), in_b);
        assert_ptr_equal(holder, b);
        /* On the wire both are who they always were. */
        assert_true(gw_addr_equal(&in_a->wire, &in_b->wire));
        assert_null(gw_vip_by_address(a, &in_b->ipv4));
    }
    struct gw_addr nobody = addr("10.66.0.1");
    assert_null(gw_vip_space_find(space, &nobody, NULL));
    gw_vip_free(a);
    struct gw_addr left = gw_vip_by_key(b, keys[1])->ipv4;
    assert_non_null(gw_vip_space_find(space, &left, NULL));
    gw_vip_free(b);
    gw_vip_space_free(space);
}

/* The owner of each network says what its peers have: the alias is at the same place, or, outside the range, another for who comes second. */
static void test_configured_in_both(void **state)
{
    struct gw_vip_space *space = gw_vip_space_new();
    struct gw_vip *a = table_in(space, 0, NULL), *b = table_in(space, 1, "10.65.0.0");
    struct gw_addr inside = addr("10.64.0.7"), alias = addr("10.65.0.7"), outside = addr("192.168.7.7");
    const struct gw_vip_entry *in_a, *in_b;
    (void)state;
    assert_int_equal(gw_vip_assign(a, keys[2], &inside, &in_a), 0);
    assert_int_equal(gw_vip_assign(b, keys[3], &inside, &in_b), 0);
    assert_true(gw_addr_equal(&in_a->ipv4, &inside) && gw_addr_equal(&in_a->wire, &inside));
    assert_true(gw_addr_equal(&in_b->ipv4, &alias) && gw_addr_equal(&in_b->wire, &inside));

    assert_int_equal(gw_vip_assign(a, keys[2], &outside, &in_a), 0);
    assert_int_equal(gw_vip_assign(b, keys[3], &outside, &in_b), 0);
    assert_true(gw_addr_equal(&in_a->ipv4, &outside) && in_a->is_configured);
    assert_int_equal(in_b->ipv4.ip[1], 65);
    assert_true(gw_addr_equal(&in_b->wire, &outside) && !in_b->is_configured);
    /* Asked again, nobody moves. */
    struct gw_addr kept = in_b->ipv4;
    assert_int_equal(gw_vip_assign(b, keys[3], &outside, &in_b), 0);
    assert_true(gw_addr_equal(&in_b->ipv4, &kept));
    gw_vip_free(b);
    gw_vip_free(a);
    gw_vip_space_free(space);
}

static void test_announced(void **state)
{
    struct gw_vip *vip = table_of(0, 16);
    struct gw_addr said = addr("10.64.3.3"), outside = addr("10.99.0.1"), none = {0}, alone;
    struct gw_prefix range = prefix("10.64.0.0", 16);
    const struct gw_vip_entry *entry = assign(vip, 1);
    struct gw_addr before = entry->ipv4;
    (void)state;
    gw_vip_derive_ipv4(&range, keys[1], 0, &alone);
    assert_true(gw_addr_equal(&entry->wire, &alone));
    uint64_t generation = gw_vip_generation(vip);
    gw_vip_announce(vip, keys[1], &said);
    assert_true(gw_addr_equal(&entry->wire, &said) && gw_addr_equal(&entry->ipv4, &before));
    assert_true(gw_vip_generation(vip) > generation);
    gw_vip_announce(vip, keys[1], &outside);
    assert_true(gw_addr_equal(&entry->wire, &alone));
    gw_vip_announce(vip, keys[1], &said);
    gw_vip_announce(vip, keys[1], &none);
    assert_true(gw_addr_equal(&entry->wire, &alone));
    /* The owner knows better; and nobody speaks for ourselves. */
    struct gw_addr owners = addr("10.64.9.9");
    assert_int_equal(gw_vip_assign(vip, keys[1], &owners, &entry), 0);
    gw_vip_announce(vip, keys[1], &said);
    assert_true(gw_addr_equal(&entry->wire, &owners));
    struct gw_addr own = gw_vip_own(vip)->wire;
    gw_vip_announce(vip, keys[0], &said);
    assert_true(gw_addr_equal(&gw_vip_own(vip)->wire, &own));
    gw_vip_announce(vip, keys[2], &said);
    assert_null(gw_vip_by_key(vip, keys[2]));
    gw_vip_free(vip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),         cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_bad_ranges),      cmocka_unit_test(test_configured),
        cmocka_unit_test(test_300_nodes),       cmocka_unit_test(test_exhaustion),
        cmocka_unit_test(test_unseen_give_way), cmocka_unit_test(test_restored_outside),
        cmocka_unit_test(test_equal_ranges),    cmocka_unit_test(test_configured_in_both),
        cmocka_unit_test(test_announced),
    };
    return cmocka_run_group_tests(tests, make_keys, NULL);
}
