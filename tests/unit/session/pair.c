/* SPDX-License-Identifier: MIT */
#include "pair.h"

#include "stock.h"

#include "gateway/base/err.h"
#include "gateway/wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what a gateway does */

static struct gw_wall read_wallclock(struct gw_wallclock *clock)
{
    const struct pair_wallclock *self = gw_container_of(clock, struct pair_wallclock, clock);
    const struct pair *pair = self->pair;

    return (struct gw_wall){pair->now.ns / GW_S(1) + pair->wall_offset_s + self->offset_s,
                            (int32_t)(pair->now.ns % GW_S(1))};
}

void pair_transmit(struct pair *pair, unsigned from, const void *bytes, size_t len)
{
    struct pair_flight *flight = &pair->flights[pair->flight_count];

    assert_true(pair->flight_count < PAIR_FLIGHTS && len <= PAIR_DATAGRAM_MAX);
    *flight = (struct pair_flight){.sent = pair->now,
                                   .arrives = gw_mono_add(pair->now, pair->delay_ns),
                                   .from = from,
                                   .type = *(const uint8_t *)bytes,
                                   .len = len};
    memcpy(flight->bytes, bytes, len);
    if (pair->jitter_ns > 0)
        flight->arrives.ns += (int64_t)(gw_random_u64(&pair->jitter.random) % (uint64_t)pair->jitter_ns);
    flight->is_lost = pair->lose != NULL && pair->lose(pair, flight);
    pair->flight_count++;
}

static void seal_and_send(struct pair *pair, unsigned from, size_t plain_len)
{
    struct pair_node *node = &pair->nodes[from];
    struct gw_keypair *kp = gw_session_sending_key(node->session, pair->now);
    uint8_t datagram[PAIR_DATAGRAM_MAX];
    size_t len;

    assert_non_null(kp);
    memset(datagram + GW_DATA_HEADER_LEN, 0x45, plain_len);
    len = gw_keypair_seal(kp, node->suite, datagram, sizeof datagram, plain_len);
    assert_true(len > 0);
    gw_session_packets_sent(node->session, kp, pair->now, plain_len > 0, len);
    pair_transmit(pair, from, datagram, len);
}

int pair_initiate(struct pair *pair, unsigned from)
{
    struct gw_initiation msg;
    const int err = gw_session_create_initiation(pair->nodes[from].session, pair->now, &msg);

    if (err == 0)
        pair_transmit(pair, from, &msg, sizeof msg);
    return err;
}

void pair_serve(struct pair *pair, unsigned id)
{
    struct pair_node *node = &pair->nodes[id];

    if (node->session == NULL || node->is_mute)
        return;
    while (node->waiting > 0 && gw_session_sending_key(node->session, pair->now) != NULL) {
        node->waiting--;
        seal_and_send(pair, id, 40);
    }
    if ((gw_session_wants(node->session) & GW_WANT_KEEPALIVE) != 0 &&
        gw_session_sending_key(node->session, pair->now))
        seal_and_send(pair, id, 0);
    if ((gw_session_wants(node->session) & GW_WANT_INITIATION) != 0)
        (void)pair_initiate(pair, id);
}

void pair_send(struct pair *pair, unsigned from)
{
    if (pair->nodes[from].stock != NULL) {
        stock_send(pair->nodes[from].stock, true);
        return;
    }
    pair->nodes[from].waiting++;
    gw_session_want_send(pair->nodes[from].session, pair->now);
    pair_serve(pair, from);
}

static int receive_initiation(struct pair *pair, struct pair_node *node, const uint8_t *bytes)
{
    struct gw_initiation msg;
    struct gw_response response;
    struct gw_session *session;
    int err;

    memcpy(&msg, bytes, sizeof msg);
    if (gw_cookie_check(&node->local.cookies, pair->now, &msg, sizeof msg, "source", 6) ==
        GW_COOKIE_INVALID_MAC)
        return GW_E_AUTH;
    err = gw_session_consume_initiation(&node->local, &msg, pair->now, &session, &response, NULL);
    if (err == 0) {
        assert_ptr_equal(session, node->session);
        pair_transmit(pair, node->id, &response, sizeof response);
    }
    return err;
}

static int receive_response(struct pair *pair, struct pair_node *node, const uint8_t *bytes)
{
    struct gw_response msg;
    struct gw_session *session;

    memcpy(&msg, bytes, sizeof msg);
    if (gw_cookie_check(&node->local.cookies, pair->now, &msg, sizeof msg, "source", 6) ==
        GW_COOKIE_INVALID_MAC)
        return GW_E_AUTH;
    return gw_session_consume_response(&node->local, &msg, pair->now, &session);
}

static int receive_data(struct pair *pair, struct pair_node *node, const uint8_t *bytes, size_t len)
{
    uint8_t datagram[PAIR_DATAGRAM_MAX];
    struct gw_keypair *kp;
    struct gw_view plain;
    unsigned gone;
    int err;

    memcpy(datagram, bytes, len);
    kp = gw_session_receiving_key(&node->local, gw_load32_le(datagram + 4), pair->now);
    if (kp == NULL)
        return GW_E_UNKNOWN;
    err = gw_keypair_open(kp, datagram, len, &plain, NULL);
    if (err != 0)
        return err;
    node->data_received += plain.len > 0;
    node->keepalives_received += plain.len == 0;
    gone = node->keypairs_gone;
    gw_session_packets_received(kp->session, kp, pair->now, plain.len > 0, len);
    assert_int_equal(node->keypairs_gone, gone); /* a train's key pairs live for as long as the train */
    return 0;
}

int pair_deliver(struct pair *pair, unsigned to, const void *bytes, size_t len)
{
    struct pair_node *node = &pair->nodes[to];
    const enum gw_message_type type = gw_message_gate(bytes, len);
    int err = GW_E_MALFORMED;

    if (node->stock != NULL)
        return stock_deliver(node->stock, bytes, len);
    switch (type) {
    case GW_MESSAGE_INITIATION:
        err = receive_initiation(pair, node, bytes);
        break;
    case GW_MESSAGE_RESPONSE:
        err = receive_response(pair, node, bytes);
        break;
    case GW_MESSAGE_COOKIE_REPLY:
        err = gw_session_consume_cookie(&node->local, bytes, pair->now);
        break;
    case GW_MESSAGE_DATA:
    case GW_MESSAGE_FAST_DATA:
        err = receive_data(pair, node, bytes, len);
        break;
    default:
        break;
    }
    if (err != 0) {
        node->refused[type < 4 ? type : 0]++;
        node->last_error = err;
    }
    pair_serve(pair, to);
    return err;
}

/* ---- events */

static void on_state(struct gw_session *session, enum gw_session_state old, enum gw_session_state now_state,
                     void *ctx)
{
    struct pair_node *node = ctx;

    assert_true(old != now_state);
    assert_ptr_equal(gw_session_owner(session), node);
    if (node->state_count < sizeof node->states / sizeof node->states[0])
        node->states[node->state_count++] = now_state;
}

static void on_keypair(struct gw_session *session, struct gw_keypair *kp, void *ctx)
{
    struct pair_node *node = ctx;

    assert_ptr_equal(kp->session, session);
    assert_true(kp->is_confirmed);
    node->keypairs_made++;
}

static void on_keypair_gone(struct gw_session *session, struct gw_keypair *kp, void *ctx)
{
    struct pair_node *node = ctx;

    assert_ptr_equal(kp->session, session);
    node->keypairs_gone++;
}

static void on_want(struct gw_session *session, void *ctx)
{
    struct pair_node *node = ctx;

    assert_true(gw_session_wants(session) != 0);
    node->wants_told++;
}

/* ---- life */

static void start_node(struct pair *pair, unsigned id, const uint8_t secret[GW_KEY_LEN])
{
    struct pair_node *node = &pair->nodes[id];

    node->id = id;
    node->pair = pair;
    gw_deadlines_init(&node->deadlines);
    node->wallclock = (struct pair_wallclock){{read_wallclock}, pair, node->wallclock.offset_s};
    assert_int_equal(gw_session_local_init(&node->local, gw_crypto_system(), &node->random.random,
                                           &node->wallclock.clock, &node->deadlines, secret),
                     0);
    node->events = (struct gw_session_events){on_state, on_keypair, on_keypair_gone, on_want, node};
    node->params.events = &node->events;
    node->params.owner = node;
}

struct pair *pair_new(uint64_t seed)
{
    struct pair *pair = calloc(1, sizeof *pair);
    uint8_t secrets[2][GW_KEY_LEN], publics[2][GW_KEY_LEN];
    unsigned lower;

    assert_non_null(pair);
    pair->flights = calloc(PAIR_FLIGHTS, sizeof *pair->flights);
    assert_non_null(pair->flights);
    pair->now = (struct gw_mono){GW_S(3600)};
    pair->wall_offset_s = 1700000000;
    pair->delay_ns = GW_MS(10);
    gw_random_seeded_init(&pair->jitter, ~seed);
    for (unsigned id = A; id <= B; id++) {
        gw_random_seeded_init(&pair->nodes[id].random, 2 * seed + id);
        gw_random_fill(&pair->nodes[id].random.random, secrets[id], GW_KEY_LEN);
        gw_crypto_system()->dh_public(publics[id], secrets[id]);
    }
    lower = memcmp(publics[A], publics[B], GW_KEY_LEN) < 0 ? A : B;
    start_node(pair, A, secrets[lower]);
    start_node(pair, B, secrets[!lower]);
    return pair;
}

static void connect_node(struct pair *pair, unsigned id)
{
    struct pair_node *node = &pair->nodes[id];

    if (node->stock != NULL)
        return;
    memcpy(node->params.remote_public, pair->nodes[!id].local.public_key, GW_KEY_LEN);
    assert_int_equal(gw_session_new(&node->session, &node->local, &node->params, pair->now), 0);
}

void pair_connect(struct pair *pair)
{
    connect_node(pair, A);
    connect_node(pair, B);
}

static void stop_node(struct pair_node *node)
{
    if (node->session != NULL)
        gw_session_free(node->session);
    node->session = NULL;
    if (node->stock != NULL)
        stock_free(node->stock);
    node->stock = NULL;
    assert_int_equal(node->local.keypairs.len, 0);
    assert_int_equal(node->local.handshakes.len, 0);
    gw_session_local_fini(&node->local);
    assert_true(gw_mono_is_never(gw_deadlines_next(&node->deadlines)));
    gw_deadlines_fini(&node->deadlines);
}

void pair_free(struct pair *pair)
{
    stop_node(&pair->nodes[A]);
    stop_node(&pair->nodes[B]);
    free(pair->flights);
    free(pair);
}

void pair_restart(struct pair *pair, unsigned id)
{
    uint8_t secret[GW_KEY_LEN];

    memcpy(secret, pair->nodes[id].local.secret, GW_KEY_LEN);
    stop_node(&pair->nodes[id]);
    start_node(pair, id, secret);
    connect_node(pair, id);
}

/* ---- time */

static struct pair_flight *next_flight(struct pair *pair)
{
    struct pair_flight *next = NULL;

    for (unsigned i = 0; i < pair->flight_count; i++) {
        struct pair_flight *flight = &pair->flights[i];

        if (flight->has_arrived || flight->is_lost)
            continue;
        if (next == NULL || gw_mono_before(flight->arrives, next->arrives))
            next = flight;
    }
    return next;
}

static struct gw_mono next_deadline(const struct pair *pair)
{
    return gw_mono_min(gw_deadlines_next(&pair->nodes[A].deadlines),
                       gw_deadlines_next(&pair->nodes[B].deadlines));
}

void pair_run(struct pair *pair, struct gw_mono until)
{
    for (;;) {
        struct pair_flight *flight = next_flight(pair);
        const struct gw_mono arrival = flight != NULL ? flight->arrives : GW_NEVER;
        const struct gw_mono next = gw_mono_min(arrival, next_deadline(pair));

        if (gw_mono_before(until, next))
            break;
        pair->now = gw_mono_max(pair->now, next);
        if (flight != NULL && gw_mono_due(arrival, pair->now)) {
            flight->has_arrived = true;
            (void)pair_deliver(pair, !flight->from, flight->bytes, flight->len);
            continue;
        }
        for (unsigned id = A; id <= B; id++) {
            gw_deadlines_expire(&pair->nodes[id].deadlines, pair->now);
            pair_serve(pair, id);
        }
    }
    pair->now = until;
}

void pair_run_for(struct pair *pair, int64_t ns)
{
    pair_run(pair, gw_mono_add(pair->now, ns));
}

void pair_sleep(struct pair *pair, int64_t ns)
{
    for (unsigned i = 0; i < pair->flight_count; i++)
        pair->flights[i].is_lost |= !pair->flights[i].has_arrived;
    pair->now = gw_mono_add(pair->now, ns);
}

/* ---- looking */

struct gw_keypair *pair_key(struct pair *pair, unsigned id)
{
    if (pair->nodes[id].stock != NULL)
        return stock_key(pair->nodes[id].stock);
    return gw_session_sending_key(pair->nodes[id].session, pair->now);
}

struct gw_session_stats pair_stats(const struct pair *pair, unsigned id)
{
    struct gw_session_stats stats;

    gw_session_stats(pair->nodes[id].session, &stats);
    return stats;
}

enum gw_session_state pair_state(const struct pair *pair, unsigned id)
{
    return pair_stats(pair, id).state;
}

bool pair_agrees(struct pair *pair)
{
    const struct gw_keypair *a = pair_key(pair, A), *b = pair_key(pair, B);

    return a != NULL && b != NULL && a->local_index == b->remote_index && a->remote_index == b->local_index;
}

unsigned pair_count(const struct pair *pair, unsigned from, uint8_t type)
{
    unsigned count = 0;

    for (unsigned i = 0; i < pair->flight_count; i++)
        count += pair->flights[i].type == type && (from == 2 || pair->flights[i].from == from);
    return count;
}

const struct pair_flight *pair_flight(const struct pair *pair, unsigned from, uint8_t type, unsigned n)
{
    for (unsigned i = 0; i < pair->flight_count; i++) {
        const struct pair_flight *flight = &pair->flights[i];

        if (flight->type == type && (from == 2 || flight->from == from) && n-- == 0)
            return flight;
    }
    return NULL;
}

bool lose_all(const struct pair *pair, const struct pair_flight *flight)
{
    (void)pair;
    (void)flight;
    return true;
}

bool lose_by_mask(const struct pair *pair, const struct pair_flight *flight)
{
    (void)flight;
    return pair->flight_count < 64 && (pair->loss_mask >> pair->flight_count & 1) != 0;
}

struct pair *pair_establish(int64_t persistent_a_ns, int64_t persistent_b_ns)
{
    struct pair *pair = pair_new(11);

    pair->nodes[A].params.persistent_keepalive_ns = persistent_a_ns;
    pair->nodes[B].params.persistent_keepalive_ns = persistent_b_ns;
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_MS(30));
    pair_send(pair, B);
    pair_run_for(pair, GW_MS(10));
    assert_true(pair_agrees(pair));
    return pair;
}

struct gw_mono pair_born(const struct pair *pair)
{
    return pair_stats(pair, A).last_handshake;
}

struct gw_mono pair_sent_at(const struct pair *pair, unsigned from, uint8_t type, unsigned n)
{
    const struct pair_flight *flight = pair_flight(pair, from, type, n);

    assert_non_null(flight);
    return flight->sent;
}
