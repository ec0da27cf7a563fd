/* SPDX-License-Identifier: MIT */
#include "frontends/socks5/policy.h"

#include "gateway/base/err.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Decimal digits only. */
static bool parse_number(const char *text, size_t len, unsigned max, unsigned *out)
{
    *out = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || *out > max)
            return false;
        *out = *out * 10 + (unsigned)(text[i] - '0');
    }
    return len > 0 && *out <= max;
}

/* "80" or "8000-8999". */
static bool parse_ports(struct gw_rule *rule, const char *text)
{
    unsigned from, to;
    const char *dash = strchr(text, '-');
    size_t from_len = dash ? (size_t)(dash - text) : strlen(text);
    if (!parse_number(text, from_len, UINT16_MAX, &from) || from == 0)
        return false;
    to = from;
    if (dash && (!parse_number(dash + 1, strlen(dash + 1), UINT16_MAX, &to) || to < from))
        return false;
    rule->port_min = (uint16_t)from;
    rule->port_max = (uint16_t)to;
    return true;
}

/* "10.0.0.0/8", "::1", "[::1]". */
static bool parse_prefix(struct gw_rule *rule, char *text)
{
    unsigned bits;
    size_t len = strlen(text);
    char *slash = strchr(text, '/');
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text[len - 1] = '\0';
        text++;
        slash = strchr(text, '/');
    }
    if (slash)
        *slash = '\0';
    if (gw_addr_parse_ip(&rule->ip, text, 0) != 0)
        return false;
    unsigned max = rule->ip.family == 4 ? 32 : 128;
    if (!slash)
        bits = max;
    else if (!parse_number(slash + 1, strlen(slash + 1), max, &bits))
        return false;
    rule->kind = GW_RULE_PREFIX;
    rule->bits = (uint8_t)bits;
    return true;
}

static bool parse_host(struct gw_rule *rule, const char *text)
{
    rule->kind = GW_RULE_HOST;
    if (text[0] == '*') {
        text++;
        rule->kind = GW_RULE_SUFFIX;
        if (text[0] != '\0' && text[0] != '.')
            return false;
    } else if (text[0] == '\0') {
        return false;
    }
    size_t len = strlen(text);
    for (size_t i = 0; i <= len; i++) {
        char c = text[i];
        bool is_upper = c >= 'A' && c <= 'Z';
        if (i < len && !is_upper && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr("-._", c))
            return false;
        rule->host[i] = is_upper ? (char)(c + ('a' - 'A')) : c;
    }
    return true;
}

int gw_rule_parse(struct gw_rule *out, const char *text)
{
    char copy[GW_TARGET_NAME_MAX + 1];
    size_t len = strlen(text);
    *out = (struct gw_rule){0};
    if (len >= sizeof copy)
        return GW_E_MALFORMED;
    memcpy(copy, text, len + 1);
    char *colon = strrchr(copy, ':');
    /* A colon is a port's when it is the only one, or behind brackets. */
    bool has_port = colon && (strchr(copy, ':') == colon || (colon > copy && colon[-1] == ']'));
    if (has_port) {
        *colon = '\0';
        if (!parse_ports(out, colon + 1))
            return GW_E_MALFORMED;
    }
    char again[GW_TARGET_NAME_MAX + 1];
    strcpy(again, copy);
    if (parse_prefix(out, again) || parse_host(out, copy))
        return 0;
    return GW_E_MALFORMED;
}

static bool is_in_prefix(const struct gw_rule *rule, const struct gw_addr *ip)
{
    unsigned whole = rule->bits / 8u, rest = rule->bits % 8u;
    if (ip->family != rule->ip.family || memcmp(ip->ip, rule->ip.ip, whole) != 0)
        return false;
    return rest == 0 || ((ip->ip[whole] ^ rule->ip.ip[whole]) >> (8u - rest)) == 0;
}

static bool is_below(const char *host, const char *suffix)
{
    size_t host_len = strlen(host), len = strlen(suffix);
    if (host_len > 0 && host[host_len - 1] == '.')
        host_len--;
    return host_len > len && strncasecmp(host + host_len - len, suffix, len) == 0;
}

static bool is_name(const char *host, const char *name)
{
    size_t len = strlen(name);
    return strncasecmp(host, name, len) == 0 &&
           (host[len] == '\0' || (host[len] == '.' && host[len + 1] == '\0'));
}

bool gw_rule_matches(const struct gw_rule *rule, const char *host, const struct gw_addr *ip, uint16_t port)
{
    if (rule->port_min && (port < rule->port_min || port > rule->port_max))
        return false;
    switch (rule->kind) {
    case GW_RULE_HOST:
        return host && is_name(host, rule->host);
    case GW_RULE_SUFFIX:
        return rule->host[0] == '\0' || (host && is_below(host, rule->host));
    case GW_RULE_PREFIX:
        return ip && is_in_prefix(rule, ip);
    }
    return false;
}

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
