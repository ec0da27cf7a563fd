/* SPDX-License-Identifier: MIT */
#include "frontends/socks5/policy.h"

#include <string.h>

static bool is_link_local(const struct gw_addr *ip)
{
    if (ip->family == 4)
        return ip->ip[0] == 169 && ip->ip[1] == 254;
    return ip->ip[0] == 0xfe && (ip->ip[1] & 0xc0) == 0x80;
}

/* 0.0.0.0/8 reaches this machine as 0.0.0.0 does, and broadcast is for everybody. */
static bool is_this_machine(const struct gw_addr *ip)
{
    static const uint8_t broadcast[4] = {255, 255, 255, 255};
    if (ip->family == 4 && (ip->ip[0] == 0 || memcmp(ip->ip, broadcast, 4) == 0))
        return true;
    return gw_addr_is_loopback(ip) || gw_addr_is_unspecified(ip) || gw_addr_is_multicast(ip) ||
           is_link_local(ip);
}

static bool matches_some(const struct gw_rule *rules, size_t count, const char *host,
                         const struct gw_addr *ip, uint16_t port)
{
    for (size_t i = 0; i < count; i++) {
        if (gw_rule_matches(&rules[i], host, ip, port))
            return true;
    }
    return false;
}

static bool has_prefix_for(const struct gw_policy *policy, const struct gw_addr *ip, uint16_t port)
{
    for (size_t i = 0; i < policy->allow_count; i++) {
        if (policy->allow[i].kind == GW_RULE_PREFIX && gw_rule_matches(&policy->allow[i], NULL, ip, port))
            return true;
    }
    return false;
}

/* Could a prefix still allow it, once the name's addresses are known? */
static bool has_prefixes(const struct gw_policy *policy)
{
    for (size_t i = 0; i < policy->allow_count; i++) {
        if (policy->allow[i].kind == GW_RULE_PREFIX)
            return true;
    }
    return false;
}

bool gw_policy_permits(const struct gw_policy *policy, const char *host, const struct gw_addr *ip,
                       uint16_t port)
{
    if (host && !host[0])
        host = NULL;
    if (!policy || !policy->is_direct || matches_some(policy->deny, policy->deny_count, host, ip, port))
        return false;
    if (ip && is_this_machine(ip))
        return has_prefix_for(policy, ip, port);
    if (policy->allow_count == 0 || matches_some(policy->allow, policy->allow_count, host, ip, port))
        return true;
    return host && !ip && has_prefixes(policy);
}
