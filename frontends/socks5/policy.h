/* SPDX-License-Identifier: MIT */
/* What happens to destinations that are not ours: refused, or passed on to the network that this machine is in, with lists of what may
 * and what must not. Pure. */
#ifndef FRONTENDS_SOCKS5_POLICY_H
#define FRONTENDS_SOCKS5_POLICY_H

#include "gateway/local/target.h"

enum gw_rule_kind {
    GW_RULE_HOST,   /* exactly this name */
    GW_RULE_SUFFIX, /* every name that ends in host (".example.org"; "" = every name and address) */
    GW_RULE_PREFIX, /* addresses, also those that a name turned out to have */
};

struct gw_rule {
    enum gw_rule_kind kind;
    char host[GW_TARGET_NAME_MAX + 1]; /* lower case */
    struct gw_addr ip;
    uint8_t bits;
    uint16_t port_min, port_max; /* 0, 0 = any */
};

/* "HOST", "*.DOMAIN", "*", "IP", "IP/BITS", each with an optional ":PORT" or ":FROM-TO" (IPv6 in brackets then). 0 or GW_E_MALFORMED. */
int gw_rule_parse(struct gw_rule *out, const char *text);
bool gw_rule_matches(const struct gw_rule *rule, const char *host, const struct gw_addr *ip, uint16_t port);

struct gw_policy {
    bool is_direct; /* false: everything that is not ours is refused */
    const struct gw_rule *allow, *deny;
    size_t allow_count, deny_count;
};

/* deny wins; an allow list that is not empty must match. This machine itself and its links (loopback, unspecified, link-local, multicast) are
 * refused unless an allow rule that is a prefix has them. host: NULL or "" = none; ip: NULL = not known yet (then prefixes do not count against
 * the name, and the question is asked again for each address). */
bool gw_policy_permits(const struct gw_policy *policy, const char *host, const struct gw_addr *ip,
                       uint16_t port);

#endif
