/* SPDX-License-Identifier: MIT */
#include "frontends/tun/virtio.h"
#include "gateway/base/err.h"
#include "tests/unit/packet/make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void headers_are_believed_when_they_fit(void **state)
{
    const struct {
        struct gw_virtio_header header;
        int result;
        uint16_t segment_len;
        bool is_left;
    } rows[] = {
        /* 1 nothing */ {{0}, 0, 0, false},
        /* 2 checksum */ {{.flags = 1, .checksum_start = 20, .checksum_offset = 16}, 0, 0, true},
        /* 3 burst */
        {{.flags = 1, .gso_type = 1, .gso_size = 100, .checksum_start = 20, .checksum_offset = 16},
         0,
         100,
         true},
        /* 4 with ECN */
        {{.flags = 1, .gso_type = 0x81, .gso_size = 100, .checksum_start = 20, .checksum_offset = 16},
         0,
         100,
         true},
        /* 5 burst without checksum */ {{.gso_type = 1, .gso_size = 100}, GW_E_MALFORMED, 100, false},
        /* 6 burst of nothing */
        {{.flags = 1, .gso_type = 1, .checksum_start = 20, .checksum_offset = 16}, GW_E_MALFORMED, 0, true},
        /* 7 UDP fragments (UFO) */ {{.flags = 1, .gso_type = 3, .gso_size = 100}, GW_E_MALFORMED, 0, false},
        /* 8 behind the end */
        {{.flags = 1, .checksum_start = 1500, .checksum_offset = 16}, GW_E_MALFORMED, 0, false},
        /* 9 the very end */
        {{.flags = 1, .checksum_start = 20, .checksum_offset = 1019}, GW_E_MALFORMED, 0, false},
        /* 10 elsewhere: done here */ {{.flags = 1, .checksum_start = 40, .checksum_offset = 0}, 0, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t packet[2000];
        struct gw_super_hint hint;
        size_t len = make_packet(packet, &(struct make){.version = 4, .protocol = 6, .payload = 999});
        assert_int_equal(gw_virtio_decode(&hint, &rows[i].header, packet, len), rows[i].result);
        assert_int_equal(hint.segment_len, rows[i].segment_len);
        assert_int_equal(hint.is_checksum_left, rows[i].is_left);
    }
}

static void merged_packets_get_their_header(void **state)
{
    struct gw_virtio_header header;
    const struct gw_merged merged = {.segment_len = 1300,
                                     .version = 6,
                                     .header_len = 72,
                                     .checksum_start = 40,
                                     .checksum_offset = 16,
                                     .is_checksum_left = true};
    (void)state;
    gw_virtio_encode(&header, &merged);
    assert_int_equal(header.flags, 1);
    assert_int_equal(header.gso_type, 4);
    assert_int_equal(header.gso_size, 1300);
    assert_int_equal(header.header_len, 72);
    assert_int_equal(header.checksum_start, 40);
    gw_virtio_encode(&header, &(struct gw_merged){.segment_len = 1300, .version = 6, .protocol = 17});
    assert_int_equal(header.gso_type, 5);
    gw_virtio_encode(&header, &(struct gw_merged){.version = 4});
    assert_int_equal(header.flags | header.gso_type, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_believed_when_they_fit),
        cmocka_unit_test(merged_packets_get_their_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
