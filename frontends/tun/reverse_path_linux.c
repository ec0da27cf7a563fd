/* SPDX-License-Identifier: MIT */
#include "frontends/tun/reverse_path.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define CONF "/proc/sys/net/ipv4/conf"

/* 0: no check, 1: strict, 2: loose. */
static int filter_of(const char *device)
{
    char path[sizeof CONF + 64];
    int value = 0;
    snprintf(path, sizeof path, CONF "/%.*s/rp_filter", (int)GW_CHANGE_NAME_MAX, device);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%d", &value) != 1)
        value = 0;
    fclose(file);
    return value;
}

bool gw_reverse_path_strict(const char *but, char device[GW_CHANGE_NAME_MAX + 1])
{
    DIR *folder = opendir(CONF);
    bool is_found = false;
    if (!folder)
        return false;
    int all = filter_of("all");
    for (const struct dirent *entry; !is_found && (entry = readdir(folder)) != NULL;) {
        const char *name = entry->d_name;
        bool is_device = name[0] != '.' && strlen(name) <= GW_CHANGE_NAME_MAX && strcmp(name, "all") != 0 &&
                         strcmp(name, "default") != 0 && strcmp(name, "lo") != 0 && strcmp(name, but) != 0;
        int own = is_device ? filter_of(name) : 0;
        is_found = is_device && (own > all ? own : all) == 1; /* the kernel takes the larger one */
        if (is_found)
            snprintf(device, GW_CHANGE_NAME_MAX + 1, "%.*s", (int)GW_CHANGE_NAME_MAX, name);
    }
    closedir(folder);
    return is_found;
}
