/* SPDX-License-Identifier: MIT */
/* News of addresses, links, routes and rules by rtnetlink. What changed does not matter, only that something did; routes that the kernel
 * makes for itself (what it learnt about one destination) do not count. */
#include "gateway/link/netwatch.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

/* Changes come in groups: who has waited for a flow to go on would rather know at once, and again when more of the group is there. */
#define FIRST_NS GW_MS(20)
#define SPACING_NS GW_MS(100)
#define READS_MAX 16

static const int groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                             RTNLGRP_IPV6_ROUTE};
static const int rule_groups[] = {RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE};

struct gw_netwatch {
    struct gw_loop *loop;
    struct mnl_socket *nl;
    struct event *readable;
    struct event *quiet; /* pending: a change waits to be told */
    struct gw_mono told; /* the last time; GW_NEVER */
    void (*fn)(struct gw_mono now, void *ctx);
    void *ctx;
};

static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
    struct gw_netwatch *watch = arg;
    (void)fd, (void)what;
    watch->told = gw_loop_now(watch->loop);
    watch->fn(watch->told, watch->ctx);
}

static int on_message(const struct nlmsghdr *message, void *arg)
{
    bool *is_change = arg;
    if (message->nlmsg_type == RTM_NEWROUTE || message->nlmsg_type == RTM_DELROUTE) {
        const struct rtmsg *route = mnl_nlmsg_get_payload(message);
        if (mnl_nlmsg_get_payload_len(message) < sizeof *route || (route->rtm_flags & RTM_F_CLONED))
            return MNL_CB_OK;
    }
    *is_change = true;
    return MNL_CB_OK;
}

static void tell_soon(struct gw_netwatch *watch)
{
    struct gw_mono now = gw_loop_now(watch->loop), at = gw_mono_add(now, FIRST_NS);
    if (evtimer_pending(watch->quiet, NULL))
        return;
    if (!gw_mono_is_never(watch->told))
        at = gw_mono_max(at, gw_mono_add(watch->told, SPACING_NS));
    const struct timeval wait = {.tv_usec = (suseconds_t)(gw_mono_sub(at, now) / 1000)};
    evtimer_add(watch->quiet, &wait);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct gw_netwatch *watch = arg;
    _Alignas(struct nlmsghdr) char buffer[8192];
    bool is_change = false;
    (void)fd, (void)what;

    for (int i = 0; i < READS_MAX; i++) {
        ssize_t len = mnl_socket_recvfrom(watch->nl, buffer, sizeof buffer);
        if (len < 0 && errno == ENOBUFS) /* so many that some were lost */
            is_change = true;
        if (len <= 0)
            break;
        mnl_cb_run(buffer, (size_t)len, 0, 0, on_message, &is_change);
    }
    if (is_change)
        tell_soon(watch);
}

static bool join(struct mnl_socket *nl, const int *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int group = list[i];
        if (mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
            return false;
    }
    return true;
}

static bool open_socket(struct gw_netwatch *watch, bool with_rules)
{
    watch->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (!watch->nl || mnl_socket_bind(watch->nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
        !join(watch->nl, groups, sizeof groups / sizeof *groups) ||
        (with_rules && !join(watch->nl, rule_groups, sizeof rule_groups / sizeof *rule_groups)))
        return false;
    struct event_base *base = gw_loop_base(watch->loop);
    watch->readable = event_new(base, mnl_socket_get_fd(watch->nl), EV_READ | EV_PERSIST, on_readable, watch);
    watch->quiet = evtimer_new(base, on_quiet, watch);
    return watch->readable && watch->quiet && event_add(watch->readable, NULL) == 0;
}

struct gw_netwatch *gw_netwatch_new(struct gw_loop *loop, bool with_rules,
                                    void (*fn)(struct gw_mono now, void *ctx), void *ctx)
{
    struct gw_netwatch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->loop = loop;
    watch->told = GW_NEVER;
    watch->fn = fn;
    watch->ctx = ctx;
    if (open_socket(watch, with_rules))
        return watch;
    gw_netwatch_free(watch);
    return NULL;
}

void gw_netwatch_free(struct gw_netwatch *watch)
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
