/* SPDX-License-Identifier: MIT */
/* Punching under every pattern of loss and delay: the first datagrams after the session by the relay is there, be they messages of the punch, checks or anything else, pass, are lost, or
 * come late, in all combinations. Whatever happens to them, both sides end direct and at rest, with nothing left open. The states that the two punching machines are in
 * together, and the steps between them, are counted, and each must make sense. */
#include "tests/sim/app.h"
#include "tests/sim/behind.h"

#include "gateway/base/log.h"
#include "gateway/discovery/discovery_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DATAGRAMS 8u   /* whose fate is chosen */
#define PATTERNS 6561u /* 3 to that power */
#define LATE_NS GW_MS(130)
#define DIRECT_NS GW_S(60)

enum fate { PASSES, LOST, LATE };

static struct sim_net net;
static struct sim_behind world;
static struct sim_nat_line lines[2];
static struct sim_node *anchor, *nodes[2];
static struct gw_peer *peers[2];
static unsigned pattern, seen;
static bool has_begun;
static int64_t dead_ns; /* so long after the beginning nothing passes directly */
static struct gw_mono began;
static uint64_t last_look;
static void look(void);

/* ---- what is under way, held back */

struct held {
    struct sim_event event;
    struct sim_node *from;
    struct gw_train train;
    size_t len;
    uint8_t bytes[1500];
};
static struct held held[DATAGRAMS];

static void on_late(struct sim_clock *clock, struct sim_event *event)
{
    struct held *one = gw_container_of(event, struct held, event);
    (void)clock;
    net.carry(one->from, &one->train, one->bytes, one->len);
}

static enum fate fate_of(unsigned datagram)
{
    unsigned left = pattern;
    while (datagram-- > 0)
        left /= 3;
    return (enum fate)(left % 3);
}

static bool choose(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    if (!has_begun)
        return true;
    look();
    if (!gw_addr_same_ip(&tuple->remote, &anchor->addr) && gw_mono_sub(net.clock.now, began) < dead_ns)
        return false;
    if (seen == DATAGRAMS)
        return true;
    struct held *one = &held[seen];
    enum fate fate = fate_of(seen++);
    if (fate == LATE && len <= sizeof one->bytes) {
        *one = (struct held){.event.fire = on_late, .from = from, .train.tuple = *tuple, .len = len};
        memcpy(one->bytes, datagram, len);
        sim_clock_at(&net.clock, &one->event, gw_mono_add(net.clock.now, LATE_NS));
    }
    return fate == PASSES;
}

/* ---- states */

struct side_state {
    uint8_t running, proven, asking, waits, asker, again, failures, at, told, path, search, links;
};

static struct side_state state_of(unsigned side)
{
    const struct gw_peer *peer = peers[side];
    const struct gw_direct *direct = &peer->reach->direct;
    const struct gw_path *path = gw_paths_current(&peers[side]->paths);
    return (struct side_state){.running = direct->punch.is_running,
                               .proven = direct->punch.is_running && direct->punch.has_proven,
                               .asking = direct->number != 0,
                               .waits = (uint8_t)direct->waits,
                               .asker = direct->is_asker,
                               .again = (uint8_t)direct->again,
                               .failures = (uint8_t)direct->failures,
                               .at = !gw_mono_is_never(direct->at),
                               .told = direct->has_told,
                               .path = !path                             ? 0
                                       : gw_tuple_is_relay(&path->tuple) ? 1
                                                                         : 2,
                               .search = direct->punch.search.is_on,
                               .links = direct->link_count > 0};
}

static void must_make_sense(const struct side_state *state)
{
    assert_false(state->asking && state->waits != GW_DIRECT_WAITS_NOT);
    assert_true(!state->asking || state->at); /* what waits for an answer has an end */
    assert_true(state->waits == GW_DIRECT_WAITS_NOT || state->at);
    assert_true(state->again < 3);
    assert_true(state->failures <= 5);
    assert_true(!state->search || state->running);
    assert_true(!state->links || state->running); /* no socket without a search */
}

#define TABLE (1u << 16)
struct known {
    uint64_t slots[TABLE];
    unsigned count;
};
static struct known states, steps;

static uint64_t hash(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t value = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        value = (value ^ bytes[i]) * 1099511628211u;
    return value ? value : 1;
}

static void note(struct known *known, uint64_t value)
{
    unsigned at = (unsigned)(value >> 40) % TABLE;
    while (known->slots[at] != 0 && known->slots[at] != value)
        at = (at + 1) % TABLE;
    if (known->slots[at] == value)
        return;
    known->slots[at] = value;
    assert_true(++known->count < TABLE / 2);
}

static void look(void)
{
    uint64_t *last = &last_look;
    struct side_state both[2] = {state_of(0), state_of(1)};
    must_make_sense(&both[0]);
    must_make_sense(&both[1]);
    uint64_t now = hash(both, sizeof both), step[2] = {*last, now};
    if (now == *last)
        return;
    note(&states, now);
    note(&steps, hash(step, sizeof step));
    *last = now;
}

/* ---- one run */

static void begin(enum nat_kind a, enum nat_kind b)
{
    sim_net_init(&net, 5, NULL);
    sim_behind_init(&world, &net, &(struct sim_link_params){.delay_ns = GW_MS(15)});
    anchor = sim_behind_add_public(&world, "9.9.9.9", NULL);
    anchor->params.anchor.is_enabled = anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    for (unsigned i = 0; i < 2; i++) {
        sim_nat_add_line(&lines[i], &world.nat, &world.nat.internet, i == 0 ? a : b, i + 1, false);
        nodes[i] = sim_behind_add(&world, &lines[i]);
        sim_node_add_unlocated(anchor, nodes[i]);
        sim_node_add_anchor(nodes[i], anchor);
    }
    for (unsigned i = 0; i < 2; i++) {
        peers[i] = sim_node_add_unlocated(nodes[i], nodes[!i]);
        nodes[i]->filter = choose;
    }
    sim_app_serve(nodes[1]);
    has_begun = false;
    seen = 0;
    sim_net_run(&net, GW_S(4)); /* registered, measured */
}

static bool is_established(const struct gw_peer *peer)
{
    struct gw_session_stats session;
    gw_session_stats(peer->session, &session);
    return session.state == GW_SESSION_ESTABLISHED;
}

static bool are_direct(void)
{
    return state_of(0).path == 2 && state_of(1).path == 2;
}

static bool are_at_rest(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct side_state state = state_of(i);
        const struct gw_path *path = gw_paths_current(&peers[i]->paths);
        /* One that a search won is kept as the path's. */
        unsigned kept = path && path->tuple.link != GW_LINK_PRIMARY && !gw_tuple_is_relay(&path->tuple);
        /* By another it is tried how long the NAT remembers. */
        kept += peers[i]->reach->discovery->lifetime.has_link;
        if (state.running || state.asking || state.waits || nodes[i]->place->open_links > kept)
            return false;
    }
    return true;
}

/* How long until both are direct. */
static int64_t run(enum nat_kind a, enum nat_kind b, int64_t limit_ns)
{
    static struct sim_client client;
    int64_t took = 0;
    last_look = 0;
    begin(a, b);
    struct gw_mono next = net.clock.now;
    bool is_first = true;
    for (; took < limit_ns && !(has_begun && are_direct()); took += GW_MS(5)) {
        if (gw_mono_due(next, net.clock.now) && (is_first || sim_client_is_done(&client))) {
            assert_int_equal(sim_client_start(&client, nodes[0], peers[0], "echo", 300), 0);
            next = gw_mono_add(net.clock.now, GW_S(1));
            is_first = false;
        }
        sim_net_run(&net, GW_MS(5));
        if (!has_begun && (is_established(peers[0]) || is_established(peers[1]))) {
            has_begun = true;
            began = net.clock.now;
        }
        look();
    }
    for (unsigned ms = 0; ms < 5000 && !are_at_rest(); ms += 100) {
        sim_net_run(&net, GW_MS(100));
        look();
    }
    if (took >= limit_ns || !are_at_rest())
        print_error("pattern %u: %s\n", pattern, are_at_rest() ? "not direct" : "not at rest");
    assert_true(took < limit_ns && are_at_rest());
    for (unsigned i = 0; i < DATAGRAMS; i++)
        sim_clock_cancel(&net.clock, &held[i].event);
    sim_behind_fini(&world);
    sim_net_fini(&net);
    return took;
}

static void search(enum nat_kind a, enum nat_kind b, unsigned count, int64_t dead)
{
    dead_ns = dead;
    int64_t slowest = 0;
    memset(&states, 0, sizeof states);
    memset(&steps, 0, sizeof steps);
    for (pattern = 0; pattern < count; pattern++) {
        int64_t took = run(a, b, dead_ns + DIRECT_NS);
        slowest = took > slowest ? took : slowest;
    }
    print_message(
        "%s x %s, %lld s dead: %u patterns, %u states, %u steps; direct after %lld ms at the latest\n",
        nat_kind_name(a), nat_kind_name(b), (long long)(dead / GW_S(1)), count, states.count, steps.count,
        (long long)(slowest / GW_MS(1)));
    assert_true(states.count > 10);
}

static void test_restricted(void **state)
{
    (void)state;
    search(NAT_KIND_PORT_RESTRICTED, NAT_KIND_PORT_RESTRICTED, PATTERNS, 0);
}

static void test_rows(void **state)
{
    (void)state;
    search(NAT_KIND_SYMMETRIC_SEQUENTIAL, NAT_KIND_SYMMETRIC_SEQUENTIAL, PATTERNS, 0);
}

static void test_search(void **state)
{
    (void)state;
    search(NAT_KIND_SYMMETRIC_RANDOM, NAT_KIND_PORT_RESTRICTED, PATTERNS / 27, 0); /* of five datagrams */
}

/* Attempts fail and are repeated, further and further apart; what is there then is found at the next. */
static void test_dead_at_first(void **state)
{
    (void)state;
    for (int64_t seconds = 3; seconds <= 48; seconds *= 2)
        search(NAT_KIND_PORT_RESTRICTED, NAT_KIND_ADDRESS_RESTRICTED, PATTERNS / 81, GW_S(seconds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restricted),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_dead_at_first),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
