/* SPDX-License-Identifier: MIT */
/* The log's sink, level and line building. One thread logs (the loop's), and it alone sets these. */
#include "gateway/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a line with its NUL; the rest is cut and marked. */
#define LINE_MAX_LEN 1024
#define CUT_MARK "..."

const char *const gw_log_level_names[4] = {
    [GW_LOG_ERROR] = "error",
    [GW_LOG_WARN] = "warn",
    [GW_LOG_INFO] = "info",
    [GW_LOG_DEBUG] = "debug",
};

static void stderr_sink(void *ctx, enum gw_log_level level, const char *line)
{
    (void)ctx;
    fprintf(stderr, "%s %s\n", gw_log_level_names[level], line);
}

static struct {
    gw_log_sink_fn *sink;
    void *ctx;
    enum gw_log_level level;
    bool hide_addresses;
} logging = {.sink = stderr_sink, .level = GW_LOG_INFO};

void gw_log_set_sink(gw_log_sink_fn *sink, void *ctx)
{
    logging.sink = sink != NULL ? sink : stderr_sink;
    logging.ctx = ctx;
}

void gw_log_set_level(enum gw_log_level level)
{
    logging.level = level;
}

enum gw_log_level gw_log_level(void)
{
    return logging.level;
}

void gw_log_set_hide_addresses(bool hide)
{
    logging.hide_addresses = hide;
}

bool gw_log_hides_addresses(void)
{
    return logging.hide_addresses;
}

/* A newline or an escape in a name that somebody else chose must not forge a line or drive a terminal. */
static void defuse(char *line)
{
    for (; *line != '\0'; line++) {
        if ((unsigned char)*line < 0x20 || *line == 0x7f)
            *line = '?';
    }
}

__attribute__((format(printf, 2, 0))) static void log_line(enum gw_log_level level, const char *format,
                                                           va_list args)
{
    if (level > logging.level)
        return;
    char line[LINE_MAX_LEN];
    int saved = errno;
    int len = vsnprintf(line, sizeof line, format, args);
    if (len < 0) /* an encoding error in the arguments; the format is ours */
        snprintf(line, sizeof line, "%s", format);
    else if ((size_t)len >= sizeof line)
        memcpy(line + sizeof line - sizeof CUT_MARK, CUT_MARK, sizeof CUT_MARK);
    defuse(line);
    logging.sink(logging.ctx, level, line);
    errno = saved;
}

void gw_log_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(GW_LOG_ERROR, format, args);
    va_end(args);
}

void gw_log_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(GW_LOG_WARN, format, args);
    va_end(args);
}

void gw_log_info(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(GW_LOG_INFO, format, args);
    va_end(args);
}

void gw_log_debug_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(GW_LOG_DEBUG, format, args);
    va_end(args);
}
