/* SPDX-License-Identifier: MIT */
/* The netstack between two links of a cable that the input plays with: packets are made up, changed, lost, doubled and reordered on the way, users write,
 * stall, finish and reset at any moment. Checksums are put right, so that what is changed is also looked at. Nothing may crash, leak, or outlive its call. */
#include "gateway/base/err.h"
#include "gateway/base/list.h"
#include "gateway/packet/ip.h"
#include "netstack/netstack.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FLIGHTS_MAX 64u
#define CONNECTIONS_MAX 8u
#define OPS_MAX 400u

struct flight {
    struct gw_list node;
    int to;
    size_t len;
    uint8_t bytes[];
};

struct user {
    struct gw_connection *connection;
    bool is_stalled, is_fin, is_finished, is_offer;
};

static struct gw_netstack *stack;
static struct gw_netstack_link *links[2];
static struct gw_list flights;
static unsigned flight_count, mode;
static struct user users[CONNECTIONS_MAX];
static struct gw_mono now;
static int peers[2];

/* ---- users */

static size_t on_data(struct gw_connection *connection, struct gw_mono at, const struct iovec *iov, int count,
                      void *ctx)
{
    struct user *user = ctx;
    size_t len = 0, sum = 0;
    (void)connection, (void)at;
    assert(!user->is_fin && count > 0 && count <= 64);
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < iov[i].iov_len; j++)
            sum += ((const uint8_t *)iov[i].iov_base)[j]; /* all of it can be read */
        len += iov[i].iov_len;
    }
    return user->is_stalled ? (len + sum % 2) / 2 : len;
}

static void on_fin(struct gw_connection *connection, struct gw_mono at, void *ctx)
{
    struct user *user = ctx;
    assert(!user->is_fin);
    user->is_fin = true;
    if (!user->is_finished)
        return;
    user->connection = NULL;
    gw_connection_release(connection, at);
}

static void on_writable(struct gw_connection *connection, struct gw_mono at, void *ctx)
{
    (void)ctx;
    (void)gw_connection_write(connection, at, "more", 4);
}

static void on_datagram(struct gw_connection *connection, struct gw_mono at, const void *data, size_t len,
                        void *ctx)
{
    (void)ctx;
    (void)gw_connection_send_datagram(connection, at, data, len);
}

static void on_closed(struct gw_connection *connection, struct gw_mono at, enum gw_reason reason, void *ctx)
{
    struct user *user = ctx;
    (void)at, (void)reason;
    assert(user->connection == connection);
    user->connection = NULL;
}

static const struct gw_connection_ops ops = {.on_data = on_data,
                                             .on_fin = on_fin,
                                             .on_writable = on_writable,
                                             .on_datagram = on_datagram,
                                             .on_closed = on_closed};

static struct user *free_user(void)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        if (!users[i].connection)
            return &users[i];
    return NULL;
}

static void on_connection(struct gw_netstack_link *link, struct gw_connection *offer, struct gw_mono at,
                          void *ctx)
{
    struct user *user = free_user();
    (void)link, (void)ctx;
    if (!user || mode % 4 == 3) {
        gw_connection_refuse(offer, at, mode & 4);
        return;
    }
    *user = (struct user){.connection = offer, .is_offer = mode % 4 == 2};
    if (user->is_offer)
        gw_connection_attach(offer, &ops, user);
    else
        gw_connection_accept(offer, at, &ops, user);
}

/* ---- the cable */

static void on_output(struct gw_netstack_link *link, const struct gw_netstack_packet *packets, unsigned count,
                      struct gw_mono at, void *ctx)
{
    (void)at, (void)ctx;
    for (unsigned i = 0; i < count && flight_count < FLIGHTS_MAX; i++) {
        struct flight *flight = malloc(sizeof *flight + packets[i].len);
        struct gw_ip ip;
        assert(flight && gw_ip_parse(&ip, packets[i].data, packets[i].len) == 0 &&
               ip.total_len == packets[i].len);
        flight->to = link == links[0];
        flight->len = packets[i].len;
        memcpy(flight->bytes, packets[i].data, packets[i].len);
        gw_list_init(&flight->node);
        gw_list_push_back(&flights, &flight->node);
        flight_count++;
    }
}

/* Exactly as long as it is, and gone afterwards. */
static void inject(int to, const uint8_t *bytes, size_t len, bool is_kept_right)
{
    uint8_t *packet = malloc(len ? len : 1);
    struct gw_ip ip;
    assert(packet);
    if (len)
        memcpy(packet, bytes, len);
    if (is_kept_right && gw_ip_parse(&ip, packet, len) == 0) {
        if (ip.version == 4)
            gw_checksum_ip_header(packet, (size_t)(packet[0] & 15) * 4);
        gw_checksum_complete(packet, &ip);
    }
    gw_netstack_link_input(links[to], now, packet, len, false, &peers[to], 0);
    gw_netstack_flush(stack, now);
    free(packet);
}

static struct flight *take_flight(unsigned at)
{
    struct gw_list *node = flights.next;
    if (flight_count == 0)
        return NULL;
    for (at %= flight_count; at > 0; at--)
        node = node->next;
    gw_list_remove(node);
    flight_count--;
    return gw_list_entry(node, struct flight, node);
}

static void deliver_all(void)
{
    for (unsigned i = 0; i < 2 * FLIGHTS_MAX && flight_count > 0; i++) {
        struct flight *flight = take_flight(0);
        inject(flight->to, flight->bytes, flight->len, false);
        free(flight);
    }
}

/* ---- the input */

struct input {
    const uint8_t *at, *end;
};

static uint8_t next(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static void change_and_deliver(struct input *input)
{
    struct flight *flight = take_flight(next(input));
    if (!flight)
        return;
    for (unsigned changes = next(input) % 4; changes > 0; changes--) {
        uint8_t where = next(input);
        flight->bytes[where % flight->len] ^= next(input);
    }
    unsigned how = next(input);
    size_t len = how & 1 ? flight->len - how % flight->len : flight->len;
    inject(flight->to, flight->bytes, len, !(how & 2));
    if (how & 4)
        inject(flight->to, flight->bytes, len, true);
    free(flight);
}

static void make_up(struct input *input)
{
    int to = next(input) & 1;
    size_t len = next(input), left = (size_t)(input->end - input->at);
    if (len > left)
        len = left;
    inject(to, input->at, len, len & 1);
    input->at += len;
}

static void open_one(struct input *input)
{
    struct user *user = free_user();
    uint8_t how = next(input);
    struct gw_netstack_connect_params params = {
        .link = links[0], .peer = &peers[0], .is_udp = how & 1, .ops = &ops, .user = user};
    if (!user)
        return;
    gw_addr_parse_ip(&params.from, how & 2 ? "10.64.0.1" : "fd00::1", 0);
    gw_addr_parse_ip(&params.to, how & 2 ? "10.64.0.2" : "fd00::2", 80);
    *user = (struct user){0};
    if (gw_netstack_connect(&user->connection, now, &params) != 0)
        user->connection = NULL;
}

static void act(struct input *input)
{
    static const uint8_t bytes[9000];
    struct user *user = &users[next(input) % CONNECTIONS_MAX];
    struct gw_connection_info info;
    uint8_t how = next(input);
    if (!user->connection)
        return;
    gw_connection_info(user->connection, &info);
    if (user->is_offer) {
        user->is_offer = false;
        if (how & 1) {
            gw_connection_accept(user->connection, now, &ops, user);
        } else {
            gw_connection_refuse(user->connection, now, how & 2);
            user->connection = NULL;
        }
        return;
    }
    switch (how % 5) {
    case 0:
        if (info.is_udp)
            (void)gw_connection_send_datagram(user->connection, now, bytes, how * 35u);
        else
            (void)gw_connection_write(user->connection, now, bytes, how * 35u);
        break;
    case 1:
        user->is_stalled = !user->is_stalled;
        if (!info.is_udp)
            gw_connection_resume(user->connection, now);
        break;
    case 2:
        user->is_finished = true;
        if (!info.is_udp)
            gw_connection_finish(user->connection, now);
        break;
    case 3: {
        struct gw_connection *connection = user->connection;
        user->connection = NULL;
        if (how & 64)
            gw_connection_release(connection, now);
        else
            gw_connection_reset(connection, now);
        break;
    }
    default:
        gw_netstack_link_set_peer_mtu(links[how & 1], &peers[how & 1], (uint16_t)(how * 8));
    }
}

static void wait(uint8_t how)
{
    now = gw_mono_add(now, GW_MS(10) << how % 12);
    gw_netstack_expire(stack, now);
}

static void step(struct input *input)
{
    uint8_t op = next(input);
    switch (op % 8) {
    case 0:
        make_up(input);
        break;
    case 1:
    case 2:
        change_and_deliver(input);
        break;
    case 3:
        deliver_all();
        break;
    case 4:
        open_one(input);
        break;
    case 5:
        act(input);
        break;
    case 6:
        wait(next(input));
        break;
    default:
        mode = next(input);
    }
}

static void set_up(void)
{
    static struct gw_random_seeded random;
    struct gw_netstack_params params = {
        .random = &random.random, .max_connections = 16, .max_half_open = 4, .max_associations = 6};
    gw_random_seeded_init(&random, 1);
    now = (struct gw_mono){GW_S(1)};
    gw_list_init(&flights);
    flight_count = mode = 0;
    memset(users, 0, sizeof users);
    assert(gw_netstack_new(&stack, &params, now) == 0);
    for (int side = 0; side < 2; side++) {
        struct gw_netstack_link_params link = {
            .output = on_output, .on_connection = on_connection, .mtu = 1300, .takes_all = side};
        struct gw_addr a;
        assert(gw_netstack_link_new(&links[side], stack, &link, now) == 0);
        gw_addr_parse_ip(&a, side ? "10.64.0.2" : "10.64.0.1", 0);
        gw_netstack_link_add_address(links[side], &a);
        gw_addr_parse_ip(&a, side ? "fd00::2" : "fd00::1", 0);
        gw_netstack_link_add_address(links[side], &a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    set_up();
    for (unsigned i = 0; i < OPS_MAX && input.at < input.end; i++)
        step(&input);
    gw_netstack_free(stack, now);
    while (flight_count > 0)
        free(take_flight(0));
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        assert(!users[i].connection);
    return 0;
}
