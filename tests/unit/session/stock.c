/* SPDX-License-Identifier: MIT */
#include "stock.h"

#include "gateway/base/err.h"
#include "gateway/wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RETRY_NS GW_S(5)
#define KEY_LIFE_NS GW_S(180)

enum handshake_state { ZEROED, CREATED_INITIATION, CONSUMED_INITIATION };

struct stock {
    struct pair_node *node;
    struct gw_noise_self self;
    uint8_t static_static[GW_KEY_LEN];
    struct gw_cookie cookie;

    /* the one slot */
    enum handshake_state state;
    struct gw_noise_initiator initiator;
    struct gw_noise_responder responder;

    uint8_t greatest_timestamp[GW_TAI64N_LEN];
    struct gw_mono initiation_sent;
    struct gw_deadline retry;
    struct gw_keypair *current, *previous, *next;
    unsigned waiting;
};

static void replace(struct gw_keypair **place, struct gw_keypair *kp)
{
    free(*place);
    *place = kp;
}

static uint32_t new_index(struct stock *stock)
{
    return gw_random_u32(&stock->node->random.random);
}

/* ---- sending */

static void seal_and_send(struct stock *stock, size_t plain_len)
{
    uint8_t datagram[PAIR_DATAGRAM_MAX] = {0};
    const size_t len =
        gw_keypair_seal(stock_key(stock), GW_SUITE_CHACHA20_POLY1305, datagram, sizeof datagram, plain_len);

    assert_true(len > 0);
    pair_transmit(stock->node->pair, stock->node->id, datagram, len);
}

static void initiate(struct stock *stock)
{
    struct pair *pair = stock->node->pair;
    const struct gw_noise_remote remote = {stock->node->params.remote_public, stock->static_static};
    uint8_t ephemeral[GW_KEY_LEN], timestamp[GW_TAI64N_LEN], mac1[GW_MAC_LEN];
    struct gw_initiation msg;

    if (!gw_mono_is_never(stock->initiation_sent) &&
        gw_mono_sub(pair->now, stock->initiation_sent) < RETRY_NS)
        return;
    gw_random_fill(&stock->node->random.random, ephemeral, sizeof ephemeral);
    gw_tai64n_next(&stock->node->local.tai64n,
                   stock->node->wallclock.clock.read(&stock->node->wallclock.clock), timestamp);
    assert_true(gw_noise_create_initiation(&stock->self, &remote, ephemeral, timestamp, new_index(stock),
                                           &stock->initiator, &msg));
    gw_cookie_add_macs(&stock->cookie, pair->now, &msg, sizeof msg, mac1);
    stock->state = CREATED_INITIATION;
    stock->initiation_sent = pair->now;
    gw_deadline_arm(&stock->node->deadlines, &stock->retry, gw_mono_add(pair->now, RETRY_NS));
    pair_transmit(pair, stock->node->id, &msg, sizeof msg);
}

static void on_retry(struct gw_deadline *deadline, struct gw_mono now)
{
    (void)now;
    initiate(gw_container_of(deadline, struct stock, retry));
}

static void complete(struct stock *stock)
{
    gw_deadline_disarm(&stock->node->deadlines, &stock->retry);
}

static void flush(struct stock *stock)
{
    for (; stock->waiting > 0; stock->waiting--)
        seal_and_send(stock, 40);
}

struct gw_keypair *stock_key(struct stock *stock)
{
    struct gw_keypair *kp = stock->current;

    return kp != NULL && gw_mono_sub(stock->node->pair->now, kp->born) < KEY_LIFE_NS ? kp : NULL;
}

void stock_send(struct stock *stock, bool is_data)
{
    if (stock_key(stock) != NULL) {
        seal_and_send(stock, is_data ? 40 : 0);
        return;
    }
    stock->waiting += is_data;
    initiate(stock);
}

/* ---- receiving */

static struct gw_keypair *new_keypair(struct stock *stock, const struct gw_noise_keys *keys,
                                      bool is_initiator, uint32_t local_index, uint32_t remote_index)
{
    struct gw_keypair *kp = malloc(sizeof *kp);

    assert_non_null(kp);
    gw_keypair_init(kp, stock->self.crypto, keys, is_initiator, local_index, remote_index,
                    stock->node->pair->now);
    return kp;
}

static int consume_initiation(struct stock *stock, const struct gw_initiation *msg)
{
    struct gw_noise_responder responder;
    struct gw_response response;
    struct gw_noise_keys keys;
    uint8_t timestamp[GW_TAI64N_LEN], ephemeral[GW_KEY_LEN], mac1[GW_MAC_LEN];
    const uint32_t index = new_index(stock);

    if (!gw_noise_consume_initiation(&stock->self, msg, &responder) ||
        !gw_noise_consume_timestamp(&stock->self, msg, stock->static_static, &responder, timestamp))
        return GW_E_AUTH;
    if (memcmp(timestamp, stock->greatest_timestamp, sizeof timestamp) <= 0)
        return GW_E_REPLAY;
    memcpy(stock->greatest_timestamp, timestamp, sizeof timestamp);
    stock->state = CONSUMED_INITIATION; /* an initiation of its own is forgotten: the slot is shared */
    gw_random_fill(&stock->node->random.random, ephemeral, sizeof ephemeral);
    assert_true(gw_noise_create_response(&stock->self, &responder, stock->node->params.psks[0], ephemeral,
                                         index, &response, &keys));
    stock->state = ZEROED;
    gw_cookie_add_macs(&stock->cookie, stock->node->pair->now, &response, sizeof response, mac1);
    replace(&stock->next, new_keypair(stock, &keys, false, index, responder.remote_index));
    replace(&stock->previous, NULL);
    pair_transmit(stock->node->pair, stock->node->id, &response, sizeof response);
    return 0;
}

static int consume_response(struct stock *stock, const struct gw_response *msg)
{
    struct gw_noise_keys keys;
    unsigned psk;

    if (stock->state != CREATED_INITIATION || gw_load32_le(msg->receiver) != stock->initiator.local_index)
        return GW_E_UNKNOWN;
    if (!gw_noise_consume_response(&stock->self, &stock->initiator, msg,
                                   (const uint8_t(*)[GW_KEY_LEN])stock->node->params.psks, 1, &psk, &keys))
        return GW_E_AUTH;
    stock->state = ZEROED;
    if (stock->next != NULL) {
        replace(&stock->previous, stock->next);
        stock->next = NULL;
        free(stock->current);
    } else {
        replace(&stock->previous, stock->current);
    }
    stock->current = new_keypair(stock, &keys, true, stock->initiator.local_index, gw_load32_le(msg->sender));
    complete(stock);
    if (stock->waiting == 0)
        seal_and_send(stock, 0);
    flush(stock);
    return 0;
}

static struct gw_keypair *find_key(struct stock *stock, uint32_t index)
{
    struct gw_keypair *const all[] = {stock->current, stock->previous, stock->next};

    for (unsigned i = 0; i < 3; i++) {
        if (all[i] != NULL && all[i]->local_index == index)
            return all[i];
    }
    return NULL;
}

static int consume_data(struct stock *stock, const void *bytes, size_t len)
{
    uint8_t datagram[PAIR_DATAGRAM_MAX];
    struct gw_keypair *kp;
    struct gw_view plain;
    int err;

    memcpy(datagram, bytes, len);
    kp = find_key(stock, gw_load32_le(datagram + 4));
    if (kp == NULL || datagram[0] != GW_MESSAGE_DATA)
        return GW_E_UNKNOWN;
    err = gw_keypair_open(kp, datagram, len, &plain, NULL);
    if (err != 0)
        return err;
    if (kp == stock->next) {
        replace(&stock->previous, stock->current);
        stock->current = kp;
        stock->next = NULL;
        complete(stock);
        flush(stock);
    }
    stock->node->data_received += plain.len > 0;
    stock->node->keepalives_received += plain.len == 0;
    return 0;
}

int stock_deliver(struct stock *stock, const void *bytes, size_t len)
{
    const uint8_t *type = bytes;
    struct gw_initiation initiation;
    struct gw_response response;

    if (*type == GW_MESSAGE_INITIATION && len == sizeof initiation) {
        memcpy(&initiation, bytes, sizeof initiation);
        return consume_initiation(stock, &initiation);
    }
    if (*type == GW_MESSAGE_RESPONSE && len == sizeof response) {
        memcpy(&response, bytes, sizeof response);
        return consume_response(stock, &response);
    }
    return consume_data(stock, bytes, len);
}

/* ---- life */

void stock_take_place(struct pair *pair, unsigned id)
{
    struct stock *stock = calloc(1, sizeof *stock);
    struct pair_node *node = &pair->nodes[id];

    assert_non_null(stock);
    stock->node = node;
    stock->self = (struct gw_noise_self){node->local.crypto, node->local.secret, node->local.public_key};
    memcpy(node->params.remote_public, pair->nodes[!id].local.public_key, GW_KEY_LEN);
    assert_true(node->local.crypto->dh(stock->static_static, node->local.secret, node->params.remote_public));
    gw_cookie_init(&stock->cookie, node->params.remote_public);
    stock->initiation_sent = GW_NEVER;
    gw_deadline_init(&stock->retry, on_retry);
    assert_int_equal(gw_deadlines_reserve(&node->deadlines), 0);
    node->stock = stock;
}

void stock_free(struct stock *stock)
{
    gw_deadline_disarm(&stock->node->deadlines, &stock->retry);
    gw_deadlines_release(&stock->node->deadlines);
    replace(&stock->current, NULL);
    replace(&stock->previous, NULL);
    replace(&stock->next, NULL);
    free(stock);
}
