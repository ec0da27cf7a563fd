/* SPDX-License-Identifier: MIT */
#include "frontends/dns/system/bus.h"

#include "frontends/dns/system/facts.h"
#include "gateway/base/err.h"

#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define LIBRARY "libsystemd.so.0"

/* ---- the library */

static bool load(struct gw_sd_bus *out)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    bool has_all = library != NULL;
#define FIND(name) \
    has_all =      \
        has_all && (out->name = (__typeof__(out->name))(uintptr_t)dlsym(library, "sd_bus_" #name)) != NULL;
    GW_SD_BUS_FUNCTIONS(FIND)
    return has_all;
}

/* It stays loaded: it keeps what belongs to its threads. */
static const struct gw_sd_bus *library(void)
{
    static struct gw_sd_bus functions;
    static bool is_loaded;
    is_loaded = is_loaded || load(&functions);
    return is_loaded ? &functions : NULL;
}

/* ---- the loop */

static void arm(struct gw_bus *bus)
{
    struct timespec ts;
    struct timeval wait;
    uint64_t due = UINT64_MAX;
    int fd = bus->sd->get_fd(bus->bus), events = bus->sd->get_events(bus->bus);
    if (bus->is_dead || fd < 0 || events < 0)
        return;
    bus->sd->get_timeout(bus->bus, &due);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    uint64_t now = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
    uint64_t left = due > now ? due - now : 0;
    wait = (struct timeval){.tv_sec = (time_t)(left / 1000000), .tv_usec = (suseconds_t)(left % 1000000)};
    event_del(bus->event);
    event_assign(bus->event, bus->base, fd,
                 (short)((events & POLLIN ? EV_READ : 0) | (events & POLLOUT ? EV_WRITE : 0)),
                 event_get_callback(bus->event), bus);
    event_add(bus->event, due == UINT64_MAX ? NULL : &wait);
}

static void end(struct gw_bus *bus)
{
    event_free(bus->event);
    bus->sd->close(bus->bus);
    bus->sd->unref(bus->bus);
    free(bus);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct gw_bus *bus = arg;
    int more;
    (void)fd, (void)what;
    bus->depth++;
    do
        more = bus->sd->process(bus->bus, NULL);
    while (more > 0 && !bus->is_dead);
    bus->depth--;
    if (bus->is_dead)
        end(bus);
    else if (more < 0)
        bus->on_lost(bus->ctx);
    else
        arm(bus);
}

/* ---- opening */

/* A bus that was handed into a container, or is used from `ip netns exec`, belongs to a machine whose links are not ours. */
static bool is_of_our_network(const struct gw_bus *bus)
{
    struct sockaddr_un at;
    socklen_t len = sizeof at;
    memset(&at, 0, sizeof at);
    if (getpeername(bus->sd->get_fd(bus->bus), (struct sockaddr *)&at, &len) < 0 ||
        at.sun_family != AF_UNIX || at.sun_path[0] != '/')
        return true;
    at.sun_path[sizeof at.sun_path - 1] = '\0';
    return gw_sysdns_is_socket_here(at.sun_path);
}

static int open_bus(struct gw_bus *bus, char *why, size_t why_len)
{
    bus->sd = library();
    if (!bus->sd) {
        snprintf(why, why_len, "%s cannot be loaded (Debian: the package libsystemd0)", LIBRARY);
        return -ENOSYS;
    }
    int err = bus->sd->open_system(&bus->bus);
    if (err < 0) {
        snprintf(why, why_len, "there is no system bus (D-Bus): %s", gw_strerror(err));
        return err;
    }
    if (is_of_our_network(bus))
        return 0;
    snprintf(why, why_len, "the system bus belongs to another network namespace than this process");
    return -EXDEV;
}

int gw_bus_open(struct gw_bus **out, struct event_base *base, void (*on_lost)(void *ctx), void *ctx,
                char *why, size_t why_len)
{
    struct gw_bus *bus = calloc(1, sizeof *bus);
    *out = NULL;
    if (!bus)
        return GW_E_NOMEM;
    bus->base = base;
    bus->on_lost = on_lost;
    bus->ctx = ctx;
    bus->event = event_new(base, -1, 0, on_event, bus);
    int err = bus->event ? open_bus(bus, why, why_len) : GW_E_NOMEM;
    if (err == 0) {
        arm(bus);
        *out = bus;
        return 0;
    }
    if (bus->event)
        event_free(bus->event);
    if (bus->bus) {
        bus->sd->close(bus->bus);
        bus->sd->unref(bus->bus);
    }
    free(bus);
    return err;
}

void gw_bus_close(struct gw_bus *bus)
{
    if (!bus)
        return;
    bus->is_dead = true;
    if (bus->depth == 0)
        end(bus);
    else /* no more callbacks from the call that we are in */
        bus->sd->close(bus->bus);
}

/* ---- speaking */

sd_bus_message *gw_bus_message(struct gw_bus *bus, const char *to, const char *path, const char *interface,
                               const char *member)
{
    sd_bus_message *message = NULL;
    return bus->sd->message_new_method_call(bus->bus, &message, to, path, interface, member) < 0 ? NULL
                                                                                                 : message;
}

int gw_bus_call(struct gw_bus *bus, sd_bus_message *message, sd_bus_message_handler_t fn, void *ctx)
{
    if (!message)
        return GW_E_NOMEM;
    int err = bus->sd->call_async(bus->bus, NULL, message, fn, ctx, GW_BUS_CALL_US);
    bus->sd->message_unref(message);
    arm(bus);
    return err < 0 ? err : 0;
}

int gw_bus_watch(struct gw_bus *bus, const char *name, sd_bus_message_handler_t fn, void *ctx)
{
    char rule[256];
    snprintf(rule, sizeof rule,
             "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
             "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='%s'",
             name);
    int err = bus->sd->add_match_async(bus->bus, NULL, rule, fn, NULL, ctx);
    arm(bus);
    return err < 0 ? err : 0;
}

bool gw_bus_has_owner(struct gw_bus *bus, sd_bus_message *signal)
{
    const char *name = "", *before = "", *after = "";
    return bus->sd->message_read(signal, "sss", &name, &before, &after) > 0 && after[0] != '\0';
}

bool gw_bus_is_error(const sd_bus_error *error, const char *name)
{
    return error && error->name && strcmp(error->name, name) == 0;
}

bool gw_bus_is_absence(const sd_bus_error *error)
{
    return gw_bus_is_error(error, "org.freedesktop.DBus.Error.ServiceUnknown") ||
           gw_bus_is_error(error, "org.freedesktop.DBus.Error.NameHasNoOwner");
}

bool gw_bus_is_silence(const sd_bus_error *error)
{
    return gw_bus_is_error(error, "org.freedesktop.DBus.Error.NoReply") ||
           gw_bus_is_error(error, "org.freedesktop.DBus.Error.Timeout") ||
           gw_bus_is_error(error, "System.Error.ETIMEDOUT");
}

bool gw_bus_is_refusal(const sd_bus_error *error)
{
    return gw_bus_is_error(error, "org.freedesktop.DBus.Error.AccessDenied") ||
           gw_bus_is_error(error, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired");
}
