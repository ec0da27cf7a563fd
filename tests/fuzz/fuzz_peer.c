/* SPDX-License-Identifier: MIT */
/* A peer that we let in and that lies: whatever it seals, in whatever order, from its own address, from somebody else's, or through the relay between us. Nothing breaks, no
 * datagram of ours is longer than our link takes, and who stands on its packets as the sender gets no more than a few times what seemed to come from there.
 * Input: mode u8 (1: there is a direct way, too; 2: the peer's own engine goes on beside it), then steps of  op u8 | length u16 | bytes. */
#include "tests/sim/app.h"

#include "gateway/base/log.h"
#include "gateway/gateway_private.h"
#include "gateway/wire/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEALED, SEALED_FRAMES, RELAYED, RELAYED_FRAMES, AS_IT_IS, TIME, KINDS };

#define PLAIN_MAX 1400u
#define LONGEST 1472u
#define PLACES 3u
#define STEPS_MAX 32u
/* What a punch sends to where the peer's packets seem to come from, and to addresses that the peer names. */
#define SLACK (16u * 20u * 64u)

static struct sim_net net;
static struct sim_node *anchor, *a, *b, *places[PLACES];
static struct gw_peer *to_a;
static uint64_t from[PLACES], to[PLACES]; /* bytes, as a sees it */
static bool has_direct;

static bool watch(struct sim_node *node, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)datagram;
    if (node != a)
        return has_direct || gw_addr_equal(&tuple->remote, &anchor->addr);
    assert(len <= LONGEST);
    for (unsigned i = 0; i < PLACES; i++) {
        if (gw_addr_equal(&tuple->remote, &places[i]->addr))
            to[i] += len;
    }
    return has_direct || !gw_addr_equal(&tuple->remote, &b->addr);
}

static void on_packet(struct gateway *gateway, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx)
{
    static volatile uint8_t sum;
    (void)gateway, (void)peer, (void)is_partial, (void)now, (void)ctx;
    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + packet[i]);
}

static struct gw_peer *add(struct sim_node *node, const struct sim_node *other, bool is_anchor)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    struct gw_peer *peer;
    config.endpoint_count = is_anchor || (has_direct && node != anchor);
    config.is_anchor = config.is_eager = is_anchor;
    config.has_ed25519 = true;
    config.allowed_ip_count = 2;
    config.allowed_ips[0] = (struct gw_prefix){.ip = {.family = 4, .ip = {10}}, .bits = 8};
    config.allowed_ips[1] = (struct gw_prefix){.ip = {.family = 6, .ip = {0xfd}}, .bits = 8};
    if (gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer) != 0)
        abort();
    return peer;
}

static void build(bool is_direct)
{
    static struct sim_client client;
    gw_log_set_level(GW_LOG_ERROR);
    memset(from, 0, sizeof from);
    memset(to, 0, sizeof to);
    has_direct = is_direct;
    sim_net_init(&net, 1, &(struct sim_link_params){.delay_ns = GW_MS(1), .mtu = GW_DATAGRAM_MAX});
    anchor = sim_net_add(&net, "10.0.0.1:7001");
    a = sim_net_add(&net, "10.0.0.2:7002");
    b = places[0] = sim_net_add(&net, "10.0.0.3:7003");
    places[1] = sim_net_add(&net, "6.6.6.6:666");
    places[2] = sim_net_add(&net, "7.7.7.7:777");
    places[1]->is_down = places[2]->is_down = true;
    a->filter = b->filter = watch;
    a->events.on_packet = on_packet;
    anchor->params.anchor.is_enabled = anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    add(anchor, a, false);
    add(anchor, b, false);
    add(a, anchor, true);
    add(b, anchor, true);
    sim_app_serve(a);
    add(a, b, false);
    to_a = add(b, a, false);
    sim_net_run(&net, GW_MS(20));
    sim_client_start(&client, b, to_a, "echo", 100);
    sim_net_run(&net, GW_MS(100));
    if (client.stream)
        gw_stream_release(client.stream, sim_now(b));
}

/* A datagram of the peer's in slab; its length. The key pair that it sends on is whatever its own engine would take. */
static size_t seal(uint8_t slab[GW_TRAIN_SLAB], bool is_frames, const uint8_t *data, size_t len)
{
    struct gw_keypair *kp = gw_session_sending_key(to_a->session, sim_now(b));
    uint8_t *plain = slab + GW_DATA_HEADER_LEN;
    if (!kp)
        return 0;
    if (is_frames)
        *plain++ = GW_INNER_FRAMES;
    len = len < PLAIN_MAX ? len : PLAIN_MAX;
    memcpy(plain, data, len);
    return gw_keypair_seal(kp, GW_SUITE_CHACHA20_POLY1305, slab, LONGEST - 16, len + is_frames);
}

static void feed(struct sim_node *node, uint8_t *slab, size_t len, unsigned place)
{
    struct gw_train train = {.slab = slab, .stride = (uint16_t)len, .last_len = (uint16_t)len, .count = 1};
    train.tuple.local = node->addr;
    train.tuple.remote = places[place]->addr;
    if (len == 0)
        return;
    if (node == a)
        from[place] += len;
    gw_gateway_input(node->gateway, sim_now(node), &train);
    sim_node_pump(node);
}

/* In the peer's name through its channel, if it has one. */
static void relay(uint8_t *slab, size_t len)
{
    struct gw_train train = {.slab = slab, .stride = (uint16_t)len, .last_len = (uint16_t)len, .count = 1};
    for (unsigned i = 0; i < to_a->paths.count && len > 0; i++) {
        train.tuple = to_a->paths.list[i].tuple;
        if (!gw_tuple_is_relay(&train.tuple) || !gw_discovery_wrap(b->gateway->discovery, sim_now(b), &train))
            continue;
        feed(anchor, slab, train.stride, 0);
        return;
    }
}

static void step(unsigned op, const uint8_t *data, size_t len)
{
    static uint8_t slab[GW_TRAIN_SLAB];
    unsigned kind = op % KINDS, place = op / KINDS % PLACES;
    switch (kind) {
    case SEALED:
    case SEALED_FRAMES:
        feed(a, slab, seal(slab, kind == SEALED_FRAMES, data, len), place);
        break;
    case RELAYED:
    case RELAYED_FRAMES:
        relay(slab, seal(slab, kind == RELAYED_FRAMES, data, len));
        break;
    case AS_IT_IS:
        len = len < PLAIN_MAX ? len : PLAIN_MAX;
        memcpy(slab, data, len);
        feed(a, slab, len, place);
        break;
    default:
        sim_net_run(&net, GW_MS(10) << op / KINDS % 8);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    build(data[0] & 1);
    b->is_down = !(data[0] & 2);
    data++;
    size--;
    for (unsigned steps = 0; size >= 3 && steps < STEPS_MAX; steps++) {
        size_t len = (size_t)data[1] << 8 | data[2];
        if (len > size - 3)
            len = size - 3;
        step(data[0], data + 3, len);
        data += 3 + len;
        size -= 3 + len;
    }
    sim_net_run(&net, GW_S(2));
    for (unsigned i = 1; i < PLACES; i++)
        assert(to[i] <= 3 * from[i] + SLACK);
    sim_net_fini(&net);
    return 0;
}
