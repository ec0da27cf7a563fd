/* SPDX-License-Identifier: MIT */
/* The log's lines about what a peer does. It may do it as often as it likes, and be as hostile as a peer can be that is let in: the lines are bounded,
 * and the next one says how many are missing. */
#include "gateway/base/log.h"
#include "gateway/peer/peer_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TELL_BURST 20.0
#define TELL_RATE (1.0 / 30) /* a second */
#define LINE_LEN 1024u

void gw_peer_told_init(struct gw_peer_told *told, struct gw_mono now)
{
    gw_bucket_init(&told->bucket, TELL_BURST, now);
    told->left_out = 0;
}

static void write_line(const struct gw_peer *peer, enum gw_log_level level, const char *text, const char *end)
{
    const char *name = gw_peer_name(peer), *suffix = peer->host->log_suffix;
    const char *dot = suffix ? "." : "";
    suffix = suffix ? suffix : "";
    if (level == GW_LOG_ERROR)
        gw_log_error("%s%s%s: %s%s", name, dot, suffix, text, end);
    else if (level == GW_LOG_WARN)
        gw_log_warn("%s%s%s: %s%s", name, dot, suffix, text, end);
    else
        gw_log_info("%s%s%s: %s%s", name, dot, suffix, text, end);
}

void gw_peer_tell(struct gw_peer *peer, struct gw_mono now, enum gw_log_level level, const char *format, ...)
{
    struct gw_peer_told *told = &peer->told;
    char text[LINE_LEN], end[64] = "";
    va_list args;
    if (!gw_bucket_take(&told->bucket, TELL_RATE, TELL_BURST, 1, now)) {
        told->left_out++;
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (told->left_out > 0)
        snprintf(end, sizeof end, " (%llu lines about it were left out)", (unsigned long long)told->left_out);
    told->left_out = 0;
    write_line(peer, level, text, end);
}
