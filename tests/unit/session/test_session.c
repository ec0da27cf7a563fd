/* SPDX-License-Identifier: MIT */
/* A session from outside: handshake, data both ways with each suite, replays, keys that are refused, clocks that are wrong, what is
 * counted and what is wiped. */
#include "pair.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "tests/vectors/session/session_vectors.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hex.h"

/* ---- free() is watched: secrets must be gone by then */

#define WATCHED_MAX 16u

static struct {
    const void *object;
    size_t len;
} watched[WATCHED_MAX];
static unsigned watched_count, seen_wiped;

static void watch(const void *object, size_t len)
{
    assert_true(watched_count < WATCHED_MAX);
    watched[watched_count].object = object;
    watched[watched_count++].len = len;
}

void __real_free(void *object);
void __wrap_free(void *object);
void __wrap_free(void *object)
{
    for (unsigned i = 0; i < watched_count; i++) {
        if (object == NULL || watched[i].object != object)
            continue;
        assert_true(gw_is_zero(object, watched[i].len));
        watched[i].object = NULL;
        seen_wiped++;
    }
    __real_free(object);
}

/* ---- */

static struct pair *established(uint64_t seed)
{
    struct pair *pair = pair_new(seed);

    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_MS(30));
    assert_true(pair_agrees(pair));
    return pair;
}

static void test_handshake(void **state)
{
    struct pair *pair = pair_new(1);

    (void)state;
    pair_connect(pair);
    assert_int_equal(pair_state(pair, A), GW_SESSION_IDLE);
    assert_null(pair_key(pair, A));
    pair_send(pair, A);
    assert_int_equal(pair_state(pair, A), GW_SESSION_HANDSHAKING);
    pair_run_for(pair, GW_MS(20));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    assert_int_equal(pair_state(pair, B), GW_SESSION_IDLE); /* its key is not confirmed */
    assert_null(pair_key(pair, B));
    pair_run_for(pair, GW_MS(10));
    assert_int_equal(pair_state(pair, B), GW_SESSION_ESTABLISHED);
    assert_int_equal(pair->nodes[B].data_received, 1);
    assert_true(pair_agrees(pair));
    pair_send(pair, B);
    pair_run_for(pair, GW_MS(10));
    assert_int_equal(pair->nodes[A].data_received, 1);
    assert_int_equal(pair->flight_count, 4); /* the data were the confirmation: no keepalive */
    assert_int_equal(pair_stats(pair, A).handshake_rtt_ns, GW_MS(20));
    pair_free(pair);
}

/* Nothing to send: an empty packet confirms the key. */
static void test_confirmation(void **state)
{
    struct pair *pair = pair_new(2);

    (void)state;
    pair_connect(pair);
    assert_int_equal(pair_initiate(pair, B), 0);
    pair_run_for(pair, GW_MS(30));
    assert_true(pair_agrees(pair));
    assert_int_equal(pair->nodes[A].keepalives_received, 1);
    assert_int_equal(pair->flight_count, 3);
    pair_free(pair);
}

static void test_suites(void **state)
{
    struct pair *pair = established(3);

    (void)state;
    for (unsigned suite = 0; suite < GW_SUITE_COUNT; suite++) {
        for (unsigned from = A; from <= B; from++) {
            const unsigned before = pair->nodes[!from].data_received;

            pair->nodes[from].suite = (enum gw_suite)suite;
            pair_send(pair, from);
            pair_run_for(pair, GW_MS(10));
            assert_int_equal(pair->nodes[!from].data_received, before + 1);
        }
    }
    assert_int_equal(pair_count(pair, 2, 5), 4);
    pair_free(pair);
}

static void test_stats(void **state)
{
    struct pair *pair = established(4);
    struct gw_session_stats a = pair_stats(pair, A), b = pair_stats(pair, B);

    (void)state;
    assert_int_equal(a.handshakes_sent, 1);
    assert_int_equal(b.handshakes_received, 1);
    assert_int_equal(a.bytes_sent, 16 + 48 + 16);
    assert_int_equal(b.bytes_received, 16 + 48 + 16);
    assert_int_equal(a.last_handshake.ns, GW_S(3600) + GW_MS(20));
    assert_int_equal(a.last_received.ns, GW_S(3600) + GW_MS(20));
    assert_int_equal(b.last_received.ns, GW_S(3600) + GW_MS(30));
    assert_int_equal(a.state_since.ns, GW_S(3600) + GW_MS(20));
    pair_free(pair);
}

/* Both ends derive the same from a key pair and from the static keys, and another handshake derives other things. */
static void test_exports(void **state)
{
    struct pair *pair = established(5);
    uint8_t a[48], b[48], before[48];

    (void)state;
    gw_keypair_export(pair_key(pair, A), "some label", "x", 1, a, sizeof a);
    gw_keypair_export(pair_key(pair, B), "some label", "x", 1, b, sizeof b);
    assert_memory_equal(a, b, sizeof a);
    memcpy(before, a, sizeof a);
    pair_run_for(pair, GW_S(10));
    assert_int_equal(pair_initiate(pair, A), 0);
    pair_run_for(pair, GW_MS(50));
    gw_keypair_export(pair_key(pair, A), "some label", "x", 1, a, sizeof a);
    assert_memory_not_equal(a, before, sizeof a);
    gw_session_static_kdf(pair->nodes[A].session, "label", "y", 1, a);
    gw_session_static_kdf(pair->nodes[B].session, "label", "y", 1, b);
    assert_memory_equal(a, b, GW_HASH_LEN);
    gw_session_static_kdf(pair->nodes[B].session, "labely", "", 0, b);
    assert_memory_not_equal(a, b, GW_HASH_LEN);
    pair_free(pair);
}

static void test_static_kdf_vector(void **state)
{
    struct pair *pair = pair_new(6);
    struct gw_session_local local;
    struct gw_session_params params = {.psk_count = 0};
    struct gw_session *session;
    uint8_t i_secret[GW_KEY_LEN], r_secret[GW_KEY_LEN], out[GW_HASH_LEN];

    (void)state;
    unhex(VECTOR_PSK_I_STATIC, i_secret);
    unhex(VECTOR_PSK_R_STATIC, r_secret);
    gw_crypto_system()->dh_public(params.remote_public, r_secret);
    assert_int_equal(gw_session_local_init(&local, gw_crypto_system(), &pair->nodes[A].random.random,
                                           &pair->nodes[A].wallclock.clock, &pair->nodes[A].deadlines,
                                           i_secret),
                     0);
    assert_int_equal(gw_session_new(&session, &local, &params, pair->now), 0);
    gw_session_static_kdf(session, "test", "context", 7, out);
    assert_hex_equal(out, VECTOR_STATIC_KDF);
    assert_memory_equal(gw_session_remote_public(session), params.remote_public, GW_KEY_LEN);
    gw_session_free(session);
    gw_session_local_fini(&local);
    assert_true(gw_is_zero(&local, sizeof local));
    pair_free(pair);
}

/* ---- replays and strangers */

static void test_replayed_initiation(void **state)
{
    struct pair *pair = established(7);
    const struct pair_flight *first = pair_flight(pair, A, INITIATION, 0);
    struct gw_session *session;
    struct gw_initiation msg;
    struct gw_response response;

    (void)state;
    assert_int_equal(pair_deliver(pair, B, first->bytes, first->len), GW_E_REPLAY);
    memcpy(&msg, first->bytes, sizeof msg);
    assert_int_equal(
        gw_session_consume_initiation(&pair->nodes[B].local, &msg, pair->now, &session, &response, NULL),
        GW_E_REPLAY);
    assert_ptr_equal(session, pair->nodes[B].session);
    assert_int_equal(pair_stats(pair, B).handshakes_refused_as_replay, 2);
    assert_int_equal(pair_stats(pair, B).handshakes_refused_clock, 0); /* the very same is no clock */
    assert_int_equal(pair->nodes[B].local.keypairs.len, 1);
    assert_int_equal(pair->flight_count, 3);
    pair_free(pair);
}

static void test_replayed_response(void **state)
{
    struct pair *pair = established(8);
    const struct pair_flight *first = pair_flight(pair, B, RESPONSE, 0);
    struct gw_keypair *kp = pair_key(pair, A);

    (void)state;
    assert_int_equal(pair_deliver(pair, A, first->bytes, first->len), GW_E_UNKNOWN);
    assert_ptr_equal(pair_key(pair, A), kp);
    assert_int_equal(pair->nodes[A].keypairs_made, 1);
    pair_free(pair);
}

static void test_replayed_data(void **state)
{
    struct pair *pair = established(9);
    const struct pair_flight *first = pair_flight(pair, A, DATA, 0);

    (void)state;
    assert_int_equal(pair_deliver(pair, B, first->bytes, first->len), GW_E_REPLAY);
    assert_int_equal(pair->nodes[B].data_received, 1);
    pair_free(pair);
}

/* A forged response to a waiting initiation: refused, and the true one still counts. */
static void test_forged_response(void **state)
{
    struct pair *pair = pair_new(10);
    struct gw_response forged;
    struct gw_session *session;

    (void)state;
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_MS(10));
    memcpy(&forged, pair_flight(pair, B, RESPONSE, 0)->bytes, sizeof forged);
    forged.encrypted_nothing[0] ^= 1;
    assert_int_equal(gw_session_consume_response(&pair->nodes[A].local, &forged, pair->now, &session),
                     GW_E_AUTH);
    assert_ptr_equal(session, pair->nodes[A].session); /* for the log */
    pair_run_for(pair, GW_MS(20));
    assert_true(pair_agrees(pair));
    pair_free(pair);
}

/* Message 1 moves no timer, state or "last seen": only the responder's slot and the timestamp. */
static void test_initiation_changes_little(void **state)
{
    struct pair *pair = pair_new(11);
    struct gw_session_stats before, after;

    (void)state;
    pair_connect(pair);
    before = pair_stats(pair, B);
    assert_int_equal(pair_initiate(pair, A), 0);
    pair_run_for(pair, GW_MS(10));
    after = pair_stats(pair, B);
    assert_int_equal(after.handshakes_received, 1);
    after.handshakes_received = 0;
    assert_memory_equal(&after, &before, sizeof after);
    assert_int_equal(gw_session_wants(pair->nodes[B].session), 0);
    assert_null(pair_key(pair, B));
    pair_free(pair);
}

static void test_unknown_key(void **state)
{
    struct pair *pair = pair_new(12), *stranger = pair_new(13);
    struct gw_session *session;
    struct gw_response response;
    struct gw_initiation msg;
    uint8_t key[GW_KEY_LEN];

    (void)state;
    pair_connect(pair);
    memcpy(stranger->nodes[A].params.remote_public, pair->nodes[B].local.public_key, GW_KEY_LEN);
    assert_int_equal(gw_session_new(&stranger->nodes[A].session, &stranger->nodes[A].local,
                                    &stranger->nodes[A].params, stranger->now),
                     0);
    assert_int_equal(gw_session_create_initiation(stranger->nodes[A].session, stranger->now, &msg), 0);
    assert_int_equal(
        gw_session_consume_initiation(&pair->nodes[B].local, &msg, pair->now, &session, &response, key),
        GW_E_UNKNOWN);
    assert_null(session);
    assert_memory_equal(key, stranger->nodes[A].local.public_key, GW_KEY_LEN);
    assert_int_equal(
        gw_session_consume_initiation(&pair->nodes[A].local, &msg, pair->now, &session, &response, key),
        GW_E_AUTH); /* not to us */
    pair_free(stranger);
    pair_free(pair);
}

/* 20 ms between two, on both sides. */
static void test_spacing(void **state)
{
    struct pair *pair = pair_new(14);
    struct gw_initiation msg;

    (void)state;
    pair_connect(pair);
    pair->lose = lose_all;
    assert_int_equal(pair_initiate(pair, A), 0);
    pair_run_for(pair, GW_MS(20) - 1);
    assert_int_equal(gw_session_create_initiation(pair->nodes[A].session, pair->now, &msg), GW_E_LIMIT);
    pair_run_for(pair, 1); /* it is wanted again then, and made */
    assert_int_equal(pair_count(pair, A, INITIATION), 2);
    pair_free(pair);

    pair = pair_new(15);
    pair_connect(pair);
    assert_int_equal(pair_initiate(pair, A), 0);
    pair->delay_ns = GW_MS(1); /* the second catches up with the first */
    pair->flights[0].arrives = gw_mono_add(pair->now, GW_MS(25));
    pair_run_for(pair, GW_MS(20));
    assert_int_equal(pair_initiate(pair, A), 0);
    pair->flights[1].arrives = gw_mono_add(pair->now, GW_MS(10));
    pair_run_for(pair, GW_MS(12));
    assert_int_equal(pair->nodes[B].refused[INITIATION], 1);
    assert_int_equal(pair->nodes[B].last_error, GW_E_LIMIT);
    pair_free(pair);
}

/* ---- keys */

static int try_session(struct pair *pair, const uint8_t key[GW_KEY_LEN], struct gw_session **session)
{
    struct gw_session_params params = {.psk_count = 0};

    memcpy(params.remote_public, key, GW_KEY_LEN);
    return gw_session_new(session, &pair->nodes[A].local, &params, pair->now);
}

static void test_refused_keys(void **state)
{
    static const char *const refused[] = {
        /* small order, and p - 1, p, p + 1 */
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        /* other spellings of 9: p + 9, and 9 with the top bit */
        "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0900000000000000000000000000000000000000000000000000000000000080",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };
    struct pair *pair = pair_new(16);
    struct gw_session *session, *again;
    uint8_t key[GW_KEY_LEN];

    (void)state;
    for (unsigned i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        unhex(refused[i], key);
        assert_int_equal(try_session(pair, key, &session), GW_E_INVAL);
    }
    assert_int_equal(try_session(pair, pair->nodes[A].local.public_key, &session), GW_E_INVAL);
    unhex("0900000000000000000000000000000000000000000000000000000000000000", key);
    assert_int_equal(try_session(pair, key, &session), 0);
    assert_int_equal(try_session(pair, key, &again), -EEXIST);
    gw_session_free(session);
    assert_int_equal(pair->nodes[A].local.sessions.len, 0);
    pair_free(pair);
}

/* Two peer IDs, one X25519 key: the second is a duplicate. */
static void test_sign_flipped(void **state)
{
    struct pair *pair = pair_new(17);
    uint8_t ed[32], secret[64], seed[32] = {7}, key[GW_KEY_LEN], flipped_key[GW_KEY_LEN];
    struct gw_session *session, *again;

    (void)state;
    assert_int_equal(crypto_sign_seed_keypair(ed, secret, seed), 0);
    assert_int_equal(crypto_sign_ed25519_pk_to_curve25519(key, ed), 0);
    ed[31] ^= 0x80;
    assert_int_equal(crypto_sign_ed25519_pk_to_curve25519(flipped_key, ed), 0);
    assert_memory_equal(key, flipped_key, sizeof key);
    assert_int_equal(try_session(pair, key, &session), 0);
    assert_int_equal(try_session(pair, flipped_key, &again), -EEXIST);
    gw_session_free(session);
    pair_free(pair);
}

static void test_zero_secret(void **state)
{
    struct pair *pair = pair_new(18);
    struct gw_session_local local;
    const uint8_t zeros[GW_KEY_LEN] = {0};

    (void)state;
    assert_int_equal(gw_session_local_init(&local, gw_crypto_system(), &pair->nodes[A].random.random,
                                           &pair->nodes[A].wallclock.clock, &pair->nodes[A].deadlines, zeros),
                     GW_E_INVAL);
    pair_free(pair);
}

/* ---- clocks */

/* A's clock is set back by a day while it is off. Without its lease the peer refuses it, and can say why. */
static void test_clock_set_back(void **state)
{
    struct pair *pair = established(19);
    struct gw_wall lease;

    (void)state;
    assert_true(gw_tai64n_lease_due(&pair->nodes[A].local.tai64n, &lease));
    pair_run_for(pair, GW_S(30));
    pair->nodes[A].wallclock.offset_s = -86400;
    pair_restart(pair, A);
    pair_send(pair, A);
    pair_run_for(pair, GW_S(5));
    assert_null(pair_key(pair, A));
    assert_true(pair_stats(pair, B).handshakes_refused_clock >= 4);
    assert_int_equal(pair_stats(pair, B).handshakes_refused_clock,
                     pair_stats(pair, B).handshakes_refused_as_replay);
    assert_in_range(pair_stats(pair, B).peer_clock_behind_s, 86360, 86400);

    pair_restart(pair, A);
    gw_tai64n_set_floor(&pair->nodes[A].local.tai64n, lease);
    pair_send(pair, A);
    pair_run_for(pair, GW_MS(100));
    assert_true(pair_agrees(pair));
    assert_int_equal(pair_stats(pair, B).peer_clock_behind_s, 0);
    pair_free(pair);
}

/* Set back while it runs: nobody notices. */
static void test_clock_set_back_while_running(void **state)
{
    struct pair *pair = established(20);

    (void)state;
    pair->nodes[A].wallclock.offset_s = -86400;
    for (unsigned i = 0; i < 5; i++) {
        pair_run_for(pair, GW_S(130));
        pair_send(pair, A);
        pair_run_for(pair, GW_MS(50));
        assert_true(pair_agrees(pair));
    }
    assert_int_equal(pair_stats(pair, B).handshakes_refused_as_replay, 0);
    pair_free(pair);
}

/* ---- wiping */

static void test_wiped(void **state)
{
    struct pair *pair = established(21);
    struct gw_keypair *kp = pair_key(pair, A);

    (void)state;
    watched_count = seen_wiped = 0;
    assert_false(gw_is_zero(kp->exporter, sizeof kp->exporter));
    assert_false(gw_is_zero(kp->send.chacha, sizeof kp->send.chacha));
    watch(kp, sizeof *kp);
    watch(pair_key(pair, B), sizeof *kp);
    pair_run_for(pair, GW_S(539));
    assert_int_equal(seen_wiped, 0);
    pair_run_for(pair, GW_S(2)); /* zeroed by time */
    assert_int_equal(seen_wiped, 2);

    pair_send(pair, A);
    pair_run_for(pair, GW_MS(50));
    pair_send(pair, A);
    watch(pair_key(pair, A), sizeof *kp);
    gw_session_free(pair->nodes[A].session); /* by hand */
    pair->nodes[A].session = NULL;
    assert_int_equal(seen_wiped, 3);
    assert_int_equal(pair->nodes[A].keypairs_gone, pair->nodes[A].keypairs_made);
    pair_free(pair);
}

/* Only the current and the previous one live on after a rekey. */
static void test_old_keys_go(void **state)
{
    struct pair *pair = established(22);

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        pair_run_for(pair, GW_S(121));
        pair_send(pair, A);
        pair_run_for(pair, GW_MS(50));
        pair_send(pair, B);
        pair_run_for(pair, GW_MS(50));
        assert_true(pair->nodes[A].local.keypairs.len <= 2);
        assert_true(pair->nodes[B].local.keypairs.len <= 2);
    }
    assert_int_equal(pair->nodes[A].keypairs_made, 7);
    pair_free(pair);
}

static bool lose_responses(const struct pair *pair, const struct pair_flight *flight)
{
    (void)pair;
    return flight->type == RESPONSE;
}

/* An authenticated peer that initiates without end and never confirms makes us hold three key pairs, not more. */
static void test_bounded_next(void **state)
{
    struct pair *pair = pair_new(23);

    (void)state;
    pair_connect(pair);
    pair->nodes[A].is_mute = true;
    pair->lose = lose_responses;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(pair_initiate(pair, A), 0);
        pair_run_for(pair, GW_MS(25));
    }
    assert_int_equal(pair_stats(pair, B).handshakes_received, 20);
    assert_int_equal(pair->nodes[B].local.keypairs.len, 3);
    assert_int_equal(pair->nodes[A].local.handshakes.len, GW_INITIATORS);
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_confirmation),
        cmocka_unit_test(test_suites),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_exports),
        cmocka_unit_test(test_static_kdf_vector),
        cmocka_unit_test(test_replayed_initiation),
        cmocka_unit_test(test_replayed_response),
        cmocka_unit_test(test_replayed_data),
        cmocka_unit_test(test_forged_response),
        cmocka_unit_test(test_initiation_changes_little),
        cmocka_unit_test(test_unknown_key),
        cmocka_unit_test(test_spacing),
        cmocka_unit_test(test_refused_keys),
        cmocka_unit_test(test_sign_flipped),
        cmocka_unit_test(test_zero_secret),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_clock_set_back_while_running),
        cmocka_unit_test(test_wiped),
        cmocka_unit_test(test_old_keys_go),
        cmocka_unit_test(test_bounded_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
