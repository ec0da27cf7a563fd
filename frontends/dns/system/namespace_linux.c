/* SPDX-License-Identifier: MIT */
/* Which network namespace others live in, as far as everybody may know. /proc/PID/ns/net may be read by root with all its capabilities only, so this looks at the
 * files in /proc/PID/net: they are objects of the namespace, one set for each. */
#include "frontends/dns/system/facts.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LISTENS 0x10000u /* __SO_ACCEPTCON */

bool gw_sysdns_is_machines_network(void)
{
    struct stat theirs, ours;
    if (stat("/proc/1/net/unix", &theirs) < 0 || stat("/proc/self/net/unix", &ours) < 0)
        return true;
    return theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

bool gw_sysdns_is_socket_here(const char *path)
{
    char line[512];
    bool is_here = false;
    FILE *file = fopen("/proc/self/net/unix", "re");
    if (!file)
        return true;
    while (!is_here && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        /* Num RefCount Protocol Flags Type St Inode Path; what accept() returned there has the path too, but belongs to the namespace of who connected. */
        unsigned flags = 0;
        const char *at = strchr(line, '/');
        is_here = at && strcmp(at, path) == 0 && sscanf(line, "%*s %*s %*s %x", &flags) == 1 &&
                  (flags & LISTENS) != 0;
    }
    fclose(file);
    return is_here;
}
