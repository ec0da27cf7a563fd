/* SPDX-License-Identifier: MIT */
/* sd_notify(3) describes the protocol as stable and open to own implementations; doing so keeps the library and the half dozen it pulls in
 * out of the daemon's memory. */
#include "gateway/daemon/notify.h"

#include "gateway/base/mono.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

bool gw_notify_is_wanted(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    return path && (path[0] == '/' || path[0] == '@') &&
           strlen(path) < sizeof((struct sockaddr_un *)0)->sun_path;
}

static void say(const char *text)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!gw_notify_is_wanted())
        return;
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = strlen(path);
    memcpy(to.sun_path, path, len);
    if (path[0] == '@') /* an abstract socket */
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

void gw_notify_ready(const char *status)
{
    char text[512];
    snprintf(text, sizeof text, "READY=1\nSTATUS=%s\nMAINPID=%ld\n", status, (long)getpid());
    say(text);
}

void gw_notify_reloading(void)
{
    char text[128];
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n",
             (GW_S(ts.tv_sec) + ts.tv_nsec) / 1000);
    say(text);
}

void gw_notify_stopping(void)
{
    say("STOPPING=1\nSTATUS=ending\n");
}

void gw_notify_status(const char *status)
{
    char text[512];
    snprintf(text, sizeof text, "STATUS=%s\n", status);
    say(text);
}
