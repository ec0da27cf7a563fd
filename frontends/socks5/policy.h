/* SPDX-License-Identifier: MIT */
/* What happens to destinations that are not ours: refused, or passed on to the network that this machine is in, with lists of what may
 * and what must not. Pure. */
#ifndef FRONTENDS_SOCKS5_POLICY_H
#define FRONTENDS_SOCKS5_POLICY_H

#include "gateway/config/rule.h"

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
