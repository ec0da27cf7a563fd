/* SPDX-License-Identifier: MIT */
/* What a router says by SSDP, and when it means that it has started again. */
#include "gateway/portmap/ssdp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IGD "urn:schemas-upnp-org:device:InternetGatewayDevice:"
#define START "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"

static struct gw_ssdp_notify parse(const char *text)
{
    struct gw_ssdp_notify said;
    char *copy = malloc(strlen(text)); /* without a NUL behind it */
    assert_non_null(copy);
    memcpy(copy, text, strlen(text));
    gw_ssdp_parse(&said, copy, strlen(text));
    free(copy);
    return said;
}

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        enum gw_ssdp_kind kind;
        bool has_boot;
        uint32_t boot;
    } table[] = {
        {START "NT: " IGD "1\r\nNTS: ssdp:alive\r\nBOOTID.UPNP.ORG: 7\r\n\r\n", GW_SSDP_ALIVE, true, 7},
        {START "nt:" IGD "2\r\nnts:ssdp:ALIVE\r\nbootid.upnp.org:\t4294967295 \r\n\r\n", GW_SSDP_ALIVE, true,
         UINT32_MAX},
        {START "NTS: ssdp:alive\nNT: " IGD "1", GW_SSDP_ALIVE, false, 0},
        {START "NT: " IGD "1\r\nNTS: ssdp:byebye\r\n\r\n", GW_SSDP_BYEBYE, false, 0},
        /* a number that is none */
        {START "NT: " IGD "1\r\nNTS: ssdp:alive\r\nBOOTID.UPNP.ORG: 4294967296\r\n", GW_SSDP_ALIVE, false, 0},
        {START "NT: " IGD "1\r\nNTS: ssdp:alive\r\nBOOTID.UPNP.ORG: -1\r\n", GW_SSDP_ALIVE, false, 0},
        {START "NT: " IGD "1\r\nNTS: ssdp:alive\r\nBOOTID.UPNP.ORG:\r\n", GW_SSDP_ALIVE, false, 0},
        /* nothing of a gateway's, or no such message */
        {START "NT: upnp:rootdevice\r\nNTS: ssdp:alive\r\n\r\n", GW_SSDP_OTHER, false, 0},
        {START "NT: urn:schemas-upnp-org:device:MediaServer:1\r\nNTS: ssdp:alive\r\n\r\n", GW_SSDP_OTHER,
         false, 0},
        {START "NT: " IGD "1\r\nNTS: ssdp:update\r\n\r\n", GW_SSDP_OTHER, false, 0},
        {START "NT: " IGD "\r\nNTS: ssdp:alive\r\n\r\n", GW_SSDP_OTHER, false, 0},
        {"M-SEARCH * HTTP/1.1\r\nNT: " IGD "1\r\nNTS: ssdp:alive\r\n\r\n", GW_SSDP_OTHER, false, 0},
        {"HTTP/1.1 200 OK\r\nNT: " IGD "1\r\nNTS: ssdp:alive\r\n\r\n", GW_SSDP_OTHER, false, 0},
        {"NOTIFY * HTTP/1.1", GW_SSDP_OTHER, false, 0},
        {"", GW_SSDP_OTHER, false, 0},
        {"\r\n\r\n:::\r\nNTS", GW_SSDP_OTHER, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct gw_ssdp_notify said = parse(table[i].text);
        print_message("%zu\n", i);
        assert_int_equal(said.kind, table[i].kind);
        assert_int_equal(said.has_boot, table[i].has_boot);
        if (said.has_boot)
            assert_int_equal(said.boot, table[i].boot);
    }
}

static void test_watch(void **state)
{
    static const struct {
        struct gw_ssdp_notify said;
        bool is_anew;
    } table[] = {
        {{GW_SSDP_BYEBYE, false, 0}, false},
        {{GW_SSDP_ALIVE, true, 1}, true}, /* heard for the first time */
        {{GW_SSDP_ALIVE, true, 1}, false},
        {{GW_SSDP_OTHER, true, 2}, false},
        {{GW_SSDP_ALIVE, true, 2}, true}, /* switched off and on */
        {{GW_SSDP_ALIVE, true, 2}, false},
        {{GW_SSDP_BYEBYE, true, 2}, false},
        {{GW_SSDP_ALIVE, true, 2}, true}, /* it was away */
        {{GW_SSDP_ALIVE, true, 2}, false},
        {{GW_SSDP_ALIVE, false, 0}, false}, /* an older one, that has no number */
        {{GW_SSDP_ALIVE, false, 0}, false},
        {{GW_SSDP_BYEBYE, false, 0}, false},
        {{GW_SSDP_BYEBYE, false, 0}, false},
        {{GW_SSDP_ALIVE, false, 0}, true},
        {{GW_SSDP_ALIVE, false, 0}, false},
    };
    struct gw_ssdp_watch watch = {0};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(gw_ssdp_watch_input(&watch, &table[i].said), table[i].is_anew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_watch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
