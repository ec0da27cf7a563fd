/* SPDX-License-Identifier: MIT */
/* Ports that peers list no service for: kept for a while, for each peer, in bounded memory. */
#include "gateway/daemon/unlisted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static _Alignas(64) char peers[300][64];

static void test_is_kept_for_a_while(void **state)
{
    (void)state;
    static struct gw_unlisted unlisted;
    struct gw_mono now = {.ns = GW_S(1000)};
    assert_false(gw_unlisted_has(&unlisted, peers[0], 22, now));
    gw_unlisted_add(&unlisted, peers[0], 22, now);
    assert_true(gw_unlisted_has(&unlisted, peers[0], 22, now));
    assert_false(gw_unlisted_has(&unlisted, peers[0], 23, now));
    assert_false(gw_unlisted_has(&unlisted, peers[1], 22, now));
    now = gw_mono_add(now, GW_UNLISTED_KEPT - GW_S(1));
    assert_true(gw_unlisted_has(&unlisted, peers[0], 22, now));
    now = gw_mono_add(now, GW_S(1));
    assert_false(gw_unlisted_has(&unlisted, peers[0], 22, now));
    gw_unlisted_add(&unlisted, peers[0], 22, now);
    assert_true(gw_unlisted_has(&unlisted, peers[0], 22, now));
}

static void test_goes_with_the_peer(void **state)
{
    (void)state;
    static struct gw_unlisted unlisted;
    struct gw_mono now = {.ns = GW_S(1)};
    for (uint16_t port = 1; port < 20; port++) {
        gw_unlisted_add(&unlisted, peers[0], port, now);
        gw_unlisted_add(&unlisted, peers[1], port, now);
    }
    gw_unlisted_drop(&unlisted, peers[0]);
    for (uint16_t port = 1; port < 20; port++) {
        assert_false(gw_unlisted_has(&unlisted, peers[0], port, now));
        assert_true(gw_unlisted_has(&unlisted, peers[1], port, now));
    }
}

/* More than there is room for: the latest of each is there, and nothing is said of what was never added. */
static void test_is_bounded(void **state)
{
    (void)state;
    static struct gw_unlisted unlisted;
    struct gw_mono now = {.ns = GW_S(1)};
    for (unsigned i = 0; i < 300; i++) {
        for (uint16_t port = 1; port < 200; port++) {
            now = gw_mono_add(now, GW_US(10));
            gw_unlisted_add(&unlisted, peers[i], port, now);
            assert_true(gw_unlisted_has(&unlisted, peers[i], port, now));
            assert_false(gw_unlisted_has(&unlisted, peers[i], 1000, now));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_kept_for_a_while),
        cmocka_unit_test(test_goes_with_the_peer),
        cmocka_unit_test(test_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
