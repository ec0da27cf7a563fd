/* SPDX-License-Identifier: MIT */
/* Whom the machine asked before us: files of resolv.conf's kind. */
#include "frontends/dns/system/etc_file.h"
#include "frontends/dns/system/resolv_conf.h"

#include <stdlib.h>
#include <string.h>

#define UPLINKS "/run/systemd/resolve/resolv.conf" /* systemd-resolved(8): the servers that it knows */

static bool is_stub(const struct gw_addr *server)
{
    static const uint8_t low[] = {127, 0, 0, 53}, high[] = {127, 0, 0, 54};
    return server->family == 4 && (memcmp(server->ip, low, 4) == 0 || memcmp(server->ip, high, 4) == 0);
}

static unsigned read_servers(const char *path, struct gw_addr *out)
{
    char *text;
    size_t len;
    unsigned count = 0;
    if (gw_etc_file_read(&text, &len, path) == 0)
        count = gw_resolv_conf_servers(text, out);
    free(text);
    return count;
}

/* Those that are not in out yet. */
static unsigned add(const struct gw_addr *servers, unsigned server_count, struct gw_addr *out, unsigned count)
{
    for (unsigned i = 0; i < server_count && count < GW_SYSDNS_OLD_MAX; i++) {
        bool is_there = false;
        for (unsigned k = 0; k < count; k++)
            is_there |= gw_addr_equal(&out[k], &servers[i]);
        if (!is_there)
            out[count++] = servers[i];
    }
    return count;
}

unsigned gw_resolv_conf_read_servers(const char *path, struct gw_addr *out, unsigned count)
{
    struct gw_addr named[GW_SYSDNS_OLD_MAX], uplinks[GW_SYSDNS_OLD_MAX];
    unsigned named_count = read_servers(path, named), uplink_count = read_servers(UPLINKS, uplinks);
    for (unsigned i = 0; i < named_count; i++) {
        if (is_stub(&named[i]) && uplink_count > 0)
            count = add(uplinks, uplink_count, out, count);
        else
            count = add(&named[i], 1, out, count);
    }
    return count;
}
