/* SPDX-License-Identifier: MIT */
/* A peer whose address changes while packets go both ways, many of them to it: how soon they arrive again, and what the new address gets before it is proven. */
#include "tests/sim/app.h"

#include "gateway/packet/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define STEP GW_MS(5)
#define PACKETS_A_STEP 20u

static struct sim_net net;
static struct sim_node *home, *phone;
static struct gw_peer *to_home, *to_phone;
static unsigned arrived; /* at the phone */

static void on_packet(struct gateway *gateway, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx)
{
    (void)peer, (void)packet, (void)len, (void)is_partial, (void)now, (void)ctx;
    arrived += gateway == phone->gateway;
}

static struct gw_peer *add(struct sim_node *node, const struct sim_node *other)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    struct gw_peer *peer;
    config.allowed_ip_count = 1;
    config.allowed_ips[0] = (struct gw_prefix){.ip = {.family = 4}, .bits = 0};
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
    return peer;
}

static void send_packet(struct sim_node *from, struct gw_peer *peer, size_t len)
{
    uint8_t packet[1280] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, 253, 0, 0, 10, 64, 0, 1, 10, 64, 0, 2};
    gw_store16_be(packet + 2, (uint16_t)len);
    gw_checksum_ip_header(packet, 20);
    assert_int_equal(gw_peer_send_packet(peer, sim_now(from), packet, len), 0);
}

/* A download: much to the phone, little from it. */
static void run_download(int64_t ns)
{
    for (; ns > 0; ns -= STEP) {
        for (unsigned i = 0; i < PACKETS_A_STEP; i++)
            send_packet(home, to_phone, 1000);
        sim_node_pump(home);
        send_packet(phone, to_home, 40);
        sim_node_pump(phone);
        sim_net_run(&net, STEP);
    }
}

static void begin(uint64_t seed)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    sim_net_init(&net, seed, &(struct sim_link_params){.delay_ns = GW_MS(5)});
    home = sim_net_add(&net, "10.0.0.1:7001");
    phone = sim_net_add(&net, "10.0.0.2:7002");
    to_phone = add(home, phone);
    to_home = add(phone, home);
    phone->events.on_packet = on_packet;
    home->events.on_packet = on_packet;
    gw_peer_connect(to_home, sim_now(phone));
    run_download(GW_S(1));
    assert_true(arrived > 0);
}

/* Back and forth between two addresses, sooner than it is forgotten that nobody answered at the other. */
static void test_back_and_forth(void **state)
{
    static const char *const places[] = {"10.0.0.2:7002", "10.0.0.9:7002"};
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        begin(seed);
        for (unsigned i = 1; i <= 10; i++) {
            struct gw_peer_status status;
            sim_node_move(phone, places[i % 2]);
            run_download(GW_MS(450));
            arrived = 0;
            run_download(GW_MS(100) * (int64_t)seed);
            gw_peer_status(to_phone, sim_now(home), &status);
            assert_true(gw_addr_equal(&status.path.remote, &phone->addr));
            assert_true(arrived > 0);
        }
        sim_net_fini(&net);
    }
}

/* ---- an address that does not answer */

static struct gw_addr unproven;
static uint64_t from_unproven, to_unproven;
static unsigned short_ones;

static bool swallow(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)from, (void)datagram;
    if (!gw_addr_equal(&tuple->remote, &unproven))
        return true;
    to_unproven += len;
    short_ones += len < 100;
    assert_true(to_unproven <= GW_PATH_AMPLIFICATION * from_unproven);
    return false;
}

static bool count(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)tuple, (void)datagram;
    if (gw_addr_equal(&from->addr, &unproven))
        from_unproven += len;
    return true;
}

/* What waits for the peer may be a whole train, but the address gets three times what it sent, and the challenges have their part of it. */
static void test_unproven_address(void **state)
{
    (void)state;
    begin(20);
    gw_addr_parse(&unproven, "10.0.0.9:7002");
    home->filter = swallow;
    phone->filter = count;
    sim_node_move(phone, "10.0.0.9:7002");
    run_download(GW_S(4));
    assert_true(to_unproven > 1000); /* it was followed */
    assert_true(short_ones >= GW_PATH_CHALLENGE_TRIES);
    sim_net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_and_forth),
        cmocka_unit_test(test_unproven_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
