/* SPDX-License-Identifier: MIT */
#include "gateway/config/rule.h"

#include "gateway/base/err.h"
#include "gateway/config/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static_assert(GW_RULE_HOST_MAX == GW_CONFIG_ENDPOINT_NAME_MAX, "every host name fits");

/* ---- text */

/* "80" or "8000-8999". */
static int parse_ports(struct gw_rule *rule, char *text)
{
    char *dash = strchr(text, '-');
    if (dash)
        *dash = '\0';
    if (gw_port_parse(&rule->port_min, text, 1) != 0)
        return GW_E_MALFORMED;
    rule->port_max = rule->port_min;
    if (dash && gw_port_parse(&rule->port_max, dash + 1, rule->port_min) != 0)
        return GW_E_MALFORMED;
    return 0;
}

/* Takes the ports from the end of the text, where there are any, and the brackets that an IPv6 address may be in. */
static int take_ports(struct gw_rule *rule, char *text, char **host)
{
    char *bracket = text[0] == '[' ? strrchr(text, ']') : NULL;
    char *colon = strrchr(text, ':');
    *host = text;
    if (bracket) {
        if (bracket[1] != '\0' && bracket[1] != ':')
            return GW_E_MALFORMED;
        colon = bracket[1] == ':' ? bracket + 1 : NULL;
        *bracket = '\0';
        *host = text + 1;
    } else if (!colon || strchr(text, ':') != colon) {
        return 0; /* none; or an IPv6 address alone */
    }
    if (!colon)
        return 0;
    *colon = '\0';
    return parse_ports(rule, colon + 1);
}

static int parse_host(struct gw_rule *rule, const char *host)
{
    if (gw_prefix_parse(&rule->prefix, host) == 0) {
        rule->kind = GW_RULE_PREFIX;
        gw_prefix_mask(&rule->prefix);
        return 0;
    }
    bool is_suffix = host[0] == '*';
    rule->kind = is_suffix ? GW_RULE_SUFFIX : GW_RULE_HOST;
    host += is_suffix;
    if (is_suffix && !*host)
        return 0;
    if (is_suffix && *host != '.')
        return GW_E_MALFORMED;
    if (!gw_host_name_is_valid(host + is_suffix) || strlen(host) > GW_RULE_HOST_MAX)
        return GW_E_MALFORMED;
    gw_host_name_lower(rule->host, host);
    return 0;
}

int gw_rule_parse(struct gw_rule *out, const char *text)
{
    struct gw_rule rule;
    char *copy = strdup(text), *host;
    if (!copy)
        return GW_E_NOMEM;
    memset(&rule, 0, sizeof rule);
    bool is_bracketed = copy[0] == '[';
    int err = take_ports(&rule, copy, &host);
    if (!err)
        err = parse_host(&rule, host);
    if (!err && is_bracketed && rule.kind != GW_RULE_PREFIX)
        err = GW_E_MALFORMED;
    free(copy);
    if (!err)
        *out = rule;
    return err;
}

char *gw_rule_format(const struct gw_rule *rule, char *out, size_t out_len)
{
    char host[GW_RULE_HOST_MAX + 2], ports[16] = "";
    if (rule->kind == GW_RULE_PREFIX)
        gw_prefix_format(&rule->prefix, host, sizeof host);
    else
        snprintf(host, sizeof host, "%s%s", rule->kind == GW_RULE_SUFFIX ? "*" : "", rule->host);
    if (rule->port_max > rule->port_min)
        snprintf(ports, sizeof ports, ":%u-%u", rule->port_min, rule->port_max);
    else if (rule->port_min)
        snprintf(ports, sizeof ports, ":%u", rule->port_min);
    bool needs_brackets = ports[0] && strchr(host, ':');
    snprintf(out, out_len, needs_brackets ? "[%s]%s" : "%s%s", host, ports);
    return out;
}

/* ---- the question */

/* The root's dot changes nothing. */
static size_t bare_len(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && name[len - 1] == '.' ? len - 1 : len;
}

static bool host_matches(const struct gw_rule *rule, const char *host)
{
    size_t len = bare_len(host), rule_len = bare_len(rule->host);
    if (rule->kind == GW_RULE_HOST)
        return len == rule_len && strncasecmp(host, rule->host, len) == 0;
    return len > rule_len && strncasecmp(host + len - rule_len, rule->host, rule_len) == 0;
}

bool gw_rule_matches(const struct gw_rule *rule, const char *host, const struct gw_addr *ip, uint16_t port)
{
    if (rule->port_min && (port < rule->port_min || port > rule->port_max))
        return false;
    if (rule->kind == GW_RULE_PREFIX)
        return ip && gw_addr_is_set(ip) && gw_prefix_contains(&rule->prefix, ip);
    if (rule->kind == GW_RULE_SUFFIX && !rule->host[0])
        return true;
    return host && host_matches(rule, host);
}
