/* SPDX-License-Identifier: MIT */
#include "tests/sim/puncher.h"

#include <stdlib.h>
#include <string.h>

#define BASE_PORT 7000u /* socket i has the local port BASE_PORT + i */
#define SOCKETS_MAX 512u
#define HEARD_MAX 32u
#define ROUNDS 20
#define ROUND_NS GW_MS(250)
#define LIMIT_NS GW_S(15)

enum kind { ASK, TELL, PUNCH, ANSWER };

struct message {
    uint8_t kind;
    struct gw_addr seen; /* TELL: whom the mirror saw */
};

/* ---- the mirror */

static const char *const mirror_text[2][2] = {{"9.9.9.9", "2a00:ffff::9"}, {"9.9.9.10", "2a00:ffff:1::a"}};

static void on_ask(struct sim_end *end, struct gw_mono now, const struct sim_datagram *datagram)
{
    struct sim_mirror_end *mirror = gw_container_of(end, struct sim_mirror_end, end);
    struct message message = {.kind = TELL, .seen = datagram->from};
    struct sim_datagram reply = {
        .from = datagram->to, .to = datagram->from, .data = &message, .len = sizeof message};
    (void)now;
    sim_nat_send(mirror->net, end, &reply);
}

void sim_mirror_start(struct sim_mirror *mirror, struct sim_nat_net *net)
{
    for (unsigned i = 0; i < 2; i++) {
        mirror->ends[i] = (struct sim_mirror_end){.net = net, .end.receive = on_ask};
        sim_nat_attach(&net->internet, &mirror->ends[i].end, mirror_text[i][0], mirror_text[i][1]);
    }
}

void sim_mirror_stop(struct sim_mirror *mirror)
{
    for (unsigned i = 0; i < 2; i++)
        sim_nat_leave(&mirror->ends[i].end);
}

/* ---- one of the two hosts, in one family */

/* What measuring its own NAT told it. */
struct measured {
    bool has_mapping;      /* the mirror answered at all */
    bool is_independent;   /* one mapping for all remotes */
    bool is_sequential;    /* else: the ports are in a row */
    struct gw_addr mapped; /* the last one seen */
    int step;
};

struct side {
    struct sim_nat_net *net;
    struct sim_end end;
    struct side *other;
    uint8_t family;
    struct gw_addr told[3]; /* by the mirror, in the order of the questions */
    struct measured measured;
    struct gw_addr heard[HEARD_MAX]; /* from where the other's packets come, and on which socket */
    unsigned heard_on[HEARD_MAX], heard_count;
    bool has_answer;
    uint64_t packets;
};

static void send_from(struct side *side, unsigned socket, const struct gw_addr *to, enum kind kind)
{
    const struct gw_addr *ip = sim_end_ip(&side->end, side->family);
    struct message message = {.kind = (uint8_t)kind};
    struct sim_datagram datagram = {.from = *ip, .to = *to, .data = &message, .len = sizeof message};
    datagram.from.port = (uint16_t)(BASE_PORT + socket);
    side->packets++;
    sim_nat_send(side->net, &side->end, &datagram);
}

static void on_receive(struct sim_end *end, struct gw_mono now, const struct sim_datagram *datagram)
{
    struct side *side = gw_container_of(end, struct side, end);
    struct message message;
    unsigned socket = datagram->to.port - BASE_PORT;
    (void)now;
    if (datagram->len != sizeof message || socket >= SOCKETS_MAX)
        return;
    memcpy(&message, datagram->data, sizeof message);
    if (message.kind == TELL) {
        for (unsigned i = 0; i < 3; i++) {
            if (!gw_addr_is_set(&side->told[i])) {
                side->told[i] = message.seen;
                return;
            }
        }
        return;
    }
    if (message.kind == ANSWER)
        side->has_answer = true;
    else
        send_from(side, socket, &datagram->from, ANSWER);
    if (side->heard_count < HEARD_MAX) {
        side->heard_on[side->heard_count] = socket;
        side->heard[side->heard_count++] = datagram->from;
    }
}

/* ---- measuring: the mirror's first address, its second, its other port, one after the other */

static struct gw_addr mirror_addr(uint8_t family, unsigned which)
{
    struct gw_addr addr;
    if (gw_addr_parse_ip(&addr, mirror_text[which == 1][family == 6],
                         (uint16_t)(SIM_MIRROR_PORT + (which == 2))) != 0)
        abort();
    return addr;
}

static void ask(struct side *side, unsigned which)
{
    struct gw_addr to = mirror_addr(side->family, which);
    if (sim_end_ip(&side->end, side->family))
        send_from(side, 0, &to, ASK);
}

static void conclude(struct side *side)
{
    struct measured *m = &side->measured;
    m->has_mapping = gw_addr_is_set(&side->told[2]);
    if (!m->has_mapping)
        return;
    m->mapped = side->told[2];
    m->is_independent =
        gw_addr_equal(&side->told[0], &side->told[1]) && gw_addr_equal(&side->told[1], &side->told[2]);
    int first = side->told[1].port - side->told[0].port, second = side->told[2].port - side->told[1].port;
    m->step = second;
    m->is_sequential = !m->is_independent && first == second && abs(first) <= 16;
}

/* ---- punching */

/* Where the other's packets are going to come from. Sequential: its next mapping, which is the one that it makes for us, since it
 * sends to nobody else meanwhile. Random: anything; this opens the filter of those that look at the address only. */
static struct gw_addr target(const struct side *side)
{
    struct gw_addr addr = side->other->measured.mapped;
    if (side->other->measured.is_sequential)
        addr.port = (uint16_t)(addr.port + side->other->measured.step);
    return addr;
}

static bool is_hard(const struct side *side)
{
    return !side->measured.is_independent && !side->measured.is_sequential;
}

static bool are_through(const struct side *side)
{
    return side->has_answer && side->other->has_answer;
}

static void punch_round(struct side *side, const struct gw_addr *to)
{
    send_from(side, 0, to, PUNCH);
    for (unsigned i = 0, n = side->heard_count; i < n && i < 4; i++)
        send_from(side, side->heard_on[i], &side->heard[i], PUNCH);
}

/* The hard side sends once from each of many sockets; the easy side, whose mapping is known, to many ports at random. */
static void search(struct side *hard, struct side *easy, const struct sim_punch_params *params,
                   struct gw_mono until, struct sim_dice *dice)
{
    struct sim_clock *clock = hard->net->clock;
    struct gw_addr to = target(hard);
    for (unsigned i = 1; i <= params->sockets && i < SOCKETS_MAX; i++)
        send_from(hard, i, &to, PUNCH);
    for (unsigned i = 0; i < params->probes && !are_through(hard) && gw_mono_before(clock->now, until); i++) {
        struct gw_addr guess = hard->measured.mapped;
        guess.port = (uint16_t)(1024 + sim_dice_u64(dice) % 64512);
        send_from(easy, 0, &guess, PUNCH);
        sim_clock_run(clock, gw_mono_add(clock->now, params->probe_every_ns));
        for (unsigned k = 0; i % 256 == 255 && k < params->sockets; k++)
            send_from(hard, 1 + k, &to, PUNCH); /* keeps the mappings */
    }
}

static bool punch(struct side sides[2], const struct sim_punch_params *params, struct sim_dice *dice)
{
    struct sim_clock *clock = sides[0].net->clock;
    struct gw_mono until = gw_mono_add(clock->now, LIMIT_NS);
    if (!sides[0].measured.has_mapping || !sides[1].measured.has_mapping)
        return false;
    /* The targets are for the next mapping: taken before anybody sends. */
    struct gw_addr to[2] = {target(&sides[0]), target(&sides[1])};
    for (unsigned round = 0; round < ROUNDS && !are_through(&sides[0]); round++) {
        punch_round(&sides[0], &to[0]);
        punch_round(&sides[1], &to[1]);
        sim_clock_run(clock, gw_mono_add(clock->now, ROUND_NS));
    }
    if (!are_through(&sides[0]) && params->sockets && is_hard(&sides[0]) != is_hard(&sides[1]))
        search(&sides[!is_hard(&sides[0])], &sides[is_hard(&sides[0])], params, until, dice);
    sim_clock_run(clock, gw_mono_add(clock->now, GW_MS(500)));
    return are_through(&sides[0]);
}

struct sim_punch_result sim_punch(struct sim_nat_net *net, struct sim_nat_line *a, struct sim_nat_line *b,
                                  const struct sim_punch_params *params, uint64_t seed)
{
    struct sim_punch_result result = {0};
    struct sim_dice dice = {seed};
    static const uint8_t families[] = {4, 6};
    for (unsigned f = 0; f < 2 && !result.is_direct; f++) {
        struct side sides[2] = {0};
        struct sim_nat_line *lines[2] = {a, b};
        for (unsigned i = 0; i < 2; i++) {
            sides[i].net = net;
            sides[i].other = &sides[!i];
            sides[i].family = families[f];
            sides[i].end.receive = on_receive;
            sim_nat_join(lines[i], &sides[i].end);
        }
        for (unsigned which = 0; which < 3; which++) {
            ask(&sides[0], which);
            ask(&sides[1], which);
            sim_clock_run(net->clock, gw_mono_add(net->clock->now, GW_MS(500)));
        }
        conclude(&sides[0]);
        conclude(&sides[1]);
        struct gw_mono start = net->clock->now;
        result.packets = sides[0].packets + sides[1].packets;
        result.is_direct = punch(sides, params, &dice);
        result.family = families[f];
        result.took_ns = gw_mono_sub(net->clock->now, start);
        result.packets = sides[0].packets + sides[1].packets - result.packets;
        sim_nat_leave(&sides[0].end);
        sim_nat_leave(&sides[1].end);
    }
    return result;
}
