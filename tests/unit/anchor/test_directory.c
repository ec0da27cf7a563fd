/* SPDX-License-Identifier: MIT */
/* The directory: who finds whom under a tag, lifetimes, and every bound. */
#include "gateway/anchor/directory.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gw_random_seeded seeded;
static struct gw_directory directory;
static struct gw_registrant a, b, c;

static struct gw_mono at(int64_t seconds)
{
    return (struct gw_mono){GW_S(seconds)};
}

static int setup(void **state)
{
    (void)state;
    gw_random_seeded_init(&seeded, 1);
    gw_directory_init(&directory, &seeded.random);
    gw_registrant_init(&a);
    gw_registrant_init(&b);
    gw_registrant_init(&c);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_directory_clear(&directory, &a);
    gw_directory_clear(&directory, &b);
    gw_directory_clear(&directory, &c);
    assert_int_equal(directory.count, 0);
    assert_int_equal(directory.tags.len, 0);
    gw_directory_fini(&directory);
    return 0;
}

static void test_two_find_each_other(void **state)
{
    (void)state;
    const uint8_t tag[GW_TAG_LEN] = "one", other[GW_TAG_LEN] = "two";
    assert_null(gw_directory_other(&directory, &a, tag, at(0)));
    assert_int_equal(gw_directory_add(&directory, &a, tag, at(100), 9, at(0)), 0);
    assert_null(gw_directory_other(&directory, &a, tag, at(0))); /* not oneself */
    assert_int_equal(gw_directory_add(&directory, &b, tag, at(100), 9, at(0)), 0);
    assert_int_equal(gw_directory_add(&directory, &c, other, at(100), 9, at(0)), 0);
    assert_ptr_equal(gw_directory_other(&directory, &a, tag, at(0)), &b);
    assert_ptr_equal(gw_directory_other(&directory, &b, tag, at(0)), &a);
    gw_directory_remove(&directory, &b, tag);
    gw_directory_remove(&directory, &b, tag);
    assert_null(gw_directory_other(&directory, &a, tag, at(0)));
}

static void test_lifetime(void **state)
{
    (void)state;
    const uint8_t tag[GW_TAG_LEN] = "one";
    assert_int_equal(gw_directory_add(&directory, &a, tag, at(10), 9, at(0)), 0);
    assert_int_equal(gw_directory_add(&directory, &b, tag, at(10), 9, at(0)), 0);
    assert_int_equal(gw_directory_add(&directory, &a, tag, at(20), 9, at(5)), 0); /* prolonged */
    assert_int_equal(a.count, 1);
    assert_ptr_equal(gw_directory_other(&directory, &a, tag, at(9)), &b);
    assert_null(gw_directory_other(&directory, &a, tag, at(10)));
    assert_ptr_equal(gw_directory_other(&directory, &b, tag, at(19)), &a);
    gw_directory_sweep(&directory, &b, at(10));
    assert_int_equal(b.count, 0);
    assert_int_equal(directory.count, 1);
}

static void test_a_third_gets_the_place_of_one_who_expired(void **state)
{
    (void)state;
    const uint8_t tag[GW_TAG_LEN] = "one";
    assert_int_equal(gw_directory_add(&directory, &a, tag, at(100), 9, at(0)), 0);
    assert_int_equal(gw_directory_add(&directory, &b, tag, at(10), 9, at(0)), 0);
    assert_int_equal(gw_directory_add(&directory, &c, tag, at(100), 9, at(1)), GW_E_LIMIT);
    assert_int_equal(c.count, 0);
    assert_int_equal(gw_directory_add(&directory, &c, tag, at(100), 9, at(10)), 0);
    assert_int_equal(b.count, 0);
    assert_ptr_equal(gw_directory_other(&directory, &a, tag, at(11)), &c);
}

static void test_limits(void **state)
{
    (void)state;
    uint8_t tag[GW_TAG_LEN] = {0};
    for (unsigned i = 0; i < GW_DIRECTORY_MAX; i++) {
        memcpy(tag, &i, sizeof i);
        assert_int_equal(gw_directory_add(&directory, &a, tag, at(9), GW_DIRECTORY_MAX, at(0)), 0);
    }
    memset(tag, 0xff, sizeof tag);
    assert_int_equal(gw_directory_add(&directory, &b, tag, at(9), 9, at(0)), GW_E_LIMIT);
    gw_directory_clear(&directory, &a);
    for (unsigned i = 0; i < 4; i++) {
        memcpy(tag, &i, sizeof i);
        assert_int_equal(gw_directory_add(&directory, &a, tag, at(9), 3, at(0)), i < 3 ? 0 : GW_E_LIMIT);
    }
}

/* Random adding, removing and ageing, against a table of who registered what until when. */
static void test_against_a_model(void **state)
{
    (void)state;
    enum { TAGS = 16, STEPS = 20000 };
    struct gw_registrant *clients[3] = {&a, &b, &c};
    int64_t until[TAGS][3] = {{0}};
    int64_t now = 1;
    for (unsigned step = 0; step < STEPS; step++) {
        uint8_t tag[GW_TAG_LEN] = {0};
        unsigned t = gw_random_u32(&seeded.random) % TAGS, who = gw_random_u32(&seeded.random) % 3;
        tag[3] = (uint8_t)t;
        now += gw_random_u32(&seeded.random) % 2;
        switch (gw_random_u32(&seeded.random) % 4) {
        case 0:
        case 1: {
            int64_t expires = now + 1 + gw_random_u32(&seeded.random) % 20;
            if (gw_directory_add(&directory, clients[who], tag, at(expires), TAGS, at(now)) == 0)
                until[t][who] = expires;
            break;
        }
        case 2:
            gw_directory_remove(&directory, clients[who], tag);
            until[t][who] = 0;
            break;
        default:
            gw_directory_sweep(&directory, clients[who], at(now));
        }
        unsigned alive = 0;
        struct gw_registrant *other = NULL;
        for (unsigned i = 0; i < 3; i++) {
            alive += until[t][i] > now;
            if (i != who && until[t][i] > now)
                other = clients[i];
        }
        assert_true(alive <= 2);
        if (alive < 2 || until[t][who] > now)
            assert_ptr_equal(gw_directory_other(&directory, clients[who], tag, at(now)), other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_find_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lifetime, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_third_gets_the_place_of_one_who_expired, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_against_a_model, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
