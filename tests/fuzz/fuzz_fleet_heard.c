/* SPDX-License-Identifier: MIT */
/* A whole anchor of a fleet, with a client, and what comes from the store: values and messages that are sealed rightly (by a fellow that went mad) and others, while the client
 * asks for an endpoint, a channel and a punch. Nothing breaks, and little is sent for each.
 * Input: steps of  op u8 | length u8 | bytes. */
#include "tests/sim/app.h"
#include "tests/sim/store.h"

#include "gateway/anchor/fleet_private.h"
#include "gateway/base/log.h"
#include "gateway/gateway_private.h"
#include "gateway/peer/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sim_net net;
static struct sim_store store;
static struct sim_node *anchors[2], *a, *b;
static struct gw_peer *a_to_anchor;
static uint8_t tag[GW_TAG_LEN];
static const uint8_t secret[GW_KEY_LEN] = {8, 1, 2, 3, [31] = 64};

/* `a` at the first anchor, `b` at the second; the first one's directory has the tag of both, from a. */
static void build(void)
{
    gw_log_set_level(GW_LOG_ERROR);
    sim_net_init(&net, 1, &(struct sim_link_params){.delay_ns = GW_MS(1)});
    sim_store_init(&store, &net, GW_MS(1));
    a = sim_net_add(&net, "10.0.0.2:7002");
    b = sim_net_add(&net, "10.0.0.3:7003");
    for (unsigned i = 0; i < 2; i++) {
        anchors[i] = sim_net_add(&net, i == 0 ? "10.0.0.4:7004" : "10.0.0.5:7005");
        anchors[i]->params.anchor.is_enabled = anchors[i]->params.anchor.relays = true;
        sim_store_join(&store, anchors[i], secret);
        sim_node_restart(anchors[i]);
        sim_node_add_unlocated(anchors[i], i == 0 ? a : b);
        sim_store_connect(&store, anchors[i]);
    }
    a_to_anchor = sim_node_add_anchor(a, anchors[0]);
    sim_node_add_anchor(b, anchors[1]);
    sim_node_add_unlocated(a, b);
    sim_node_add_unlocated(b, a);
    sim_net_run(&net, GW_MS(200));
    const struct gw_map *tags = &anchors[0]->gateway->anchor->directory.tags;
    assert(gw_map_first(tags));
    memcpy(tag, gw_map_first(tags)->key, sizeof tag);
}

/* Sealed for that place, and long enough a header that it gets somewhere: the tag and our instance where they belong. */
static size_t seal(const char *name, unsigned op, const uint8_t *data, size_t len, uint8_t *out)
{
    struct gw_fleet *fleet = anchors[0]->gateway->anchor->fleet;
    uint8_t plain[GW_FLEET_PLAIN_MAX] = {0};
    memcpy(plain, data, len);
    if (op & 32) {
        struct gw_writer w = gw_writer_of(plain, sizeof plain);
        gw_write_u8(&w, 1);
        gw_write_u8(&w, (uint8_t)(2 + op % 5));
        gw_write_bytes(&w, anchors[1]->gateway->anchor->fleet->own.anchor, GW_FLEET_ID_LEN);
        gw_write_u64_le(&w, anchors[1]->gateway->anchor->instance);
        gw_write_u8(&w, 4);
        gw_write_bytes(&w, anchors[1]->addr.ip, 4);
        gw_write_u16_be(&w, anchors[1]->addr.port);
        gw_write_u64_le(&w, anchors[0]->gateway->anchor->instance);
        gw_write_bytes(&w, tag, sizeof tag);
        size_t head = gw_writer_len(&w), rest = len < sizeof plain - head ? len : sizeof plain - head;
        memcpy(plain + head, data, rest);
        len = head + rest;
    }
    return gw_fleet_seal(out, plain, len, name, NULL, fleet->key, gw_crypto_system(), gw_random_system());
}

static void heard(unsigned op, const uint8_t *data, size_t len)
{
    struct gw_anchor *anchor = anchors[0]->gateway->anchor;
    uint8_t sealed[GW_FLEET_SEALED_MAX];
    const char *topic = gw_anchor_fleet_topic(anchor, op & 1);
    struct gw_view view = {data, len};
    if (op & 16)
        view = (struct gw_view){sealed, seal(topic, op, data, len, sealed)};
    uint64_t before = anchors[0]->datagrams_out;
    unsigned tells = store.tells;
    gw_anchor_fleet_heard(anchor, topic, view, sim_now(anchors[0]));
    sim_node_pump(anchors[0]);
    assert(anchors[0]->datagrams_out - before <= 2);
    assert(store.tells - tells <= 1);
}

static void overwrite(unsigned op, const uint8_t *data, size_t len)
{
    for (unsigned i = 0; i < SIM_STORE_ENTRIES; i++) {
        struct sim_store_entry *entry = &store.entries[i];
        if (!entry->name[0])
            continue;
        entry->len = len;
        if (op & 16)
            entry->len = seal(entry->name, op & ~32u, data, len, entry->value);
        else
            memcpy(entry->value, data, len);
    }
}

static void ask(unsigned op)
{
    peergate_Control message = {.number = 1 + op};
    if (op % 3 == 0) {
        message.which_body = peergate_Control_channel_request_tag;
        memcpy(message.body.channel_request.tag, tag, sizeof tag);
    } else if (op % 3 == 1) {
        message.which_body = peergate_Control_request_endpoint_tag;
        memcpy(message.body.request_endpoint.tag, tag, sizeof tag);
    } else {
        message.which_body = peergate_Control_punch_me_now_tag;
        memcpy(message.body.punch_me_now.tag, tag, sizeof tag);
        message.body.punch_me_now.has_nat = op & 4;
        message.body.punch_me_now.again = op >> 3 & 1;
        message.body.punch_me_now.is_answer = op & 16;
        message.body.punch_me_now.has_vouch = op & 32;
    }
    gw_peer_send_message(a_to_anchor, sim_now(a), &message);
    sim_node_pump(a);
    sim_net_run(&net, GW_US(1500) * (op >> 3 & 3));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    build();
    for (unsigned steps = 0; size >= 2 && steps < 32; steps++) {
        unsigned op = data[0];
        size_t len = data[1] < size - 2 ? data[1] : size - 2;
        if (op < 128)
            heard(op, data + 2, len);
        else if (op < 192)
            ask(op);
        else
            overwrite(op, data + 2, len);
        data += 2 + len;
        size -= 2 + len;
    }
    sim_net_run(&net, GW_S(3));
    store.is_down = true;
    sim_net_run(&net, GW_MS(10));
    sim_net_fini(&net);
    return 0;
}
