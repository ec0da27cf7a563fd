/* SPDX-License-Identifier: MIT */
/* Any resolv.conf: ours is made of it, with our server first and at most three, and made of ours again it stays the same. */
#include "frontends/dns/system/resolv_conf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        n += at[-1] == '\n';
    return n;
}

/* Lines that can name a server. */
static unsigned count_servers(const char *text)
{
    unsigned n = 0;
    for (; *text; text += strspn(text, "\r\n")) {
        n += strncmp(text, "nameserver ", 11) == 0 || strncmp(text, "nameserver\t", 11) == 0;
        text += strcspn(text, "\r\n");
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gw_sysdns_wish wish;
    char *old = calloc(1, size + 1), *first, *second;
    size_t len;
    if (!old)
        return 0;
    memcpy(old, data, size);
    if (wish.server_count == 0)
        gw_addr_parse(&wish.servers[wish.server_count++], "127.0.0.1:53");
    if (gw_resolv_conf_make(&first, &len, old, &wish) != 0 || strlen(first) != len)
        abort();
    if (!gw_resolv_conf_names(first, &wish.servers[0]) || count(first, "nameserver ") > 3 ||
        count(first, "search ") > 1 || count(first, "options ") > 1)
        abort();
    if (gw_resolv_conf_make(&second, &len, first, &wish) != 0 || strcmp(first, second) != 0)
        abort();
    struct gw_addr servers[GW_SYSDNS_OLD_MAX];
    unsigned server_count = gw_resolv_conf_servers(old, servers);
    if (server_count > GW_SYSDNS_OLD_MAX || server_count > count_servers(old))
        abort();
    for (unsigned i = 0; i < server_count; i++) {
        if (servers[i].port != 53 || !gw_resolv_conf_names(old, &servers[i]))
            abort();
    }
    free(first);
    free(second);
    free(old);
    return 0;
}
