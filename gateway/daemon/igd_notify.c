/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/igd_notify.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READS_MAX 16

void gw_igd_notify_init(struct gw_igd_notify *notify)
{
    *notify = (struct gw_igd_notify){.fd = -1};
}

void gw_igd_notify_close(struct gw_igd_notify *notify)
{
    if (notify->readable)
        event_free(notify->readable);
    if (notify->fd >= 0)
        close(notify->fd);
    gw_igd_notify_init(notify);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct gw_igd_notify *notify = arg;
    char text[GW_SSDP_MAX];
    bool is_alive = false, is_anew = false;
    (void)what;
    for (int i = 0; i < READS_MAX; i++) {
        struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
        socklen_t from_len = sizeof from;
        struct gw_ssdp_notify said;
        struct gw_addr addr;
        ssize_t len = recvfrom(fd, text, sizeof text, 0, (struct sockaddr *)&from, &from_len);
        if (len < 0)
            break; /* EAGAIN; anything else is said again when it is asked again */
        if (gw_addr_from_sockaddr(&addr, (const struct sockaddr *)&from) != 0 ||
            !gw_addr_same_ip(&addr, &notify->router))
            continue;
        gw_ssdp_parse(&said, text, (size_t)len);
        is_alive |= said.kind == GW_SSDP_ALIVE;
        is_anew |= gw_ssdp_watch_input(&notify->watch, &said);
    }
    if (is_alive)
        notify->on_alive(is_anew, notify->ctx); /* which may close it */
}

/* Bound to the group: what is sent to this machine alone, on the same port, is for other programs. */
static int open_socket(const struct gw_addr *client)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(GW_SSDP_PORT), .sin_addr = {htonl(GW_SSDP_GROUP)}};
    struct ip_mreqn group = {.imr_multiaddr = {htonl(GW_SSDP_GROUP)}};
    const int on = 1;
    memcpy(&group.imr_address, client->ip, sizeof group.imr_address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 &&
        setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

void gw_igd_notify_open(struct gw_igd_notify *notify, struct event_base *base, const struct gw_addr *router,
                        const struct gw_addr *client, void (*on_alive)(bool is_anew, void *ctx), void *ctx)
{
    gw_igd_notify_close(notify);
    int fd = open_socket(client);
    if (fd < 0) {
        gw_log_debug("what the router announces by UPnP is not heard: %s", gw_strerror(fd));
        return;
    }
    notify->fd = fd;
    notify->router = *router;
    notify->on_alive = on_alive;
    notify->ctx = ctx;
    notify->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, notify);
    if (!notify->readable || event_add(notify->readable, NULL) != 0)
        gw_igd_notify_close(notify);
}
