/* SPDX-License-Identifier: MIT */
/* One UDP socket of the DNS server. A turn takes a few batches; the answers to a batch leave together. */
#include "frontends/dns/private.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64u
#define ROUNDS_MAX 8
/* A question is shorter; what doesn't fit is none. */
#define QUERY_MAX 1232u
#define RECEIVE_BUFFER (1 << 20)
/* After an error that will be there again at once. */
#define PAUSE_MS 100
#define CONTROL_LEN 64u

struct slot {
    struct sockaddr_storage from;
    alignas(struct cmsghdr) uint8_t control[CONTROL_LEN];
    uint8_t in[QUERY_MAX], out[GW_DNS_UDP_MAX];
    struct iovec iov_in, iov_out;
};

struct udp_batch {
    struct mmsghdr in[BATCH], out[BATCH];
    struct slot slots[BATCH];
};

struct udp_socket {
    struct event event;
    struct gw_dns_server *server;
    int fd;
    bool is_any; /* bound to every address: an answer leaves from the one that was asked */
};

/* A question that waits for an upstream. */
struct waiting {
    struct gw_list link;
    struct udp_socket *socket;
    struct gw_dns_waiter *waiter;
    struct sockaddr_storage from;
    socklen_t from_len;
    size_t control_len;
    alignas(struct cmsghdr) uint8_t control[CONTROL_LEN];
};

struct udp_batch *udp_batch_new(void)
{
    struct udp_batch *batch = calloc(1, sizeof *batch);
    for (unsigned i = 0; batch && i < BATCH; i++) {
        struct slot *slot = &batch->slots[i];
        slot->iov_in = (struct iovec){slot->in, sizeof slot->in};
        batch->in[i].msg_hdr =
            (struct msghdr){.msg_name = &slot->from, .msg_iov = &slot->iov_in, .msg_iovlen = 1};
    }
    return batch;
}

/* ---- out */

/* What was received as "to", made what is sent as "from": the interface is the routing table's choice again. */
static void turn_control(uint8_t *bytes, size_t len)
{
    struct msghdr msg = {.msg_control = bytes, .msg_controllen = len};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo *info = (struct in_pktinfo *)(void *)CMSG_DATA(c);
            info->ipi_ifindex = 0;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo *info = (struct in6_pktinfo *)(void *)CMSG_DATA(c);
            if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
                info->ipi6_ifindex = 0;
        }
    }
}

/* Sends all but what the kernel will not take: a full socket, a client without a route. */
static void send_batch(struct udp_socket *socket, struct mmsghdr *out, unsigned count)
{
    struct gw_dns_server_stats *stats = &socket->server->stats;
    unsigned done = 0;
    while (done < count) {
        int n = sendmmsg(socket->fd, out + done, count - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            done += (unsigned)n;
            stats->answers += (unsigned)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
            stats->send_drops += count - done;
            return;
        } else {
            stats->send_drops++;
            done++;
        }
    }
}

/* ---- questions for upstreams */

static void free_waiting(struct waiting *waiting)
{
    gw_list_remove(&waiting->link);
    waiting->socket->server->stats.waiting--;
    free(waiting);
}

static void on_forwarded(const uint8_t *message, size_t len, void *user)
{
    struct waiting *waiting = user;
    struct iovec iov = {(void *)(uintptr_t)message, len};
    struct mmsghdr out = {.msg_hdr = {.msg_name = &waiting->from,
                                      .msg_namelen = waiting->from_len,
                                      .msg_iov = &iov,
                                      .msg_iovlen = 1,
                                      .msg_control = waiting->control_len ? waiting->control : NULL,
                                      .msg_controllen = waiting->control_len}};
    send_batch(waiting->socket, &out, 1);
    free_waiting(waiting);
}

/* false: there is no room for it. */
static bool forward(struct udp_socket *socket, const struct gw_dns_query *query, const struct msghdr *in)
{
    struct gw_dns_server *server = socket->server;
    struct waiting *waiting = server->stats.waiting < UDP_WAITING_MAX ? calloc(1, sizeof *waiting) : NULL;
    if (!waiting)
        return false;
    waiting->socket = socket;
    waiting->from_len = in->msg_namelen;
    memcpy(&waiting->from, in->msg_name, in->msg_namelen);
    waiting->control_len = in->msg_controllen;
    if (waiting->control_len > 0) {
        memcpy(waiting->control, in->msg_control, in->msg_controllen);
        turn_control(waiting->control, waiting->control_len);
    }
    gw_list_init(&waiting->link);
    gw_list_push_back(&server->udp_waiting, &waiting->link);
    server->stats.waiting++;
    server->stats.forwarded++;
    struct gw_dns_waiter *waiter;
    size_t room = query->udp_size < GW_DNS_UDP_MAX ? query->udp_size : GW_DNS_UDP_MAX;
    gw_dns_forward_ask(&waiter, server->forward, query, room, on_forwarded, waiting);
    if (waiter)
        waiting->waiter = waiter;
    return true;
}

void udp_drop_waiting(struct gw_dns_server *server)
{
    gw_list_for_each (node, &server->udp_waiting) {
        struct waiting *waiting = gw_list_entry(node, struct waiting, link);
        gw_dns_waiter_cancel(waiting->waiter);
        free_waiting(waiting);
    }
}

/* ---- in */

static size_t slip(struct slot *slot, size_t len)
{
    struct gw_dns_query query;
    if (gw_dns_query_decode(&query, slot->in, len) != GW_DNS_NOERROR)
        return 0;
    return gw_dns_answer_code(&query, GW_DNS_NOERROR, GW_DNS_TC, slot->out, sizeof slot->out);
}

/* The length of the answer in slot->out; 0 = none now. */
static size_t answer(struct udp_socket *socket, struct slot *slot, const struct mmsghdr *in)
{
    struct gw_dns_server *server = socket->server;
    struct gw_dns_query query;
    size_t len = 0;
    switch (gw_dns_answer(&server->ask, slot->in, in->msg_len, &query, slot->out, sizeof slot->out, &len)) {
    case GW_DNS_ANSWERED:
        return len;
    case GW_DNS_FORWARDED:
        if (forward(socket, &query, &in->msg_hdr))
            return 0;
        return gw_dns_answer_code(&query, GW_DNS_SERVFAIL, GW_DNS_RA, slot->out, sizeof slot->out);
    case GW_DNS_IGNORED:
        break;
    }
    server->stats.ignored++;
    return 0;
}

static size_t take(struct udp_socket *socket, struct slot *slot, const struct mmsghdr *in, struct gw_mono now)
{
    struct gw_dns_server *server = socket->server;
    struct gw_addr from;
    server->stats.udp_queries++;
    if (in->msg_hdr.msg_flags & MSG_TRUNC ||
        gw_addr_from_sockaddr(&from, (const struct sockaddr *)&slot->from) != 0) {
        server->stats.ignored++;
        return 0;
    }
    switch (gw_dns_server_take(server, &from, now)) {
    case GW_DNS_PERMIT:
        return answer(socket, slot, in);
    case GW_DNS_SLIP:
        return slip(slot, in->msg_len);
    case GW_DNS_PERMIT_NOT:
    case GW_DNS_SLOW_DOWN:
        break;
    }
    return 0;
}

static void put_out(struct mmsghdr *out, struct slot *slot, const struct mmsghdr *in, size_t len)
{
    slot->iov_out = (struct iovec){slot->out, len};
    *out = (struct mmsghdr){.msg_hdr = {.msg_name = &slot->from,
                                        .msg_namelen = in->msg_hdr.msg_namelen,
                                        .msg_iov = &slot->iov_out,
                                        .msg_iovlen = 1}};
    if (in->msg_hdr.msg_controllen == 0)
        return;
    turn_control(slot->control, in->msg_hdr.msg_controllen);
    out->msg_hdr.msg_control = slot->control;
    out->msg_hdr.msg_controllen = in->msg_hdr.msg_controllen;
}

static int receive_batch(struct udp_socket *socket)
{
    struct udp_batch *batch = socket->server->batch;
    for (unsigned i = 0; i < BATCH; i++) {
        struct msghdr *msg = &batch->in[i].msg_hdr;
        msg->msg_namelen = sizeof batch->slots[i].from;
        msg->msg_control = socket->is_any ? batch->slots[i].control : NULL;
        msg->msg_controllen = socket->is_any ? CONTROL_LEN : 0;
    }
    int n = recvmmsg(socket->fd, batch->in, BATCH, MSG_DONTWAIT, NULL);
    return n < 0 ? -errno : n;
}

static void on_event(evutil_socket_t fd, short what, void *arg);

static void start(struct udp_socket *socket)
{
    event_assign(&socket->event, gw_loop_base(socket->server->loop), socket->fd, EV_READ | EV_PERSIST,
                 on_event, socket);
    event_add(&socket->event, NULL);
}

/* What comes from the network's side of the socket (ICMP) passes; an error of our own would make the loop spin. */
static bool is_weather(int err)
{
    return err == -ECONNREFUSED || err == -EHOSTUNREACH || err == -ENETUNREACH || err == -EINTR ||
           err == -EMSGSIZE;
}

static void pause_socket(struct udp_socket *socket, int err)
{
    struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
    gw_log_debug("DNS: nothing is received for a moment: %s", gw_strerror(err));
    event_del(&socket->event);
    evtimer_assign(&socket->event, gw_loop_base(socket->server->loop), on_event, socket);
    evtimer_add(&socket->event, &pause);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct udp_socket *socket = arg;
    struct udp_batch *batch = socket->server->batch;
    struct gw_mono now = gw_loop_now(socket->server->loop);
    (void)fd;
    if (what & EV_TIMEOUT)
        start(socket);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int n = receive_batch(socket);
        unsigned count = 0;
        if (n < 0 && n != -EAGAIN && !is_weather(n))
            pause_socket(socket, n);
        for (int i = 0; i < n; i++) {
            size_t len = take(socket, &batch->slots[i], &batch->in[i], now);
            if (len > 0)
                put_out(&batch->out[count++], &batch->slots[i], &batch->in[i], len);
        }
        send_batch(socket, batch->out, count);
        if (n < (int)BATCH && !is_weather(n))
            return;
    }
}

/* ---- life */

static void set_options(struct udp_socket *socket, const struct gw_addr *address)
{
    int on = 1, off = 0, size = RECEIVE_BUFFER;
    /* :: is every address of both families, as it is for TCP. */
    if (address->family == 6)
        setsockopt(socket->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (socket->is_any && address->family == 6)
        setsockopt(socket->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    if (socket->is_any && address->family == 4)
        setsockopt(socket->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    setsockopt(socket->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static int bind_socket(struct udp_socket *udp, struct gw_addr *address)
{
    struct sockaddr_storage ss;
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(address, &ss);
    udp->is_any = gw_addr_is_unspecified(address);
    udp->fd = socket(address->family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (udp->fd < 0)
        return -errno;
    set_options(udp, address);
    if (bind(udp->fd, (const struct sockaddr *)&ss, len) < 0)
        return -errno;
    len = sizeof ss;
    if (getsockname(udp->fd, (struct sockaddr *)&ss, &len) < 0)
        return -errno;
    return gw_addr_from_sockaddr(address, (const struct sockaddr *)&ss);
}

int udp_open(struct udp_socket **out, struct gw_dns_server *server, struct gw_addr *address)
{
    struct udp_socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return GW_E_NOMEM;
    socket->server = server;
    int err = bind_socket(socket, address);
    event_assign(&socket->event, gw_loop_base(server->loop), socket->fd, EV_READ | EV_PERSIST, on_event,
                 socket);
    if (err == 0 && event_add(&socket->event, NULL) < 0)
        err = GW_E_NOMEM;
    if (err) {
        udp_close(socket);
        return err;
    }
    *out = socket;
    return 0;
}

void udp_close(struct udp_socket *socket)
{
    if (!socket)
        return;
    event_del(&socket->event);
    if (socket->fd >= 0)
        close(socket->fd);
    free(socket);
}
