/* SPDX-License-Identifier: MIT */
#include "gateway/local/listener.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/link/mark.h"
#include "gateway/local/sockopt.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Clients taken in one turn; the rest wait for the next, behind everybody else's work. */
#define ACCEPT_MAX 64
#define BACKLOG 4096
/* Out of descriptors: nothing is accepted for so long, and it is said so often. */
#define PAUSE_MS 100
#define COMPLAIN_EVERY GW_S(10)

struct gw_listener {
    struct event event;
    struct gw_loop *loop;
    gw_listener_fn *on_client;
    void *user;
    int fd;
    int spare; /* a descriptor to give up when there is no other */
    struct gw_target target;
    bool is_ours;     /* the unix socket's path was made here: */
    struct stat made; /* what it is */
    struct gw_mono complained;
    bool has_complained;
    bool *is_freed; /* set while clients are handed out */
};

static void on_event(evutil_socket_t fd, short what, void *arg);

int gw_listener_parse(struct gw_target *out, const char *text)
{
    char copy[GW_TARGET_STRLEN];
    const char *colon = strrchr(text, ':');
    bool is_any_port = colon && strcmp(colon, ":0") == 0 && strncmp(text, "unix:", 5) != 0;
    const char *port = is_any_port ? ":1" : colon ? colon : "";
    int host_len = colon ? (int)(colon - text) : (int)strlen(text);
    bool is_any = host_len == 1 && text[0] == '*';
    bool is_localhost = host_len == 9 && strncmp(text, "localhost", 9) == 0;
    if (is_any || is_localhost)
        snprintf(copy, sizeof copy, "%s%s", is_any ? "[::]" : "127.0.0.1", port);
    else
        snprintf(copy, sizeof copy, "%.*s%s", host_len, text, port);
    int err = gw_target_parse(out, copy);
    if (err == 0 && out->kind == GW_TARGET_HOST)
        err = GW_E_MALFORMED;
    if (is_any_port)
        out->port = out->addr.port = 0;
    return err;
}

/* ---- unix sockets */

/* A socket file that is there: 0 = nobody listens on it any more (or it is gone), else why it stays. */
static int check_stale(const struct gw_target *target)
{
    struct sockaddr_un address;
    struct stat st;
    socklen_t len = gw_sock_unix_address(&address, target->name);
    if (lstat(target->name, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = connect(fd, (const struct sockaddr *)&address, len) == 0 ? -EADDRINUSE : -errno;
    close(fd);
    if (err == -ECONNREFUSED || err == -ENOENT)
        return 0;
    return err == -EAGAIN ? -EADDRINUSE : err;
}

/* Made under a name of its own with its final mode and then renamed, so that at no moment there is a path without a listener or one
 * with too many rights. */
static int listen_at_path(struct gw_listener *listener, unsigned mode)
{
    char path[GW_TARGET_UNIX_MAX + 1];
    struct sockaddr_un address;
    const char *final = listener->target.name;
    int n = snprintf(path, sizeof path, "%s.%x", final, (unsigned)getpid());
    if (n < 0 || (size_t)n >= sizeof path)
        return -ENAMETOOLONG;
    socklen_t len = gw_sock_unix_address(&address, path);
    unlink(path);
    fchmod(listener->fd, 0600);
    if (bind(listener->fd, (const struct sockaddr *)&address, len) < 0)
        return -errno;
    if (chmod(path, (mode_t)mode) == 0 && listen(listener->fd, BACKLOG) == 0 &&
        lstat(path, &listener->made) == 0 && rename(path, final) == 0) {
        listener->is_ours = true;
        return 0;
    }
    int err = -errno;
    unlink(path);
    return err;
}

static int listen_unix(struct gw_listener *listener, unsigned mode)
{
    struct sockaddr_un address;
    if (listener->target.name[0] != '@') {
        int err = check_stale(&listener->target);
        return err ? err : listen_at_path(listener, mode);
    }
    socklen_t len = gw_sock_unix_address(&address, listener->target.name);
    if (bind(listener->fd, (const struct sockaddr *)&address, len) < 0 || listen(listener->fd, BACKLOG) < 0)
        return -errno;
    return 0;
}

static bool is_path_ours(const struct gw_listener *listener)
{
    struct stat st;
    return listener->is_ours && lstat(listener->target.name, &st) == 0 &&
           st.st_dev == listener->made.st_dev && st.st_ino == listener->made.st_ino;
}

static void unlink_path(const struct gw_listener *listener)
{
    if (is_path_ours(listener))
        unlink(listener->target.name);
}

int gw_listener_set_mode(struct gw_listener *listener, unsigned mode)
{
    if (!is_path_ours(listener))
        return 0;
    return chmod(listener->target.name, (mode_t)(mode ? mode : 0600)) == 0 ? 0 : -errno;
}

/* ---- TCP */

static int listen_tcp(struct gw_listener *listener)
{
    struct sockaddr_storage ss;
    int on = 1, off = 0;
    const struct gw_addr *addr = &listener->target.addr;
    socklen_t len = (socklen_t)gw_addr_to_sockaddr(addr, &ss);
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* :: is every address of both families; any other IPv6 address is itself. */
    if (addr->family == 6)
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    /* What is accepted inherits these. */
    setsockopt(listener->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    gw_sock_set_nodelay(listener->fd);
    if (bind(listener->fd, (const struct sockaddr *)&ss, len) < 0 || listen(listener->fd, BACKLOG) < 0)
        return -errno;
    len = sizeof ss;
    if (getsockname(listener->fd, (struct sockaddr *)&ss, &len) < 0)
        return -errno;
    int err = gw_addr_from_sockaddr(&listener->target.addr, (const struct sockaddr *)&ss);
    listener->target.port = listener->target.addr.port;
    return err;
}

static int open_socket(struct gw_listener *listener, const struct gw_listener_params *params)
{
    bool is_unix = listener->target.kind == GW_TARGET_UNIX;
    int family = is_unix ? AF_UNIX : listener->target.addr.family == 6 ? AF_INET6 : AF_INET;
    listener->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return -errno;
    if (params->is_outside)
        gw_mark_outside(listener->fd);
    return is_unix ? listen_unix(listener, params->mode ? params->mode : 0600) : listen_tcp(listener);
}

/* ---- life */

static struct gw_listener *new_listener(const struct gw_listener_params *params)
{
    struct gw_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return NULL;
    listener->loop = params->loop;
    listener->on_client = params->on_client;
    listener->user = params->user;
    listener->target = *params->target;
    listener->fd = -1;
    listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    event_assign(&listener->event, gw_loop_base(params->loop), -1, 0, on_event, listener);
    return listener;
}

static int start(struct gw_listener *listener)
{
    event_assign(&listener->event, gw_loop_base(listener->loop), listener->fd, EV_READ | EV_PERSIST, on_event,
                 listener);
    return event_add(&listener->event, NULL) < 0 ? GW_E_NOMEM : 0;
}

int gw_listener_new(struct gw_listener **out, const struct gw_listener_params *params)
{
    if (params->target->kind != GW_TARGET_ADDR && params->target->kind != GW_TARGET_UNIX)
        return GW_E_INVAL;
    struct gw_listener *listener = new_listener(params);
    if (!listener)
        return GW_E_NOMEM;
    int err = open_socket(listener, params);
    if (err == 0)
        err = start(listener);
    if (err) {
        gw_listener_free(listener);
        return err;
    }
    *out = listener;
    return 0;
}

void gw_listener_free(struct gw_listener *listener)
{
    if (!listener)
        return;
    if (listener->is_freed)
        *listener->is_freed = true;
    event_del(&listener->event);
    unlink_path(listener);
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->spare >= 0)
        close(listener->spare);
    free(listener);
}

const struct gw_target *gw_listener_target(const struct gw_listener *listener)
{
    return &listener->target;
}

/* ---- accepting */

/* Takes one client with the spare descriptor and hangs up on it, so that it learns at once; then waits a little. */
static void turn_away(struct gw_listener *listener, struct gw_mono now, int err)
{
    struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
    char where[GW_TARGET_STRLEN];
    if (listener->spare >= 0) {
        close(listener->spare);
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            close(fd);
        listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    if (!listener->has_complained || gw_mono_sub(now, listener->complained) >= COMPLAIN_EVERY) {
        gw_log_warn("%s: clients are turned away: %s", gw_target_log(&listener->target, where),
                    gw_strerror(err));
        listener->complained = now;
        listener->has_complained = true;
    }
    event_del(&listener->event);
    evtimer_assign(&listener->event, gw_loop_base(listener->loop), on_event, listener);
    evtimer_add(&listener->event, &pause);
}

/* Errors of the one client that went away, or of its network: the next one may be fine (accept(2)). */
static bool is_of_client(int err)
{
    return err == -ECONNABORTED || err == -EINTR || err == -EPROTO || err == -EPERM || err == -ENETDOWN ||
           err == -ENOPROTOOPT || err == -EHOSTDOWN || err == -ENONET || err == -EHOSTUNREACH ||
           err == -EOPNOTSUPP || err == -ENETUNREACH;
}

static void on_event(evutil_socket_t event_fd, short what, void *arg)
{
    struct gw_listener *listener = arg;
    struct gw_mono now = gw_loop_now(listener->loop);
    bool is_freed = false;
    (void)event_fd;
    if (what & EV_TIMEOUT && start(listener) != 0)
        return;
    listener->is_freed = &is_freed;
    for (int i = 0; i < ACCEPT_MAX; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            int err = -errno;
            if (is_of_client(err))
                continue;
            if (err != -EAGAIN)
                turn_away(listener, now, err);
            break;
        }
        listener->on_client(listener, fd, now, listener->user);
        if (is_freed)
            return;
    }
    listener->is_freed = NULL;
}
