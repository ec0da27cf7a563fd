/* SPDX-License-Identifier: MIT */
/* The client against servers and NATs played by hand: when it asks, what it believes, what it concludes. */
#include "gateway/stun/stun.h"

#include "gateway/wire/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gw_random_seeded seeded;
static struct gw_deadlines deadlines;
static struct gw_stun *stun;
static struct gw_mono now;
static unsigned changes;

static struct gw_addr addr(const char *text)
{
    struct gw_addr out;
    assert_int_equal(gw_addr_parse(&out, text), 0);
    return out;
}

static void on_observed(struct gw_mono at, void *ctx)
{
    (void)at, (void)ctx;
    changes++;
}

static int setup(void **state)
{
    (void)state;
    gw_random_seeded_init(&seeded, 7);
    gw_deadlines_init(&deadlines);
    const struct gw_stun_params params = {
        .random = &seeded.random, .deadlines = &deadlines, .on_observed = on_observed};
    assert_int_equal(gw_stun_new(&stun, &params), 0);
    now = (struct gw_mono){GW_S(100)};
    changes = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_stun_free(stun);
    gw_deadlines_fini(&deadlines);
    return 0;
}

struct sent {
    struct gw_addr to;
    uint8_t bytes[GW_STUN_REQUEST_MAX];
    size_t len;
};

static bool next(struct sent *out)
{
    static uint8_t slab[GW_TRAIN_SLAB];
    struct gw_train train = {.slab = slab};
    if (!gw_stun_output(stun, now, &train))
        return false;
    assert_int_equal(train.count, 1);
    out->to = train.tuple.remote;
    out->len = train.last_len;
    memcpy(out->bytes, slab, out->len);
    return true;
}

/* To the next deadline. */
static void wait(void)
{
    struct gw_mono at = gw_deadlines_next(&deadlines);
    assert_false(gw_mono_is_never(at));
    now = gw_mono_max(now, at);
    gw_deadlines_expire(&deadlines, now);
}

/* A success response to the request: XOR-MAPPED-ADDRESS, OTHER-ADDRESS where one is given. */
static bool answer_as(const struct sent *request, const char *from, const char *mapped, const char *other,
                      uint16_t type)
{
    const struct gw_tuple tuple = {.local = addr("192.168.1.2:5000"), .remote = addr(from)};
    uint8_t bytes[64];
    struct gw_addr seen = addr(mapped), second = other ? addr(other) : (struct gw_addr){.family = 0};
    struct gw_writer w = gw_writer_of(bytes, sizeof bytes);
    gw_write_u16_be(&w, type);
    gw_write_u16_be(&w, other ? 24 : 12);
    gw_write_bytes(&w, request->bytes + 4, 16);
    gw_write_u32_be(&w, 0x00200008);
    gw_write_u16_be(&w, 1);
    gw_write_u16_be(&w, seen.port ^ 0x2112);
    gw_write_u32_be(&w, gw_load32_be(seen.ip) ^ 0x2112a442);
    if (other) {
        gw_write_u32_be(&w, 0x802c0008);
        gw_write_u16_be(&w, 1);
        gw_write_u16_be(&w, second.port);
        gw_write_bytes(&w, second.ip, 4);
    }
    assert_true(gw_writer_ok(&w));
    return gw_stun_input(stun, now, &tuple, bytes, gw_writer_len(&w));
}

static bool answer(const struct sent *request, const char *from, const char *mapped, const char *other)
{
    return answer_as(request, from, mapped, other, GW_STUN_SUCCESS);
}

static void serve(const char *server)
{
    struct gw_addr at = addr(server);
    gw_stun_set_servers(stun, now, &at, 1);
    wait();
}

static struct gw_stun_view view(void)
{
    struct gw_stun_view out;
    assert_true(gw_stun_view(stun, 0, &out));
    return out;
}

/* RFC 8489, 6.2.1: 0, 500, 1500, 3500, 7500, 15500, 31500 ms, given up at 39500. */
static void test_retransmission(void **state)
{
    static const int64_t at_ms[] = {0, 500, 1500, 3500, 7500, 15500, 31500};
    struct gw_mono began = now;
    struct sent first, sent;
    (void)state;
    serve("9.9.9.9:3478");
    for (size_t i = 0; i < 7; i++) {
        assert_true(next(i ? &sent : &first));
        assert_int_equal(gw_mono_sub(now, began), GW_MS(at_ms[i]));
        assert_memory_equal(i ? sent.bytes : first.bytes, first.bytes, first.len);
        assert_false(next(&sent));
        wait();
    }
    assert_int_equal(gw_mono_sub(now, began), GW_MS(39500));
    assert_int_equal(view().state, GW_STUN_SILENT);
    assert_false(next(&sent));
    wait(); /* asked again, with another ID, after a minute */
    assert_int_equal(gw_mono_sub(now, began), GW_MS(99500));
    assert_true(next(&sent));
    assert_memory_not_equal(sent.bytes + 8, first.bytes + 8, 12);
}

static void test_observed(void **state)
{
    struct gw_addr out[4];
    struct sent sent;
    (void)state;
    serve("9.9.9.9:3478");
    assert_true(next(&sent));
    now = gw_mono_add(now, GW_MS(20));
    changes = 0;
    assert_false(answer(&sent, "9.9.9.8:3478", "1.2.3.4:5000", NULL)); /* not who was asked */
    assert_false(answer_as(&sent, "9.9.9.9:3478", "1.2.3.4:5000", NULL, GW_STUN_REQUEST));
    struct sent other = sent;
    other.bytes[8] ^= 1;
    assert_false(answer(&other, "9.9.9.9:3478", "1.2.3.4:5000", NULL)); /* not what was asked */
    assert_int_equal(changes, 0);
    assert_true(answer(&sent, "9.9.9.9:3478", "1.2.3.4:5000", NULL));
    assert_false(answer(&sent, "9.9.9.9:3478", "1.2.3.5:5000", NULL)); /* once */
    assert_int_equal(changes, 1);
    assert_int_equal(gw_stun_observed(stun, out, 4), 1);
    assert_int_equal(out[0].ip[0], 1);
    assert_int_equal(view().rtt_ns, GW_MS(20));
    assert_int_equal(view().state, GW_STUN_ANSWERS);
    struct gw_mono answered = now;
    wait();
    assert_int_equal(gw_mono_sub(now, answered), GW_STUN_REFRESH_NS);
    assert_true(next(&sent));
    assert_true(answer(&sent, "9.9.9.9:3478", "1.2.3.4:5001", NULL));
    assert_int_equal(changes, 2);
}

/* Where nobody may be sent to. */
static void test_lies(void **state)
{
    static const char *const lies[] = {"127.0.0.1:5", "0.0.0.0:5", "255.255.255.255:5", "224.0.0.1:5",
                                       "1.2.3.4:0"};
    struct gw_addr out[4];
    struct sent sent;
    (void)state;
    serve("9.9.9.9:3478");
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        assert_true(next(&sent));
        assert_true(answer(&sent, "9.9.9.9:3478", lies[i], "127.0.0.1:99"));
        assert_int_equal(gw_stun_observed(stun, out, 4), 0);
        assert_false(view().can_measure);
        wait();
    }
}

/* What a NAT of a kind lets happen. */
struct nat {
    const char *maps[3]; /* towards server, other address, other address and port */
    bool lets_other, lets_port, turns;
    enum gw_stun_rule mapping, filtering;
    bool is_ignored; /* the server answers from where it was asked */
};

/* Plays server and NAT until the measurement is over. Returns how many datagrams went out. */
static unsigned play(const struct nat *nat)
{
    struct gw_stun_behaviour found;
    bool is_running = true;
    unsigned sent_count = 0;
    while (is_running) {
        for (struct sent sent; next(&sent); sent_count++) {
            bool to_self = gw_addr_equal(&sent.to, &(struct gw_addr){.family = 0});
            const char *mapped = nat->maps[0];
            char text[GW_ADDR_STRLEN];
            gw_addr_format(&sent.to, text);
            to_self = strcmp(text, nat->maps[0]) == 0;
            unsigned change = sent.len == GW_STUN_REQUEST_MAX ? sent.bytes[27] : 0;
            if (to_self && nat->turns)
                answer_as(&sent, nat->maps[0], nat->maps[0], NULL, GW_STUN_REQUEST);
            else if (change && nat->is_ignored)
                answer(&sent, "9.9.9.9:3478", mapped, "9.9.9.10:3479");
            else if (change == 6 && nat->lets_other)
                answer(&sent, "9.9.9.10:3479", mapped, "9.9.9.10:3479");
            else if (change == 2 && nat->lets_port)
                answer(&sent, "9.9.9.9:3479", mapped, "9.9.9.10:3479");
            else if (!change && !to_self)
                answer(&sent, text,
                       nat->maps[strcmp(text, "9.9.9.10:3478") == 0   ? 1
                                 : strcmp(text, "9.9.9.10:3479") == 0 ? 2
                                                                      : 0],
                       "9.9.9.10:3479");
        }
        gw_stun_behaviour(stun, 4, &found, &is_running);
        if (is_running)
            wait();
    }
    assert_int_equal(found.mapping, nat->mapping);
    assert_int_equal(found.filtering, nat->filtering);
    assert_int_equal(found.has_hairpin, nat->turns);
    assert_true(found.is_nat && found.is_hairpin_known);
    return sent_count;
}

/* clang-format off */
#define SAME {"1.2.3.4:7", "1.2.3.4:7", "1.2.3.4:7"}
/* clang-format on */

static void test_behaviour(void **state)
{
    static const struct nat nats[] = {
        {SAME, true, true, true, GW_STUN_INDEPENDENT, GW_STUN_INDEPENDENT, false},
        {SAME, false, true, false, GW_STUN_INDEPENDENT, GW_STUN_ADDRESS, false},
        {SAME, false, false, false, GW_STUN_INDEPENDENT, GW_STUN_ADDRESS_PORT, false},
        {SAME, false, false, false, GW_STUN_INDEPENDENT, GW_STUN_UNKNOWN, true},
        {{"1.2.3.4:7", "1.2.3.4:8", "1.2.3.4:9"},
         false,
         false,
         false,
         GW_STUN_ADDRESS_PORT,
         GW_STUN_ADDRESS_PORT,
         false},
        {{"1.2.3.4:7", "1.2.3.4:8", "1.2.3.4:8"},
         false,
         true,
         false,
         GW_STUN_ADDRESS,
         GW_STUN_ADDRESS,
         false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof nats / sizeof *nats; i++) {
        teardown(NULL);
        setup(NULL);
        serve("9.9.9.9:3478");
        assert_in_range(play(&nats[i]), 5, 1 + 2 * 3 + 3 * 3);
    }
}

/* One measurement for a mapping; another when the mapping is another one. */
static void test_measured_once(void **state)
{
    static const struct nat nat = {SAME, false, false, false, GW_STUN_INDEPENDENT, GW_STUN_ADDRESS_PORT,
                                   false};
    struct sent sent;
    bool is_running;
    struct gw_stun_behaviour found;
    (void)state;
    serve("9.9.9.9:3478");
    play(&nat);
    gw_stun_ask(stun, now);
    assert_true(next(&sent));
    assert_true(answer(&sent, "9.9.9.9:3478", nat.maps[0], "9.9.9.10:3479"));
    assert_false(next(&sent));
    gw_stun_ask(stun, now);
    assert_true(next(&sent));
    assert_true(answer(&sent, "9.9.9.9:3478", "1.2.3.4:99", "9.9.9.10:3479"));
    gw_stun_behaviour(stun, 4, &found, &is_running);
    assert_true(is_running);
}

/* A network that flaps does not make it ask more often. */
static void test_flaps(void **state)
{
    struct sent sent;
    unsigned count = 0;
    (void)state;
    serve("9.9.9.9:3478");
    for (unsigned i = 0; i < 100; i++) { /* ten seconds */
        gw_stun_ask(stun, now);
        gw_deadlines_expire(&deadlines, now);
        while (next(&sent))
            count++;
        now = gw_mono_add(now, GW_MS(100));
    }
    assert_in_range(count, 5, 25);
}

static void test_servers_change(void **state)
{
    struct gw_addr two[2] = {addr("9.9.9.9:3478"), addr("9.9.8.8:3478")}, out[4];
    struct sent sent;
    (void)state;
    serve("9.9.9.9:3478");
    assert_true(next(&sent));
    assert_true(answer(&sent, "9.9.9.9:3478", "1.2.3.4:5000", NULL));
    gw_stun_set_servers(stun, now, two, 2);
    assert_int_equal(gw_stun_observed(stun, out, 4), 1); /* what is known stays */
    wait();
    assert_true(next(&sent));
    assert_true(gw_addr_equal(&sent.to, &two[1]));
    assert_true(answer(&sent, "9.9.8.8:3478", "1.2.3.4:5000", NULL));
    assert_int_equal(gw_stun_observed(stun, out, 4), 1); /* no doubles */
    gw_stun_set_servers(stun, now, NULL, 0);
    assert_int_equal(gw_stun_observed(stun, out, 4), 0);
    assert_true(gw_mono_is_never(gw_deadlines_next(&deadlines)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_retransmission, setup, teardown),
        cmocka_unit_test_setup_teardown(test_observed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_behaviour, setup, teardown),
        cmocka_unit_test_setup_teardown(test_measured_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flaps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_servers_change, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
