/* SPDX-License-Identifier: MIT */
/* Datagrams by a socket of ours: to this node's own service, or into the world. */
#include "frontends/socks5/udp_target_private.h"

#include <errno.h>
#include <sys/socket.h>

#define TURN_MAX 32

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct udp_target *target = arg;
    struct gw_mono now = gw_loop_now(target->targets->frontend->loop);
    uint8_t bytes[GW_UDP_DATAGRAM_MAX];
    (void)what;
    for (int i = 0; i < TURN_MAX; i++) {
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n >= 0 && (size_t)n <= sizeof bytes)
            udp_target_reply(target, bytes, (size_t)n, now);
    }
}

static void join(struct udp_target *target, int fd, struct gw_mono now)
{
    target->fd = fd;
    event_assign(&target->event, gw_loop_base(target->targets->frontend->loop), fd, EV_READ | EV_PERSIST,
                 on_event, target);
    if (event_add(&target->event, NULL) < 0) {
        udp_target_fail(target, now, GW_OUTCOME_OVERLOADED);
        return;
    }
    target->state = STATE_DIRECT;
    udp_target_send_waiting(target, now);
}

static void on_dialled(int fd, struct gw_mono now, void *user)
{
    struct udp_target *target = user;
    target->dial = NULL;
    if (fd >= 0)
        join(target, fd, now);
    else
        udp_target_fail(target, now, gw_outcome_of_dial(fd));
}

static bool is_permitted(const struct gw_addr *address, void *user)
{
    const struct udp_target *target = user;
    const char *host = gw_addr_is_set(&target->request.ip) ? NULL : target->request.host;
    return gw_policy_permits(target->targets->policy, host, address, target->request.port);
}

void udp_target_dial(struct udp_target *target, const struct gw_target *where, bool is_own,
                     struct gw_mono now)
{
    struct gw_dial_params params = {.target = where,
                                    .is_datagrams = true,
                                    .is_permitted = is_own ? NULL : is_permitted,
                                    .on_done = on_dialled,
                                    .user = target};
    target->state = STATE_DIALLING;
    int result = gw_dial(target->targets->frontend->dialer, &params, now, &target->dial);
    if (result >= 0)
        join(target, result, now);
    else if (result != -EINPROGRESS)
        udp_target_fail(target, now, gw_outcome_of_dial(result));
}
