/* SPDX-License-Identifier: MIT */
/* An attempt's packets: how many, when, to whom, and what an answer changes. */
#include "gateway/punch/punch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gw_random_seeded seeded;
static struct gw_punch punch;

static struct gw_mono at(int64_t ms)
{
    return (struct gw_mono){GW_MS(ms)};
}

static struct gw_candidate candidate(uint16_t port, enum gw_candidate_kind kind)
{
    return (struct gw_candidate){{.family = 4, .ip = {10, 0, 0, 1}, .port = port}, kind};
}

static bool add(uint16_t port, enum gw_candidate_kind kind, bool is_reflexive)
{
    struct gw_candidate one = candidate(port, kind);
    return gw_punch_add(&punch, at(0), &one, 0, is_reflexive, &seeded.random);
}

static void begin(int64_t ms, int64_t timeout_ns)
{
    struct gw_punch_plan plan = {
        .start = at(ms), .timeout_ns = timeout_ns, .foretells = true, .is_downwards = ms != 0};
    gw_punch_begin(&punch, &plan, &seeded.random);
}

/* Where the packet that is due goes; NULL: none. */
static const struct gw_punch_packet *take(struct gw_mono now)
{
    static struct gw_punch_packet packet;
    return gw_punch_take(&punch, now, &seeded.random, &packet) ? &packet : NULL;
}

static const struct gw_check *answer(int64_t ms, const uint8_t *nonce)
{
    struct gw_tuple from = {.remote = candidate(9, GW_CANDIDATE_HOST).addr};
    return gw_punch_answered(&punch, at(ms), nonce, GW_CHECK_NONCE_LEN, &from, &seeded.random);
}

static int teardown(void **state)
{
    (void)state;
    gw_punch_fini(&punch);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    gw_random_seeded_init(&seeded, 1);
    gw_punch_init(&punch);
    return 0;
}

/* Runs to the end; how many packets went to the port. */
static unsigned run(uint16_t port, unsigned *total)
{
    unsigned count = 0;
    *total = 0;
    for (struct gw_mono next; !gw_mono_is_never(next = gw_punch_next_deadline(&punch));) {
        for (const struct gw_punch_packet *packet; (packet = take(next)) != NULL;) {
            count += packet->to.port == port;
            ++*total;
        }
        gw_punch_expire(&punch, next);
    }
    return count;
}

static void test_bounded(void **state)
{
    (void)state;
    unsigned total;
    assert_true(add(1, GW_CANDIDATE_HOST, false));
    assert_false(add(1, GW_CANDIDATE_HOST, false));
    assert_true(add(2, GW_CANDIDATE_HOST, false));
    assert_null(take(at(0))); /* no attempt yet */
    begin(100, GW_S(60));
    assert_null(take(at(99)));
    assert_int_equal(run(1, &total), GW_CHECK_TRIES);
    assert_int_equal(total, 2 * GW_CHECK_TRIES);
    assert_false(punch.has_proven);
    assert_int_equal(punch.checks[0].state, GW_CHECK_SILENT);
    /* The next attempt begins anew. */
    begin(100000, GW_S(1));
    assert_in_range(run(1, &total), 4, 7);
    assert_int_equal(punch.attempts, 2);
}

static void test_answer(void **state)
{
    (void)state;
    add(1, GW_CANDIDATE_HOST, false);
    add(2, GW_CANDIDATE_HOST, false);
    begin(0, GW_S(10));
    const struct gw_punch_packet *packet = take(at(0));
    uint8_t nonce[GW_CHECK_NONCE_LEN], other[GW_CHECK_NONCE_LEN] = {0};
    memcpy(nonce, packet->nonce, sizeof nonce);
    assert_null(answer(5, other));
    const struct gw_check *check = answer(20, nonce);
    assert_non_null(check);
    assert_int_equal(check->rtt_ns, GW_MS(20));
    assert_int_equal(check->state, GW_CHECK_PROVEN);
    assert_null(answer(21, nonce)); /* once */
    assert_false(gw_punch_expire(&punch, at(500)));
    assert_true(gw_punch_expire(&punch, at(520)));
    assert_false(gw_punch_expire(&punch, at(521)));
    assert_true(punch.has_proven);
    assert_int_equal(punch.checks[1].state, GW_CHECK_SILENT);
}

static void test_not_before_it_was_asked(void **state)
{
    (void)state;
    add(1, GW_CANDIDATE_HOST, false);
    begin(0, GW_S(10));
    assert_null(answer(0, punch.checks[0].nonce));
}

static void test_room(void **state)
{
    (void)state;
    for (uint16_t port = 1; port <= 200; port++)
        assert_true(add(port, GW_CANDIDATE_HOST, false));
    assert_int_equal(punch.count, GW_CHECKS_MAX);
    assert_int_equal(punch.checks[GW_CHECKS_MAX - 1].remote.addr.port, 200);
    struct gw_addr last = punch.checks[GW_CHECKS_MAX - 1].remote.addr;
    gw_punch_forget(&punch, &last);
    gw_punch_forget(&punch, &last);
    assert_int_equal(punch.count, GW_CHECKS_MAX - 1);
    gw_punch_fini(&punch);
    for (uint16_t port = 1; port <= 20; port++)
        add(port, GW_CANDIDATE_OBSERVED, true);
    assert_int_equal(punch.count, 4); /* where the peer's checks seem to come from */
}

/* An answered one stays when others need room. */
static void test_answered_stay(void **state)
{
    (void)state;
    add(1, GW_CANDIDATE_HOST, false);
    begin(0, GW_S(10));
    const struct gw_punch_packet *packet = take(at(0));
    assert_non_null(answer(1, packet->nonce));
    gw_punch_end(&punch);
    for (uint16_t port = 2; port <= 200; port++)
        add(port, GW_CANDIDATE_HOST, false);
    assert_int_equal(punch.checks[0].remote.addr.port, 1);
}

static void test_predicted(void **state)
{
    (void)state;
    unsigned total;
    add(1000, GW_CANDIDATE_OBSERVED, false);
    add(7, GW_CANDIDATE_HOST, false);
    begin(0, GW_S(60));
    assert_int_equal(run(1002, &total), GW_PREDICTED_TRIES);
    assert_int_equal(total, 2 * GW_CHECK_TRIES + GW_PREDICTED * GW_PREDICTED_TRIES);
    begin(100000, GW_S(1));
    assert_int_equal(punch.count, 2); /* forgotten, and predicted anew */
    gw_punch_fini(&punch);
    add(65534, GW_CANDIDATE_OBSERVED, false); /* there is only one behind it */
    begin(0, GW_S(60));
    run(65535, &total);
    assert_int_equal(punch.count, 2);
}

/* However many addresses a peer names, an attempt asks a few of them: those that once answered, and the last named. */
static void test_at_once(void **state)
{
    (void)state;
    unsigned total;
    add(1, GW_CANDIDATE_HOST, false);
    begin(0, GW_S(1));
    assert_non_null(answer(1, take(at(0))->nonce));
    gw_punch_end(&punch);
    for (uint16_t port = 2; port <= 100; port++)
        add(port, GW_CANDIDATE_HOST, false);
    add(50, GW_CANDIDATE_HOST, false); /* again */
    begin(1000, GW_S(60));
    assert_int_equal(run(50, &total), GW_CHECK_TRIES);
    assert_int_equal(total, GW_CHECKS_AT_ONCE * GW_CHECK_TRIES);
    begin(100000, GW_S(60));
    assert_int_equal(run(1, &total), GW_CHECK_TRIES);
    begin(200000, GW_S(60));
    assert_int_equal(run(87, &total), GW_CHECK_TRIES); /* 1, 50 and 100 to 87 are 16 */
    begin(300000, GW_S(60));
    assert_int_equal(run(86, &total), 0);
}

/* The peer's NAT numbers in a row, and so does ours: its next ports first, all at once, the other way round on the other side, and the rest later. */
static void test_rows(void **state)
{
    (void)state;
    struct gw_punch_plan plan = {.start = at(0), .timeout_ns = GW_S(2), .step = 2, .is_counted = true};
    add(7, GW_CANDIDATE_HOST, false);
    plan.last = candidate(2000, GW_CANDIDATE_OBSERVED).addr;
    gw_punch_begin(&punch, &plan, &seeded.random);
    for (uint16_t port = 2002; port <= 2010; port += 2)
        assert_int_equal(take(at(0))->to.port, port);
    assert_null(take(at(0)));
    assert_int_equal(take(at(60))->to.port, 2002);
    plan.is_downwards = true;
    plan.count = 6;
    gw_punch_begin(&punch, &plan, &seeded.random);
    for (uint16_t port = 2012; port >= 2002; port -= 2)
        assert_int_equal(take(at(0))->to.port, port);
    assert_null(take(at(0)));
    unsigned total;
    assert_true(run(7, &total) > 0);
    plan.last.port = 65534; /* there is nothing behind it */
    gw_punch_begin(&punch, &plan, &seeded.random);
    assert_null(take(at(0)));
}

static void test_search_ports(void **state)
{
    (void)state;
    static bool is_tried[65536];
    struct gw_search_plan search = {.target = candidate(5, GW_CANDIDATE_OBSERVED).addr};
    struct gw_punch_plan plan = {.start = at(0), .timeout_ns = GW_S(10), .search = &search};
    struct gw_mono first = GW_NEVER, last = at(0);
    unsigned count = 0;
    gw_punch_begin(&punch, &plan, &seeded.random);
    for (struct gw_mono next; !gw_mono_is_never(next = gw_punch_next_deadline(&punch));) {
        for (const struct gw_punch_packet *packet; (packet = take(next)) != NULL; count++) {
            assert_true(packet->to.port >= 1024 && !is_tried[packet->to.port]);
            assert_memory_equal(packet->to.ip, search.target.ip, 16);
            is_tried[packet->to.port] = true;
            first = gw_mono_min(first, next);
            last = next;
        }
        gw_punch_expire(&punch, next);
    }
    assert_int_equal(count, GW_SEARCH_PORTS);
    assert_true(first.ns >= GW_SEARCH_PORTS_AFTER_NS && last.ns < GW_S(9));
    /* Found: it is asked there in its own name, and the search is over with the answer to that. */
    gw_punch_begin(&punch, &plan, &seeded.random);
    const struct gw_punch_packet *packet = take(at(600));
    struct gw_tuple from = {.remote = packet->to};
    uint8_t nonce[GW_CHECK_NONCE_LEN];
    memcpy(nonce, packet->nonce, sizeof nonce);
    assert_null(gw_punch_answered(&punch, at(620), nonce, sizeof nonce, &from, &seeded.random));
    packet = take(at(620));
    assert_true(gw_addr_equal(&packet->to, &from.remote));
    assert_memory_not_equal(packet->nonce, nonce, sizeof nonce);
    assert_non_null(gw_punch_answered(&punch, at(640), packet->nonce, sizeof nonce, &from, &seeded.random));
    assert_null(take(at(700)));
    assert_true(punch.has_proven);
}

static void test_search_sockets(void **state)
{
    (void)state;
    uint32_t links[40];
    unsigned count[64] = {0}, total = 0;
    for (unsigned i = 0; i < 40; i++)
        links[i] = 10 + i;
    struct gw_search_plan search = {candidate(5, GW_CANDIDATE_OBSERVED).addr, links, 40};
    struct gw_punch_plan plan = {.start = at(0), .timeout_ns = GW_S(10), .search = &search};
    gw_punch_begin(&punch, &plan, &seeded.random);
    for (struct gw_mono next; !gw_mono_is_never(next = gw_punch_next_deadline(&punch));) {
        for (const struct gw_punch_packet *packet; (packet = take(next)) != NULL; total++) {
            assert_true(packet->link < 64 && packet->to.port == 5);
            count[packet->link]++;
        }
        gw_punch_expire(&punch, next);
    }
    assert_int_equal(total, 40 * GW_SEARCH_ROUNDS);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(count[links[i]], GW_SEARCH_ROUNDS);
    /* What came to one of them is asked from that one. */
    gw_punch_begin(&punch, &plan, &seeded.random);
    struct gw_candidate seen = {search.target, GW_CANDIDATE_OBSERVED};
    assert_true(gw_punch_add(&punch, at(5), &seen, 33, true, &seeded.random));
    assert_int_equal(take(at(5))->link, 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_before_it_was_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answered_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_predicted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_search_ports, setup, teardown),
        cmocka_unit_test_setup_teardown(test_search_sockets, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
