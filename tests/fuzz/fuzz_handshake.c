/* SPDX-License-Identifier: MIT */
/* Two nodes with a session; the input is a script of what happens to them: messages made, delivered whole, damaged, twice or never, raw
 * bytes, time passing. Diffie-Hellman is a fast fake here, the rest is real. Bounds and states are checked after each step. */
#include "gateway/base/err.h"
#include "gateway/session/session.h"
#include "gateway/wire/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 256u
#define STEPS_MAX 200u
#define KEYPAIRS_MAX 5u

struct message {
    size_t len;
    uint8_t bytes[MESSAGE_MAX];
};

struct node {
    struct gw_deadlines deadlines;
    struct gw_random_seeded random;
    struct gw_session_local local;
    struct gw_session *session;
    struct message said; /* the last, for the other to hear */
};

static struct gw_mono now;
static struct gw_crypto crypto;
static struct node nodes[2];

/* ---- doors */

static struct gw_wall read_wallclock(struct gw_wallclock *clock)
{
    (void)clock;
    return (struct gw_wall){now.ns / GW_S(1), (int32_t)(now.ns % GW_S(1))};
}

static struct gw_wallclock wallclock = {read_wallclock};

/* The public key is the secret turned over, the shared secret a hash of both: commutes, and takes no time. */
static void fake_public(uint8_t out[GW_KEY_LEN], const uint8_t secret[GW_KEY_LEN])
{
    for (unsigned i = 0; i < GW_KEY_LEN; i++)
        out[i] = secret[i] ^ 0x5a;
    out[GW_KEY_LEN - 1] &= 0x3f; /* canonical */
}

static bool fake_dh(uint8_t out[GW_KEY_LEN], const uint8_t secret[GW_KEY_LEN],
                    const uint8_t public_key[GW_KEY_LEN])
{
    uint8_t ours[GW_KEY_LEN];
    int order;

    fake_public(ours, secret);
    order = memcmp(ours, public_key, GW_KEY_LEN);
    gw_hash(out, order < 0 ? ours : public_key, GW_KEY_LEN, order < 0 ? public_key : ours, GW_KEY_LEN);
    return public_key[0] != 0; /* some keys are of small order */
}

/* ---- life */

static void start(unsigned id)
{
    struct node *node = &nodes[id];
    uint8_t secret[GW_KEY_LEN] = {(uint8_t)(id + 1), 3};

    gw_deadlines_init(&node->deadlines);
    gw_random_seeded_init(&node->random, id);
    if (gw_session_local_init(&node->local, &crypto, &node->random.random, &wallclock, &node->deadlines,
                              secret) != 0)
        abort();
    node->said.len = 0;
}

static void meet(unsigned id, uint8_t options)
{
    struct gw_session_params params = {.psk_count = options & 3,
                                       .psks = {{1}, {2}, {3}},
                                       .persistent_keepalive_ns = options & 4 ? GW_S(20) : 0};

    memcpy(params.remote_public, nodes[!id].local.public_key, GW_KEY_LEN);
    if (gw_session_new(&nodes[id].session, &nodes[id].local, &params, now) != 0)
        abort();
}

static void stop(struct node *node)
{
    gw_session_free(node->session);
    gw_session_local_fini(&node->local);
    gw_deadlines_fini(&node->deadlines);
}

static void check(const struct node *node)
{
    struct gw_session_stats stats;

    gw_session_stats(node->session, &stats);
    assert(stats.state <= GW_SESSION_FAILED);
    assert(node->local.keypairs.len <= KEYPAIRS_MAX && node->local.handshakes.len <= GW_INITIATORS);
    assert(gw_session_wants(node->session) < 4);
}

/* ---- steps */

static void say(struct node *node, const void *bytes, size_t len)
{
    memcpy(node->said.bytes, bytes, len);
    node->said.len = len;
}

static void say_initiation(struct node *node)
{
    struct gw_initiation msg;

    if (gw_session_create_initiation(node->session, now, &msg) == 0)
        say(node, &msg, sizeof msg);
}

static void say_data(struct node *node, uint8_t options)
{
    struct gw_keypair *kp = gw_session_sending_key(node->session, now);
    uint8_t slot[MESSAGE_MAX] = {0};
    size_t len;

    gw_session_want_send(node->session, now);
    if (kp == NULL)
        return;
    len = gw_keypair_seal(kp, (enum gw_suite)(options % GW_SUITE_COUNT), slot, sizeof slot, options & 0x70);
    gw_session_packets_sent(node->session, kp, now, (options & 0x70) != 0, len);
    say(node, slot, len);
}

static void hear_handshake(struct node *node, const struct message *heard, enum gw_message_type type)
{
    struct gw_session *session;
    struct gw_response response;
    struct gw_cookie_reply reply;
    uint8_t unknown[GW_KEY_LEN];

    if (gw_cookie_check(&node->local.cookies, now, heard->bytes, heard->len, "x", 1) == GW_COOKIE_VALID_MAC) {
        gw_cookie_create_reply(&node->local.cookies, now, heard->bytes, heard->len, "x", 1, &reply);
        say(node, &reply, sizeof reply);
    }
    if (type == GW_MESSAGE_RESPONSE) {
        (void)gw_session_consume_response(&node->local, (const void *)heard->bytes, now, &session);
        return;
    }
    if (gw_session_consume_initiation(&node->local, (const void *)heard->bytes, now, &session, &response,
                                      unknown) == 0)
        say(node, &response, sizeof response);
}

static void hear_data(struct node *node, struct message *heard)
{
    struct gw_keypair *kp = gw_session_receiving_key(&node->local, gw_load32_le(heard->bytes + 4), now);
    struct gw_view plain;

    if (kp == NULL || gw_keypair_open(kp, heard->bytes, heard->len, &plain, NULL) != 0)
        return;
    gw_session_packets_received(kp->session, kp, now, plain.len > 0, heard->len);
}

static void hear(struct node *node, struct message heard)
{
    const enum gw_message_type type = gw_message_gate(heard.bytes, heard.len);

    if (type == GW_MESSAGE_INITIATION || type == GW_MESSAGE_RESPONSE)
        hear_handshake(node, &heard, type);
    else if (type == GW_MESSAGE_COOKIE_REPLY)
        (void)gw_session_consume_cookie(&node->local, (const void *)heard.bytes, now);
    else if (type == GW_MESSAGE_DATA || type == GW_MESSAGE_FAST_DATA)
        hear_data(node, &heard);
}

static void hear_raw(struct node *node, struct gw_reader *script)
{
    struct message heard = {.len = gw_read_u8(script)};

    if (heard.len > gw_reader_left(script))
        heard.len = gw_reader_left(script);
    gw_read_bytes(script, heard.bytes, heard.len);
    hear(node, heard);
}

static void hear_damaged(struct node *node, const struct message *said, struct gw_reader *script)
{
    struct message heard = *said;
    const uint8_t at = gw_read_u8(script);

    if (at < heard.len)
        heard.bytes[at] ^= gw_read_u8(script);
    hear(node, heard);
}

static void pass_time(struct gw_reader *script)
{
    const uint8_t exponent = gw_read_u8(script), mantissa = gw_read_u8(script);

    now = gw_mono_add(now, ((int64_t)mantissa + 1) << (exponent % 36));
    for (unsigned id = 0; id < 2; id++)
        gw_deadlines_expire(&nodes[id].deadlines, now);
}

static void step(struct gw_reader *script)
{
    const uint8_t op = gw_read_u8(script);
    struct node *node = &nodes[op & 1], *other = &nodes[!(op & 1)];

    switch (op >> 1 & 7) {
    case 0:
        say_initiation(node);
        break;
    case 1:
        hear(node, other->said);
        break;
    case 2:
        say_data(node, op >> 4);
        break;
    case 3:
        pass_time(script);
        break;
    case 4:
        hear_damaged(node, &other->said, script);
        break;
    case 5:
        hear_raw(node, script);
        break;
    case 6:
        gw_session_kick(node->session, now);
        break;
    default:
        say_data(node, gw_read_u8(script));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_reader script = gw_reader_of(data, size);
    const uint8_t options = gw_read_u8(&script);

    crypto = *gw_crypto_system();
    crypto.dh = fake_dh;
    crypto.dh_public = fake_public;
    now = (struct gw_mono){GW_S(1000)};
    start(0);
    start(1);
    meet(0, options);
    meet(1, options >> 3);
    for (unsigned i = 0; i < STEPS_MAX && gw_reader_left(&script) > 0; i++) {
        step(&script);
        check(&nodes[0]);
        check(&nodes[1]);
    }
    stop(&nodes[0]);
    stop(&nodes[1]);
    return 0;
}
