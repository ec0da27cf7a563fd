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
    static uint8_t next;
    (void)random;
    memset(out, ++next, len);
}

static struct gw_random random_bytes = {.fill = fill};

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
                             SILENCE, &random_bytes);
}

/* What a peer does with time: it looks what is over, and sends the challenges that are due. */
static bool passes(struct scene *scene, int64_t ns)
{
    bool is_changed = false;
    for (int64_t step = GW_MS(50); ns > 0; ns -= step) {
        scene->now = gw_mono_add(scene->now, step);
        is_changed |= gw_paths_expire(&scene->paths, scene->now, SILENCE, &random_bytes);
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
    gw_paths_answered(&scene.paths, scene.now, &tuple, path->challenge, &random_bytes);
    assert_true(path->is_validated);
    assert_int_equal(sent_to(&scene), 2);
}

/* Stopped while an answer was on its way: that it took half a minute is not the path's time, or nobody would notice for minutes that it is dead. */
static void test_slept_over_an_answer(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene);
    hears(&scene, 2, true);
    struct gw_path *path = gw_paths_current(&scene.paths);
    struct gw_tuple tuple = path->tuple;
    uint8_t challenge[GW_PATH_CHALLENGE_LEN], other = tuple.remote.ip[3] == 1 ? 2 : 1;
    path->challenge_at = GW_NEVER;
    gw_path_probe(path, scene.now, &random_bytes);
    assert_true(gw_path_take_challenge(path, scene.now));
    memcpy(challenge, path->challenge, sizeof challenge);
    scene.now = gw_mono_add(scene.now, GW_S(30));
    gw_paths_answered(&scene.paths, scene.now, &tuple, challenge, &random_bytes);
    assert_int_equal(sent_to(&scene), tuple.remote.ip[3]);
    assert_true(path->rtt_ns < GW_S(1));
    gw_path_sent_data(path, scene.now);
    assert_true(passes(&scene, GW_S(2)));
    assert_int_equal(sent_to(&scene), other);
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

/* ---- asked and answered */

static struct gw_tuple relay(void)
{
    return (struct gw_tuple){.link = GW_LINK_RELAY | 1};
}

/* The answer to the challenge that is under way on `asked` comes from `from` after that time. */
static bool answers(struct scene *scene, const struct gw_tuple *asked, const struct gw_tuple *from,
                    int64_t ns)
{
    uint8_t challenge[GW_PATH_CHALLENGE_LEN];
    struct gw_path *path = gw_paths_find(&scene->paths, asked);
    assert_non_null(path);
    assert_false(gw_mono_is_never(path->challenge_at));
    memcpy(challenge, path->challenge, sizeof challenge);
    bool is_changed = passes(scene, ns);
    return gw_paths_answered(&scene->paths, scene->now, from, challenge, &random_bytes) || is_changed;
}

/* Our address is another one: where the peer was is asked from whatever we have, and what answers is a path of the address that it answered to. */
static void test_asked(void **state)
{
    struct scene scene;
    struct gw_tuple asked = place(1), from = place(1);
    (void)state;
    begin(&scene);
    asked = place(3);
    from = place(3);
    passes(&scene, GW_MS(50));
    from.local = (struct gw_addr){.family = 4, .port = 7001, .ip = {192, 168, 1, 2}};
    gw_paths_ask(&scene.paths, scene.now, &asked, &random_bytes);
    struct gw_path *path = gw_paths_find(&scene.paths, &asked);
    assert_in_range(gw_path_allowance(path), 100, 1000);
    passes(&scene, GW_S(1)); /* some challenges are lost; then we are elsewhere again */
    gw_path_sent(path, scene.now, 500);
    gw_paths_ask(&scene.paths, scene.now, &asked, &random_bytes);
    assert_int_equal(path->challenge_tries, 0);
    assert_in_range(gw_path_allowance(path), 100, 1000);
    /* Nothing has come over the current path meanwhile: it is left. */
    assert_true(answers(&scene, &asked, &from, GW_MS(50)));
    assert_int_equal(sent_to(&scene), 3);
    assert_null(gw_paths_find(&scene.paths, &asked));
    assert_non_null(gw_paths_find(&scene.paths, &from));
    /* Asked once more, the same path answers. */
    gw_paths_ask(&scene.paths, scene.now, &asked, &random_bytes);
    answers(&scene, &asked, &from, GW_MS(50));
    assert_int_equal(sent_to(&scene), 3);
    assert_true(gw_paths_find(&scene.paths, &from)->is_validated);
    assert_false(gw_paths_find(&scene.paths, &asked)->is_validated);
}

/* A relay was measured while nothing waited in the queue that both paths share; now something does. */
static void test_old_round_trips(void **state)
{
    struct scene scene;
    struct gw_tuple direct = place(1), by_relay = relay();
    (void)state;
    begin(&scene);
    struct gw_path *path = gw_paths_find(&scene.paths, &direct);
    gw_path_probe(path, scene.now, &random_bytes);
    answers(&scene, &direct, &direct, GW_MS(50));
    gw_paths_received(&scene.paths, scene.now, &by_relay, 100, true, false, GW_PATH_RULE_CHALLENGE, SILENCE,
                      &random_bytes);
    hears(&scene, 1, false);
    assert_false(answers(&scene, &by_relay, &by_relay, GW_MS(50)));
    passes(&scene, GW_S(5));
    path = gw_paths_find(&scene.paths, &direct);
    gw_path_probe(path, scene.now, &random_bytes);
    assert_false(answers(&scene, &direct, &direct, GW_MS(250))); /* which of the challenges was that? */
    assert_false(gw_mono_is_never(path->challenge_at));
    assert_false(answers(&scene, &direct, &direct, GW_MS(250)));
    assert_int_equal(sent_to(&scene), 1);
    /* The relay, measured now, is much faster indeed. */
    gw_path_probe(gw_paths_find(&scene.paths, &by_relay), scene.now, &random_bytes);
    assert_true(answers(&scene, &by_relay, &by_relay, GW_MS(50)));
    assert_true(gw_tuple_is_relay(&gw_paths_current(&scene.paths)->tuple));
}

/* A queue fills on the way, and challenges take longer than anybody knew: as long as something comes, the path is not given up. */
static void test_slow_answer(void **state)
{
    struct scene scene;
    struct gw_tuple direct = place(1), by_relay = relay();
    (void)state;
    begin(&scene);
    gw_paths_received(&scene.paths, scene.now, &by_relay, 100, true, true, GW_PATH_RULE_CHALLENGE, SILENCE,
                      &random_bytes);
    assert_true(gw_paths_have_other(&scene.paths));
    gw_path_probe(gw_paths_find(&scene.paths, &direct), scene.now, &random_bytes);
    for (unsigned i = 0; i < 9; i++) {
        assert_false(passes(&scene, GW_MS(50)));
        hears(&scene, 1, false);
    }
    answers(&scene, &direct, &direct, 0);
    assert_int_equal(sent_to(&scene), 1);
    gw_path_probe(gw_paths_find(&scene.paths, &direct), scene.now, &random_bytes);
    assert_true(passes(&scene, GW_S(4)));
    assert_true(gw_tuple_is_relay(&gw_paths_current(&scene.paths)->tuple));
}

static struct gw_tuple carrier(void)
{
    struct gw_tuple tuple = place(9);
    tuple.link = GW_LINK_CARRIER | 5;
    return tuple;
}

static bool is_on_carrier(struct scene *scene)
{
    return gw_tuple_is_carrier(&gw_paths_current(&scene->paths)->tuple);
}

/* A carrier is there, and answers: it is used while nothing else works, and not a moment longer. */
static void test_carrier_is_the_last_resort(void **state)
{
    (void)state;
    struct scene scene;
    struct gw_tuple tls = carrier(), udp = place(1);
    begin(&scene);
    gw_paths_add_candidate(&scene.paths, scene.now, &tls, &random_bytes);
    assert_int_equal(scene.paths.count, 2);
    assert_true(gw_path_allowance(gw_paths_find(&scene.paths, &tls)) == UINT64_MAX);
    gw_paths_add_candidate(&scene.paths, scene.now, &tls, &random_bytes);
    assert_int_equal(scene.paths.count, 2);
    /* The carrier answers; so does UDP, which was asked at the same time: it stays. */
    struct gw_path *path = gw_paths_find(&scene.paths, &tls);
    assert_false(gw_paths_add_proven(&scene.paths, scene.now, &tls, GW_MS(1), &random_bytes));
    assert_true(path->is_validated);
    assert_false(gw_paths_add_proven(&scene.paths, scene.now, &udp, GW_MS(400), &random_bytes));
    assert_false(passes(&scene, GW_S(30)) || is_on_carrier(&scene));
    /* Data on UDP has no answer: the carrier takes over within a second. */
    gw_paths_add_proven(&scene.paths, scene.now, &tls, GW_MS(1), &random_bytes);
    gw_path_sent(gw_paths_current(&scene.paths), scene.now, 100000);
    gw_path_sent_data(gw_paths_current(&scene.paths), scene.now);
    gw_paths_current(&scene.paths)->rtt_ns = GW_MS(20);
    bool is_changed = false;
    for (unsigned i = 0; i < 20; i++) { /* the carrier answers, whenever it is asked */
        is_changed |= passes(&scene, GW_MS(50));
        is_changed |= gw_paths_add_proven(&scene.paths, scene.now, &tls, GW_MS(1), &random_bytes);
    }
    assert_true(is_changed);
    assert_true(is_on_carrier(&scene));
    /* Nothing was heard there since, so nothing may be sent; the peer asks from there, and is asked back at once. */
    struct gw_path *old = gw_paths_find(&scene.paths, &udp);
    assert_false(old->is_validated);
    assert_int_equal(gw_path_allowance(old), 0);
    scene.now = gw_mono_add(scene.now, GW_S(1));
    assert_false(hears(&scene, 1, false));
    gw_paths_asked(&scene.paths, scene.now, &udp, &random_bytes);
    assert_true(gw_path_allowance(old) > 0);
    assert_true(gw_mono_due(old->challenge_at, scene.now));
    /* UDP answers, however long it takes: back. */
    assert_true(gw_paths_add_proven(&scene.paths, scene.now, &udp, GW_MS(900), &random_bytes));
    assert_false(is_on_carrier(&scene));
    /* The connection ends: nothing changes. */
    assert_false(gw_paths_remove(&scene.paths, scene.now, &tls));
    assert_int_equal(sent_to(&scene), 1);
}

/* It moved away, did not answer at the old place any more, and is back: asked and followed at once, and not held to what it got there before. */
static void test_comes_back(void **state)
{
    struct scene scene;
    struct gw_tuple tuple = place(1);
    (void)state;
    begin(&scene);
    struct gw_path *first = gw_paths_current(&scene.paths);
    gw_path_sent(first, scene.now, 1000000);
    passes(&scene, GW_S(1));
    hears(&scene, 2, true);
    assert_int_equal(sent_to(&scene), 2);
    gw_path_probe(first, scene.now, &random_bytes);
    passes(&scene, GW_S(1));
    assert_false(first->is_validated);
    assert_int_equal(gw_path_allowance(first), 0);
    assert_true(hears(&scene, 1, false));
    assert_int_equal(sent_to(&scene), 1);
    assert_int_equal(gw_path_allowance(first), 300);
    assert_ptr_equal(gw_paths_take_challenge(&scene.paths, scene.now), gw_paths_find(&scene.paths, &tuple));
}

/* ---- one of the two is elsewhere */

/* A direct path that we send on, and a relay; both have answered. */
static void begin_with_relay(struct scene *scene)
{
    struct gw_tuple direct = place(1), by_relay = relay();
    begin(scene);
    gw_paths_add_relay(&scene->paths, scene->now, &by_relay, &random_bytes);
    answers(scene, &by_relay, &by_relay, GW_MS(50));
    if (!gw_mono_is_never(gw_paths_find(&scene->paths, &direct)->challenge_at))
        answers(scene, &direct, &direct, GW_MS(50));
    assert_int_equal(sent_to(scene), 1);
}

static bool is_on_relay(struct scene *scene)
{
    return gw_tuple_is_relay(&gw_paths_current(&scene->paths)->tuple);
}

/* We woke: whatever answers first is sent on; if that is the relay, only until the direct path does, too. */
static void test_doubted(void **state)
{
    struct scene scene;
    struct gw_tuple direct = place(1), by_relay = relay();
    (void)state;
    begin_with_relay(&scene);
    gw_paths_doubt(&scene.paths, NULL);
    gw_path_probe(gw_paths_find(&scene.paths, &direct), scene.now, &random_bytes);
    gw_paths_add_relay(&scene.paths, scene.now, &by_relay, &random_bytes);
    assert_int_equal(sent_to(&scene), 1); /* as long as nobody knows better */
    assert_true(gw_paths_are_doubted(&scene.paths));
    assert_true(answers(&scene, &by_relay, &by_relay, GW_MS(50)));
    assert_true(is_on_relay(&scene));
    assert_true(answers(&scene, &direct, &direct, 0));
    assert_int_equal(sent_to(&scene), 1);
}

/* The direct path answers first, and nothing changes. */
static void test_doubt_was_wrong(void **state)
{
    struct scene scene;
    struct gw_tuple direct = place(1), by_relay = relay();
    (void)state;
    begin_with_relay(&scene);
    gw_paths_doubt(&scene.paths, NULL);
    gw_path_probe(gw_paths_find(&scene.paths, &direct), scene.now, &random_bytes);
    gw_paths_add_relay(&scene.paths, scene.now, &by_relay, &random_bytes);
    assert_false(answers(&scene, &direct, &direct, GW_MS(50)));
    assert_false(answers(&scene, &by_relay, &by_relay, 0));
    assert_int_equal(sent_to(&scene), 1);
}

/* What was asked before we woke, and is answered now, proves nothing. */
static void test_answer_from_before(void **state)
{
    struct scene scene;
    struct gw_tuple direct = place(1);
    uint8_t challenge[GW_PATH_CHALLENGE_LEN];
    (void)state;
    begin_with_relay(&scene);
    struct gw_path *path = gw_paths_find(&scene.paths, &direct);
    gw_path_probe(path, scene.now, &random_bytes);
    memcpy(challenge, path->challenge, sizeof challenge);
    passes(&scene, GW_MS(50));
    gw_paths_doubt(&scene.paths, NULL);
    gw_path_probe(path, scene.now, &random_bytes);
    passes(&scene, GW_MS(50));
    gw_paths_answered(&scene.paths, scene.now, &direct, challenge, &random_bytes);
    assert_true(gw_paths_are_doubted(&scene.paths));
    answers(&scene, &direct, &direct, 0);
    assert_false(gw_paths_are_doubted(&scene.paths));
}

/* The peer says by the relay that it is elsewhere: it is sent to there at once, what the relay carries is not known any more, and the direct path is asked. Said again, it is no news. */
static void test_peer_moved(void **state)
{
    struct scene scene;
    struct gw_tuple direct = place(1), by_relay = relay();
    (void)state;
    begin_with_relay(&scene);
    struct gw_path *path = gw_paths_find(&scene.paths, &by_relay);
    path->mtu.len = 1456;
    assert_true(gw_paths_peer_moved(&scene.paths, scene.now, &by_relay, 1, &random_bytes));
    assert_true(is_on_relay(&scene));
    assert_int_equal(path->mtu.len, gw_path_start(&by_relay));
    assert_true(answers(&scene, &direct, &direct, GW_MS(50)));
    assert_int_equal(sent_to(&scene), 1);
    assert_false(gw_paths_peer_moved(&scene.paths, scene.now, &by_relay, 1, &random_bytes));
    assert_int_equal(sent_to(&scene), 1);
    assert_true(gw_paths_peer_moved(&scene.paths, scene.now, &by_relay, 2, &random_bytes));
    assert_true(is_on_relay(&scene));
}

/* It says so from a place that is no path: whether it can be sent to there, an answer tells. */
static void test_peer_moved_to_unproven(void **state)
{
    struct scene scene;
    struct gw_tuple elsewhere = place(7);
    (void)state;
    begin_with_relay(&scene);
    assert_false(gw_paths_peer_moved(&scene.paths, scene.now, &elsewhere, 1, &random_bytes));
    assert_int_equal(sent_to(&scene), 1);
    assert_false(hears(&scene, 7, false));
    assert_true(answers(&scene, &elsewhere, &elsewhere, GW_MS(50)));
    assert_int_equal(sent_to(&scene), 7);
}

/* ---- data that brings nothing back */

/* Data has gone out; the direct path is asked, and the relay beside it, which answers: no more than that is waited for. */
static void test_outdone(void **state)
{
    struct scene scene;
    struct gw_tuple direct = place(1), by_relay = relay();
    (void)state;
    begin_with_relay(&scene);
    passes(&scene, GW_S(1));
    struct gw_path *path = gw_paths_current(&scene.paths), *other = gw_paths_find(&scene.paths, &by_relay);
    gw_path_sent_data(path, scene.now);
    assert_false(passes(&scene, GW_MS(100)));
    assert_true(gw_mono_is_never(path->challenge_at));
    assert_false(passes(&scene, GW_MS(100)));
    assert_false(gw_mono_is_never(path->challenge_at));
    assert_true(gw_mono_is_never(other->challenge_at));
    assert_false(passes(&scene, GW_MS(50)));
    assert_false(gw_mono_is_never(other->challenge_at));
    assert_false(answers(&scene, &by_relay, &by_relay, GW_MS(40)));
    assert_int_equal(sent_to(&scene), 1);
    assert_true(passes(&scene, GW_MS(50)));
    assert_true(is_on_relay(&scene));
    /* It was the network that was asleep: back. */
    gw_path_probe(gw_paths_find(&scene.paths, &direct), scene.now, &random_bytes);
    assert_true(answers(&scene, &direct, &direct, GW_MS(50)));
    assert_int_equal(sent_to(&scene), 1);
}

/* The relay does not answer either: the verdict of three challenges counts; and while something comes, none does. */
static void test_not_outdone(void **state)
{
    struct scene scene;
    (void)state;
    begin_with_relay(&scene);
    passes(&scene, GW_S(1));
    gw_path_sent_data(gw_paths_current(&scene.paths), scene.now);
    assert_false(passes(&scene, GW_MS(400)));
    hears(&scene, 1, false);
    assert_false(passes(&scene, GW_MS(250)));
    assert_int_equal(sent_to(&scene), 1);
    assert_true(passes(&scene, GW_S(1)));
    assert_true(is_on_relay(&scene));
}

/* We did not run for a while, and the answer may lie in the socket. */
static void test_late_verdict(void **state)
{
    struct scene scene;
    struct gw_tuple direct = place(1);
    (void)state;
    begin_with_relay(&scene);
    struct gw_path *path = gw_paths_find(&scene.paths, &direct);
    gw_path_probe(path, scene.now, &random_bytes);
    passes(&scene, GW_MS(250));
    assert_int_equal(path->challenge_tries, GW_PATH_PROBE_TRIES);
    scene.now = gw_mono_add(scene.now, GW_S(2));
    assert_false(gw_paths_expire(&scene.paths, scene.now, SILENCE, &random_bytes));
    assert_false(answers(&scene, &direct, &direct, 0));
    assert_int_equal(sent_to(&scene), 1);
}

/* Our anchor answers where we are now, and what its channel leads to has not moved: sent on at once. One that never answered proves nothing by that. */
static void test_relay_works(void **state)
{
    struct scene scene;
    struct gw_tuple by_relay = relay(), other = {.link = GW_LINK_RELAY | 2};
    (void)state;
    begin_with_relay(&scene);
    gw_paths_add_relay(&scene.paths, scene.now, &other, &random_bytes);
    assert_false(gw_paths_relay_works(&scene.paths, scene.now, &by_relay));
    gw_paths_doubt(&scene.paths, NULL);
    assert_false(gw_paths_relay_works(&scene.paths, scene.now, &other));
    assert_true(gw_paths_relay_works(&scene.paths, scene.now, &by_relay));
    assert_true(gw_tuple_equal(&gw_paths_current(&scene.paths)->tuple, &by_relay));
}

/* New keys come by the relay while nothing comes over the direct path: the peer has lost that. If it has not, its answer brings us back. */
static void test_new_keys_by_relay(void **state)
{
    struct scene scene;
    struct gw_tuple direct = place(1), by_relay = relay();
    (void)state;
    begin_with_relay(&scene);
    hears(&scene, 1, false);
    assert_false(gw_paths_received(&scene.paths, scene.now, &by_relay, 100, true, true,
                                   GW_PATH_RULE_CHALLENGE, SILENCE, &random_bytes));
    passes(&scene, GW_S(1));
    assert_true(gw_paths_received(&scene.paths, scene.now, &by_relay, 100, true, true, GW_PATH_RULE_CHALLENGE,
                                  SILENCE, &random_bytes));
    assert_true(is_on_relay(&scene));
    assert_true(answers(&scene, &direct, &direct, GW_MS(50)));
    assert_int_equal(sent_to(&scene), 1);
}

/* ---- the peer sends by another path of the same kind */

static struct gw_tuple second_relay(void)
{
    return (struct gw_tuple){.link = GW_LINK_RELAY | 2};
}

/* Two relays that answer, and the first one is sent on; the peer sends on the second one, for a while already. */
static void begin_torn(struct scene *scene)
{
    struct gw_tuple mine = relay(), its = second_relay();
    *scene = (struct scene){.now = {GW_S(1000)}};
    gw_paths_init(&scene->paths);
    gw_paths_add_proven(&scene->paths, scene->now, &mine, GW_MS(40), &random_bytes);
    gw_paths_add_proven(&scene->paths, scene->now, &its, GW_MS(40), &random_bytes);
    passes(scene, GW_S(2));
    gw_paths_add_proven(&scene->paths, scene->now, &mine, GW_MS(40), &random_bytes);
    assert_true(gw_tuple_equal(&gw_paths_current(&scene->paths)->tuple, &mine));
}

/* For so long, data goes out by the path that is sent on and comes in by the second relay. Returns true when another path is sent on. */
static bool comes_by_second(struct scene *scene, int64_t ns)
{
    struct gw_tuple its = second_relay();
    bool is_changed = false;
    for (; ns > 0 && !is_changed; ns -= GW_MS(10)) {
        scene->now = gw_mono_add(scene->now, GW_MS(10));
        gw_path_sent_data(gw_paths_current(&scene->paths), scene->now);
        is_changed |= gw_paths_received(&scene->paths, scene->now, &its, 100, true, false,
                                        GW_PATH_RULE_CHALLENGE, SILENCE, &random_bytes);
        is_changed |= gw_paths_expire(&scene->paths, scene->now, SILENCE, &random_bytes);
        while (gw_paths_take_challenge(&scene->paths, scene->now))
            ;
    }
    return is_changed;
}

/* What we send is answered by the other relay: ours is asked, and as long as it answers it is not left. */
static void test_not_followed(void **state)
{
    struct scene scene;
    struct gw_tuple mine = relay();
    (void)state;
    begin_torn(&scene);
    for (unsigned i = 0; i < 20; i++) {
        assert_false(comes_by_second(&scene, GW_MS(150))); /* it is silent for 100 ms, and is asked */
        assert_false(answers(&scene, &mine, &mine, 0));
        assert_false(gw_paths_received(&scene.paths, scene.now, &mine, 100, true, false,
                                       GW_PATH_RULE_CHALLENGE, 0, &random_bytes));
    }
    assert_true(gw_tuple_equal(&gw_paths_current(&scene.paths)->tuple, &mine));
}

/* It does not answer: followed, long before three challenges were unanswered. */
static void test_followed(void **state)
{
    struct scene scene;
    struct gw_tuple its = second_relay();
    (void)state;
    begin_torn(&scene);
    struct gw_mono began = scene.now;
    assert_true(comes_by_second(&scene, GW_S(1)));
    assert_true(gw_tuple_equal(&gw_paths_current(&scene.paths)->tuple, &its));
    assert_in_range(gw_mono_sub(scene.now, began), GW_MS(200), GW_MS(250));
}

/* We have just come from there: only the verdict of all challenges brings us back. */
static void test_just_switched(void **state)
{
    struct scene scene;
    struct gw_tuple its = second_relay();
    (void)state;
    begin_torn(&scene);
    scene.paths.switched = scene.now;
    struct gw_mono began = scene.now;
    assert_true(comes_by_second(&scene, GW_S(1)));
    assert_true(gw_tuple_equal(&gw_paths_current(&scene.paths)->tuple, &its));
    assert_in_range(gw_mono_sub(scene.now, began), GW_MS(400), GW_MS(450));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unproven),
        cmocka_unit_test(test_late_answer),
        cmocka_unit_test(test_slept_over_an_answer),
        cmocka_unit_test(test_only_one),
        cmocka_unit_test(test_asked),
        cmocka_unit_test(test_old_round_trips),
        cmocka_unit_test(test_slow_answer),
        cmocka_unit_test(test_carrier_is_the_last_resort),
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_doubted),
        cmocka_unit_test(test_doubt_was_wrong),
        cmocka_unit_test(test_answer_from_before),
        cmocka_unit_test(test_peer_moved),
        cmocka_unit_test(test_peer_moved_to_unproven),
        cmocka_unit_test(test_outdone),
        cmocka_unit_test(test_not_outdone),
        cmocka_unit_test(test_late_verdict),
        cmocka_unit_test(test_relay_works),
        cmocka_unit_test(test_new_keys_by_relay),
        cmocka_unit_test(test_not_followed),
        cmocka_unit_test(test_followed),
        cmocka_unit_test(test_just_switched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
