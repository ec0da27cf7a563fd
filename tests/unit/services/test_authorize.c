/* SPDX-License-Identifier: MIT */
#include "gateway/services/authorize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

static const uint8_t ann[32] = {1}, bob[32] = {2}, eve[32] = {3};
static const char *const ssh_web[] = {"ssh", "web", NULL};
static const char *const none[] = {NULL};

static struct gw_grant grant(const uint8_t key[32], const char *const *services, int64_t expires_s,
                             bool is_peer)
{
    struct gw_grant g = {
        .services = services, .has_expiry = expires_s != 0, .expires = {expires_s, 0}, .is_peer = is_peer};
    memcpy(g.public_key, key, 32);
    return g;
}

static const struct gw_wall now = {1000, 500};

static void test_one_list(void **state)
{
    const struct gw_grant lines[] = {grant(ann, NULL, 0, false), grant(bob, ssh_web, 0, false)};
    struct gw_grants *list = gw_grants_new(lines, 2);
    (void)state;
    assert_int_equal(gw_authorize_session(list, ann, now), GW_VERDICT_ALLOWED);
    assert_int_equal(gw_authorize_session(list, bob, now), GW_VERDICT_ALLOWED);
    assert_int_equal(gw_authorize_session(list, eve, now), GW_VERDICT_UNKNOWN_KEY);
    assert_int_equal(gw_authorize_session(NULL, ann, now), GW_VERDICT_UNKNOWN_KEY);
    assert_int_equal(gw_authorize_service(list, NULL, "smb", ann, now), GW_VERDICT_ALLOWED);
    assert_int_equal(gw_authorize_service(list, NULL, "SSH", bob, now), GW_VERDICT_ALLOWED);
    assert_int_equal(gw_authorize_service(list, NULL, "smb", bob, now), GW_VERDICT_NOT_THIS_SERVICE);
    assert_int_equal(gw_authorize_service(list, NULL, "ssh", eve, now), GW_VERDICT_UNKNOWN_KEY);
    assert_int_equal(gw_authorize_service(NULL, NULL, "ssh", ann, now), GW_VERDICT_UNKNOWN_KEY);
    assert_false(gw_grants_have_expiry(list));
    gw_grants_free(list);
}

static void test_own_list_overrides(void **state)
{
    const struct gw_grant lines[] = {grant(ann, NULL, 0, false)},
                          own_lines[] = {grant(bob, NULL, 0, false), grant(eve, none, 0, false)};
    struct gw_grants *global = gw_grants_new(lines, 1), *own = gw_grants_new(own_lines, 2),
                     *empty = gw_grants_new(NULL, 0);
    (void)state;
    assert_int_equal(gw_authorize_service(global, own, "ssh", ann, now), GW_VERDICT_UNKNOWN_KEY);
    assert_int_equal(gw_authorize_service(global, own, "ssh", bob, now), GW_VERDICT_ALLOWED);
    assert_int_equal(gw_authorize_service(global, own, "ssh", eve, now), GW_VERDICT_NOT_THIS_SERVICE);
    assert_int_equal(gw_authorize_service(global, empty, "ssh", ann, now), GW_VERDICT_UNKNOWN_KEY);
    gw_grants_free(global);
    gw_grants_free(own);
    gw_grants_free(empty);
}

static void test_expiry(void **state)
{
    struct gw_grant lines[] = {grant(ann, NULL, 1000, false), grant(bob, NULL, 1001, false)};
    struct gw_grants *list = gw_grants_new(lines, 2);
    (void)state;
    assert_true(gw_grants_have_expiry(list));
    assert_int_equal(gw_authorize_service(list, NULL, "ssh", ann, now), GW_VERDICT_EXPIRED);
    assert_int_equal(gw_authorize_session(list, ann, now), GW_VERDICT_EXPIRED);
    assert_int_equal(gw_authorize_service(list, NULL, "ssh", bob, now), GW_VERDICT_ALLOWED);
    assert_int_equal(gw_authorize_service(list, NULL, "ssh", bob, (struct gw_wall){1001, 0}),
                     GW_VERDICT_EXPIRED);
    assert_int_equal(gw_authorize_service(list, NULL, "ssh", bob, (struct gw_wall){1000, 999999999}),
                     GW_VERDICT_ALLOWED);
    gw_grants_free(list);
}

/* Several lines of one key: what one of them gives is given. */
static void test_several(void **state)
{
    const struct gw_grant lines[] = {grant(ann, ssh_web, 500, false), grant(bob, NULL, 0, false),
                                     grant(ann, ssh_web + 1, 0, false), grant(ann, NULL, 400, false)};
    struct gw_grants *list = gw_grants_new(lines, 4), *copy = gw_grants_copy(list);
    (void)state;
    gw_grants_free(list);
    assert_int_equal(gw_grants_count(copy), 4);
    assert_int_equal(gw_authorize_service(copy, NULL, "web", ann, now), GW_VERDICT_ALLOWED);
    assert_int_equal(gw_authorize_service(copy, NULL, "ssh", ann, now), GW_VERDICT_EXPIRED);
    gw_grants_free(copy);
}

/* A configured peer may do all, unless a line of the list says what it may. */
static void test_configured_peer(void **state)
{
    const struct gw_grant lines[] = {grant(ann, NULL, 0, true), grant(bob, NULL, 0, true),
                                     grant(bob, ssh_web, 0, false)};
    struct gw_grants *list = gw_grants_new(lines, 3);
    (void)state;
    assert_int_equal(gw_authorize_service(list, NULL, "smb", ann, now), GW_VERDICT_ALLOWED);
    assert_int_equal(gw_authorize_service(list, NULL, "smb", bob, now), GW_VERDICT_NOT_THIS_SERVICE);
    assert_int_equal(gw_authorize_service(list, NULL, "ssh", bob, now), GW_VERDICT_ALLOWED);
    assert_int_equal(gw_authorize_session(list, bob, now), GW_VERDICT_ALLOWED);
    gw_grants_free(list);
}

/* The gater: a configured peer has a session unless its line has expired or revokes it; a line that cannot be read gives it no more than that. */
static void test_sessions_of_configured_peers(void **state)
{
    struct gw_grant lines[] = {grant(ann, NULL, 0, true),  grant(bob, NULL, 0, true),
                               grant(eve, NULL, 0, true),  grant(ann, NULL, 999, false),
                               grant(bob, NULL, 0, false), grant(bob, NULL, 0, false),
                               grant(eve, NULL, 0, false)};
    (void)state;
    lines[5].is_revoked = true;
    lines[6].is_void = true;
    struct gw_grants *list = gw_grants_new(lines, 7);
    assert_int_equal(gw_authorize_session(list, ann, now), GW_VERDICT_EXPIRED);
    assert_int_equal(gw_authorize_service(list, NULL, "ssh", ann, now), GW_VERDICT_EXPIRED);
    assert_int_equal(gw_authorize_session(list, bob, now), GW_VERDICT_REVOKED);
    assert_int_equal(gw_authorize_service(list, NULL, "ssh", bob, now), GW_VERDICT_REVOKED);
    assert_int_equal(gw_authorize_session(list, eve, now), GW_VERDICT_ALLOWED);
    assert_int_equal(gw_authorize_service(list, NULL, "ssh", eve, now), GW_VERDICT_NOT_THIS_SERVICE);
    gw_grants_free(list);
    lines[6].is_peer = false;
    list = gw_grants_new(lines + 6, 1); /* not configured: a stranger */
    assert_int_equal(gw_authorize_session(list, eve, now), GW_VERDICT_UNKNOWN_KEY);
    gw_grants_free(list);
}

/* Against a list that is searched from end to end. */
static void test_random(void **state)
{
    struct gw_grant lines[200];
    (void)state;
    srand(7);
    for (int round = 0; round < 50; round++) {
        size_t count = (size_t)rand() % 200;
        for (size_t i = 0; i < count; i++) {
            uint8_t key[32] = {(uint8_t)(rand() % 60)};
            lines[i] = grant(key, NULL, rand() % 3 ? 0 : 999 + rand() % 3, false);
        }
        struct gw_grants *list = gw_grants_new(lines, count);
        for (unsigned k = 0; k < 60; k++) {
            uint8_t key[32] = {(uint8_t)k};
            bool may = false;
            for (size_t i = 0; i < count; i++)
                may |= memcmp(lines[i].public_key, key, 32) == 0 &&
                       (!lines[i].has_expiry || lines[i].expires.s > now.s);
            assert_int_equal(gw_authorize_session(list, key, now) == GW_VERDICT_ALLOWED, may);
        }
        gw_grants_free(list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_list),        cmocka_unit_test(test_own_list_overrides),
        cmocka_unit_test(test_expiry),          cmocka_unit_test(test_several),
        cmocka_unit_test(test_configured_peer), cmocka_unit_test(test_sessions_of_configured_peers),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
