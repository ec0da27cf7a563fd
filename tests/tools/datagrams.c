/* SPDX-License-Identifier: MIT */
/* See datagrams.h. */
#include "tests/tools/datagrams.h"

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

#include "tests/tools/tool.h"

enum {
    BATCH = 32,       /* messages in one recvmmsg */
    MESSAGE = 65536,  /* up to 64 datagrams */
    BUFFER = 4 << 20, /* of our sockets */
};

static _Atomic uint64_t arrived;
static _Atomic bool is_over;

/* ---- sockets */

int datagrams_socket(const char *netns, const struct stun_addr *local)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), size = BUFFER, on = 1, fd;
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
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    if (home < 0 || setns(home, CLONE_NEWNET))
        tool_die("back from namespace %s", netns);
    close(home);
    return fd;
}

struct stun_addr datagrams_parse(const char *text)
{
    struct tool_address address = tool_address(text);
    struct stun_addr out = {0};
    memcpy(&out, &address.sa, address.len);
    return out;
}

struct stun_addr datagrams_local(int fd)
{
    struct stun_addr addr = {0};
    socklen_t len = sizeof addr;
    if (getsockname(fd, &addr.sa, &len))
        tool_die("getsockname");
    return addr;
}

/* ---- moving datagrams */

static uint8_t *make(const struct datagrams_end *end, size_t size, unsigned count)
{
    uint8_t *bytes = calloc(count, size + end->extra);
    if (!bytes)
        tool_die("no memory");
    for (unsigned i = 0; i < count; i++)
        memcpy(bytes + i * (size + end->extra), end->header, end->header_len);
    return bytes;
}

/* So many datagrams of one size in one call. */
static bool send_burst(const struct datagrams_end *end, uint8_t *bytes, size_t each, unsigned count)
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

/* How many datagrams a message is. */
static uint64_t datagrams_in(struct msghdr *msg, unsigned len)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        int each = 0;
        if (cmsg->cmsg_level != SOL_UDP || cmsg->cmsg_type != UDP_GRO)
            continue;
        memcpy(&each, CMSG_DATA(cmsg), sizeof each);
        return each > 0 ? (len + (unsigned)each - 1) / (unsigned)each : 1;
    }
    return 1;
}

static void *receive(void *arg)
{
    const struct datagrams_end *end = arg;
    static uint8_t bytes[BATCH][MESSAGE];
    static union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } controls[BATCH];
    static struct iovec iov[BATCH];
    static struct mmsghdr messages[BATCH];
    while (!is_over) {
        struct pollfd p = {.fd = end->fd, .events = POLLIN};
        if (poll(&p, 1, 100) <= 0)
            continue;
        for (unsigned i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec){.iov_base = bytes[i], .iov_len = sizeof bytes[i]};
            messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i],
                                                  .msg_iovlen = 1,
                                                  .msg_control = &controls[i],
                                                  .msg_controllen = sizeof controls[i]};
        }
        int n = recvmmsg(end->fd, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++)
            arrived += datagrams_in(&messages[i].msg_hdr, messages[i].msg_len);
    }
    return NULL;
}

static void nap(void)
{
    struct timespec t = {.tv_nsec = 20000};
    nanosleep(&t, NULL);
}

void datagrams_bulk(const struct datagrams_load *load, struct datagrams_end *from, struct datagrams_end *to)
{
    unsigned burst = (unsigned)load->burst;
    size_t each = (size_t)load->size + from->extra;
    uint8_t *bytes = make(from, (size_t)load->size, burst);
    pthread_t thread;
    if (pthread_create(&thread, NULL, receive, to))
        tool_die("pthread_create");
    uint64_t begin = tool_now(), end = begin + (uint64_t)(load->seconds * 1e9), sent = 0, lost = 0,
             refused = 0;
    uint64_t seen = 0, moved = begin, now = begin;
    for (; now < end; now = tool_now()) {
        uint64_t got = arrived;
        if (got != seen) {
            seen = got;
            moved = now;
        } else if (now - moved > DATAGRAMS_STALL_MS * TOOL_MS) {
            lost += sent - lost - got; /* a new window */
            moved = now;
        }
        uint64_t flying = sent - lost > got ? sent - lost - got : 0;
        if (flying + burst > load->window) {
            nap();
            continue;
        }
        if (send_burst(from, bytes, each, burst))
            sent += burst;
        else
            refused++;
    }
    double seconds = (double)(now - begin) / 1e9;
    uint64_t got = arrived;
    is_over = true;
    pthread_join(thread, NULL);
    printf(
        "{\"mode\": \"%s\", \"size\": %llu, \"window\": %llu, \"seconds\": %.3f, \"sent\": %llu, \"arrived\": %llu, ",
        load->mode, (unsigned long long)load->size, (unsigned long long)load->window, seconds,
        (unsigned long long)sent, (unsigned long long)got);
    printf("\"refused\": %llu, \"bytes\": %llu, \"mbit\": %.1f, \"loss\": %.4f}\n",
           (unsigned long long)refused, (unsigned long long)(got * load->size),
           (double)(got * load->size) * 8 / seconds / 1e6, sent ? 1 - (double)got / (double)sent : 0.0);
    free(bytes);
}

static bool wait_for(int fd)
{
    static uint8_t bytes[MESSAGE];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, DATAGRAMS_STALL_MS) == 1 && recv(fd, bytes, sizeof bytes, 0) > 0;
}

/* One thread is both ends, so that no scheduler stands between a datagram's arrival and the next one's departure but the relay's. */
void datagrams_rtt(const struct datagrams_load *load, struct datagrams_end *a, struct datagrams_end *b)
{
    struct tool_samples samples = {0};
    uint64_t lost = 0;
    size_t size = (size_t)load->size;
    uint8_t *there = make(a, size, 1), *back = make(b, size, 1);
    for (uint64_t i = 0; i < load->count; i++) {
        struct timespec pause = {.tv_nsec = 200000};
        uint64_t begin = tool_now();
        bool ok = send_burst(a, there, size + a->extra, 1) && wait_for(b->fd) &&
                  send_burst(b, back, size + b->extra, 1) && wait_for(a->fd);
        if (ok)
            tool_samples_add(&samples, (double)(tool_now() - begin) / 1e3);
        else
            lost++;
        nanosleep(&pause, NULL);
    }
    printf(
        "{\"mode\": \"rtt\", \"size\": %llu, \"count\": %zu, \"lost\": %llu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f}\n",
        (unsigned long long)load->size, samples.count, (unsigned long long)lost,
        tool_samples_quantile(&samples, 0.5), tool_samples_quantile(&samples, 0.9),
        tool_samples_quantile(&samples, 0.99));
    tool_samples_fini(&samples);
    free(there);
    free(back);
}
