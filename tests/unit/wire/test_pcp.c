/* SPDX-License-Identifier: MIT */
/* PCP and NAT-PMP byte by byte, as the RFCs draw them. */
#include "gateway/wire/pcp.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct gw_pcp_map map = {.nonce = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
                                      .lifetime_s = 7200,
                                      .internal_port = 51820,
                                      .external_port = 6001,
                                      .client = {.family = 4, .ip = {192, 168, 1, 2}}};

static void test_requests(void **state)
{
    static const uint8_t pcp[60] = {2, 1, 0, 0,    0,    0,   0x1c, 0x20, 0, 0,    0,    0,    0,    0,    0,
                                    0, 0, 0, 0xff, 0xff, 192, 168,  1,    2, 1,    2,    3,    4,    5,    6,
                                    7, 8, 9, 10,   11,   12,  17,   0,    0, 0,    0xca, 0x6c, 0x17, 0x71, 0,
                                    0, 0, 0, 0,    0,    0,   0,    0,    0, 0xff, 0xff, 0,    0,    0,    0};
    static const uint8_t pmp[12] = {0, 1, 0, 0, 0xca, 0x6c, 0x17, 0x71, 0, 0, 0x1c, 0x20};
    static const uint8_t end[12] = {0, 1, 0, 0, 0xca, 0x6c};
    static const uint8_t announce[24] = {2, 0, 0, 0, 0, 0, 0,    0,    0,   0,   0, 0,
                                         0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 2};
    uint8_t out[GW_PCP_REQUEST_MAX];
    struct gw_pcp_map over = map;
    (void)state;
    over.lifetime_s = 0;
    assert_int_equal(gw_pcp_encode_map(out, &map), sizeof pcp);
    assert_memory_equal(out, pcp, sizeof pcp);
    assert_int_equal(gw_pmp_encode_map(out, &map), sizeof pmp);
    assert_memory_equal(out, pmp, sizeof pmp);
    assert_int_equal(gw_pmp_encode_map(out, &over), sizeof end);
    assert_memory_equal(out, end, sizeof end);
    assert_int_equal(gw_pcp_encode_announce(out, &map.client), sizeof announce);
    assert_memory_equal(out, announce, sizeof announce);
    assert_int_equal(gw_pmp_encode_address(out), 2);
    assert_int_equal(out[0] | out[1], 0);
}

/* A pinhole: addresses as they are, and :: for any. */
static void test_pinhole_request(void **state)
{
    static const uint8_t own[16] = {0x2a, 0, [15] = 2}, any[16];
    uint8_t out[GW_PCP_REQUEST_MAX];
    struct gw_pcp_map six = map;
    (void)state;
    six.client = (struct gw_addr){.family = 6, .ip = {0x2a, 0, [15] = 2}};
    assert_int_equal(gw_pcp_encode_map(out, &six), 60);
    assert_memory_equal(out + 8, own, sizeof own);
    assert_memory_equal(out + 44, any, sizeof any);
    six.external = six.client;
    assert_int_equal(gw_pcp_encode_map(out, &six), 60);
    assert_memory_equal(out + 44, own, sizeof own);
    assert_int_equal(gw_pcp_encode_announce(out, &six.client), 24);
    assert_memory_equal(out + 8, own, sizeof own);
}

static const uint8_t pcp_answer[60] = {2, 0x81, 0, 0,  0,  0,  0,  120, 0, 0,    0,    77,   0,    0,    0,
                                       0, 0,    0, 0,  0,  0,  0,  0,   0, 1,    2,    3,    4,    5,    6,
                                       7, 8,    9, 10, 11, 12, 17, 0,   0, 0,    0xca, 0x6c, 0x17, 0x71, 0,
                                       0, 0,    0, 0,  0,  0,  0,  0,   0, 0xff, 0xff, 11,   0,    1,    1};

static void test_pcp(void **state)
{
    struct gw_pcp_response response;
    char text[GW_ADDR_STRLEN];
    uint8_t copy[64] = {0};
    (void)state;
    assert_int_equal(gw_pcp_decode(&response, pcp_answer, 60), 0);
    assert_int_equal(response.version, GW_PCP);
    assert_int_equal(response.kind, GW_PCP_MAP);
    assert_int_equal(response.lifetime_s, 120);
    assert_int_equal(response.epoch_s, 77);
    assert_int_equal(response.internal_port, 51820);
    assert_memory_equal(response.nonce, map.nonce, sizeof map.nonce);
    assert_string_equal(gw_addr_format(&response.external, text), "11.0.1.1:6001");
    for (size_t len = 0; len < 60; len++)
        assert_int_equal(gw_pcp_decode(&response, pcp_answer, len), GW_E_MALFORMED);
    memcpy(copy, pcp_answer, 60);
    assert_int_equal(gw_pcp_decode(&response, copy, 64), 0); /* an option */
    copy[3] = 2;
    assert_int_equal(gw_pcp_decode(&response, copy, 24), 0); /* refused, without the rest */
    assert_int_equal(response.result, GW_PCP_NOT_AUTHORIZED);
    copy[1] = 1;
    assert_int_equal(gw_pcp_decode(&response, copy, 60), GW_E_MALFORMED); /* a request */
    copy[0] = 1;
    copy[1] = 0x81;
    assert_int_equal(gw_pcp_decode(&response, copy, 60), GW_E_MALFORMED); /* a version that nobody has */
}

static void test_pmp(void **state)
{
    static const uint8_t address[12] = {0, 128, 0, 0, 0, 0, 0, 9, 11, 0, 1, 1};
    static const uint8_t mapped[16] = {0, 129, 0, 0, 0, 0, 0, 9, 0xca, 0x6c, 0x17, 0x71, 0, 0, 0, 60};
    static const uint8_t refused[8] = {0, 129, 0, 2, 0, 0, 0, 9};
    static const uint8_t no_pcp[8] = {0, 129, 0, 1, 0, 0, 0, 9};
    struct gw_pcp_response response;
    char text[GW_ADDR_STRLEN];
    (void)state;
    assert_int_equal(gw_pcp_decode(&response, address, sizeof address), 0);
    assert_int_equal(response.kind, GW_PCP_ADDRESS);
    assert_string_equal(gw_addr_format(&response.external, text), "11.0.1.1:0");
    assert_int_equal(gw_pcp_decode(&response, mapped, sizeof mapped), 0);
    assert_int_equal(response.kind, GW_PCP_MAP);
    assert_int_equal(response.external.port, 6001);
    assert_int_equal(response.lifetime_s, 60);
    assert_int_equal(gw_pcp_decode(&response, refused, sizeof refused), 0);
    assert_int_equal(response.result, GW_PCP_NOT_AUTHORIZED);
    assert_string_equal(gw_pcp_result_text(GW_PMP, response.result), "not authorized");
    assert_string_equal(gw_pcp_result_text(GW_PCP, 8), "out of resources");
    assert_string_equal(gw_pcp_result_text(GW_PCP, 200), "refused");
    assert_int_equal(gw_pcp_decode(&response, no_pcp, sizeof no_pcp), 0);
    assert_int_equal(response.version, GW_PMP);
    assert_int_equal(response.result, GW_PCP_UNSUPPORTED_VERSION);
    for (size_t len = 0; len < sizeof mapped; len++)
        assert_int_equal(gw_pcp_decode(&response, mapped, len), GW_E_MALFORMED);
    for (size_t len = 0; len < sizeof address; len++)
        assert_int_equal(gw_pcp_decode(&response, address, len), GW_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests),
                                       cmocka_unit_test(test_pinhole_request), cmocka_unit_test(test_pcp),
                                       cmocka_unit_test(test_pmp)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
