/* SPDX-License-Identifier: MIT */
/* rtnetlink's groups. gateway/link/netwatch.h tells of less (no rules) and later, for another purpose. */
#include "frontends/tun/watch.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#define QUIET_MS 100
#define READS_MAX 16

struct gw_tun_watch {
    struct gw_loop *loop;
    struct mnl_socket *nl;
    struct event *readable, *quiet;
    void (*fn)(struct gw_mono now, void *ctx);
    void *ctx;
};

static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
    struct gw_tun_watch *watch = arg;
    (void)fd, (void)what;
    watch->fn(gw_loop_now(watch->loop), watch->ctx);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct gw_tun_watch *watch = arg;
    const struct timeval quiet = {.tv_usec = QUIET_MS * 1000};
    _Alignas(struct nlmsghdr) char buffer[8192];
    (void)fd, (void)what;
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t len = mnl_socket_recvfrom(watch->nl, buffer, sizeof buffer);
        if (len <= 0 && errno != ENOBUFS) /* so many that some were lost */
            break;
    }
    if (!evtimer_pending(watch->quiet, NULL))
        evtimer_add(watch->quiet, &quiet);
}

static bool join_groups(struct mnl_socket *nl)
{
    const int groups[] = {RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                          RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        int group = groups[i];
        if (mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
            return false;
    }
    return true;
}

static bool open_socket(struct gw_tun_watch *watch)
{
    watch->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (!watch->nl || mnl_socket_bind(watch->nl, 0, MNL_SOCKET_AUTOPID) < 0 || !join_groups(watch->nl))
        return false;
    struct event_base *base = gw_loop_base(watch->loop);
    watch->readable = event_new(base, mnl_socket_get_fd(watch->nl), EV_READ | EV_PERSIST, on_readable, watch);
    watch->quiet = evtimer_new(base, on_quiet, watch);
    return watch->readable && watch->quiet && event_add(watch->readable, NULL) == 0;
}

struct gw_tun_watch *gw_tun_watch_new(struct gw_loop *loop, void (*fn)(struct gw_mono now, void *ctx),
                                      void *ctx)
{
    struct gw_tun_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->loop = loop;
    watch->fn = fn;
    watch->ctx = ctx;
    if (open_socket(watch))
        return watch;
    gw_tun_watch_free(watch);
    return NULL;
}

void gw_tun_watch_free(struct gw_tun_watch *watch)
{
    if (!watch)
        return;
    if (watch->readable)
        event_free(watch->readable);
    if (watch->quiet)
        event_free(watch->quiet);
    if (watch->nl)
        mnl_socket_close(watch->nl);
    free(watch);
}
