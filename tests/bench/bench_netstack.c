/* SPDX-License-Identifier: MIT */
/* What the netstack itself costs: two links of it in one process with a cable of trains between them, one bulk TCP connection, no kernel and no crypto. Both
 * ends are paid for by one core. Time is virtual (a round trip of `rtt` us), work is measured by the CPU clock. Then connections: opened, one byte each way, closed.
 * usage: bench_netstack [megabytes [rtt_us]]. Prints one JSON line. */
#include "gateway/packet/ip.h"
#include "netstack/netstack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOTS 16384u
#define SLOT 1504u
#define TRAIN 64u
#define OPENS 20000u
#define AT_ONCE 500u

struct slot {
    struct gw_mono at;
    size_t len;
    bool is_partial;
    uint8_t bytes[SLOT];
};

/* One direction. */
struct cable {
    struct slot *slots;
    size_t first, next;
    uint64_t packets, lost;
};

struct end {
    struct gw_connection *connection;
    uint64_t left, received;
};

static struct gw_netstack *stack;
static struct gw_netstack_link *links[2];
static struct cable cables[2]; /* by sender */
static struct gw_mono now = {GW_S(10)};
static int64_t delay_ns;
static int peers[2];
static struct end sender, receiver;
static uint64_t opened, closed, to_open;
static bool are_short;

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the cable */

static void on_output(struct gw_netstack_link *link, const struct gw_netstack_packet *packets, unsigned count,
                      struct gw_mono at, void *ctx)
{
    struct cable *cable = &cables[link == links[1]];
    (void)at, (void)ctx;
    for (unsigned i = 0; i < count; i++) {
        if (cable->next - cable->first == SLOTS) {
            cable->lost++;
            continue;
        }
        struct slot *slot = &cable->slots[cable->next++ % SLOTS];
        slot->at = gw_mono_add(now, delay_ns);
        slot->len = packets[i].len;
        slot->is_partial = packets[i].is_checksum_left;
        memcpy(slot->bytes, packets[i].data, packets[i].len);
        cable->packets++;
    }
}

static bool deliver(unsigned from)
{
    struct cable *cable = &cables[from];
    unsigned count = 0;
    size_t first = cable->first;
    for (; first + count < cable->next && count < TRAIN; count++) {
        struct slot *slot = &cable->slots[(first + count) % SLOTS];
        if (!gw_mono_due(slot->at, now))
            break;
        gw_netstack_link_input(links[1 - from], now, slot->bytes, slot->len, slot->is_partial,
                               &peers[1 - from], 0);
    }
    if (count == 0)
        return false;
    gw_netstack_flush(stack, now); /* what is put in meanwhile goes behind them */
    cable->first += count;
    return true;
}

/* ---- bulk */

static void write_more(struct end *end)
{
    size_t len;
    while (end->left > 0) {
        uint8_t *room = gw_connection_reserve(end->connection, 0, &len);
        if (!room)
            return;
        if (len > end->left)
            len = (size_t)end->left;
        room[0] = 1; /* recv() is not what is measured */
        gw_connection_commit(end->connection, now, len);
        end->left -= len;
    }
}

static size_t on_data(struct gw_connection *connection, struct gw_mono at, const struct iovec *iov, int count,
                      void *user)
{
    struct end *end = user;
    size_t len = 0;
    (void)connection, (void)at;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    if (end)
        end->received += len;
    return len;
}

static void on_ready(struct gw_connection *connection, struct gw_mono at, void *user)
{
    (void)connection, (void)at;
    if (user)
        write_more(user);
}

/* ---- short connections */

static void on_short_connected(struct gw_connection *connection, struct gw_mono at, void *user)
{
    (void)user;
    gw_connection_write(connection, at, "x", 1);
    gw_connection_finish(connection, at);
}

static void on_short_fin(struct gw_connection *connection, struct gw_mono at, void *user)
{
    (void)user;
    gw_connection_release(connection, at);
    closed++;
}

static void on_closed(struct gw_connection *connection, struct gw_mono at, enum gw_reason reason, void *user)
{
    (void)connection, (void)at, (void)user;
    if (reason != GW_REASON_SHUTTING_DOWN)
        abort();
}

static const struct gw_connection_ops bulk_ops = {
    .on_connected = on_ready, .on_data = on_data, .on_fin = on_ready, .on_writable = on_ready};
static const struct gw_connection_ops short_ops = {
    .on_connected = on_short_connected, .on_data = on_data, .on_fin = on_short_fin, .on_closed = on_closed};

static void on_connection(struct gw_netstack_link *link, struct gw_connection *offer, struct gw_mono at,
                          void *ctx)
{
    (void)link, (void)ctx;
    gw_connection_accept(offer, at, are_short ? &short_ops : &bulk_ops, are_short ? NULL : &receiver);
}

static void open_one(void)
{
    struct gw_connection *connection;
    struct gw_netstack_connect_params params = {.link = links[0],
                                                .peer = &peers[0],
                                                .ops = are_short ? &short_ops : &bulk_ops,
                                                .user = are_short ? NULL : &sender};
    gw_addr_parse_ip(&params.from, "10.64.0.1", 0);
    gw_addr_parse_ip(&params.to, "10.64.0.2", (uint16_t)(80 + opened % 1000));
    if (gw_netstack_connect(&connection, now, &params) != 0)
        abort();
    if (!are_short)
        sender.connection = connection;
    opened++;
}

/* ---- */

static struct gw_mono next_event(void)
{
    struct gw_mono at = gw_netstack_next_deadline(stack);
    for (int i = 0; i < 2; i++)
        if (cables[i].first != cables[i].next)
            at = gw_mono_min(at, cables[i].slots[cables[i].first % SLOTS].at);
    return at;
}

static void turn(void)
{
    while (deliver(0) || deliver(1))
        ;
    struct gw_mono at = next_event();
    if (gw_mono_is_never(at))
        return;
    now = gw_mono_max(now, at);
    if (gw_mono_due(gw_netstack_next_deadline(stack), now))
        gw_netstack_expire(stack, now);
}

static void set_up(void)
{
    struct gw_netstack_params params = {
        .random = gw_random_system(), .max_connections = 4000, .max_half_open = 2000};
    if (gw_netstack_new(&stack, &params, now) != 0)
        abort();
    for (int side = 0; side < 2; side++) {
        struct gw_netstack_link_params link = {
            .output = on_output, .on_connection = on_connection, .mtu = 1420, .leaves_checksums = true};
        struct gw_addr a;
        cables[side].slots = calloc(SLOTS, sizeof *cables[side].slots);
        if (!cables[side].slots || gw_netstack_link_new(&links[side], stack, &link, now) != 0)
            abort();
        gw_addr_parse_ip(&a, side ? "10.64.0.2" : "10.64.0.1", 0);
        gw_netstack_link_add_address(links[side], &a);
    }
}

int main(int argc, char **argv)
{
    uint64_t total = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1000) << 20;
    delay_ns = GW_US(argc > 2 ? strtoll(argv[2], NULL, 10) : 200) / 2;
    set_up();
    sender.left = total;
    open_one();
    double start = cpu_seconds();
    while (receiver.received < total)
        turn();
    double bulk = cpu_seconds() - start;
    uint64_t packets = cables[0].packets;
    gw_connection_reset(sender.connection, now);

    are_short = true;
    opened = 0;
    to_open = OPENS;
    start = cpu_seconds();
    while (closed < 2 * to_open) {
        while (opened < to_open && opened - closed / 2 < AT_ONCE)
            open_one();
        turn();
    }
    double opens = cpu_seconds() - start;
    struct gw_netstack_stats stats;
    gw_netstack_stats(stack, &stats);
    printf(
        "{\"bench\": \"netstack\", \"bytes\": %llu, \"gbit_s\": %.2f, \"ns_per_packet\": %.1f, \"acks\": %llu, \"merged\": %llu, \"lost\": %llu, "
        "\"opens_s\": %.0f, \"opens_at_once\": %u}\n",
        (unsigned long long)total, (double)total * 8 / bulk / 1e9, bulk * 1e9 / (double)packets,
        (unsigned long long)cables[1].packets, (unsigned long long)stats.segments_merged,
        (unsigned long long)(cables[0].lost + cables[1].lost), OPENS / opens, AT_ONCE);
    gw_netstack_free(stack, now);
    free(cables[0].slots);
    free(cables[1].slots);
    return 0;
}
