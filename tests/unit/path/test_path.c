/* SPDX-License-Identifier: MIT */
/* Which way is sent: what following a peer to an unproven place costs, and how it ends. */
#include "gateway/path/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SILENCE GW_MS(300)

struct scene {
    struct gw_paths paths;
    struct gw_mono now;
};

static void fill(struct gw_random *random, void *out, size_t len)
{
    (void)random;
    memset(out, 7, len);
}

static struct gw_random same_bytes = {.fill = fill};

static struct gw_tuple place(uint8_t last)
{
    struct gw_tuple tuple = {.remote = {.family = 4, .port = 7001}};
    memcpy(tuple.remote.ip, (uint8_t[]){10, 0, 0, last}, 4);
    return tuple;
}

static bool hears(struct scene *scene, uint8_t from, bool proves)
{
    struct gw_tuple tuple = place(from);
    return gw_paths_received(&scene->paths, scene->now, &tuple, 100, true, proves, GW_PATH_RULE_CHALLENGE,
                             SILENCE, &same_bytes);
}

/* What a peer does with time: it looks what is over, and sends the challenges that are due. */
static bool passes(struct scene *scene, int64_t ns)
{
    bool is_changed = false;
    for (int64_t step = GW_MS(50); ns > 0; ns -= step) {
        scene->now = gw_mono_add(scene->now, step);
        is_changed |= gw_paths_expire(&scene->paths, scene->now, SILENCE, &same_bytes);
        while (gw_paths_take_challenge(&scene->paths, scene->now))
            ;
    }
    return is_changed;
}

static uint8_t sent_to(struct scene *scene)
{
    return gw_paths_current(&scene->paths)->tuple.remote.ip[3];
}

static void begin(struct scene *scene)
{
    *scene = (struct scene){.now = {GW_S(1000)}};
    gw_paths_init(&scene->paths);
    assert_true(hears(scene, 1, true));
    assert_int_equal(sent_to(scene), 1);
}

/* The peer's packets come from elsewhere, as somebody's who holds them back and sends them on: followed at once, left when nobody answers there, and
 * not followed again for the next packet. */
static void test_unproven(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
    passes(&scene, GW_S(1));
    assert_true(hears(&scene, 2, false));
    assert_int_equal(sent_to(&scene), 2);
    assert_true(gw_path_allowance(gw_paths_current(&scene.paths)) <= 300);
    assert_true(passes(&scene, GW_S(1)));
    assert_int_equal(sent_to(&scene), 1);
    for (unsigned i = 0; i < 20; i++) {
        assert_false(hears(&scene, 2, false));
        passes(&scene, GW_MS(200));
        assert_int_equal(sent_to(&scene), 1);
    }
}

/* It did move, and its first answers were lost: asked again as long as it is heard there, and followed when it answers. */
static void test_late_answer(void **state)
{
    struct scene scene;
    struct gw_tuple tuple = place(2);
    (void)state;
    begin(&scene);
    passes(&scene, GW_S(1));
    assert_true(hears(&scene, 2, false));
    for (unsigned i = 0; i < 60; i++) {
        passes(&scene, GW_MS(200));
        hears(&scene, 2, false);
    }
    struct gw_path *path = gw_paths_find(&scene.paths, &tuple);
    assert_false(path->is_validated);
    assert_false(gw_mono_is_never(path->challenge_at));
    gw_paths_answered(&scene.paths, scene.now, &tuple, path->challenge, &same_bytes);
    assert_true(path->is_validated);
    assert_int_equal(sent_to(&scene), 2);
}

/* There is no other way: the limit holds, and nothing is left. */
static void test_only_one(void **state)
{
    struct scene scene;
    (void)state;
    scene = (struct scene){.now = {GW_S(1000)}};
    gw_paths_init(&scene.paths);
    assert_true(hears(&scene, 2, false));
    assert_false(passes(&scene, GW_S(10)));
    assert_int_equal(sent_to(&scene), 2);
    assert_true(gw_path_allowance(gw_paths_current(&scene.paths)) <= 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unproven),
        cmocka_unit_test(test_late_answer),
        cmocka_unit_test(test_only_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
