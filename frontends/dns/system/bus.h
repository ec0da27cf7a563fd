/* SPDX-License-Identifier: MIT */
/* The system's D-Bus on our loop, by libsystemd's sd-bus. The library is loaded when it is first needed: most nodes never do, and it would bring half a dozen others
 * into the daemon's memory. */
#ifndef FRONTENDS_DNS_SYSTEM_BUS_H
#define FRONTENDS_DNS_SYSTEM_BUS_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

#define GW_BUS_CALL_US 5000000u /* that long an answer may take */

/* The functions that we use, by the names they have there without their "sd_bus_". */
#define GW_SD_BUS_FUNCTIONS(X) \
    X(open_system)             \
    X(close)                   \
    X(ref)                     \
    X(unref)                   \
    X(get_fd)                  \
    X(get_events)              \
    X(get_timeout)             \
    X(process)                 \
    X(call_async)              \
    X(add_match_async)         \
    X(message_new_method_call) \
    X(message_unref)           \
    X(message_append)          \
    X(message_append_array)    \
    X(message_open_container)  \
    X(message_close_container) \
    X(message_read)            \
    X(message_enter_container) \
    X(message_exit_container)  \
    X(message_skip)            \
    X(message_at_end)          \
    X(message_read_array)      \
    X(message_get_error)

#define GW_SD_BUS_MEMBER(name) __typeof__(sd_bus_##name) *name;
struct gw_sd_bus {
    GW_SD_BUS_FUNCTIONS(GW_SD_BUS_MEMBER)
};

struct gw_bus {
    const struct gw_sd_bus *sd;
    sd_bus *bus;
    struct event *event;
    struct event_base *base;
    void (*on_lost)(void *ctx);
    void *ctx;
    unsigned depth; /* calls of process under way */
    bool is_dead;   /* closed meanwhile: it is freed when they return */
};

/* Connects; nothing has been said yet when it returns. on_lost: the connection broke; it may be closed then. 0, or -errno with a reason in why. */
int gw_bus_open(struct gw_bus **out, struct event_base *base, void (*on_lost)(void *ctx), void *ctx,
                char *why, size_t why_len);
/* No callback comes after it. NULL is fine. May be called from one. */
void gw_bus_close(struct gw_bus *bus);

/* A call of `member` to be filled; NULL without memory. */
sd_bus_message *gw_bus_message(struct gw_bus *bus, const char *to, const char *path, const char *interface,
                               const char *member);
/* Sends what gw_bus_message made; consumes it (NULL is fine: GW_E_NOMEM). fn gets the answer, or an error that message_get_error knows, after GW_BUS_CALL_US at the latest; its
 * own return value is 0. 0 or -errno. */
int gw_bus_call(struct gw_bus *bus, sd_bus_message *message, sd_bus_message_handler_t fn, void *ctx);
/* fn is called when the name gets another owner, or none. 0 or -errno. */
int gw_bus_watch(struct gw_bus *bus, const char *name, sd_bus_message_handler_t fn, void *ctx);
/* Of a signal that gw_bus_watch asked for: has the name an owner now? */
bool gw_bus_has_owner(struct gw_bus *bus, sd_bus_message *signal);
/* What an error means; false for NULL. Nobody has that name on the bus; no answer came in time; not without more rights; of this name. */
bool gw_bus_is_absence(const sd_bus_error *error);
bool gw_bus_is_silence(const sd_bus_error *error);
bool gw_bus_is_refusal(const sd_bus_error *error);
bool gw_bus_is_error(const sd_bus_error *error, const char *name);

#endif
