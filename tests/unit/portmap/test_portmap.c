/* SPDX-License-Identifier: MIT */
/* The mapping's life against routers played by hand: honest, old, silent, refusing, restarted, lying. */
#include "gateway/portmap/portmap.h"

#include "gateway/wire/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gw_random_seeded seeded;
static struct gw_portmap portmap;
static struct gw_mono now;
static const uint8_t nonce[GW_PCP_NONCE_LEN] = {1, 2, 3};
static const uint8_t outside[4] = {11, 0, 1, 1};
static uint8_t last[GW_PCP_REQUEST_MAX];
static uint32_t epoch;

static int setup(void **state)
{
    const struct gw_addr client = {.family = 4, .ip = {192, 168, 1, 2}};
    (void)state;
    gw_random_seeded_init(&seeded, 3);
    now = (struct gw_mono){GW_S(1000)};
    epoch = 50;
    gw_portmap_init(&portmap, &seeded.random);
    gw_portmap_start(&portmap, now, &client, 5000, nonce);
    return 0;
}

/* The next request into `last`: 'P' PCP MAP, 'A' PCP ANNOUNCE, 'a' NAT-PMP's address, 'm' its map; 0 when none is due. */
static char take(void)
{
    size_t len = gw_portmap_take(&portmap, now, last);
    if (len == 0)
        return 0;
    if (last[0] == 2)
        return last[1] == 1 ? 'P' : 'A';
    return len == 2 ? 'a' : 'm';
}

static bool step(void)
{
    struct gw_mono at = gw_portmap_next_deadline(&portmap);
    assert_false(gw_mono_is_never(at));
    epoch += (uint32_t)(gw_mono_sub(gw_mono_max(now, at), now) / GW_S(1));
    now = gw_mono_max(now, at);
    return gw_portmap_expire(&portmap, now);
}

/* Time goes on until a request of this kind. */
static void until(char kind)
{
    for (unsigned i = 0; i < 50; i++) {
        for (char got; (got = take()) != 0;) {
            if (got == kind)
                return;
        }
        step();
    }
    fail_msg("no request %c", kind);
}

static bool input(const void *data, size_t len)
{
    return gw_portmap_input(&portmap, now, data, len, false);
}

static bool pcp_answer(const uint8_t *own_nonce, uint8_t result, uint32_t lifetime, uint16_t inside,
                       uint16_t port, const uint8_t *ip)
{
    uint8_t out[60];
    struct gw_writer w = gw_writer_of(out, sizeof out);
    gw_write_u32_be(&w, 0x02810000u | result);
    gw_write_u32_be(&w, lifetime);
    gw_write_u32_be(&w, epoch);
    gw_write_zeros(&w, 12);
    gw_write_bytes(&w, own_nonce, GW_PCP_NONCE_LEN);
    gw_write_u32_be(&w, 17u << 24);
    gw_write_u16_be(&w, inside);
    gw_write_u16_be(&w, port);
    gw_write_zeros(&w, 10);
    gw_write_u16_be(&w, 0xffff);
    gw_write_bytes(&w, ip, 4);
    return input(out, sizeof out);
}

static bool pcp_answer6(uint16_t port, const uint8_t ip[16])
{
    uint8_t out[60];
    struct gw_writer w = gw_writer_of(out, sizeof out);
    gw_write_u32_be(&w, 0x02810000u);
    gw_write_u32_be(&w, 120);
    gw_write_u32_be(&w, epoch);
    gw_write_zeros(&w, 12);
    gw_write_bytes(&w, nonce, sizeof nonce);
    gw_write_u32_be(&w, 17u << 24);
    gw_write_u16_be(&w, port);
    gw_write_u16_be(&w, port);
    gw_write_bytes(&w, ip, 16);
    return input(out, sizeof out);
}

static bool pmp_address(void)
{
    uint8_t out[12] = {0, 128};
    gw_store32_be(out + 4, epoch);
    memcpy(out + 8, outside, 4);
    return input(out, sizeof out);
}

static bool pmp_map(uint16_t port, uint32_t lifetime)
{
    uint8_t out[16] = {0, 129};
    gw_store32_be(out + 4, epoch);
    gw_store16_be(out + 8, 5000);
    gw_store16_be(out + 10, port);
    gw_store32_be(out + 12, lifetime);
    return input(out, sizeof out);
}

static bool announce(uint8_t opcode_bytes, uint32_t seconds)
{
    uint8_t out[24] = {2, opcode_bytes};
    gw_store32_be(out + 8, seconds);
    return gw_portmap_input(&portmap, now, out, sizeof out, true);
}

static void is_external(const char *text)
{
    char out[GW_ADDR_STRLEN];
    assert_string_equal(gw_addr_format(&portmap.external, out), text);
}

static void test_pcp(void **state)
{
    uint8_t out[GW_PCP_REQUEST_MAX];
    (void)state;
    assert_int_equal(take(), 'P');
    assert_int_equal(gw_load16_be(last + 42), 5000); /* the port that it wishes for */
    assert_int_equal(gw_portmap_give_back(&portmap, out), 0);
    assert_true(pcp_answer(nonce, 0, 120, 5000, 6000, outside));
    assert_int_equal(portmap.state, GW_PORTMAP_MAPPED);
    is_external("11.0.1.1:6000");
    assert_false(take());
    struct gw_mono mapped = now;
    step(); /* renewed at half of its life, or up to an eighth later; the same port is wished for */
    assert_in_range(gw_mono_sub(now, mapped), GW_S(60), GW_S(75));
    assert_int_equal(take(), 'P');
    assert_int_equal(gw_load16_be(last + 42), 6000);
    assert_memory_equal(last + 56, outside, 4);
    assert_false(pcp_answer(nonce, 0, 120, 5000, 6000, outside)); /* nothing changed */
    assert_int_equal(gw_portmap_give_back(&portmap, out), 60);
    assert_int_equal(gw_load32_be(out + 4), 0);
    assert_memory_equal(out + 24, nonce, sizeof nonce);
    gw_portmap_stop(&portmap);
    assert_true(gw_mono_is_never(gw_portmap_next_deadline(&portmap)));
}

/* One that knows only NAT-PMP: it says so, or says nothing. */
static void test_pmp(void **state)
{
    static const uint8_t no_pcp[8] = {0, 129, 0, 1, 0, 0, 0, 50};
    (void)state;
    for (int says_so = 0; says_so < 2; says_so++) {
        setup(NULL);
        assert_int_equal(take(), 'P');
        if (says_so)
            assert_false(input(no_pcp, sizeof no_pcp));
        until('a');
        assert_in_range(gw_mono_sub(now, portmap.began), 0, says_so ? 0 : GW_MS(250));
        assert_false(pmp_address());
        assert_int_equal(take(), 'm');
        assert_true(pmp_map(5000, 60));
        is_external("11.0.1.1:5000");
        until('a'); /* the renewal looks for the address too */
        assert_false(pmp_address());
        assert_int_equal(take(), 'm');
        assert_true(pmp_map(5001, 60));
        is_external("11.0.1.1:5001");
    }
}

static void test_silent(void **state)
{
    unsigned count = 0;
    (void)state;
    assert_false(gw_portmap_is_quiet(&portmap, gw_mono_add(now, GW_MS(1900))));
    assert_true(gw_portmap_is_quiet(&portmap, gw_mono_add(now, GW_S(2))));
    while (portmap.state == GW_PORTMAP_ASKING) {
        while (take())
            count++;
        step();
    }
    assert_int_equal(portmap.state, GW_PORTMAP_SILENT);
    assert_int_equal(count, 4 + 7);
    assert_in_range(gw_mono_sub(now, portmap.began), GW_S(20), GW_S(90));
    struct gw_mono silent = now;
    assert_false(take());
    until('P'); /* a quarter of an hour later */
    assert_int_equal(gw_mono_sub(now, silent), GW_S(900));
}

static void test_unreachable(void **state)
{
    (void)state;
    take();
    gw_portmap_unreachable(&portmap, now);
    assert_int_equal(portmap.state, GW_PORTMAP_SILENT);
    assert_true(gw_portmap_is_quiet(&portmap, now));
    assert_false(take());
}

static void test_refused(void **state)
{
    static const struct {
        uint32_t says;
        int64_t waits_s;
    } table[] = {{0, 30}, {100, 100}, {4000000000u, 1800}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        setup(NULL);
        take();
        assert_false(pcp_answer(nonce, GW_PCP_NOT_AUTHORIZED, table[i].says, 5000, 0, outside));
        assert_int_equal(portmap.state, GW_PORTMAP_REFUSED);
        assert_true(gw_portmap_is_quiet(&portmap, now));
        struct gw_mono refused = now;
        assert_false(take());
        until('P');
        assert_int_equal(gw_mono_sub(now, refused), GW_S(table[i].waits_s));
    }
}

static void map(uint32_t lifetime)
{
    setup(NULL);
    take();
    assert_true(pcp_answer(nonce, 0, lifetime, 5000, 6000, outside));
    assert_false(take());
}

/* Not renewed: it is over, and asked for anew. */
static void test_expires(void **state)
{
    (void)state;
    map(120);
    struct gw_mono mapped = now;
    while (!step())
        take();
    assert_int_equal(gw_mono_sub(now, mapped), GW_S(120));
    assert_int_equal(portmap.state, GW_PORTMAP_ASKING);
    assert_false(gw_addr_is_set(&portmap.external));
    assert_int_equal(take(), 'P');
}

/* The router's epoch starts anew: so does the mapping, within five seconds; but not as often as it says so. */
static void test_restarted(void **state)
{
    unsigned asked = 0;
    (void)state;
    map(7200);
    now = gw_mono_add(now, GW_S(100));
    assert_false(announce(0x80, epoch + 100)); /* it has counted on */
    assert_false(take());
    assert_false(announce(0x80, 0));
    struct gw_mono told = now;
    assert_int_equal(portmap.state, GW_PORTMAP_MAPPED);
    until('P');
    assert_in_range(gw_mono_sub(now, told), 0, GW_S(5));
    epoch = (uint32_t)(gw_mono_sub(now, told) / GW_S(1));
    assert_false(pcp_answer(nonce, 0, 7200, 5000, 6000, outside));
    for (unsigned i = 0; i < 1000; i++) {
        now = gw_mono_add(now, GW_MS(10));
        announce(0x80, i % 2 ? 100000 : 0);
        gw_portmap_expire(&portmap, now);
        for (char got; (got = take()) != 0;) {
            asked++;
            epoch = i % 2 ? 100000 : 0;
            pcp_answer(nonce, 0, 7200, 5000, 6000, outside);
        }
    }
    assert_in_range(asked, 1, 6);
}

static void test_lies(void **state)
{
    static const uint8_t other[GW_PCP_NONCE_LEN] = {9}, loopback[4] = {127, 0, 0, 1}, nowhere[4] = {0};
    uint8_t noise[1100];
    (void)state;
    take();
    assert_false(pcp_answer(other, 0, 120, 5000, 6000, outside));
    assert_false(pcp_answer(nonce, 0, 120, 5001, 6000, outside));
    assert_false(pcp_answer(other, GW_PCP_NOT_AUTHORIZED, 120, 5000, 6000, outside));
    assert_int_equal(portmap.state, GW_PORTMAP_ASKING);
    assert_false(pcp_answer(nonce, 0, 120, 5000, 6000, loopback));
    assert_int_equal(portmap.state, GW_PORTMAP_SILENT);
    assert_false(gw_addr_is_set(&portmap.external));
    assert_false(pcp_answer(nonce, 0, 120, 5000, 6000, outside)); /* nobody asked */
    for (unsigned i = 0; i < 3; i++) {
        setup(NULL);
        take();
        assert_false(
            pcp_answer(nonce, 0, i == 0 ? 0 : 120, 5000, i == 1 ? 0 : 6000, i == 2 ? nowhere : outside));
        assert_int_equal(portmap.state, GW_PORTMAP_SILENT);
    }
    /* A life of a second is renewed every two seconds, not more often; one of a century after a day. */
    map(1);
    assert_int_equal(gw_mono_sub(portmap.renew_at, now), GW_PORTMAP_RENEW_MIN_NS);
    map(UINT32_MAX);
    assert_int_equal(portmap.lifetime_s, 86400);
    for (unsigned i = 0; i < 20000; i++) {
        gw_random_fill(&seeded.random, noise, sizeof noise);
        noise[0] = i % 2 ? 2 : 0;
        noise[1] |= 0x80;
        gw_portmap_input(&portmap, now, noise, 4 * (i % 20), i % 3 == 0);
        gw_portmap_expire(&portmap, now);
    }
    is_external("11.0.1.1:6000");
}

/* The network changed: a mapping is asked for again at once, and what failed too, but not with every flap. */
static void test_renew(void **state)
{
    unsigned count = 0;
    (void)state;
    map(7200);
    gw_portmap_renew(&portmap, now);
    assert_false(step());
    assert_int_equal(take(), 'P');
    setup(NULL);
    take();
    gw_portmap_unreachable(&portmap, now);
    for (unsigned i = 0; i < 300; i++) { /* half a minute */
        gw_portmap_renew(&portmap, now);
        gw_portmap_expire(&portmap, now);
        while (take())
            count++;
        gw_portmap_unreachable(&portmap, now);
        now = gw_mono_add(now, GW_MS(100));
    }
    assert_in_range(count, 2, 4);
}

static void test_probe(void **state)
{
    static const uint8_t there[24] = {2, 0x80};
    (void)state;
    map(7200);
    assert_true(portmap.has_pcp && !portmap.has_pmp);
    gw_portmap_probe(&portmap, now);
    assert_int_equal(take(), 'a');
    assert_int_equal(take(), 'A');
    assert_false(pmp_address());
    assert_true(portmap.has_pmp);
    assert_false(input(there, sizeof there));
    assert_int_equal(portmap.version, GW_PCP);
    is_external("11.0.1.1:6000");
}

/* IPv6: PCP alone, and the answer has to be an IPv6 address that others can use. What NAT-PMP says has nothing to do with it. */
static void test_pinhole(void **state)
{
    static const uint8_t no_pcp[8] = {0, 129, 0, 1, 0, 0, 0, 50}, there[24] = {2, 0x80};
    const struct gw_addr client = {.family = 6, .ip = {0x2a, 0, [15] = 2}};
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        gw_portmap_init(&portmap, &seeded.random);
        gw_portmap_start(&portmap, now, &client, 5000, nonce);
        assert_int_equal(take(), 'P');
        assert_memory_equal(last + 8, client.ip, 16);
        if (i == 0) {
            assert_false(pmp_address());
            assert_false(input(no_pcp, sizeof no_pcp));
            assert_int_equal(portmap.state, GW_PORTMAP_SILENT);
            assert_false(take());
            continue;
        }
        if (i == 1) { /* an IPv4 address is no answer */
            assert_false(pcp_answer(nonce, 0, 120, 5000, 5000, outside));
            assert_int_equal(portmap.state, GW_PORTMAP_SILENT);
            continue;
        }
        uint8_t ip[16] = {0x2a, 0, [15] = 2};
        ip[0] = i == 2 ? 0xfe : 0x2a;
        ip[1] = i == 2 ? 0x80 : 0;
        assert_int_equal(pcp_answer6(5000, ip), i == 3);
        assert_int_equal(portmap.state, i == 3 ? GW_PORTMAP_MAPPED : GW_PORTMAP_SILENT);
    }
    is_external("[2a00::2]:5000");
    assert_false(announce(0x80, 1)); /* it has restarted */
    until('P');
    assert_memory_equal(last + 44, client.ip, 16);
    gw_portmap_probe(&portmap, now);
    assert_int_equal(take(), 'A');
    assert_false(input(there, sizeof there));
    assert_false(take());
    assert_true(portmap.has_pcp && !portmap.has_pmp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_pcp, setup),       cmocka_unit_test_setup(test_pmp, setup),
        cmocka_unit_test_setup(test_silent, setup),    cmocka_unit_test_setup(test_unreachable, setup),
        cmocka_unit_test_setup(test_refused, setup),   cmocka_unit_test_setup(test_expires, setup),
        cmocka_unit_test_setup(test_restarted, setup), cmocka_unit_test_setup(test_lies, setup),
        cmocka_unit_test_setup(test_probe, setup),     cmocka_unit_test_setup(test_renew, setup),
        cmocka_unit_test_setup(test_pinhole, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
