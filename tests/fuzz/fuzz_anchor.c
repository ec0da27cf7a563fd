/* SPDX-License-Identifier: MIT */
/* An anchor and two clients with a channel between them, and then whatever comes: CONTROL bodies of an authenticated peer, and trains of relay frames from the right
 * place and from elsewhere, some of them with a header that holds. Nothing breaks, and nothing is answered that should not be.
 * Input: steps of  op u8 | length u8 | bytes. */
#include "tests/sim/app.h"

#include "gateway/anchor/anchor.h"
#include "gateway/base/log.h"
#include "gateway/gateway_private.h"
#include "gateway/wire/relay_frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sim_net net;
static struct sim_node *anchor, *a, *b;
static uint8_t frame[GW_TRAIN_SLAB];
static size_t frame_len;

/* Keeps the last frame of a's, and lets nothing pass directly. */
static bool watch(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    if (from == a && datagram[0] == GW_MESSAGE_RELAY) {
        memcpy(frame, datagram, len);
        frame_len = len;
    }
    return gw_addr_equal(&tuple->remote, &anchor->addr);
}

static void build(void)
{
    static struct sim_client client;
    gw_log_set_level(GW_LOG_ERROR);
    sim_net_init(&net, 1, &(struct sim_link_params){.delay_ns = GW_MS(1)});
    anchor = sim_net_add(&net, "10.0.0.1:7001");
    a = sim_net_add(&net, "10.0.0.2:7002");
    b = sim_net_add(&net, "10.0.0.3:7003");
    a->filter = b->filter = watch;
    anchor->params.anchor.is_enabled = anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    sim_node_add_unlocated(anchor, a);
    sim_node_add_unlocated(anchor, b);
    sim_app_serve(b);
    sim_node_add_anchor(a, anchor);
    sim_node_add_anchor(b, anchor);
    struct gw_peer *peer = sim_node_add_unlocated(a, b);
    sim_node_add_unlocated(b, a);
    sim_net_run(&net, GW_MS(20));
    sim_client_start(&client, a, peer, "echo", 100);
    sim_net_run(&net, GW_MS(60));
    assert(frame_len >= GW_RELAY_MIN_LEN);
}

static struct sim_node *node_of(unsigned op)
{
    return op % 3 == 0 ? anchor : op % 3 == 1 ? a : b;
}

static void control(unsigned op, const uint8_t *data, size_t len)
{
    struct sim_node *node = node_of(op);
    struct gateway *gateway = node->gateway;
    struct gw_peer *peer = gw_gateway_next_peer(gateway, NULL);
    if (op & 64)
        peer = gw_gateway_next_peer(gateway, peer);
    bool is_answer;
    gateway->host.hooks.on_control(peer, (struct gw_view){data, len}, sim_now(node), &is_answer,
                                   gateway->host.hooks.ctx);
    sim_node_pump(node);
}

/* count frames of one train; with bit 64 each begins as the one that was seen, so that its mac holds where the length is the same. */
static void frames(unsigned op, const uint8_t *data, size_t len)
{
    static uint8_t slab[GW_TRAIN_SLAB];
    struct sim_node *node = node_of(op);
    unsigned count = op % 5 + 1;
    size_t stride = (op & 64) ? frame_len : len;
    if (stride == 0)
        return;
    struct gw_train train = {
        .tuple = {.local = node->addr, .remote = node == anchor ? a->addr : anchor->addr},
        .slab = slab,
        .stride = (uint16_t)stride,
        .last_len = (uint16_t)((op & 8) && len > 0 && len < stride ? len : stride),
        .count = (uint16_t)count};
    if (op & 16)
        train.tuple.remote.port++;
    for (unsigned i = 0; i < count; i++) {
        uint8_t *at = slab + i * stride;
        memset(at, 0, stride);
        memcpy(at, data, len < stride ? len : stride);
        if (op & 64)
            memcpy(at, frame, 32 < stride ? 32 : stride);
    }
    uint64_t before = node->datagrams_out;
    gw_gateway_input(node->gateway, sim_now(node), &train);
    sim_node_pump(node);
    assert(node->datagrams_out - before <= count + 2); /* forwarded; a grant offered again, a place asked */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    build();
    for (unsigned steps = 0; size >= 2 && steps < 32; steps++) {
        unsigned op = data[0];
        size_t len = data[1] < size - 2 ? data[1] : size - 2;
        if (op & 128)
            control(op, data + 2, len);
        else
            frames(op, data + 2, len);
        data += 2 + len;
        size -= 2 + len;
    }
    sim_net_run(&net, GW_S(2));
    sim_net_fini(&net);
    return 0;
}
