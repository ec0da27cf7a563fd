/* SPDX-License-Identifier: MIT */
/* Who may ask, and how often: the server answers its own networks, and nobody's spoofed address more than a little. Sans-IO. */
#ifndef FRONTENDS_DNS_ACCESS_H
#define FRONTENDS_DNS_ACCESS_H

#include "gateway/base/ratelimit.h"
#include "gateway/peer/config.h"

#define GW_DNS_ALLOWED_MAX 32u
#define GW_DNS_RATE 1000.0 /* answers a second for each /32 or /64 */

struct gw_dns_access {
    struct gw_prefix allowed[GW_DNS_ALLOWED_MAX];
    size_t allowed_count;
    struct gw_ratelimit *limit;
    unsigned slips; /* refused ones so far */
};

enum gw_dns_permission {
    GW_DNS_PERMIT,
    GW_DNS_PERMIT_NOT, /* not one of ours: no answer */
    GW_DNS_SLOW_DOWN,  /* too many: no answer */
    GW_DNS_SLIP,       /* too many: an empty answer with TC, so that who isn't spoofed can come by TCP */
};

/* Loopback (127.0.0.0/8, ::1) is always allowed and not limited: no source there is spoofed. rate 0 = GW_DNS_RATE, burst 0 = what two seconds give. 0, GW_E_NOMEM, GW_E_LIMIT. */
int gw_dns_access_init(struct gw_dns_access *access, const struct gw_prefix *allowed, size_t count,
                       double rate, double burst);
void gw_dns_access_fini(struct gw_dns_access *access);
bool gw_dns_access_is_allowed(const struct gw_dns_access *access, const struct gw_addr *from);
/* One UDP query; takes a token. */
enum gw_dns_permission gw_dns_access_take(struct gw_dns_access *access, const struct gw_addr *from,
                                          struct gw_mono now);

#endif
