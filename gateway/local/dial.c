/* SPDX-License-Identifier: MIT */
/* One dial: a lookup where a name needs one, then attempts at one address after the other, each with its share of the time that is left. */
#include "gateway/local/dial.h"

#include "gateway/base/err.h"
#include "gateway/local/lookup.h"
#include "gateway/local/sockopt.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT GW_S(10)
/* A unix listener whose queue is full says EAGAIN and cannot be waited for. */
#define UNIX_RETRY GW_MS(10)

struct gw_dialer {
    struct gw_loop *loop;
    struct gw_lookups *lookups; /* made with the first name */
};

struct gw_dial {
    struct gw_dialer *dialer;
    struct event event; /* the attempt's socket, or the timer of a lookup or of a retry */
    struct gw_lookup *lookup;
    struct gw_mono deadline;
    bool (*is_permitted)(const struct gw_addr *address, void *user);
    gw_dial_fn *on_done;
    void *user;
    int fd;  /* of the running attempt, or -1 */
    int err; /* of the last attempt */
    bool is_datagrams;
    unsigned next, count;
    struct gw_addr addresses[GW_DIAL_ADDRESSES_MAX];
    struct sockaddr_un path; /* of a unix target: sun_family is set */
    socklen_t path_len;
};

struct gw_dialer *gw_dialer_new(struct gw_loop *loop)
{
    struct gw_dialer *dialer = calloc(1, sizeof *dialer);
    if (dialer)
        dialer->loop = loop;
    return dialer;
}

void gw_dialer_free(struct gw_dialer *dialer)
{
    if (!dialer)
        return;
    gw_lookups_free(dialer->lookups);
    free(dialer);
}

struct gw_loop *gw_dialer_loop(const struct gw_dialer *dialer)
{
    return dialer->loop;
}

static void free_dial(struct gw_dial *dial)
{
    event_del(&dial->event);
    if (dial->lookup)
        gw_lookup_cancel(dial->lookup);
    if (dial->fd >= 0)
        close(dial->fd);
    free(dial);
}

void gw_dial_cancel(struct gw_dial *dial)
{
    free_dial(dial);
}

static void finish(struct gw_dial *dial, int fd_or_err)
{
    gw_dial_fn *on_done = dial->on_done;
    void *user = dial->user;
    struct gw_mono now = gw_loop_now(dial->dialer->loop);
    if (fd_or_err >= 0)
        dial->fd = -1;
    free_dial(dial);
    on_done(fd_or_err, now, user);
}

static struct timeval timeval_of(int64_t ns)
{
    int64_t us = ns <= 0 ? 1 : (ns + 999) / 1000;
    return (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

static int64_t remaining(const struct gw_dial *dial)
{
    return gw_mono_sub(dial->deadline, gw_loop_now(dial->dialer->loop));
}

/* Waits for fd (or, without one, for time only), at most wait_ns. */
static int wait_for(struct gw_dial *dial, int fd, int64_t wait_ns, event_callback_fn fn)
{
    struct timeval tv = timeval_of(wait_ns);
    event_del(&dial->event);
    event_assign(&dial->event, gw_loop_base(dial->dialer->loop), fd, fd >= 0 ? EV_WRITE : 0, fn, dial);
    return event_add(&dial->event, &tv) < 0 ? GW_E_NOMEM : -EINPROGRESS;
}

/* Over loopback a connection is there, or refused, before connect() has returned EINPROGRESS: asking again saves a turn of the loop. */
static int connect_now(int fd, const struct sockaddr *address, socklen_t len, bool is_loopback)
{
    if (connect(fd, address, len) == 0)
        return 0;
    if (errno == EINPROGRESS && is_loopback && connect(fd, address, len) == 0)
        return 0;
    if (errno == EALREADY || errno == EINTR)
        return -EINPROGRESS;
    return -errno;
}

static void on_attempt(evutil_socket_t fd, short what, void *arg);

/* One address: fd, -EINPROGRESS (dial->fd is waited for), or an error. */
static int attempt(struct gw_dial *dial, const struct gw_addr *address)
{
    struct sockaddr_storage ss;
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(address, &ss);
    int type = dial->is_datagrams ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (!dial->is_datagrams)
        gw_sock_set_nodelay(fd);
    int err = connect_now(fd, (const struct sockaddr *)&ss, len, gw_addr_is_loopback(address));
    if (err == 0)
        return fd;
    if (err != -EINPROGRESS) {
        close(fd);
        return err;
    }
    dial->fd = fd;
    return wait_for(dial, fd, remaining(dial) / (int64_t)(dial->count - dial->next + 1), on_attempt);
}

/* The next addresses, until one connects or must be waited for. */
static int attempt_next(struct gw_dial *dial)
{
    while (dial->next < dial->count) {
        const struct gw_addr *address = &dial->addresses[dial->next++];
        if (dial->is_permitted && !dial->is_permitted(address, dial->user)) {
            if (dial->err == 0)
                dial->err = GW_E_PERMISSION;
            continue;
        }
        int result = attempt(dial, address);
        if (result >= 0 || result == -EINPROGRESS)
            return result;
        dial->err = result;
        if (result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == GW_E_NOMEM)
            break;
    }
    return dial->err ? dial->err : GW_E_UNKNOWN;
}

static void on_attempt(evutil_socket_t fd, short what, void *arg)
{
    struct gw_dial *dial = arg;
    dial->err = what & EV_TIMEOUT ? GW_E_TIMEOUT : gw_sock_error(fd);
    if (dial->err == 0) {
        finish(dial, dial->fd);
        return;
    }
    event_del(&dial->event);
    close(dial->fd);
    dial->fd = -1;
    int result = remaining(dial) > 0 ? attempt_next(dial) : dial->err;
    if (result != -EINPROGRESS)
        finish(dial, result);
}

static void on_unix_retry(evutil_socket_t fd, short what, void *arg);

static int attempt_unix(struct gw_dial *dial)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = connect_now(fd, (const struct sockaddr *)&dial->path, dial->path_len, false);
    if (err == 0)
        return fd;
    close(fd);
    if (err != -EAGAIN && err != -EINPROGRESS)
        return err;
    return remaining(dial) > UNIX_RETRY ? wait_for(dial, -1, UNIX_RETRY, on_unix_retry) : GW_E_TIMEOUT;
}

static void on_unix_retry(evutil_socket_t fd, short what, void *arg)
{
    struct gw_dial *dial = arg;
    (void)fd, (void)what;
    int result = attempt_unix(dial);
    if (result != -EINPROGRESS)
        finish(dial, result);
}

static int start_unix(struct gw_dial *dial, const struct gw_target *target)
{
    size_t len = strlen(target->name);
    assert(len <= GW_TARGET_UNIX_MAX);
    if (dial->is_datagrams)
        return -EPROTONOSUPPORT;
    dial->path_len = gw_sock_unix_address(&dial->path, target->name);
    return attempt_unix(dial);
}

static void on_lookup(int err, const struct gw_addr *addresses, unsigned count, void *user)
{
    struct gw_dial *dial = user;
    dial->lookup = NULL;
    event_del(&dial->event);
    dial->err = err;
    dial->count = count < GW_DIAL_ADDRESSES_MAX ? count : GW_DIAL_ADDRESSES_MAX;
    memcpy(dial->addresses, addresses, dial->count * sizeof *addresses);
    int result = attempt_next(dial);
    if (result != -EINPROGRESS)
        finish(dial, result);
}

static void on_lookup_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    finish(arg, GW_E_TIMEOUT);
}

static int start_lookup(struct gw_dial *dial, const struct gw_target *target)
{
    struct gw_dialer *dialer = dial->dialer;
    if (!dialer->lookups)
        dialer->lookups = gw_lookups_new(dialer->loop);
    if (!dialer->lookups)
        return GW_E_NOMEM;
    int err = gw_lookup(dialer->lookups, target->name, target->port, on_lookup, dial, &dial->lookup);
    return err ? err : wait_for(dial, -1, remaining(dial), on_lookup_timeout);
}

/* RFC 6761: localhost, and every name under it, is this machine; no resolver is asked. */
static bool is_localhost(const char *name)
{
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len < 9 || strncasecmp(name + len - 9, "localhost", 9) != 0)
        return false;
    return len == 9 || name[len - 10] == '.';
}

static int start(struct gw_dial *dial, const struct gw_target *target)
{
    switch (target->kind) {
    case GW_TARGET_NONE:
        return GW_E_INVAL;
    case GW_TARGET_UNIX:
        return start_unix(dial, target);
    case GW_TARGET_ADDR:
        dial->addresses[dial->count++] = target->addr;
        return attempt_next(dial);
    case GW_TARGET_HOST:
        if (!is_localhost(target->name))
            return start_lookup(dial, target);
        gw_addr_parse_ip(&dial->addresses[dial->count++], "127.0.0.1", target->port);
        gw_addr_parse_ip(&dial->addresses[dial->count++], "::1", target->port);
        return attempt_next(dial);
    }
    return GW_E_INVAL;
}

int gw_dial(struct gw_dialer *dialer, const struct gw_dial_params *params, struct gw_mono now,
            struct gw_dial **out)
{
    struct gw_dial *dial = calloc(1, sizeof *dial);
    if (!dial)
        return GW_E_NOMEM;
    dial->dialer = dialer;
    dial->fd = -1;
    dial->deadline = gw_mono_add(now, params->timeout_ns ? params->timeout_ns : DEFAULT_TIMEOUT);
    dial->is_permitted = params->is_permitted;
    dial->on_done = params->on_done;
    dial->user = params->user;
    dial->is_datagrams = params->is_datagrams;
    event_assign(&dial->event, gw_loop_base(dialer->loop), -1, 0, on_lookup_timeout, dial);
    int result = start(dial, params->target);
    if (result == -EINPROGRESS) {
        *out = dial;
        return result;
    }
    free_dial(dial);
    return result;
}

enum gw_reason gw_dial_reason(int err)
{
    switch (err) {
    case GW_E_TIMEOUT:
    case -ETIMEDOUT:
        return GW_REASON_TIMED_OUT;
    case -EMFILE:
    case -ENFILE:
        return GW_REASON_LIMIT;
    case GW_E_NOMEM:
    case -ENOBUFS:
        return GW_REASON_NO_MEMORY;
    case -ENETUNREACH:
    case -EHOSTUNREACH:
    case -ENETDOWN:
    case -EHOSTDOWN:
    case -EADDRNOTAVAIL:
    case -EAFNOSUPPORT:
    case GW_E_UNKNOWN:
        return GW_REASON_SERVICE_UNREACHABLE;
    default: /* refused, reset, no such unix socket, not allowed to use it */
        return GW_REASON_SERVICE_DOWN;
    }
}
