/* SPDX-License-Identifier: MIT */
#include "gateway/services/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after the headers that it needs */
#include <cmocka.h>

#define PEERS 1000u

/* An entry is there from the first use to the last. */
static void test_entries(void **state)
{
    static char peers[PEERS];
    struct gw_user *entries[PEERS];
    struct gw_users users;
    (void)state;
    gw_users_init(&users, gw_random_system());
    for (unsigned i = 0; i < PEERS; i++) {
        entries[i] = gw_users_get(&users, &peers[i]);
        assert_non_null(entries[i]);
        assert_int_equal(entries[i]->count, 0);
        entries[i]->count = i % 3;
    }
    for (unsigned i = 0; i < PEERS; i++)
        assert_ptr_equal(gw_users_get(&users, &peers[i]), entries[i]);
    for (unsigned i = 0; i < PEERS; i++)
        gw_users_put(&users, entries[i]);
    assert_int_equal(users.map.len, PEERS - (PEERS + 2) / 3);
    for (unsigned i = 0; i < PEERS; i++) {
        struct gw_user *user = gw_users_get(&users, &peers[i]);
        assert_int_equal(user->count, i % 3);
        user->count = 0;
        gw_users_put(&users, user);
    }
    gw_users_put(&users, NULL);
    assert_int_equal(users.map.len, 0);
    gw_users_fini(&users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_entries)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
