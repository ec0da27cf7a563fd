/* SPDX-License-Identifier: MIT */
/* Virtual addresses across restarts: saved when they change, put back, whatever the file holds. */
#include "gateway/base/err.h"
#include "gateway/daemon/vip_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEYS 20u

struct world {
    char dir[64], path[128];
    struct gw_vip_params params;
    struct gw_vip_state state;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->dir, sizeof world->dir, "/tmp/peergate-test-vip-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->path, sizeof world->path, "%s/addresses", world->dir);
    world->params = (struct gw_vip_params){
        .range = {.ip = {.family = 4, .ip = {10, 64}}, .bits = 16},
        .local_range = {.ip = {.family = 4, .ip = {127, 64}}, .bits = 16},
        .own_key = {99},
    };
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    gw_vip_state_close(&world->state);
    unlink(world->path);
    rmdir(world->dir);
    free(world);
    return 0;
}

static void open_state(struct world *world)
{
    assert_int_equal(gw_vip_state_open(&world->state, world->dir, &world->params), 0);
}

static struct gw_vip_entry assign(struct world *world, uint8_t number, const struct gw_addr *configured)
{
    const uint8_t key[GW_KEY_LEN] = {number, 1};
    const struct gw_vip_entry *entry;
    assert_int_equal(gw_vip_assign(world->state.vip, key, configured, &entry), 0);
    return *entry;
}

static struct gw_addr address(const char *text)
{
    struct gw_addr out;
    assert_int_equal(gw_addr_parse_ip(&out, text, 0), 0);
    return out;
}

static void write_file(struct world *world, const char *text)
{
    FILE *file = fopen(world->path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_restart(void **state)
{
    struct world *world = *state;
    struct gw_vip_entry before[KEYS];
    struct gw_addr first;
    open_state(world);
    first = assign(world, 1, NULL).ipv4;
    /* The owner gives the first one's address to another: it keeps the one that it got instead. */
    before[0] = assign(world, 0, &first);
    for (uint8_t i = 1; i < KEYS; i++)
        before[i] = assign(world, i, NULL);
    assert_int_equal(gw_vip_state_save(&world->state), 0);
    gw_vip_state_close(&world->state);

    open_state(world);
    /* In another order, so that only the file can say which one it was. */
    for (uint8_t i = KEYS; i-- > 0;) {
        struct gw_vip_entry now = assign(world, i, i == 0 ? &first : NULL);
        assert_true(gw_addr_equal(&now.ipv4, &before[i].ipv4));
        assert_true(gw_addr_equal(&now.local, &before[i].local));
    }
}

static void test_saves_only_changes(void **state)
{
    struct world *world = *state;
    struct stat before, after;
    open_state(world);
    assign(world, 1, NULL);
    assert_int_equal(gw_vip_state_save(&world->state), 0);
    assert_int_equal(stat(world->path, &before), 0);
    assert_int_equal(before.st_mode & 0777, 0600);
    assert_int_equal(gw_vip_state_save(&world->state), 0);
    open_state(world); /* the same params: nothing happens */
    assert_int_equal(gw_vip_state_save(&world->state), 0);
    assert_int_equal(stat(world->path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assign(world, 2, NULL);
    assert_int_equal(gw_vip_state_save(&world->state), 0);
    assert_int_equal(stat(world->path, &after), 0);
    assert_true(after.st_size > before.st_size);
}

static void test_another_range(void **state)
{
    struct world *world = *state;
    open_state(world);
    struct gw_vip_entry before = assign(world, 1, NULL);
    assert_int_equal(gw_vip_state_save(&world->state), 0);
    world->params.range.ip = address("10.99.0.0");
    open_state(world);
    struct gw_vip_entry now = assign(world, 1, NULL);
    assert_int_equal(now.ipv4.ip[1], 99);
    assert_true(gw_addr_equal(&now.local, &before.local));
    world->params.range.bits = 30;
    assert_int_equal(gw_vip_state_open(&world->state, world->dir, &world->params), GW_E_INVAL);
    assert_null(world->state.vip);
}

static void test_bad_file(void **state)
{
    struct world *world = *state;
    open_state(world);
    struct gw_vip_entry before = assign(world, 1, NULL);
    gw_vip_state_close(&world->state);
    write_file(world, "\nnonsense\n"
                      "AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 10.64.0.300 -\n"
                      "AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 192.0.2.1 10.1.1.1\n" /* out of range */
                      "AgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 10.64.7.7 127.64.7.7\n"
                      "AwEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 10.64.7.7 -\n" /* taken */
                      "BAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 10.64.7.8 127.64.7.8");
    open_state(world);
    struct gw_vip_entry now = assign(world, 1, NULL);
    struct gw_addr wanted = address("10.64.7.7"), local = address("127.64.7.7");
    assert_true(gw_addr_equal(&now.ipv4, &before.ipv4) && gw_addr_equal(&now.local, &before.local));
    now = assign(world, 2, NULL);
    assert_true(gw_addr_equal(&now.ipv4, &wanted) && gw_addr_equal(&now.local, &local));
    now = assign(world, 3, NULL);
    assert_false(gw_addr_equal(&now.ipv4, &wanted));
    assert_int_equal(gw_vip_state_save(&world->state), 0);
}

static void test_unwritable(void **state)
{
    struct world *world = *state;
    open_state(world);
    assign(world, 1, NULL);
    assert_int_equal(rmdir(world->dir), 0);
    assert_int_equal(gw_vip_state_save(&world->state), -ENOENT);
    assert_int_equal(mkdir(world->dir, 0700), 0);
    assert_int_equal(gw_vip_state_save(&world->state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_saves_only_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_range, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unwritable, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
