/* SPDX-License-Identifier: MIT */
/* Where a local service or a destination outside our networks is: an address, a host name, or a unix socket. Text to
 * struct and back; no lookups, no sockets. */
#ifndef GATEWAY_LOCAL_TARGET_H
#define GATEWAY_LOCAL_TARGET_H

#include "gateway/wire/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gw_target_kind {
    GW_TARGET_NONE,
    GW_TARGET_ADDR, /* addr, port included */
    GW_TARGET_HOST, /* name and port */
    GW_TARGET_UNIX, /* name is the path; "@x" is the abstract socket x (Linux) */
};

#define GW_TARGET_NAME_MAX 255u
#define GW_TARGET_UNIX_MAX 107u
/* "[...]:65535" or "unix:..." and NUL */
#define GW_TARGET_STRLEN (GW_TARGET_NAME_MAX + 16u)

struct gw_target {
    enum gw_target_kind kind;
    uint16_t port; /* of ADDR (as addr.port) and HOST */
    struct gw_addr addr;
    char name[GW_TARGET_NAME_MAX + 1];
};

/* "host:port", "1.2.3.4:5", "[::1]:5", "unix:/path", "unix:@abstract". Port 0 is refused. 0, GW_E_MALFORMED, or GW_E_TOO_BIG (path, name). */
int gw_target_parse(struct gw_target *out, const char *text);
/* The same from two parts; an IP literal (IPv6 with or without brackets) becomes ADDR. 0, GW_E_MALFORMED or GW_E_TOO_BIG. */
int gw_target_set_host(struct gw_target *out, const char *host, uint16_t port);
/* Returns out. "-" for NONE. Addresses are hidden when the log hides them. */
char *gw_target_log(const struct gw_target *target, char out[GW_TARGET_STRLEN]);
/* The text that gw_target_parse reads. Returns out. */
char *gw_target_format(const struct gw_target *target, char out[GW_TARGET_STRLEN]);
bool gw_target_equal(const struct gw_target *a, const struct gw_target *b);

#endif
