/* SPDX-License-Identifier: MIT */
#include "gateway/packet/coalesce.h"
#include "gateway/packet/super.h"
#include "tests/unit/packet/make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OUT_MAX 256

struct out {
    uint8_t data[GW_SUPER_MAX + 64];
    size_t len;
    struct gw_merged merged;
};
static struct out *outs;
static unsigned out_count;

static void collect(const struct gw_merged *merged, void *ctx)
{
    struct out *out = &outs[out_count++];
    (void)ctx;
    assert_true(out_count <= OUT_MAX);
    out->len = 0;
    out->merged = *merged;
    for (int i = 0; i < merged->iov_count; i++) {
        memcpy(out->data + out->len, merged->iov[i].iov_base, merged->iov[i].iov_len);
        out->len += merged->iov[i].iov_len;
    }
    assert_int_equal(out->len, merged->len);
}

static struct gw_coalescer *fresh(void)
{
    static struct gw_coalescer coalescer;
    gw_coalesce_init(&coalescer, collect, NULL);
    out_count = 0;
    return &coalescer;
}

static void a_burst_becomes_one(void **state)
{
    struct gw_coalescer *coalescer = fresh();
    static uint8_t packets[10][1500];
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        const struct make make = {.version = 4,
                                  .protocol = 6,
                                  .seq = 5000 + 1000 * i,
                                  .flags = (uint8_t)(GW_TCP_ACK | (i == 9 ? GW_TCP_PSH : 0)),
                                  .payload = i == 9 ? 10 : 1000,
                                  .fill = (uint8_t)(1000 * i),
                                  .id = (uint16_t)i};
        size_t len = make_packet(packets[i], &make);
        assert_true(gw_coalesce_add(coalescer, packets[i], len, false));
    }
    assert_int_equal(out_count, 0);
    gw_coalesce_flush(coalescer);
    assert_int_equal(out_count, 1);
    assert_int_equal(outs[0].len, 40 + 9010);
    assert_int_equal(outs[0].merged.segment_len, 1000);
    assert_true(outs[0].merged.is_checksum_left);
    assert_int_equal(naive_sum(outs[0].data, 20), 0);
    for (size_t i = 0; i < 9010; i++)
        assert_int_equal(outs[0].data[40 + i], (uint8_t)i);
}

/* As they lie in a train that was opened: two flows, and what somebody else was lent, which nobody may touch. */
static void a_lent_train_is_joined_where_it_lies(void **state)
{
    static const char order[] = "aa-aabaabb";
    static uint8_t slab[16 * 512], was[16 * 512];
    (void)state;
    for (unsigned with_more = 0; with_more < 2; with_more++) {
        struct gw_coalescer *coalescer = fresh();
        uint32_t seqs[2] = {0, 0};
        size_t places[16], len = 0;
        memset(slab, 0xee, sizeof slab);
        for (unsigned i = 0; order[i]; i++) {
            unsigned flow = order[i] == 'b';
            const struct make make = {.version = 4,
                                      .protocol = 6,
                                      .flow = (uint8_t)flow,
                                      .seq = seqs[flow],
                                      .flags = (uint8_t)(GW_TCP_ACK | (i == 7 ? GW_TCP_PSH : 0)),
                                      .payload = 100,
                                      .fill = (uint8_t)(seqs[flow] + flow)};
            places[i] = 16 + i * 188u; /* 140 of packet, 48 of the rest */
            len = make_packet(slab + places[i], &make);
            seqs[flow] += order[i] == '-' ? 0 : 100;
        }
        memcpy(was, slab, sizeof slab);
        gw_coalesce_lend(coalescer, slab, with_more ? sizeof slab : 0);
        for (unsigned i = 0; order[i]; i++) {
            if (order[i] != '-')
                assert_true(gw_coalesce_add(coalescer, slab + places[i], len, false));
        }
        assert_memory_equal(slab + places[2], was + places[2], len);
        gw_coalesce_flush(coalescer);
        assert_int_equal(out_count, 2);
        for (unsigned k = 0; k < 2; k++) {
            unsigned flow = outs[k].data[15];
            assert_int_equal(outs[k].len, 40u + (flow ? 300 : 600));
            assert_int_equal(outs[k].data[33] & GW_TCP_PSH, flow ? 0 : GW_TCP_PSH);
            for (size_t i = 0; i < outs[k].len - 40; i++)
                assert_int_equal(outs[k].data[40 + i], (uint8_t)(i + flow));
            /* aa aa aa, b bb: what was not right behind is a piece of its own. */
            assert_int_equal(outs[k].merged.iov_count, with_more ? (flow ? 2 : 3) : (flow ? 3 : 6));
        }
    }
}

static void what_differs_stays_apart(void **state)
{
    const struct make first = {.version = 4, .protocol = 6, .seq = 1, .flags = GW_TCP_ACK, .payload = 100};
    const struct {
        struct make second;
    } rows[] = {
        /* 1 a gap */ {{.version = 4, .protocol = 6, .seq = 102, .flags = GW_TCP_ACK, .payload = 100}},
        /* 2 longer */ {{.version = 4, .protocol = 6, .seq = 101, .flags = GW_TCP_ACK, .payload = 101}},
        /* 3 FIN */
        {{.version = 4, .protocol = 6, .seq = 101, .flags = GW_TCP_ACK | GW_TCP_FIN, .payload = 100}},
        /* 4 window */
        {{.version = 4, .protocol = 6, .seq = 101, .flags = GW_TCP_ACK, .payload = 100, .window = 1}},
        /* 5 ack */
        {{.version = 4, .protocol = 6, .seq = 101, .flags = GW_TCP_ACK, .payload = 100, .ack = 1}},
        /* 6 CE */ {{.version = 4, .protocol = 6, .seq = 101, .flags = GW_TCP_ACK, .payload = 100, .tos = 3}},
        /* 7 options */
        {{.version = 4, .protocol = 6, .seq = 101, .flags = GW_TCP_ACK, .payload = 100, .options = 4}},
        /* 8 another flow */
        {{.version = 4, .protocol = 6, .seq = 101, .flags = GW_TCP_ACK, .payload = 100, .flow = 1}},
        /* 9 no data */ {{.version = 4, .protocol = 6, .seq = 101, .flags = GW_TCP_ACK}},
        /* 10 UDP */ {{.version = 4, .protocol = 17, .payload = 100}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_coalescer *coalescer = fresh();
        uint8_t a[256], b[256], a_was[256], b_was[256];
        size_t a_len = make_packet(a, &first), b_len = make_packet(b, &rows[i].second);
        memcpy(a_was, a, a_len);
        memcpy(b_was, b, b_len);
        assert_true(gw_coalesce_add(coalescer, a, a_len, false));
        assert_true(gw_coalesce_add(coalescer, b, b_len, false));
        gw_coalesce_flush(coalescer);
        assert_int_equal(out_count, 2);
        bool is_swapped = outs[0].len != a_len || memcmp(outs[0].data, a_was, a_len) != 0;
        if (i != 7 && i != 9) /* other flows may overtake */
            assert_false(is_swapped);
        assert_memory_equal(outs[is_swapped].data, a_was, a_len);
        assert_memory_equal(outs[!is_swapped].data, b_was, b_len);
    }
}

static void a_wrong_checksum_is_not_blessed(void **state)
{
    struct gw_coalescer *coalescer = fresh();
    uint8_t a[256], b[256];
    (void)state;
    size_t a_len = make_packet(
        a, &(struct make){.version = 6, .protocol = 6, .seq = 1, .flags = GW_TCP_ACK, .payload = 100});
    size_t b_len = make_packet(
        b, &(struct make){.version = 6, .protocol = 6, .seq = 101, .flags = GW_TCP_ACK, .payload = 100});
    b[100] ^= 1;
    gw_coalesce_add(coalescer, a, a_len, false);
    gw_coalesce_add(coalescer, b, b_len, false);
    gw_coalesce_flush(coalescer);
    assert_int_equal(out_count, 2);
    assert_int_not_equal(naive_l4(outs[1].data, outs[1].len), 0);
}

static void datagrams_become_one(void **state)
{
    (void)state;
    for (int version = 4; version <= 6; version += 2) {
        struct gw_coalescer *coalescer = fresh();
        const size_t header = version == 6 ? 48 : 28;
        static uint8_t packets[5][1500];
        coalescer->takes_datagram_bursts = true;
        for (unsigned i = 0; i < 5; i++) {
            const struct make make = {.version = version,
                                      .protocol = 17,
                                      .payload = i == 4 ? 10 : 1000,
                                      .fill = (uint8_t)(1000 * i),
                                      .id = (uint16_t)i};
            assert_true(gw_coalesce_add(coalescer, packets[i], make_packet(packets[i], &make), false));
        }
        gw_coalesce_flush(coalescer);
        assert_int_equal(out_count, 1);
        assert_int_equal(outs[0].len, header + 4010);
        assert_int_equal(outs[0].merged.segment_len, 1000);
        assert_int_equal(outs[0].merged.protocol, 17);
        assert_int_equal(outs[0].merged.header_len, header);
        assert_int_equal(outs[0].merged.checksum_offset, 6);
        assert_true(outs[0].merged.is_checksum_left);
        /* The UDP header's length is the whole burst's. */
        assert_int_equal(outs[0].data[header - 4] << 8 | outs[0].data[header - 3], 8 + 4010);
        for (size_t i = 0; i < 4010; i++)
            assert_int_equal(outs[0].data[header + i], (uint8_t)i);
    }
}

static void datagrams_that_stay_apart(void **state)
{
    enum what { NOTHING, NO_CHECKSUM, WRONG_CHECKSUM, TRAILING };
    const struct {
        struct make second;
        enum what what;
        bool takes_none;
    } rows[] = {
        /* 0 longer */ {{.version = 4, .protocol = 17, .payload = 101}, NOTHING, false},
        /* 1 another flow */ {{.version = 4, .protocol = 17, .payload = 100, .flow = 1}, NOTHING, false},
        /* 2 CE */ {{.version = 4, .protocol = 17, .payload = 100, .tos = 3}, NOTHING, false},
        /* 3 empty */ {{.version = 4, .protocol = 17}, NOTHING, false},
        /* 4 */ {{.version = 4, .protocol = 17, .payload = 100}, NO_CHECKSUM, false},
        /* 5 */ {{.version = 4, .protocol = 17, .payload = 100}, WRONG_CHECKSUM, false},
        /* 6 bytes behind it */ {{.version = 4, .protocol = 17, .payload = 100}, TRAILING, false},
        /* 7 TCP of the same ports */
        {{.version = 4, .protocol = 6, .seq = 1, .flags = GW_TCP_ACK, .payload = 100}, NOTHING, false},
        /* 8 an older kernel */ {{.version = 4, .protocol = 17, .payload = 100}, NOTHING, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_coalescer *coalescer = fresh();
        uint8_t a[256], b[256], b_was[256];
        size_t b_len = make_packet(b, &rows[i].second);
        coalescer->takes_datagram_bursts = !rows[i].takes_none;
        if (rows[i].what == NO_CHECKSUM)
            memset(b + 26, 0, 2);
        else if (rows[i].what == WRONG_CHECKSUM)
            b[60] ^= 1;
        else if (rows[i].what == TRAILING) { /* the checksum as right as before */
            gw_store16_be(b + 24, (uint16_t)(gw_load16_be(b + 24) - 2));
            gw_store16_be(b + 26, (uint16_t)(gw_load16_be(b + 26) + 2));
        }
        memcpy(b_was, b, b_len);
        assert_true(gw_coalesce_add(
            coalescer, a, make_packet(a, &(struct make){.version = 4, .protocol = 17, .payload = 100}),
            false));
        assert_true(gw_coalesce_add(coalescer, b, b_len, false));
        gw_coalesce_flush(coalescer);
        assert_int_equal(out_count, 2);
        assert_int_equal(outs[0].merged.segment_len | outs[1].merged.segment_len, 0);
        bool is_first = outs[0].len == b_len && memcmp(outs[0].data, b_was, b_len) == 0;
        assert_memory_equal(outs[!is_first].data, b_was, b_len);
    }
}

/* A shorter one ends a burst: what follows is another. */
static void a_short_datagram_is_the_last(void **state)
{
    struct gw_coalescer *coalescer = fresh();
    static const size_t lengths[] = {100, 100, 50, 100};
    uint8_t packets[4][256];
    (void)state;
    coalescer->takes_datagram_bursts = true;
    for (unsigned i = 0; i < 4; i++) {
        const struct make make = {.version = 4, .protocol = 17, .payload = lengths[i]};
        gw_coalesce_add(coalescer, packets[i], make_packet(packets[i], &make), false);
    }
    gw_coalesce_flush(coalescer);
    assert_int_equal(out_count, 2);
    assert_int_equal(outs[0].len, 28 + 250);
    assert_int_equal(outs[1].len, 28 + 100);
}

/* A TUN without offload, as a phone or a container may hand it over. */
static void a_plain_tun_gets_plain_packets(void **state)
{
    struct gw_coalescer *coalescer = fresh();
    static uint8_t packets[4][256], was[4][256];
    size_t len = 0;
    (void)state;
    coalescer->takes_no_bursts = coalescer->takes_no_partial = true;
    for (unsigned i = 0; i < 4; i++) {
        const struct make make = {
            .version = 4, .protocol = 6, .seq = 100 * i, .flags = GW_TCP_ACK, .payload = 100};
        len = make_packet(packets[i], &make);
        memcpy(was[i], packets[i], len);
        if (i % 2) /* one whose checksum the seal replaced */
            memset(packets[i] + 36, 0xee, 2);
        assert_true(gw_coalesce_add(coalescer, packets[i], len, i % 2));
    }
    gw_coalesce_flush(coalescer);
    assert_int_equal(out_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_false(outs[i].merged.is_checksum_left);
        assert_int_equal(outs[i].merged.segment_len, 0);
        assert_memory_equal(outs[i].data, was[i], len);
    }
}

static void malformed_packets_are_refused(void **state)
{
    struct gw_coalescer *coalescer = fresh();
    uint8_t packet[64] = {0x45};
    (void)state;
    assert_false(gw_coalesce_add(coalescer, packet, sizeof packet, false));
    assert_false(gw_coalesce_add(coalescer, packet, 0, false));
    gw_coalesce_flush(coalescer);
    assert_int_equal(out_count, 0);
}

/* Random bursts of several flows, cut and merged: each flow's bytes come out in order, whole. */
static void cut_and_merged_is_the_same(void **state)
{
    (void)state;
    srand(3);
    for (unsigned round = 0; round < 300; round++) {
        struct gw_coalescer *coalescer = fresh();
        static uint8_t whole[GW_SUPER_MAX + 64], slab[6][64][1500];
        size_t sent[6] = {0}, got[6] = {0};
        struct gw_super *supers[6];
        bool is_partial, keep = rand() % 2;
        coalescer->takes_datagram_bursts = round % 2;
        for (uint8_t flow = 0; flow < 6; flow++) {
            const struct make make = {.version = flow % 2 ? 6 : 4,
                                      .protocol = flow < 4 ? 6 : 17,
                                      .flow = flow,
                                      .seq = (uint32_t)rand(),
                                      .flags = GW_TCP_ACK | GW_TCP_PSH,
                                      .payload = 1 + (size_t)rand() % 40000,
                                      .fill = flow};
            const struct gw_super_hint hint = {.segment_len = (uint16_t)(700 + rand() % 600),
                                               .is_checksum_left = true};
            sent[flow] = make.payload;
            assert_int_equal(gw_super_new(&supers[flow], whole, make_packet(whole, &make), &hint), 0);
        }
        for (unsigned left = 6 * 64, n[6] = {0}; left > 0; left--) {
            unsigned flow = (unsigned)rand() % 6;
            if (gw_super_is_done(supers[flow]))
                continue;
            uint8_t *at = slab[flow][n[flow]++];
            size_t len = gw_super_take(supers[flow], at, 1400, keep, &is_partial);
            assert_int_equal(is_partial, keep);
            assert_true(gw_coalesce_add(coalescer, at, len, is_partial));
        }
        gw_coalesce_flush(coalescer);
        for (unsigned i = 0; i < out_count; i++) {
            uint8_t flow = outs[i].data[outs[i].merged.version == 6 ? 23 : 15];
            for (size_t at = outs[i].merged.header_len; at < outs[i].len; at++)
                assert_int_equal(outs[i].data[at], (uint8_t)(flow + got[flow]++));
        }
        for (unsigned flow = 0; flow < 6; flow++) {
            if (gw_super_is_done(supers[flow]))
                assert_int_equal(got[flow], sent[flow]);
            gw_super_free(supers[flow]);
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    outs = calloc(OUT_MAX * 2, sizeof *outs);
    return outs ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    free(outs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_becomes_one),
        cmocka_unit_test(a_lent_train_is_joined_where_it_lies),
        cmocka_unit_test(what_differs_stays_apart),
        cmocka_unit_test(a_wrong_checksum_is_not_blessed),
        cmocka_unit_test(datagrams_become_one),
        cmocka_unit_test(datagrams_that_stay_apart),
        cmocka_unit_test(a_short_datagram_is_the_last),
        cmocka_unit_test(malformed_packets_are_refused),
        cmocka_unit_test(a_plain_tun_gets_plain_packets),
        cmocka_unit_test(cut_and_merged_is_the_same),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
