/* SPDX-License-Identifier: MIT */
/* Load for a TURN server: a client in one namespace, whose allocation has one channel bound to a peer in another, and datagrams from one to the
 * other; what a relay can carry, and how much later datagrams come by it. One process is both, so that the sender knows what has
 * arrived: a window of datagrams is on the way, as with any protocol that controls its congestion.
 *
 *   turnload up     client -> ChannelData -> server -> UDP -> peer        throughput
 *   turnload down   client <- ChannelData <- server <- UDP <- peer
 *   turnload rtt    there and back, one datagram at a time
 *   turnload hold   so many clients, each with an allocation and a channel, until stdin ends
 *   --direct        the same without a server in between: what the path itself does
 *
 * Prints a line of JSON. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/stunlet.h"
#include "tests/tools/tool.h"

enum {
    SIZE_MAX_ = 1400,
    BURST = 32,       /* datagrams in one sendmsg, by UDP GSO */
    BATCH = 64,       /* in one recvmmsg */
    HEADER = 4,       /* ChannelData's */
    STALL_MS = 20,    /* nothing arrived for so long: what is on the way is lost */
    BUFFER = 4 << 20, /* of our sockets */
};

struct options {
    const char *mode, *server, *client_netns, *peer_netns, *peer;
    uint64_t size, window, count;
    double seconds;
    bool direct;
};

/* One end, and how a datagram leaves it. */
struct end {
    int fd;
    struct stun_addr to;
    size_t header; /* bytes of ChannelData in front of what it sends */
};

static _Atomic uint64_t arrived;
static _Atomic bool is_over;

/* ---- sockets */

static int socket_in(const char *netns, const struct stun_addr *local)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), size = BUFFER, fd;
    if (netns && strcmp(netns, "-") != 0) {
        char path[256];
        snprintf(path, sizeof path, "/run/netns/%s", netns);
        int there = open(path, O_RDONLY | O_CLOEXEC);
        if (there < 0 || setns(there, CLONE_NEWNET))
            tool_die("namespace %s", netns);
        close(there);
    }
    fd = socket(local->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, &local->sa, stun_addr_len(local)))
        tool_die("socket in %s", netns ? netns : "-");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    if (home < 0 || setns(home, CLONE_NEWNET))
        tool_die("back from namespace %s", netns);
    close(home);
    return fd;
}

static struct stun_addr parse(const char *text)
{
    struct tool_address address = tool_address(text);
    struct stun_addr out = {0};
    memcpy(&out, &address.sa, address.len);
    return out;
}

static struct stun_addr local_of(int fd)
{
    struct stun_addr addr = {0};
    socklen_t len = sizeof addr;
    if (getsockname(fd, &addr.sa, &len))
        tool_die("getsockname");
    return addr;
}

/* ---- TURN */

static struct stun_message ask(int fd, const struct stun_addr *server, struct stun_message *request,
                               uint16_t wanted)
{
    uint8_t bytes[1500];
    struct stun_message response;
    static uint8_t id;
    request->id[0] = ++id;
    for (int i = 0; i < 5; i++) {
        uint64_t until = tool_now() + 500 * TOOL_MS;
        size_t len = stun_encode(bytes, request);
        if (sendto(fd, bytes, len, 0, &server->sa, stun_addr_len(server)) < 0)
            tool_die("the server cannot be reached");
        for (uint64_t now; (now = tool_now()) < until;) {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            if (poll(&p, 1, (int)((until - now) / TOOL_MS) + 1) <= 0)
                break;
            ssize_t n = recv(fd, bytes, sizeof bytes, 0); /* maybe data that is still coming in */
            if (n < 0 || !stun_decode(&response, bytes, (size_t)n) || response.id[0] != id)
                continue;
            errno = 0;
            if (response.type != wanted)
                tool_die("the server refuses: error %u", response.error);
            return response;
        }
    }
    errno = 0;
    tool_die("no answer from the server");
}

static void allocate(struct end *client, struct end *peer, const struct stun_addr *server)
{
    struct stun_message allocation = {.type = TURN_ALLOCATE, .transport = IPPROTO_UDP};
    struct stun_message bind = {
        .type = TURN_CHANNEL_BIND, .channel = TURN_CHANNEL, .peer = local_of(peer->fd)};
    struct stun_message response = ask(client->fd, server, &allocation, TURN_ALLOCATED);
    ask(client->fd, server, &bind, TURN_CHANNEL_BOUND);
    client->to = *server;
    client->header = HEADER;
    peer->to = response.relayed;
}

/* Or whoever gets our port next is refused: an allocation lives for ten minutes. */
static void release(const struct end *client)
{
    struct stun_message refresh = {.type = TURN_REFRESH};
    ask(client->fd, &client->to, &refresh, TURN_REFRESHED);
}

/* ---- moving datagrams */

static void fill_header(uint8_t *at, const struct end *end, size_t size)
{
    static const uint8_t channel[2] = {TURN_CHANNEL >> 8, TURN_CHANNEL & 0xff};
    if (!end->header)
        return;
    memcpy(at, channel, 2);
    at[2] = (uint8_t)(size >> 8);
    at[3] = (uint8_t)size;
}

/* So many datagrams of one size in one call. */
static bool send_burst(const struct end *end, uint8_t *bytes, size_t each, unsigned count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr align;
    } control = {0};
    struct stun_addr to = end->to;
    struct iovec iov = {.iov_base = bytes, .iov_len = each * count};
    struct msghdr msg = {
        .msg_name = &to, .msg_namelen = stun_addr_len(&to), .msg_iov = &iov, .msg_iovlen = 1};
    uint16_t segment = (uint16_t)each;
    if (count > 1) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control;
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_UDP;
        cmsg->cmsg_type = UDP_SEGMENT;
        cmsg->cmsg_len = CMSG_LEN(sizeof segment);
        memcpy(CMSG_DATA(cmsg), &segment, sizeof segment);
    }
    return sendmsg(end->fd, &msg, 0) >= 0;
}

static void *receive(void *arg)
{
    const struct end *end = arg;
    static uint8_t bytes[BATCH][SIZE_MAX_ + HEADER];
    static struct iovec iov[BATCH];
    static struct mmsghdr messages[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){.iov_base = bytes[i], .iov_len = sizeof bytes[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    while (!is_over) {
        struct pollfd p = {.fd = end->fd, .events = POLLIN};
        if (poll(&p, 1, 100) <= 0)
            continue;
        int n = recvmmsg(end->fd, messages, BATCH, MSG_DONTWAIT, NULL);
        if (n > 0)
            arrived += (uint64_t)n;
    }
    return NULL;
}

static void nap(void)
{
    struct timespec t = {.tv_nsec = 20000};
    nanosleep(&t, NULL);
}

static void bulk(const struct options *o, struct end *from, struct end *to)
{
    size_t each = (size_t)o->size + from->header;
    uint8_t *bytes = calloc(BURST, each);
    pthread_t thread;
    if (!bytes || pthread_create(&thread, NULL, receive, to))
        tool_die("pthread_create");
    for (unsigned i = 0; i < BURST; i++)
        fill_header(bytes + i * each, from, (size_t)o->size);
    uint64_t begin = tool_now(), end = begin + (uint64_t)(o->seconds * 1e9), sent = 0, lost = 0, refused = 0;
    uint64_t seen = 0, moved = begin, now = begin;
    for (; now < end; now = tool_now()) {
        uint64_t got = arrived;
        if (got != seen) {
            seen = got;
            moved = now;
        } else if (now - moved > STALL_MS * TOOL_MS) {
            lost += sent - lost - got; /* a new window */
            moved = now;
        }
        uint64_t flying = sent - lost > got ? sent - lost - got : 0;
        if (flying + BURST > o->window) {
            nap();
            continue;
        }
        if (send_burst(from, bytes, each, BURST))
            sent += BURST;
        else
            refused++;
    }
    double seconds = (double)(now - begin) / 1e9;
    uint64_t got = arrived;
    is_over = true;
    pthread_join(thread, NULL);
    printf(
        "{\"mode\": \"%s\", \"size\": %llu, \"window\": %llu, \"seconds\": %.3f, \"sent\": %llu, \"arrived\": %llu, ",
        o->mode, (unsigned long long)o->size, (unsigned long long)o->window, seconds,
        (unsigned long long)sent, (unsigned long long)got);
    printf("\"refused\": %llu, \"bytes\": %llu, \"mbit\": %.1f, \"loss\": %.4f}\n",
           (unsigned long long)refused, (unsigned long long)(got * o->size),
           (double)(got * o->size) * 8 / seconds / 1e6, sent ? 1 - (double)got / (double)sent : 0.0);
    free(bytes);
}

static bool wait_for(int fd)
{
    uint8_t bytes[SIZE_MAX_ + HEADER];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, STALL_MS) == 1 && recv(fd, bytes, sizeof bytes, 0) > 0;
}

/* One thread is both ends, so that no scheduler stands between a datagram's arrival and the next one's departure but the relay's. */
static void rtt(const struct options *o, struct end *client, struct end *peer)
{
    uint8_t bytes[SIZE_MAX_ + HEADER] = {0};
    struct tool_samples samples = {0};
    uint64_t lost = 0;
    for (uint64_t i = 0; i < o->count; i++) {
        struct timespec pause = {.tv_nsec = 200000};
        uint64_t begin = tool_now();
        fill_header(bytes, client, (size_t)o->size);
        bool ok = send_burst(client, bytes, (size_t)o->size + client->header, 1) && wait_for(peer->fd) &&
                  send_burst(peer, bytes, (size_t)o->size, 1) && wait_for(client->fd);
        if (ok)
            tool_samples_add(&samples, (double)(tool_now() - begin) / 1e3);
        else
            lost++;
        nanosleep(&pause, NULL);
    }
    printf(
        "{\"mode\": \"rtt\", \"size\": %llu, \"count\": %zu, \"lost\": %llu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f}\n",
        (unsigned long long)o->size, samples.count, (unsigned long long)lost,
        tool_samples_quantile(&samples, 0.5), tool_samples_quantile(&samples, 0.9),
        tool_samples_quantile(&samples, 0.99));
    tool_samples_fini(&samples);
}

static void hold(const struct options *o, const struct stun_addr *client_addr, struct end *peer,
                 const struct stun_addr *server)
{
    char byte;
    if (tool_raise_files() < o->count + 16)
        tool_die("no room for %llu files", (unsigned long long)o->count);
    for (uint64_t i = 0; i < o->count; i++) {
        struct end client = {.fd = socket_in(o->client_netns, client_addr)};
        allocate(&client, peer, server);
    }
    printf("{\"mode\": \"hold\", \"held\": %llu}\n", (unsigned long long)o->count);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

int main(int argc, char **argv)
{
    struct options o = {.size = 1350, .window = 128, .seconds = 3, .count = 2000};
    const char *client_at = "0.0.0.0:0";
    const struct tool_option table[] = {
        {"server", TOOL_TEXT, &o.server, "ADDRESS:PORT of the TURN server"},
        {"direct", TOOL_FLAG, &o.direct, "no server"},
        {"client-netns", TOOL_TEXT, &o.client_netns, "where the client is (-)"},
        {"client", TOOL_TEXT, &client_at, "ADDRESS:PORT of the client; has to be said with --direct"},
        {"peer-netns", TOOL_TEXT, &o.peer_netns, "where the peer is (-)"},
        {"peer", TOOL_TEXT, &o.peer, "ADDRESS:PORT of the peer"},
        {"size", TOOL_COUNT, &o.size, "of a datagram, without ChannelData's header (1350)"},
        {"window", TOOL_COUNT, &o.window, "datagrams on the way (128)"},
        {"seconds", TOOL_NUMBER, &o.seconds, "of up and down (3)"},
        {"count", TOOL_COUNT, &o.count, "of rtt and hold (2000)"},
        {0},
    };
    int at = tool_options(argc, argv, "turnload [OPTIONS] up|down|rtt|hold", table);
    errno = 0;
    if (argc - at != 1 || !o.peer || (!o.server && !o.direct) || o.size < 1 || o.size > SIZE_MAX_ ||
        o.window < BURST)
        tool_die("turnload [OPTIONS] up|down|rtt, with --server and --peer (--help)");
    o.mode = argv[at];
    struct stun_addr client_addr = parse(client_at), peer_addr = parse(o.peer), server = {0};
    struct end client = {.fd = socket_in(o.client_netns, &client_addr)},
               peer = {.fd = socket_in(o.peer_netns, &peer_addr)};
    if (o.server)
        server = parse(o.server);
    if (strcmp(o.mode, "hold") == 0 && o.server) {
        hold(&o, &client_addr, &peer, &server);
        return 0;
    }
    if (o.direct) {
        client.to = local_of(peer.fd);
        peer.to = local_of(client.fd);
    } else {
        allocate(&client, &peer, &server);
    }
    if (strcmp(o.mode, "up") == 0)
        bulk(&o, &client, &peer);
    else if (strcmp(o.mode, "down") == 0)
        bulk(&o, &peer, &client);
    else if (strcmp(o.mode, "rtt") == 0)
        rtt(&o, &client, &peer);
    else
        tool_die("no mode %s", o.mode);
    if (!o.direct)
        release(&client);
    return 0;
}
