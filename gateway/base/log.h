/* SPDX-License-Identifier: MIT */
/* Logging: one line an event, format-checked, errno kept. The only process-wide state of the program (the
 * sink). Peers go by name; addresses are printed by gw_addr_log (wire/addr.h), so that they can be hidden
 * (`log: {hide_addresses: true}`). What strangers send is logged at debug only. No secret is ever an
 * argument. */
#ifndef GATEWAY_BASE_LOG_H
#define GATEWAY_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum gw_log_level { GW_LOG_ERROR, GW_LOG_WARN, GW_LOG_INFO, GW_LOG_DEBUG };

/* "error", "warn", "info", "debug" */
extern const char *const gw_log_level_names[4];

/* line: NUL-terminated, no newline or other control character (they are shown as '?'), at most 1023 bytes
 * (then it ends in "..."), lent for the call. NULL as sink: the default one, which writes the level's name
 * and the line to stderr. */
typedef void gw_log_sink_fn(void *ctx, enum gw_log_level level, const char *line);
void gw_log_set_sink(gw_log_sink_fn *sink, void *ctx);
/* What is above is dropped; GW_LOG_INFO at the start. */
void gw_log_set_level(enum gw_log_level level);
enum gw_log_level gw_log_level(void);
void gw_log_set_hide_addresses(bool hide);
bool gw_log_hides_addresses(void);

__attribute__((format(printf, 1, 2))) void gw_log_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void gw_log_warn(const char *format, ...);
__attribute__((format(printf, 1, 2))) void gw_log_info(const char *format, ...);
/* A macro, so that arguments cost nothing when debug is off. */
__attribute__((format(printf, 1, 2))) void gw_log_debug_line(const char *format, ...);
#define gw_log_debug(...)                   \
    do {                                    \
        if (gw_log_level() >= GW_LOG_DEBUG) \
            gw_log_debug_line(__VA_ARGS__); \
    } while (0)

#endif
