/* SPDX-License-Identifier: MIT */
/* UDP ASSOCIATE: a relay socket of its own for one client. It lives as long as the client's TCP connection, and hears only the client's address. */
#include "frontends/socks5/private.h"
#include "frontends/socks5/udp_target.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_SECONDS 10
/* Datagrams read in one turn. */
#define TURN_MAX 32
#define RECEIVE_MAX (GW_UDP_HEADER_MAX + GW_UDP_DATAGRAM_MAX)

struct gw_association {
    struct event event, tick;
    struct gw_udp_targets targets;
    struct gw_socks5 *socks5;
    int fd;
    struct gw_addr client; /* port 0 until its first datagram */
};

/* Towards the client: the address that was asked for, then the bytes. */
static void on_reply(struct gw_udp_targets *targets, const void *header, size_t header_len, const void *data,
                     size_t len)
{
    struct gw_association *association = gw_container_of(targets, struct gw_association, targets);
    struct sockaddr_storage ss;
    struct iovec iov[2] = {{(void *)(uintptr_t)header, header_len}, {(void *)(uintptr_t)data, len}};
    struct msghdr msg = {.msg_name = &ss, .msg_iov = iov, .msg_iovlen = 2};
    msg.msg_namelen = (socklen_t)gw_addr_to_sockaddr(&association->client, &ss);
    /* What does not go out is lost, as datagrams may be. */
    if (sendmsg(association->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        association->socks5->stats.datagrams_in++;
    else
        association->socks5->stats.datagrams_dropped++;
}

static bool is_client(struct gw_association *association, const struct gw_addr *from)
{
    if (!gw_addr_same_ip(from, &association->client))
        return false;
    if (association->client.port == 0)
        association->client.port = from->port;
    return association->client.port == from->port;
}

static bool pass_on(struct gw_association *association, const struct sockaddr *sender, const uint8_t *bytes,
                    size_t len, struct gw_mono now)
{
    struct gw_proxy_request request;
    struct gw_addr from;
    if (gw_addr_from_sockaddr(&from, sender) != 0 || !is_client(association, &from))
        return false;
    int header_len = gw_udp_header_parse(&request, bytes, len);
    if (header_len < 0)
        return false;
    return gw_udp_targets_send(&association->targets, &request, bytes, (size_t)header_len, bytes + header_len,
                               len - (size_t)header_len, now);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct gw_association *association = arg;
    struct gw_socks5_stats *stats = &association->socks5->stats;
    struct gw_mono now = gw_loop_now(association->socks5->frontend->loop);
    uint8_t bytes[RECEIVE_MAX];
    (void)what;
    for (int i = 0; i < TURN_MAX; i++) {
        struct sockaddr_storage ss;
        socklen_t ss_len = sizeof ss;
        ssize_t n =
            recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&ss, &ss_len);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) /* ICMP of what was sent before: the next one may be fine */
            continue;
        if ((size_t)n <= sizeof bytes &&
            pass_on(association, (const struct sockaddr *)&ss, bytes, (size_t)n, now))
            stats->datagrams_out++;
        else
            stats->datagrams_dropped++;
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct gw_association *association = arg;
    (void)fd, (void)what;
    gw_udp_targets_expire(&association->targets, gw_loop_now(association->socks5->frontend->loop));
}

/* The relay's socket, at the address that the client reached us at. fd or -errno. */
static int open_relay(const struct gw_addr *local, struct gw_addr *bound)
{
    struct sockaddr_storage ss;
    struct gw_addr any_port = *local;
    any_port.port = 0;
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(&any_port, &ss);
    int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&ss, len) == 0) {
        len = sizeof ss;
        if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
            gw_addr_from_sockaddr(bound, (const struct sockaddr *)&ss) == 0)
            return fd;
    }
    int err = errno ? -errno : -EINVAL;
    close(fd);
    return err;
}

static bool both_ends(int fd, struct gw_addr *local, struct gw_addr *client)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
        gw_addr_from_sockaddr(local, (const struct sockaddr *)&ss) != 0)
        return false;
    len = sizeof ss;
    if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0 ||
        gw_addr_from_sockaddr(client, (const struct sockaddr *)&ss) != 0)
        return false;
    client->port = 0;
    return true;
}

/* Takes fd. NULL without memory. */
static struct gw_association *new_association(struct gw_socks5 *socks5, int fd, const struct gw_addr *client)
{
    struct timeval tv = {.tv_sec = TICK_SECONDS};
    struct event_base *base = gw_loop_base(socks5->frontend->loop);
    struct gw_association *association = calloc(1, sizeof *association);
    if (!association) {
        close(fd);
        return NULL;
    }
    association->socks5 = socks5;
    association->fd = fd;
    association->client = *client;
    gw_udp_targets_init(&association->targets, socks5->frontend, &socks5->policy, on_reply);
    event_assign(&association->event, base, fd, EV_READ | EV_PERSIST, on_event, association);
    event_assign(&association->tick, base, -1, EV_PERSIST, on_tick, association);
    if (event_add(&association->event, NULL) < 0 || event_add(&association->tick, &tv) < 0) {
        event_del(&association->event);
        close(fd);
        free(association);
        return NULL;
    }
    socks5->stats.associations_open++;
    return association;
}

void associate_free(struct gw_association *association, struct gw_mono now)
{
    association->socks5->stats.associations_open--;
    gw_udp_targets_fini(&association->targets, now);
    event_del(&association->event);
    event_del(&association->tick);
    close(association->fd);
    free(association);
}

void associate_start(struct session *session, struct gw_mono now)
{
    struct gw_addr local, client, bound;
    /* A client of a unix socket has no address that its datagrams could be known by. */
    if (!both_ends(gw_splice_fd(session->splice), &local, &client)) {
        session_refuse(session, now, GW_OUTCOME_BAD_COMMAND);
        return;
    }
    int fd = open_relay(&local, &bound);
    if (fd >= 0)
        session->association = new_association(session->socks5, fd, &client);
    if (!session->association) {
        session_refuse(session, now, GW_OUTCOME_OVERLOADED);
        return;
    }
    if (session_say_yes(session, now, &bound))
        session_set_state(session, SESSION_ASSOCIATED, now);
}
