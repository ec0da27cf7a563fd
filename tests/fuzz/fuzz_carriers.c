/* SPDX-License-Identifier: MIT */
/* A whole carrier, as gateway/link/carriers.c has it: what the other end says, in pieces of any size, comes out as exactly the datagrams that are in it, in their order, and ends at the first wrong
 * byte; a browser gets its answer; a proxy before it is got through, or is not; a stranger is cut off in time; and whatever happens, everything is given back.
 * carrier_tls.h and carrier_socket.h are this file: the bytes are those inside TLS, the sockets local pairs.
 * Input: who u8 (0: they called, 1: we did, 2: we did, through a proxy; +4: a peer has proven itself) | steps:  op u8 | length u16 | bytes.
 * op: bit 0: behind their length, as a frame; bits 1 to 4: so many times more. */
#include "gateway/link/carriers.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/link/carrier_socket.h"
#include "gateway/link/carrier_tls.h"
#include "gateway/wire/carrier_frame.h"
#include "gateway/wire/cursor.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SAID_MAX 262144u
#define STEP_MAX (2u + 65535u)

static struct gw_loop *loop;
static struct gw_carriers *carriers;
static int theirs, ours; /* the pair; ours is the carrier's from the call on */

static struct {
    uint8_t *said; /* inside the tunnel, if there is a proxy */
    size_t said_len, used;
    bool is_proxied, is_up, is_down, is_used;
} now;

/* ---- sockets, and TLS that is not there */

int gw_carrier_socket_connect(const struct gw_addr *to)
{
    (void)to;
    return ours;
}

int gw_carrier_socket_peer(int fd, struct gw_addr *from)
{
    (void)fd;
    return gw_addr_parse(from, "192.0.2.7:40000");
}

void gw_carrier_socket_prepare(int fd)
{
    (void)fd;
}

void gw_carrier_socket_limit_unsent(int fd, size_t bytes)
{
    (void)fd, (void)bytes;
}

uint64_t gw_carrier_socket_rate(int fd)
{
    (void)fd;
    return 0;
}

int gw_carrier_tls_new(struct gw_carrier_tls **out)
{
    *out = NULL;
    return 0;
}

int gw_carrier_tls_set_certificate(struct gw_carrier_tls *tls,
                                   const struct gw_carriers_certificate *certificate,
                                   enum gw_certificate_fault *fault)
{
    (void)tls, (void)certificate, (void)fault;
    return 0;
}

void gw_carrier_tls_free(struct gw_carrier_tls *tls)
{
    (void)tls;
}

/* Tells that it is connected, as TLS does after its handshake. */
static struct bufferevent *make_plain(struct event_base *base, int fd)
{
    struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!bev || bufferevent_socket_connect(bev, NULL, 0) != 0)
        abort();
    return bev;
}

struct bufferevent *gw_carrier_tls_server(struct gw_carrier_tls *tls, struct event_base *base,
                                          evutil_socket_t fd)
{
    (void)tls;
    return make_plain(base, fd);
}

struct bufferevent *gw_carrier_tls_client(struct gw_carrier_tls *tls, struct event_base *base,
                                          evutil_socket_t fd, const char *name)
{
    (void)tls, (void)name;
    return make_plain(base, fd);
}

void gw_carrier_tls_flush(struct bufferevent *bev)
{
    (void)evbuffer_write(bufferevent_get_output(bev), bufferevent_getfd(bev));
}

/* ---- what comes of it */

static enum gw_carrier_frame look(size_t *len)
{
    uint8_t gate[GW_CARRIER_GATE_LEN] = {0};
    size_t have = now.said_len - now.used;
    memcpy(gate, now.said + now.used, have < sizeof gate ? have : sizeof gate);
    return gw_carrier_frame_look(gate, have, len);
}

static void on_train(struct gw_train *train, void *ctx)
{
    (void)ctx;
    assert(!now.is_down && train->count > 0 && train->count <= GW_TRAIN_DATAGRAMS);
    assert(gw_tuple_is_carrier(&train->tuple));
    for (unsigned i = 0; i < train->count; i++) {
        size_t len;
        assert(look(&len) == GW_CARRIER_FRAME_WHOLE && len == gw_train_datagram_len(train, i));
        assert(memcmp(gw_train_datagram(train, i), now.said + now.used + GW_CARRIER_HEADER_LEN, len) == 0);
        now.used += GW_CARRIER_HEADER_LEN + len;
    }
}

/* What a proxy said was for the way, not for the carrier. */
static void on_up(const struct gw_tuple *tuple, void *user, void *ctx)
{
    (void)tuple, (void)user, (void)ctx;
    assert(!now.is_up && !now.is_down);
    now.is_up = true;
    if (now.is_proxied)
        now.used = now.said_len;
}

static void on_down(const struct gw_tuple *tuple, void *user, void *ctx)
{
    (void)tuple, (void)user, (void)ctx;
    assert(!now.is_down);
    now.is_down = true;
}

static bool is_used(const struct gw_tuple *tuple, void *ctx)
{
    (void)tuple, (void)ctx;
    return now.is_used;
}

/* ---- the other end */

static void turn(void)
{
    event_base_loop(gw_loop_base(loop), EVLOOP_NONBLOCK);
}

static void say(const uint8_t *bytes, size_t len)
{
    while (len > 0 && !now.is_down && now.said_len + len <= SAID_MAX) {
        ssize_t n = send(theirs, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        if (n > 0) {
            memcpy(now.said + now.said_len, bytes, (size_t)n);
            now.said_len += (size_t)n;
            bytes += n, len -= (size_t)n;
        }
        turn();
    }
}

static void step(uint8_t op, const uint8_t *bytes, size_t len)
{
    static uint8_t frame[STEP_MAX];
    size_t header = op & 1 ? GW_CARRIER_HEADER_LEN : 0;
    gw_store16_be(frame, (uint16_t)len);
    memcpy(frame + header, bytes, len);
    for (unsigned i = 0; i <= (op >> 1 & 15u); i++)
        say(frame, header + len);
}

static void begin(unsigned who)
{
    struct gw_carriers_proxy proxy = {.credentials = "user:secret"};
    struct gw_carriers_call call = {.name = "anchor.example", .proxy = who == 2 ? &proxy : NULL};
    struct gw_tuple tuple;
    gw_addr_parse(&call.to, "192.0.2.9:443");
    gw_addr_parse(&proxy.at, "192.0.2.8:3128");
    if (who == 0)
        gw_carriers_take(carriers, ours);
    else if (gw_carriers_connect(carriers, &call, &tuple) != 0)
        abort();
    now.is_proxied = who == 2;
    turn();
}

/* What it made of the last bytes: nothing of ours stands any more, or the frame is not whole. */
static void judge(bool is_called, bool is_http)
{
    struct gw_carriers_stats stats;
    size_t len;
    gw_carriers_stats(carriers, &stats);
    assert(stats.open <= 1 && (stats.open == 0) == now.is_down);
    if (!is_called)
        assert(now.is_used || now.is_down || now.said_len <= GW_CARRIER_STRANGER_BYTES + GW_CARRIER_MAX + 2);
    if (!now.is_down && !is_http && (is_called ? now.is_up : true))
        assert(look(&len) == GW_CARRIER_FRAME_MORE);
}

/* true: it is a web server's answer, which only who asks for one as the first thing gets, and only from who was called. */
static bool hear(bool is_called)
{
    static char heard[65536];
    ssize_t n = recv(theirs, heard, sizeof heard, MSG_DONTWAIT);
    if (n <= 0)
        return false;
    if (now.is_proxied) {
        assert(n > 8 && memcmp(heard, "CONNECT ", 8) == 0);
        return false;
    }
    assert(!is_called && now.used == 0 && n > 12 && memcmp(heard, "HTTP/1.1 404", 12) == 0);
    return true;
}

static void set_up(void)
{
    const struct gw_carriers_params params = {
        .on_train = on_train, .on_up = on_up, .on_down = on_down, .is_used = is_used};
    struct gw_carriers_params with_loop = params;
    gw_log_set_level(GW_LOG_ERROR);
    signal(SIGPIPE, SIG_IGN);
    loop = with_loop.loop = gw_loop_new();
    now.said = malloc(SAID_MAX);
    if (!loop || !now.said || gw_carriers_new(&carriers, &with_loop) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_carriers_stats stats;
    int pair[2];
    if (size < 1)
        return 0;
    if (!loop)
        set_up();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        abort();
    theirs = pair[0], ours = pair[1];
    unsigned who = (data[0] & 3u) % 3;
    now.is_up = now.is_down = false;
    now.said_len = now.used = 0;
    now.is_used = data[0] & 4;
    begin(who);
    data++, size--;
    while (size >= 3 && !now.is_down) {
        size_t len = gw_load16_be(data + 1);
        len = len < size - 3 ? len : size - 3;
        step(data[0], data + 3, len);
        data += 3 + len, size -= 3 + len;
    }
    judge(who != 0, hear(who != 0));
    close(theirs);
    for (unsigned i = 0; i < 4; i++)
        turn();
    gw_carriers_stats(carriers, &stats);
    assert(now.is_down && stats.open == 0 && stats.strangers == 0);
    return 0;
}
