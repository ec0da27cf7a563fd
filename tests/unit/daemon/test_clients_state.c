/* SPDX-License-Identifier: MIT */
/* Where an anchor's clients were: who is called after a start, whatever the file holds. The engine is played by the test. */
#include "gateway/daemon/clients_state.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS_MAX 20000u

/* --- what is below: one peer --- */

struct gw_peer {
    struct gw_peer_config config;
};
static struct gw_peer peer;
static unsigned called;
static struct gw_addr called_at;

const struct gw_peer_config *gw_peer_config(const struct gw_peer *of)
{
    return &of->config;
}

struct gw_peer *gw_gateway_next_peer(const struct gateway *gateway, const struct gw_peer *before)
{
    (void)gateway;
    return before ? NULL : &peer;
}

struct gw_peer *gw_gateway_find_peer(struct gateway *gateway, const uint8_t public_key[GW_KEY_LEN])
{
    (void)gateway;
    return memcmp(public_key, peer.config.public_key, GW_KEY_LEN) == 0 ? &peer : NULL;
}

bool gw_gateway_client_place(const struct gateway *gateway, const struct gw_peer *of, struct gw_addr *out)
{
    (void)gateway, (void)of;
    *out = called_at;
    return gw_addr_is_set(out);
}

void gw_gateway_call(struct gateway *gateway, struct gw_mono now, struct gw_peer *to,
                     const struct gw_addr *place)
{
    (void)gateway, (void)now;
    assert_ptr_equal(to, &peer);
    called++;
    called_at = *place;
}

/* --- the world --- */

struct world {
    char dir[64], path[128];
    struct gw_loop *loop;
    struct gw_clients_state state;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->dir, sizeof world->dir, "/tmp/peergate-test-clients-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->path, sizeof world->path, "%s/clients", world->dir);
    world->loop = gw_loop_new();
    peer.config.public_key[0] = 7;
    called = 0;
    called_at = (struct gw_addr){0};
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    gw_clients_state_close(&world->state);
    gw_loop_free(world->loop);
    unlink(world->path);
    rmdir(world->dir);
    free(world);
    return 0;
}

static void add_line(FILE *file, uint8_t number)
{
    struct gw_client_place place = {.key = {number}};
    assert_int_equal(gw_addr_parse(&place.at, "192.0.2.1:7000"), 0);
    gw_clients_file_add(file, &place);
}

/* Returns the turns of the loop until the file was done with. */
static unsigned read_file(struct world *world)
{
    unsigned turns = 0;
    struct gateway *gateway = (struct gateway *)(void *)world; /* nobody looks into it */
    assert_int_equal(gw_clients_state_open(&world->state, world->loop, gateway, world->dir), 0);
    while (world->state.calls && turns++ < TURNS_MAX)
        event_base_loop(gw_loop_base(world->loop), EVLOOP_ONCE);
    return turns;
}

/* --- tests --- */

static void test_called(void **state)
{
    struct world *world = *state;
    FILE *file = fopen(world->path, "w");
    add_line(file, 9); /* no peer any more */
    fputs("half a li", file);
    fputs("\nnonsense\n", file);
    add_line(file, 7);
    fputs("BwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 192.0.2.9", file); /* cut off */
    fclose(file);
    read_file(world);
    assert_int_equal(called, 1);
    assert_int_equal(called_at.port, 7000);
    assert_int_equal(world->state.bad, 3);
}

static void test_no_file(void **state)
{
    struct world *world = *state;
    assert_int_equal(read_file(world), 0);
    assert_int_equal(called, 0);
}

/* It is not read in one go, nor to its end: other work has its turn, and the daemon comes to write its own. */
static void test_endless_file(void **state)
{
    struct world *world = *state;
    FILE *file = fopen(world->path, "w");
    add_line(file, 7);
    assert_int_equal(ftruncate(fileno(file), 1 << 30), 0); /* of zeros, behind that line */
    fclose(file);
    unsigned turns = read_file(world);
    print_message("%u turns, %u lines that make no sense\n", turns, world->state.bad);
    assert_int_equal(called, 1);
    assert_in_range(turns, 100, TURNS_MAX - 1);
    assert_in_range(world->state.bad, 1000, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_called, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_endless_file, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
