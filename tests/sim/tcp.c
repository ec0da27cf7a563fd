/* SPDX-License-Identifier: MIT */
#include "tests/sim/tcp.h"

#include "gateway/link/carrier_socket.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS GW_MS(5) /* libevent's timers are looked at so often */
#define CHUNK 16384u
#define CHUNKS_MAX 256u
#define WINDOW (128u << 10)
#define NO_CUT SIZE_MAX

struct chunk {
    struct gw_mono at;
    size_t len, done;
    uint8_t data[CHUNK];
};

/* From one end to the other. */
struct way {
    struct chunk *chunks[CHUNKS_MAX];
    unsigned first, count;
    size_t held; /* bytes in them */
    struct gw_mono free_at, moved;
    bool is_ended; /* the sender closed */
};

struct connection {
    bool is_open;
    struct gw_addr to;
    int inner[2]; /* our ends: of who made it, of who took it; -1 once closed */
    int outer[2]; /* theirs, as names only */
    struct way ways[2];
    struct gw_mono begins;
    bool is_accepted, is_refused, is_forgotten;
    size_t cut_after;
};

static struct {
    struct sim_clock *clock;
    struct sim_tcp_params params;
    void (*accept)(int fd, const struct gw_addr *to);
    struct connection connections[SIM_TCP_MAX];
    struct sim_tcp_stats stats;
    struct event_base *base;
    struct sim_event tick;
} tcp;

/* ---- the clock and the loop of those above */

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ts)
{
    bool is_ours = tcp.clock && id != CLOCK_REALTIME && id != CLOCK_PROCESS_CPUTIME_ID;
    if (!is_ours)
        return (int)syscall(SYS_clock_gettime, id, ts);
    ts->tv_sec = tcp.clock->now.ns / GW_S(1);
    ts->tv_nsec = tcp.clock->now.ns % GW_S(1);
    return 0;
}

struct gw_loop *sim_tcp_loop(void)
{
    return (struct gw_loop *)&tcp;
}

struct event_base *gw_loop_base(struct gw_loop *loop)
{
    (void)loop;
    return tcp.base;
}

struct gw_mono gw_loop_now(struct gw_loop *loop)
{
    (void)loop;
    return tcp.clock->now;
}

/* ---- sockets */

static void must(bool is_good)
{
    if (!is_good)
        abort();
}

static void shut(struct connection *connection, unsigned end)
{
    if (connection->inner[end] >= 0)
        close(connection->inner[end]);
    connection->inner[end] = -1;
}

static void end_way(struct way *way)
{
    for (; way->count > 0; way->count--, way->first++)
        free(way->chunks[way->first % CHUNKS_MAX]);
    way->held = 0;
}

static void end(struct connection *connection)
{
    for (unsigned i = 0; i < 2; i++) {
        shut(connection, i);
        end_way(&connection->ways[i]);
    }
    if (!connection->is_accepted)
        close(connection->outer[1]);
    tcp.stats.open--;
    connection->is_open = false;
}

static void make_pair(struct connection *connection, unsigned end)
{
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    connection->outer[end] = pair[0];
    connection->inner[end] = pair[1];
}

int gw_carrier_socket_connect(const struct gw_addr *to)
{
    struct connection *connection = tcp.connections;
    while (connection->is_open)
        must(++connection < tcp.connections + SIM_TCP_MAX);
    *connection = (struct connection){.is_open = true, .to = *to, .cut_after = NO_CUT};
    connection->is_refused = tcp.params.is_refused;
    connection->begins = gw_mono_add(tcp.clock->now, 2 * tcp.params.delay_ns);
    for (unsigned i = 0; i < 2; i++) {
        make_pair(connection, i);
        connection->ways[i].free_at = connection->begins;
        connection->ways[i].moved = tcp.clock->now;
    }
    tcp.stats.made++;
    tcp.stats.open++;
    if (tcp.stats.open > tcp.stats.most_open)
        tcp.stats.most_open = tcp.stats.open;
    return connection->outer[0];
}

int gw_carrier_socket_peer(int fd, struct gw_addr *from)
{
    (void)fd;
    return gw_addr_parse(from, "10.0.0.99:40000");
}

void gw_carrier_socket_prepare(int fd)
{
    (void)fd;
}

/* The kernel's limit is of what was not tried to be sent; here of what was not taken out, which it counts with its own overhead. */
void gw_carrier_socket_limit_unsent(int fd, size_t bytes)
{
    int value = (int)bytes;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof value);
}

uint64_t gw_carrier_socket_rate(int fd)
{
    (void)fd;
    return tcp.params.rate_bps / 8;
}

/* ---- on the way */

/* Takes out what its sender wrote, as far as the window allows. */
static bool take(struct connection *connection, unsigned from)
{
    struct way *way = &connection->ways[from];
    size_t window = tcp.params.window > 0 ? tcp.params.window : WINDOW;
    struct gw_mono now = tcp.clock->now;
    bool has_moved = false;
    while (!way->is_ended && way->held < window && way->count < CHUNKS_MAX) {
        struct chunk *chunk = malloc(sizeof *chunk);
        must(chunk != NULL);
        ssize_t got = read(connection->inner[from], chunk->data, sizeof chunk->data);
        if (got <= 0) {
            free(chunk);
            way->is_ended = got == 0 || errno != EAGAIN;
            return has_moved || way->is_ended;
        }
        uint64_t rate = tcp.params.rate_bps;
        int64_t takes = rate > 0 ? (int64_t)((uint64_t)got * 8 * (uint64_t)GW_S(1) / rate) : 0;
        if (way->held == 0)
            way->moved = now;
        way->free_at = gw_mono_add(gw_mono_before(way->free_at, now) ? now : way->free_at, takes);
        chunk->at = gw_mono_add(way->free_at, tcp.params.delay_ns);
        chunk->len = (size_t)got;
        chunk->done = 0;
        way->chunks[(way->first + way->count++) % CHUNKS_MAX] = chunk;
        way->held += chunk->len;
        has_moved = true;
    }
    return has_moved;
}

/* One piece to its receiver, if it is due there. */
static bool hand_over(struct connection *connection, unsigned from)
{
    struct way *way = &connection->ways[from];
    struct chunk *chunk = way->count > 0 ? way->chunks[way->first % CHUNKS_MAX] : NULL;
    if (!chunk || tcp.params.is_stalled || connection->is_forgotten ||
        !gw_mono_due(chunk->at, tcp.clock->now))
        return false;
    size_t len = chunk->len - chunk->done;
    len = tcp.params.piece > 0 && tcp.params.piece < len ? tcp.params.piece : len;
    len = connection->cut_after < len ? connection->cut_after : len;
    ssize_t did = len > 0 ? send(connection->inner[!from], chunk->data + chunk->done, len, MSG_NOSIGNAL) : 0;
    if (did < 0 && errno != EAGAIN)
        way->is_ended = true;
    if (did <= 0)
        return false;
    way->moved = tcp.clock->now;
    way->held -= (size_t)did;
    chunk->done += (size_t)did;
    tcp.stats.bytes += (uint64_t)did;
    if (connection->cut_after != NO_CUT)
        connection->cut_after -= (size_t)did;
    if (chunk->done == chunk->len) {
        way->first++;
        way->count--;
        free(chunk);
    }
    return true;
}

static bool is_over(const struct connection *connection)
{
    bool is_over = connection->cut_after == 0;
    for (unsigned i = 0; i < 2; i++) {
        const struct way *way = &connection->ways[i];
        bool is_late = way->held > 0 && gw_mono_sub(tcp.clock->now, way->moved) >= SIM_TCP_USER_TIMEOUT_NS;
        is_over |= is_late || (way->is_ended && (way->count == 0 || connection->ways[!i].is_ended));
    }
    return is_over;
}

static bool move(struct connection *connection)
{
    bool has_begun = gw_mono_due(connection->begins, tcp.clock->now) && !tcp.params.is_stalled;
    bool has_moved = false;
    if (connection->inner[0] < 0) { /* reset, which the other end does not know */
        take(connection, 1);
        if (is_over(connection))
            end(connection);
        return false;
    }
    if (!connection->is_accepted && has_begun && connection->is_refused) {
        end(connection);
        return true;
    }
    if (!connection->is_accepted && has_begun) {
        connection->is_accepted = has_moved = true;
        tcp.accept(connection->outer[1], &connection->to);
    }
    for (unsigned i = 0; i < 2; i++) {
        has_moved |= take(connection, i);
        has_moved |= connection->is_accepted && hand_over(connection, i);
    }
    if (is_over(connection)) {
        end(connection);
        return true;
    }
    return has_moved;
}

bool sim_tcp_turn(void)
{
    bool has_moved = false, is_more;
    do {
        is_more = false;
        event_base_loop(tcp.base, EVLOOP_NONBLOCK);
        for (struct connection *at = tcp.connections; at < tcp.connections + SIM_TCP_MAX; at++)
            is_more |= at->is_open && move(at);
        has_moved |= is_more;
    } while (is_more);
    return has_moved;
}

/* ---- what happens to them */

void sim_tcp_set(const struct sim_tcp_params *params)
{
    tcp.params = *params;
}

void sim_tcp_cut(size_t after)
{
    for (unsigned i = 0; i < SIM_TCP_MAX; i++)
        tcp.connections[i].cut_after = after;
}

void sim_tcp_reset(bool is_half)
{
    for (unsigned i = 0; i < SIM_TCP_MAX; i++) {
        struct connection *connection = &tcp.connections[i];
        if (connection->is_open && connection->inner[0] >= 0 && is_half && connection->is_accepted)
            shut(connection, 0);
        else if (connection->is_open && connection->inner[0] >= 0)
            end(connection);
    }
}

void sim_tcp_forget(void)
{
    for (unsigned i = 0; i < SIM_TCP_MAX; i++)
        tcp.connections[i].is_forgotten = true;
}

const struct sim_tcp_stats *sim_tcp_stats(void)
{
    return &tcp.stats;
}

static void on_tick(struct sim_clock *clock, struct sim_event *event)
{
    sim_clock_at(clock, event, gw_mono_add(clock->now, TICK_NS));
}

void sim_tcp_init(struct sim_clock *clock, const struct sim_tcp_params *params,
                  void (*accept)(int fd, const struct gw_addr *to))
{
    memset(&tcp, 0, sizeof tcp);
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    tcp.clock = clock;
    tcp.params = *params;
    tcp.accept = accept;
    tcp.base = event_base_new();
    must(tcp.base != NULL);
    tcp.tick.fire = on_tick;
    sim_clock_at(clock, &tcp.tick, clock->now);
}

void sim_tcp_fini(void)
{
    for (unsigned i = 0; i < SIM_TCP_MAX; i++) {
        if (tcp.connections[i].is_open)
            end(&tcp.connections[i]);
    }
    sim_clock_cancel(tcp.clock, &tcp.tick);
    event_base_free(tcp.base);
    tcp.clock = NULL;
}
