/* SPDX-License-Identifier: MIT */
/* Log lines out. A line is one write(), so that lines of parallel writers to one file do not mix; a failing write is nobody's problem. */
#include "gateway/daemon/logsink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 1200

static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

/* $JOURNAL_STREAM is "device:inode" of the stream that systemd connected. */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

void gw_logsink_init(struct gw_logsink *sink)
{
    *sink = (struct gw_logsink){.fd = STDERR_FILENO};
    sink->kind = is_journal(STDERR_FILENO) ? GW_LOGSINK_JOURNAL : GW_LOGSINK_STDERR;
}

/* "2026-11-20 10:11:12.345 " */
static size_t format_time(char *out, size_t out_len)
{
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    localtime_r(&ts.tv_sec, &tm);
    size_t len = strftime(out, out_len, "%Y-%m-%d %H:%M:%S", &tm);
    return len + (size_t)snprintf(out + len, out_len - len, ".%03d ", (int)(ts.tv_nsec / 1000000));
}

static void write_line(void *ctx, enum gw_log_level level, const char *line)
{
    const struct gw_logsink *sink = ctx;
    char out[LINE_MAX_LEN];
    size_t len;
    int saved = errno;

    if (sink->kind == GW_LOGSINK_SYSLOG) {
        syslog(priorities[level], "%s", line);
        errno = saved;
        return;
    }
    if (sink->kind == GW_LOGSINK_JOURNAL) {
        len = (size_t)snprintf(out, sizeof out, "<%d>%s\n", priorities[level], line);
    } else {
        len = format_time(out, sizeof out);
        len += (size_t)snprintf(out + len, sizeof out - len, "%-5s %s\n", gw_log_level_names[level], line);
    }
    if (len >= sizeof out)
        len = sizeof out - 1;
    if (write(sink->fd, out, len) < 0) {
        /* A full disk or a closed terminal must not stop the daemon. */
    }
    errno = saved;
}

void gw_logsink_use(struct gw_logsink *sink)
{
    gw_log_set_sink(write_line, sink);
}

int gw_logsink_to_file(struct gw_logsink *sink, const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return -errno;
    if (sink->kind == GW_LOGSINK_FILE)
        close(sink->fd);
    *sink = (struct gw_logsink){.kind = GW_LOGSINK_FILE, .fd = fd, .path = path};
    return 0;
}

void gw_logsink_to_syslog(struct gw_logsink *sink)
{
    openlog("peergate", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    *sink = (struct gw_logsink){.kind = GW_LOGSINK_SYSLOG, .fd = -1};
}

void gw_logsink_reopen(struct gw_logsink *sink)
{
    if (sink->kind != GW_LOGSINK_FILE)
        return;
    int err = gw_logsink_to_file(sink, sink->path);
    if (err != 0)
        gw_log_warn("cannot open the log file %s again: %s", sink->path, strerror(-err));
}
