/* SPDX-License-Identifier: MIT */
/* See relaynodes.h. */
#include "tests/tools/relaynodes.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/base/err.h"
#include "gateway/discovery/discovery_private.h"
#include "tests/tools/tool.h"

#define SETTLE_S 60
#define OPEN_AT_ONCE 8u /* pairs that a node asks for in one round: an anchor answers 63 requests a second */

struct relaynode {
    struct relaynodes *nodes;
    int fd;
    struct gateway *gateway;
    struct gw_gateway_events events;
    struct gw_peer *anchor;
    struct gw_peer **others; /* by number; NULL: itself */
};

struct relaynodes {
    struct relaynode *list;
    struct pollfd *polls; /* one more than nodes */
    unsigned count;
    struct gw_wallclock wallclock;
    struct gw_flow_budget budget;
    struct stun_addr anchor_at;
};

static uint8_t slab[GW_TRAIN_SLAB];

static struct gw_mono now_mono(void)
{
    return (struct gw_mono){(int64_t)tool_now()};
}

static struct gw_wall read_wall(struct gw_wallclock *self)
{
    struct timespec ts;
    (void)self;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (struct gw_wall){ts.tv_sec, (int32_t)ts.tv_nsec};
}

static void must(int err, const char *what)
{
    errno = 0;
    if (err)
        tool_die("%s: %s", what, gw_strerror(err));
}

/* ---- keys */

static void secret_of(uint8_t secret[GW_KEY_LEN], unsigned number)
{
    gw_hash(secret, "peergate relay load", 19, &number, sizeof number);
    secret[0] &= 248;
    secret[31] = (uint8_t)((secret[31] & 127) | 64);
}

static void public_of(uint8_t public_key[GW_KEY_LEN], unsigned number)
{
    uint8_t secret[GW_KEY_LEN];
    secret_of(secret, number);
    gw_crypto_system()->dh_public(public_key, secret);
}

const char *relaynodes_key(char text[64], unsigned number)
{
    uint8_t public_key[GW_KEY_LEN];
    public_of(public_key, number);
    return sodium_bin2base64(text, 64, public_key, sizeof public_key, sodium_base64_VARIANT_ORIGINAL);
}

/* ---- life */

static void start(struct relaynodes *nodes, unsigned number)
{
    struct relaynode *node = &nodes->list[number];
    struct gw_gateway_params params = {.crypto = gw_crypto_system(),
                                       .random = gw_random_system(),
                                       .wallclock = &nodes->wallclock,
                                       .budget = &nodes->budget,
                                       .events = &node->events};
    secret_of(params.secret, number);
    must(gw_gateway_new(&node->gateway, &params, now_mono()), "engine");
}

static void add_peers(struct relaynodes *nodes, unsigned number, const struct gw_peer_config *anchor)
{
    struct relaynode *node = &nodes->list[number];
    node->others = calloc(nodes->count, sizeof *node->others);
    if (!node->others)
        tool_die("no memory");
    must(gw_gateway_add_peer(node->gateway, now_mono(), anchor, &node->anchor), "anchor");
    for (unsigned i = 0; i < nodes->count; i++) {
        struct gw_peer_config config = {.punch_attempts = GW_PUNCH_NEVER};
        public_of(config.public_key, i);
        if (i != number)
            must(gw_gateway_add_peer(node->gateway, now_mono(), &config, &node->others[i]), "peer");
    }
}

struct relaynodes *relaynodes_new(unsigned count, const int *fds, const char *anchor_key,
                                  const char *anchor_at)
{
    struct relaynodes *nodes = calloc(1, sizeof *nodes);
    struct gw_peer_config anchor = {
        .name = "anchor", .is_anchor = true, .is_eager = true, .endpoint_count = 1, .keepalive_ns = GW_S(25)};
    if (!nodes || !(nodes->list = calloc(count, sizeof *nodes->list)) ||
        !(nodes->polls = calloc(count + 1, sizeof *nodes->polls)))
        tool_die("no memory");
    size_t len;
    if (!gw_crypto_system() ||
        sodium_base642bin(anchor.public_key, sizeof anchor.public_key, anchor_key, strlen(anchor_key), NULL,
                          &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        len != GW_KEY_LEN || gw_addr_parse(&anchor.endpoints[0], anchor_at) != 0)
        tool_die("the anchor's key and address: %s %s", anchor_key, anchor_at);
    nodes->count = count;
    nodes->wallclock.read = read_wall;
    nodes->budget.limit = 64u << 20;
    nodes->anchor_at = datagrams_parse(anchor_at);
    for (unsigned i = 0; i < count; i++) {
        nodes->list[i].nodes = nodes;
        nodes->list[i].fd = fds[i];
        nodes->polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        start(nodes, i);
        add_peers(nodes, i, &anchor);
    }
    return nodes;
}

void relaynodes_free(struct relaynodes *nodes)
{
    for (unsigned i = 0; i < nodes->count; i++) {
        gw_gateway_free(nodes->list[i].gateway, now_mono());
        free(nodes->list[i].others);
    }
    free(nodes->list);
    free(nodes->polls);
    free(nodes);
}

/* ---- the turn */

static bool receive(struct relaynode *node)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct sockaddr_storage from;
    struct iovec iov = {slab, sizeof slab};
    struct msghdr msg = {.msg_name = &from,
                         .msg_namelen = sizeof from,
                         .msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    ssize_t len = recvmsg(node->fd, &msg, MSG_DONTWAIT);
    int each = 0;
    if (len <= 0)
        return false;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
        if (cmsg->cmsg_level == SOL_UDP && cmsg->cmsg_type == UDP_GRO)
            memcpy(&each, CMSG_DATA(cmsg), sizeof each);
    }
    if (each <= 0 || each > len)
        each = (int)len;
    struct gw_train train = {.slab = slab, .stride = (uint16_t)each};
    train.count = (uint16_t)((len + each - 1) / each);
    train.last_len = (uint16_t)(len - (ssize_t)(train.count - 1) * each);
    if (gw_addr_from_sockaddr(&train.tuple.remote, (struct sockaddr *)&from) == 0)
        gw_gateway_input(node->gateway, now_mono(), &train);
    return true;
}

static void send_out(struct relaynode *node)
{
    struct gw_train train = {.slab = slab};
    while (gw_gateway_output(node->gateway, now_mono(), &train)) {
        struct sockaddr_storage to;
        socklen_t to_len = (socklen_t)gw_addr_to_sockaddr(&train.tuple.remote, &to);
        for (unsigned i = 0; i < train.count; i++)
            sendto(node->fd, gw_train_datagram(&train, i), gw_train_datagram_len(&train, i), 0,
                   (struct sockaddr *)&to, to_len);
    }
}

/* Waits for at most a millisecond, then does what there is to do. */
static void turn(struct relaynodes *nodes)
{
    poll(nodes->polls, nodes->count + (nodes->polls[nodes->count].fd != 0), 1);
    for (unsigned i = 0; i < nodes->count; i++) {
        struct relaynode *node = &nodes->list[i];
        while (receive(node))
            ;
        gw_gateway_expire(node->gateway, now_mono());
        while (gw_gateway_handshake(node->gateway, now_mono()))
            ;
        send_out(node);
    }
}

/* ---- channels */

static const struct gw_relay_channel *channel_of(const struct relaynodes *nodes, unsigned from, unsigned to)
{
    const struct gw_reach *reach = nodes->list[from].others[to]->reach;
    const struct gw_relay_channel *channel = reach ? &reach->channels[0] : NULL;
    return channel && gw_map_node_is_linked(&channel->by_id) ? channel : NULL;
}

static bool is_connected(const struct relaynodes *nodes, unsigned from, unsigned to)
{
    return channel_of(nodes, from, to) && channel_of(nodes, to, from);
}

static bool is_registered(const struct relaynodes *nodes)
{
    for (unsigned i = 0; i < nodes->count; i++) {
        struct gw_anchor_view view;
        if (!gw_gateway_anchor_view(nodes->list[i].gateway, 0, now_mono(), &view) || !view.is_registered)
            return false;
    }
    return true;
}

/* Asks for the next ones of those that are missing; returns how many there are of the first `pairs`. */
static unsigned ask(struct relaynodes *nodes, unsigned pairs)
{
    unsigned found = 0, at = 0;
    for (unsigned i = 0; i < nodes->count && at < pairs; i++) {
        unsigned asked = 0;
        for (unsigned j = i + 1; j < nodes->count && at < pairs; j++, at++) {
            if (is_connected(nodes, i, j))
                found++;
            else if (asked++ < OPEN_AT_ONCE)
                gw_peer_connect(nodes->list[i].others[j], now_mono());
        }
    }
    return found;
}

void relaynodes_connect(struct relaynodes *nodes, unsigned pairs)
{
    uint64_t until = tool_now() + SETTLE_S * TOOL_S;
    while (!is_registered(nodes) || ask(nodes, pairs) < pairs) {
        turn(nodes);
        errno = 0;
        if (tool_now() > until)
            tool_die("%s", is_registered(nodes) ? "no channels" : "the anchor does not answer");
    }
}

void relaynodes_keep(struct relaynodes *nodes, int fd)
{
    struct pollfd *wait = &nodes->polls[nodes->count];
    *wait = (struct pollfd){.fd = fd, .events = POLLIN};
    while (poll(wait, 1, 0) == 0)
        turn(nodes);
}

void relaynodes_end(const struct relaynodes *nodes, unsigned from, unsigned to, size_t size,
                    struct datagrams_end *end)
{
    const struct gw_relay_channel *channel = channel_of(nodes, from, to);
    static const uint8_t inner[16] = {5, 2}; /* the beginning of a sealed packet */
    uint8_t frame[GW_RELAY_HEADER_LEN + DATAGRAMS_SIZE_MAX] = {0};
    memcpy(frame + GW_RELAY_HEADER_LEN, inner, sizeof inner);
    gw_relay_frame_write(frame, GW_RELAY_HEADER_LEN + size, channel->id, channel->send_key);
    end->to = nodes->anchor_at;
    end->header_len = GW_RELAY_HEADER_LEN + sizeof inner;
    end->extra = GW_RELAY_HEADER_LEN;
    memcpy(end->header, frame, end->header_len);
}
