/* SPDX-License-Identifier: MIT */
/* Two nodes that ask each other for services; the test carries their messages, or loses them. */
#include "gateway/base/err.h"
#include "gateway/daemon/peer_services.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- what is below: one peer, one gateway, messages in a variable --- */

struct gw_peer {
    struct gw_peer_config config;
};
static struct gw_peer peer;
static bool is_removed;
static int send_result;
static unsigned sent, connects;
static uint8_t message[1200];
static size_t message_len;

static struct gw_registry registry;
static struct gw_service services[GW_SERVICES_MAX];
static struct gw_service *service_list[GW_SERVICES_MAX];

int gw_peer_send_control(struct gw_peer *to, struct gw_mono now, const void *body, size_t len)
{
    (void)to, (void)now;
    sent++;
    assert_true(len <= 1100);
    if (send_result == 0) {
        memcpy(message, body, len);
        message_len = len;
    }
    return send_result;
}

void gw_peer_connect(struct gw_peer *to, struct gw_mono now)
{
    (void)to, (void)now;
    connects++;
}

const struct gw_peer_config *gw_peer_config(const struct gw_peer *of)
{
    return &of->config;
}

const char *gw_peer_name(const struct gw_peer *of)
{
    (void)of;
    return "peer";
}

struct gateway *gw_peer_gateway(const struct gw_peer *of)
{
    (void)of;
    return NULL;
}

struct gw_peer *gw_gateway_find_peer(struct gateway *gateway, const uint8_t public_key[GW_KEY_LEN])
{
    (void)gateway, (void)public_key;
    return is_removed ? NULL : &peer;
}

const struct gw_registry *gw_services_registry(const struct gw_services *of)
{
    (void)of;
    return &registry;
}

enum gw_verdict gw_services_may_use(const struct gw_services *of, const struct gw_service *service,
                                    const uint8_t public_key[GW_KEY_LEN])
{
    (void)of, (void)public_key;
    return strncmp(service->name, "secret", 6) == 0 ? GW_VERDICT_NOT_THIS_SERVICE : GW_VERDICT_ALLOWED;
}

bool gw_service_name_is_valid(const char *name)
{
    return *name && !strchr(name, ' ');
}

/* --- the world --- */

struct world {
    struct gw_loop *loop;
    struct gw_peer_services asker, answerer;
    struct gw_question *question;
    unsigned answers;
    int err;
    size_t count;
    struct gw_peer_service list[GW_PEER_SERVICES_MAX];
};

static void on_services(int err, const struct gw_peer_service *list, size_t count, void *user)
{
    struct world *world = user;
    world->answers++;
    world->err = err;
    world->count = count;
    if (count > 0)
        memcpy(world->list, list, count * sizeof *list);
}

static void add_service(const char *name, bool is_udp, uint16_t port, bool is_enabled)
{
    struct gw_service *service = &services[registry.count];
    *service = (struct gw_service){.is_udp = is_udp, .port = port, .is_enabled = is_enabled};
    snprintf(service->name, sizeof service->name, "%s", name);
    service_list[registry.count++] = service;
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    is_removed = false;
    send_result = 0;
    sent = connects = 0;
    message_len = 0;
    registry = (struct gw_registry){.services = service_list};
    world->loop = gw_loop_new();
    gw_peer_services_init(&world->asker, world->loop, NULL, gw_random_system());
    gw_peer_services_init(&world->answerer, world->loop, NULL, gw_random_system());
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    gw_loop_free(world->loop);
    free(world);
    return 0;
}

static void ask(struct world *world)
{
    assert_int_equal(gw_peer_services_ask(&world->question, &world->asker, &peer, on_services, world), 0);
    event_base_loop(gw_loop_base(world->loop), EVLOOP_NONBLOCK);
}

/* Carries the message that was sent last to the other side. */
static void carry(struct world *world, struct gw_peer_services *to)
{
    uint8_t copy[sizeof message];
    size_t len = message_len;
    memcpy(copy, message, len);
    message_len = 0;
    gw_peer_services_on_control(to, &peer, (struct gw_view){copy, len}, gw_loop_now(world->loop));
}

static void carry_all(struct world *world)
{
    for (int i = 0; i < 200 && world->answers == 0; i++) {
        carry(world, &world->answerer);
        carry(world, &world->asker);
    }
}

/* --- tests --- */

static void test_only_what_one_may_use(void **state)
{
    struct world *world = *state;
    add_service("ssh", false, 22, true);
    add_service("secret", false, 23, true);
    add_service("off", false, 24, false);
    add_service("dns", true, 53, true);
    add_service("sock", false, 0, true);
    ask(world);
    carry_all(world);
    assert_int_equal(world->answers, 1);
    assert_int_equal(world->err, 0);
    assert_int_equal(world->count, 3);
    assert_string_equal(world->list[0].name, "ssh");
    assert_string_equal(world->list[1].name, "dns");
    assert_true(world->list[1].is_udp);
    assert_int_equal(world->list[1].port, 53);
    assert_int_equal(world->list[2].port, 0);
}

static void test_none(void **state)
{
    struct world *world = *state;
    ask(world);
    carry_all(world);
    assert_int_equal(world->answers, 1);
    assert_int_equal(world->count, 0);
}

static void test_many_pages(void **state)
{
    struct world *world = *state;
    char name[GW_SERVICE_NAME_MAX + 1];
    for (unsigned i = 0; i < GW_SERVICES_MAX; i++) {
        /* The longest names there are. */
        snprintf(name, sizeof name, "%05u%058u", i, 0);
        add_service(name, i % 2, (uint16_t)(1 + i), true);
    }
    ask(world);
    carry_all(world);
    assert_int_equal(world->answers, 1);
    assert_int_equal(world->err, 0);
    assert_int_equal(world->count, GW_SERVICES_MAX);
    for (unsigned i = 0; i < GW_SERVICES_MAX; i++)
        assert_int_equal(world->list[i].port, 1 + i);
}

static void test_repeated_until_answered(void **state)
{
    struct world *world = *state;
    add_service("ssh", false, 22, true);
    send_result = -ENOTCONN;
    ask(world);
    assert_int_equal(connects, 1);
    send_result = 0;
    while (sent < 3)
        event_base_loop(gw_loop_base(world->loop), EVLOOP_ONCE);
    uint8_t copy[sizeof message];
    size_t len = message_len;
    memcpy(copy, message, len);
    carry_all(world);
    assert_int_equal(world->count, 1);
    /* The answer to a repetition finds nobody any more. */
    gw_peer_services_on_control(&world->answerer, &peer, (struct gw_view){copy, len},
                                gw_loop_now(world->loop));
    carry(world, &world->asker);
    assert_int_equal(world->answers, 1);
}

static void test_ends(void **state)
{
    struct world *world = *state;
    send_result = -EPROTONOSUPPORT;
    ask(world);
    assert_int_equal(world->err, -EPROTONOSUPPORT);
    send_result = 0;
    is_removed = true;
    ask(world);
    assert_int_equal(world->err, GW_E_UNKNOWN);
    assert_int_equal(world->answers, 2);
    is_removed = false;
    ask(world);
    gw_question_cancel(world->question);
    carry(world, &world->answerer);
    carry(world, &world->asker);
    assert_int_equal(world->answers, 2);
}

static void test_nonsense(void **state)
{
    struct world *world = *state;
    uint8_t noise[64];
    ask(world);
    for (unsigned i = 0; i < 10000; i++) {
        gw_random_fill(gw_random_system(), noise, sizeof noise);
        gw_peer_services_on_control(&world->asker, &peer, (struct gw_view){noise, i % sizeof noise},
                                    gw_loop_now(world->loop));
    }
    assert_int_equal(world->answers, 0);
    gw_question_cancel(world->question);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_only_what_one_may_use),   T(test_none), T(test_many_pages),
        T(test_repeated_until_answered), T(test_ends), T(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
