/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include "gateway/base/err.h"
#include "tests/must.h"

#include <stdlib.h>
#include <string.h>

struct flight {
    struct gw_list node;
    struct gw_mono at;
    int to;
    bool is_partial;
    size_t len;
    uint8_t bytes[];
};

/* ---- ends */

static uint8_t pattern(unsigned seed, uint64_t at)
{
    return (uint8_t)(seed * 31 + at * 7 + (at >> 8) * 13 + (at >> 16));
}

static void send_more(struct end *end)
{
    size_t len;
    while (end->sent < end->to_send) {
        size_t left = (size_t)(end->to_send - end->sent);
        uint8_t *room = gw_connection_reserve(end->connection, left < 50000 ? left : 50000, &len);
        if (!room)
            return;
        if (len > left)
            len = left;
        for (size_t i = 0; i < len; i++)
            room[i] = pattern(end->own_seed, end->sent + i);
        gw_connection_commit(end->connection, end->wire->now, len);
        end->sent += len;
    }
    if (!end->is_kept_open && !end->is_finished) {
        end->is_finished = true;
        gw_connection_finish(end->connection, end->wire->now);
    }
}

static void release_if_done(struct end *end)
{
    if (!end->is_fin || !end->is_finished || !end->connection)
        return;
    struct gw_connection *connection = end->connection;
    end->connection = NULL;
    gw_connection_release(connection, end->wire->now);
}

void end_finish(struct end *end)
{
    end->is_kept_open = false;
    send_more(end);
    release_if_done(end);
}

static void on_connected(struct gw_connection *connection, struct gw_mono now, void *user)
{
    struct end *end = user;
    (void)connection, (void)now;
    end->is_connected = true;
    send_more(end);
}

static size_t on_data(struct gw_connection *connection, struct gw_mono now, const struct iovec *iov,
                      int count, void *user)
{
    struct end *end = user;
    size_t taken = 0;
    must(!end->is_fin && count > 0 && count <= 64);
    if (++end->offered == end->reset_at) {
        gw_connection_reset(connection, now);
        end->is_closed = true;
        end->connection = NULL;
        return 0;
    }
    for (int i = 0; i < count; i++) {
        const uint8_t *bytes = iov[i].iov_base;
        must(iov[i].iov_len > 0);
        for (size_t j = 0; j < iov[i].iov_len; j++, taken++) {
            if (end->stall_at && end->received == end->stall_at)
                return taken;
            must(bytes[j] == pattern(end->seed, end->received));
            end->received++;
        }
    }
    return taken;
}

static void on_fin(struct gw_connection *connection, struct gw_mono now, void *user)
{
    struct end *end = user;
    (void)connection, (void)now;
    must(!end->is_fin);
    end->is_fin = true;
    release_if_done(end);
}

static void on_writable(struct gw_connection *connection, struct gw_mono now, void *user)
{
    (void)connection, (void)now;
    send_more(user);
    release_if_done(user);
}

static void on_datagram(struct gw_connection *connection, struct gw_mono now, const void *data, size_t len,
                        void *user)
{
    struct end *end = user;
    end->datagrams++;
    end->last_len = len;
    for (size_t i = 0; i < len; i++)
        must(((const uint8_t *)data)[i] == pattern(9, i));
    if (end->to_send) /* echoes */
        must(gw_connection_send_datagram(connection, now, data, len) == 0);
}

static void on_closed(struct gw_connection *connection, struct gw_mono now, enum gw_reason reason, void *user)
{
    struct end *end = user;
    (void)connection, (void)now;
    end->is_closed = true;
    end->reason = reason;
    end->connection = NULL;
}

const struct gw_connection_ops end_ops = {.on_connected = on_connected,
                                          .on_data = on_data,
                                          .on_fin = on_fin,
                                          .on_writable = on_writable,
                                          .on_datagram = on_datagram,
                                          .on_closed = on_closed};

/* ---- the cable */

static int side_of(const struct wire *wire, const struct gw_netstack_link *link)
{
    return link == wire->link[0] ? 0 : 1;
}

static void send_one(struct wire *wire, int from, const struct gw_netstack_packet *packet)
{
    int64_t start = wire->free_at[from] > wire->now.ns ? wire->free_at[from] : wire->now.ns;
    wire->sent[from]++;
    wire->bytes[from] += packet->len;
    if (wire->is_cut || gw_random_u32(&wire->random.random) % 1000 < wire->loss_permille ||
        (wire->queue_ns && start - wire->now.ns > wire->queue_ns) ||
        (wire->filter && !wire->filter(wire, from, packet->data, packet->len))) {
        wire->lost++;
        return;
    }
    if (wire->rate)
        start += (int64_t)(packet->len * 1000000000u / wire->rate);
    wire->free_at[from] = start;
    struct flight *flight = malloc(sizeof *flight + packet->len);
    must(flight);
    flight->at = (struct gw_mono){start + wire->delay_ns};
    flight->to = 1 - from;
    flight->is_partial = packet->is_checksum_left;
    flight->len = packet->len;
    memcpy(flight->bytes, packet->data, packet->len);
    gw_list_init(&flight->node);
    /* Both directions have one list: later ones stand at the end, mostly. */
    struct gw_list *at = wire->flights.prev;
    while (at != &wire->flights && gw_mono_before(flight->at, gw_list_entry(at, struct flight, node)->at))
        at = at->prev;
    gw_list_push_front(at, &flight->node);
}

static void on_output(struct gw_netstack_link *link, const struct gw_netstack_packet *packets, unsigned count,
                      struct gw_mono now, void *ctx)
{
    struct wire *wire = ctx;
    (void)now;
    for (unsigned i = 0; i < count; i++)
        send_one(wire, side_of(wire, link), &packets[i]);
}

static void on_connection(struct gw_netstack_link *link, struct gw_connection *offer, struct gw_mono now,
                          void *ctx)
{
    struct wire *wire = ctx;
    must(side_of(wire, link) == 1);
    if (wire->on_offer && wire->on_offer(wire, offer, now))
        return;
    if (wire->answer == ANSWER_WAIT) {
        if (wire->offer_count < 64)
            wire->offers[wire->offer_count++] = offer;
        return;
    }
    if (wire->answer != ANSWER_ACCEPT) {
        gw_connection_refuse(offer, now, wire->answer == ANSWER_DROP);
        return;
    }
    must(wire->accepted < WIRE_ENDS_MAX);
    struct end *end = &wire->ends[wire->accepted++];
    *end = (struct end){.wire = wire,
                        .connection = offer,
                        .to_send = wire->answer_len,
                        .own_seed = 2,
                        .seed = 1,
                        .stall_at = wire->answer_stall,
                        .reset_at = wire->answer_reset_at,
                        .is_kept_open = wire->is_answer_open};
    gw_connection_accept(offer, now, &end_ops, end);
}

static void deliver(struct wire *wire)
{
    struct gw_list landed;
    bool has_any = false;
    gw_list_init(&landed);
    while (!gw_list_is_empty(&wire->flights)) {
        struct flight *flight = gw_list_entry(wire->flights.next, struct flight, node);
        if (!gw_mono_due(flight->at, wire->now))
            break;
        gw_list_remove(&flight->node);
        gw_list_push_back(&landed, &flight->node);
        gw_netstack_link_input(wire->link[flight->to], wire->now, flight->bytes, flight->len,
                               flight->is_partial, &wire->peer[flight->to], wire->mtu[flight->to]);
        has_any = true;
    }
    if (has_any)
        gw_netstack_flush(wire->stack, wire->now);
    /* Whoever kept a pointer into them finds rubbish, and the sanitizer finds whoever. */
    for (struct gw_list *node; (node = gw_list_pop_front(&landed)) != NULL;) {
        struct flight *flight = gw_list_entry(node, struct flight, node);
        memset(flight->bytes, 0xdd, flight->len);
        free(flight);
    }
}

bool wire_run(struct wire *wire, int64_t ns, bool (*is_done)(struct wire *wire, void *ctx), void *ctx)
{
    struct gw_mono end = gw_mono_add(wire->now, ns);
    while (!is_done || !is_done(wire, ctx)) {
        struct gw_mono at = gw_netstack_next_deadline(wire->stack);
        if (!gw_list_is_empty(&wire->flights))
            at = gw_mono_min(at, gw_list_entry(wire->flights.next, struct flight, node)->at);
        if (!gw_mono_before(at, end)) {
            wire->now = end;
            return is_done && is_done(wire, ctx);
        }
        wire->now = gw_mono_max(wire->now, at);
        deliver(wire);
        if (gw_mono_due(gw_netstack_next_deadline(wire->stack), wire->now))
            gw_netstack_expire(wire->stack, wire->now);
    }
    return true;
}

void wire_inject(struct wire *wire, int to, const uint8_t *packet, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    must(copy);
    if (len)
        memcpy(copy, packet, len);
    gw_netstack_link_input(wire->link[to], wire->now, copy, len, false, &wire->peer[to], wire->mtu[to]);
    gw_netstack_flush(wire->stack, wire->now);
    free(copy);
}

/* ---- life */

struct gw_addr wire_address(int side, int family, uint16_t port)
{
    struct gw_addr a;
    must(gw_addr_parse_ip(&a,
                          family == 6 ? (side ? "fd00::2" : "fd00::1") : (side ? "10.64.0.2" : "10.64.0.1"),
                          port) == 0);
    return a;
}

struct wire *wire_new(const struct gw_netstack_params *params)
{
    struct wire *wire = calloc(1, sizeof *wire);
    struct gw_netstack_params p = params ? *params : (struct gw_netstack_params){0};
    must(wire);
    gw_list_init(&wire->flights);
    gw_random_seeded_init(&wire->random, 7);
    p.random = &wire->random.random;
    wire->now = (struct gw_mono){GW_S(1000)};
    wire->delay_ns = GW_MS(1);
    must(gw_netstack_new(&wire->stack, &p, wire->now) == 0);
    for (int side = 0; side < 2; side++) {
        struct gw_netstack_link_params link = {
            .output = on_output, .on_connection = side ? on_connection : NULL, .ctx = wire, .mtu = 1420};
        must(gw_netstack_link_new(&wire->link[side], wire->stack, &link, wire->now) == 0);
        for (int family = 4; family <= 6; family += 2) {
            struct gw_addr a = wire_address(side, family, 0);
            must(gw_netstack_link_add_address(wire->link[side], &a) == 0);
        }
    }
    return wire;
}

void wire_free(struct wire *wire)
{
    gw_netstack_free(wire->stack, wire->now);
    for (struct gw_list *node; (node = gw_list_pop_front(&wire->flights)) != NULL;)
        free(gw_list_entry(node, struct flight, node));
    free(wire);
}

static int connect_to(struct wire *wire, struct end *end, int family, uint16_t port, bool is_udp)
{
    struct gw_netstack_connect_params params = {.link = wire->link[0],
                                                .peer = &wire->peer[0],
                                                .from = wire_address(0, family, 0),
                                                .to = wire_address(1, family, port),
                                                .is_udp = is_udp,
                                                .mtu = wire->mtu[0],
                                                .ops = &end_ops,
                                                .user = end};
    return gw_netstack_connect(&end->connection, wire->now, &params);
}

int wire_connect(struct wire *wire, struct end *end, int family, uint16_t port, uint64_t to_send)
{
    end->wire = wire;
    end->to_send = to_send;
    end->own_seed = 1;
    end->seed = 2;
    return connect_to(wire, end, family, port, false);
}

int wire_connect_udp(struct wire *wire, struct end *end, int family, uint16_t port)
{
    end->wire = wire;
    end->is_udp = true;
    return connect_to(wire, end, family, port, true);
}
