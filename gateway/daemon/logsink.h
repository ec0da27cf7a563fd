/* SPDX-License-Identifier: MIT */
/* Where the daemon's log lines go: stderr, a file or syslog. One line an event. On stderr and in a file a line begins with the local time;
 * under systemd it begins with the journal's priority instead, since the journal keeps the time itself. */
#ifndef GATEWAY_DAEMON_LOGSINK_H
#define GATEWAY_DAEMON_LOGSINK_H

#include "gateway/base/log.h"

enum gw_logsink_kind { GW_LOGSINK_STDERR, GW_LOGSINK_JOURNAL, GW_LOGSINK_FILE, GW_LOGSINK_SYSLOG };

struct gw_logsink {
    enum gw_logsink_kind kind;
    int fd;           /* of STDERR, JOURNAL, FILE */
    const char *path; /* of FILE; borrowed */
};

/* stderr, or the journal's form of it when stderr is the journal. */
void gw_logsink_init(struct gw_logsink *sink);
/* Makes it the program's log sink. It must live until the program ends or another takes its place. */
void gw_logsink_use(struct gw_logsink *sink);
/* To a file (appended to, made with mode 0600). 0, or -errno and the sink is as it was. */
int gw_logsink_to_file(struct gw_logsink *sink, const char *path);
void gw_logsink_to_syslog(struct gw_logsink *sink);
/* Opens a file again by its name, after somebody rotated it. */
void gw_logsink_reopen(struct gw_logsink *sink);

#endif
