/* SPDX-License-Identifier: MIT */
#include "gateway/base/err.h"
#include "gateway/packet/super.h"
#include "tests/unit/packet/make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t whole[GW_SUPER_MAX + 64], piece[GW_SUPER_MAX + 64], want[GW_SUPER_MAX + 64];

static struct gw_super *super_of(const struct make *make, size_t mss, bool is_left)
{
    struct gw_super *super;
    const struct gw_super_hint hint = {.segment_len = (uint16_t)mss, .is_checksum_left = is_left};
    size_t len = make_packet(whole, make);
    assert_int_equal(gw_super_new(&super, whole, len, &hint), 0);
    return super;
}

/* The naive model: each segment is a packet made anew. */
static void expect_cut(const struct make *make, size_t mss, size_t room)
{
    struct gw_super *super = super_of(make, mss, true);
    size_t header = (make->version == 6 ? 40u : 20u) + (make->protocol == 6 ? 20 + make->options : 8);
    size_t each = make->protocol == 6 && header + mss > room ? room - header : mss, done = 0;
    for (unsigned i = 0; done < make->payload; i++) {
        struct make segment = *make;
        bool is_partial, is_last = make->payload - done <= each;
        segment.payload = is_last ? make->payload - done : each;
        segment.fill = (uint8_t)(make->fill + done);
        segment.seq += (uint32_t)done;
        segment.id = (uint16_t)(make->id + i);
        int without = (is_last ? 0 : GW_TCP_FIN | GW_TCP_PSH) | (i > 0 ? GW_TCP_CWR : 0);
        segment.flags = (uint8_t)(segment.flags & ~without);
        size_t len = make_packet(want, &segment);
        assert_int_equal(gw_super_next_len(super, room), len);
        assert_false(gw_super_is_done(super));
        assert_int_equal(gw_super_take(super, piece, room, false, &is_partial), len);
        assert_false(is_partial);
        assert_memory_equal(piece, want, len);
        done += segment.payload;
    }
    assert_true(gw_super_is_done(super));
    assert_int_equal(gw_super_next_len(super, room), 0);
    gw_super_free(super);
}

static void bursts_are_cut_as_a_card_does(void **state)
{
    (void)state;
    srand(2);
    for (unsigned i = 0; i < 3000; i++) {
        struct make make = {
            .version = rand() % 2 ? 6 : 4,
            .protocol = rand() % 3 ? 6 : 17,
            .seq = (uint32_t)rand() * 3u,
            .ack = (uint32_t)rand(),
            .flags = (uint8_t)(GW_TCP_ACK | (rand() & (GW_TCP_FIN | GW_TCP_PSH | GW_TCP_CWR | GW_TCP_ECE))),
            .window = (uint16_t)rand(),
            .id = (uint16_t)rand(),
            .fill = (uint8_t)rand()};
        make.options = make.protocol == 6 ? 4 * ((size_t)rand() % 11) : 0;
        make.payload = 1 + (size_t)rand() % (i % 10 == 0 ? 60000 : 6000);
        expect_cut(&make, 1 + (size_t)rand() % 1400, 200 + (size_t)rand() % 1300);
    }
}

static void a_single_packet_stays_as_it_is(void **state)
{
    (void)state;
    const struct make make = {.version = 4, .protocol = 6, .flags = GW_TCP_ACK | GW_TCP_PSH, .payload = 2000};
    struct gw_super *super = super_of(&make, 0, false);
    bool is_partial;
    size_t len = make_packet(want, &make);
    assert_int_equal(gw_super_next_len(super, 500), len); /* the caller's to refuse */
    assert_int_equal(gw_super_take(super, piece, len, true, &is_partial), len);
    assert_false(is_partial);
    assert_memory_equal(piece, want, len);
    assert_true(gw_super_is_done(super));
    gw_super_free(super);
}

static void checksums_left_out_may_stay_so(void **state)
{
    (void)state;
    const struct make make = {.version = 6, .protocol = 17, .payload = 100};
    struct gw_super *super = super_of(&make, 0, true);
    bool is_partial;
    gw_super_take(super, piece, 1500, true, &is_partial);
    assert_true(is_partial);
    gw_super_free(super);
}

static void what_cannot_be_cut_is_refused(void **state)
{
    (void)state;
    struct gw_super *super = NULL;
    const struct gw_super_hint hint = {.segment_len = 100, .is_checksum_left = true};
    size_t len = make_packet(whole, &(struct make){.version = 4, .protocol = 6, .payload = 500});
    whole[6] = 0x20; /* a fragment */
    assert_int_equal(gw_super_new(&super, whole, len, &hint), GW_E_MALFORMED);
    whole[6] = 0;
    whole[9] = 132; /* SCTP */
    assert_int_equal(gw_super_new(&super, whole, len, &hint), GW_E_MALFORMED);
    assert_int_equal(gw_super_new(&super, whole, 10, &hint), GW_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bursts_are_cut_as_a_card_does),
        cmocka_unit_test(a_single_packet_stays_as_it_is),
        cmocka_unit_test(checksums_left_out_may_stay_so),
        cmocka_unit_test(what_cannot_be_cut_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
