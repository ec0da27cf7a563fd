/* SPDX-License-Identifier: MIT */
/* Two whole engines in one process, no sockets: one bulk stream from one to the other. Prints one JSON line: Gbit/s of payload and
 * nanoseconds for a packet, of both ends together on one core, with the seal that the two agreed on. */
#include "gateway/base/log.h"
#include "gateway/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUN_NS GW_S(2)

struct end {
    struct gateway *gateway;
    struct gw_gateway_events events;
    struct gw_wallclock wallclock;
    struct gw_flow_budget budget;
    struct gw_addr addr;
    uint8_t *slab;
};

static struct gw_mono clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (struct gw_mono){GW_S(ts.tv_sec) + ts.tv_nsec};
}

static struct gw_wall read_wall(struct gw_wallclock *self)
{
    (void)self;
    return (struct gw_wall){1700000000, 0};
}

/* ---- the receiver: counts */

static uint64_t received;

static size_t on_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                      void *user)
{
    size_t total = 0;
    (void)stream, (void)now, (void)user;
    for (int i = 0; i < count; i++)
        total += iov[i].iov_len;
    received += total;
    return total;
}
static void on_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason, void *user)
{
    (void)stream, (void)now, (void)reason, (void)user;
}
static const struct gw_stream_ops sink_ops = {.on_data = on_data, .on_closed = on_closed};

static void on_open(struct gateway *gateway, struct gw_peer *peer, struct gw_stream *stream,
                    const struct gw_open *open, struct gw_mono now, void *ctx)
{
    (void)gateway, (void)peer, (void)open, (void)ctx;
    gw_stream_accept(stream, now, &sink_ops, NULL);
}

/* ---- the sender: always has more */

static void feed(struct gw_stream *stream, struct gw_mono now)
{
    for (size_t room; gw_stream_reserve(stream, 65536, &room) && room > 0;)
        gw_stream_commit(stream, now, room);
}
static void on_writable(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)user;
    feed(stream, now);
}
static const struct gw_stream_ops source_ops = {
    .on_data = on_data, .on_writable = on_writable, .on_closed = on_closed};

/* ---- */

static void start(struct end *end, const char *addr, struct gw_gateway_params *params)
{
    end->wallclock.read = read_wall;
    end->budget.limit = 64u << 20;
    end->events.on_open = on_open;
    end->slab = malloc(GW_TRAIN_SLAB);
    *params = (struct gw_gateway_params){.crypto = gw_crypto_system(),
                                         .random = gw_random_system(),
                                         .wallclock = &end->wallclock,
                                         .budget = &end->budget,
                                         .events = &end->events};
    gw_random_fill(params->random, params->secret, sizeof params->secret);
    if (!end->slab || gw_addr_parse(&end->addr, addr) != 0 ||
        gw_gateway_new(&end->gateway, params, clock_now()) != 0)
        abort();
}

static struct gw_peer *know(struct end *end, const struct end *other)
{
    struct gw_peer_config config = {.endpoints = {other->addr}, .endpoint_count = 1, .has_ed25519 = true};
    struct gw_peer *peer;
    memcpy(config.public_key, gw_gateway_public_key(other->gateway), GW_KEY_LEN);
    if (gw_gateway_add_peer(end->gateway, clock_now(), &config, &peer) != 0)
        abort();
    return peer;
}

/* One train from one to the other, if there is one. */
static void turn(struct end *from, struct end *to, uint64_t *packets)
{
    struct gw_mono now = clock_now();
    struct gw_train train = {.slab = from->slab};
    gw_gateway_expire(from->gateway, now);
    while (gw_gateway_handshake(from->gateway, now))
        ;
    if (!gw_gateway_output(from->gateway, now, &train))
        return;
    train.tuple = (struct gw_tuple){.remote = from->addr, .local = to->addr};
    *packets += train.count;
    gw_gateway_input(to->gateway, now, &train);
}

int main(void)
{
    struct end a = {0}, b = {0};
    struct gw_gateway_params params;
    struct gw_open open = {.service = "sink"};
    struct gw_stream *stream;
    uint64_t packets = 0;
    gw_log_set_level(GW_LOG_ERROR);
    start(&a, "10.0.0.1:1", &params);
    start(&b, "10.0.0.2:2", &params);
    struct gw_peer *peer = know(&a, &b);
    know(&b, &a);
    if (gw_peer_open(peer, clock_now(), &open, &source_ops, NULL, &stream) != 0)
        abort();
    feed(stream, clock_now());

    struct gw_mono began = clock_now(), warm = gw_mono_add(began, RUN_NS / 4),
                   until = gw_mono_add(began, RUN_NS);
    bool is_warm = false;
    while (gw_mono_before(clock_now(), until)) {
        turn(&a, &b, &packets);
        turn(&b, &a, &packets);
        if (!is_warm && gw_mono_due(warm, clock_now())) {
            is_warm = true;
            began = clock_now();
            received = packets = 0;
        }
    }
    double seconds = (double)gw_mono_sub(clock_now(), began) / 1e9;
    struct gw_peer_status status;
    gw_peer_status(peer, clock_now(), &status);
    printf(
        "{\"name\": \"gateway\", \"gbit_s\": %.2f, \"ns_per_packet\": %.0f, \"suite\": %d, \"cwnd\": %llu, \"lost\": %llu}\n",
        (double)received * 8e-9 / seconds, seconds * 1e9 / (double)packets, (int)status.sending_suite,
        (unsigned long long)status.flows.cwnd, (unsigned long long)status.flows.packets_lost);
    gw_gateway_free(a.gateway, clock_now());
    gw_gateway_free(b.gateway, clock_now());
    free(a.slab);
    free(b.slab);
    return 0;
}
