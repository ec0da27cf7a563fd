/* SPDX-License-Identifier: MIT */
/* Names, and the other texts that people and clients write: what parses has the shape that it promises, and prints as something that parses. */
#include "frontends/socks5/policy.h"
#include "gateway/local/listener.h"
#include "gateway/local/target.h"
#include "resolver/name.h"
#include "tests/must.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *text)
{
    struct gw_dns_name name;
    if (gw_dns_name_parse(&name, text) != 0)
        return;
    must(name.count > 0);
    for (unsigned i = 0; i < name.count && i < GW_DNS_LABELS_MAX; i++)
        must(gw_dns_label_is_valid(name.label[i], strlen(name.label[i])));
}

static void check_target(const char *text)
{
    struct gw_target target, again;
    char printed[GW_TARGET_STRLEN];
    if (gw_target_parse(&target, text) != 0)
        return;
    must(gw_target_parse(&again, gw_target_format(&target, printed)) == 0);
    must(gw_target_equal(&target, &again));
}

static void check_rule(const char *text)
{
    struct gw_rule rule;
    struct gw_addr ip;
    if (gw_rule_parse(&rule, text) != 0 || gw_addr_parse_ip(&ip, "10.1.2.3", 80) != 0)
        return;
    must(rule.port_min <= rule.port_max);
    struct gw_rule again;
    char printed[GW_RULE_HOST_MAX + 20];
    must(gw_rule_parse(&again, gw_rule_format(&rule, printed, sizeof printed)) == 0);
    must(memcmp(&rule, &again, sizeof rule) == 0);
    gw_rule_matches(&rule, "www.example.org", &ip, 80);
    must(rule.kind != GW_RULE_HOST || gw_rule_matches(&rule, rule.host, NULL, rule.port_min));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[600];
    struct gw_target target;
    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_name(text);
    check_target(text);
    check_rule(text);
    gw_listener_parse(&target, text);
    return 0;
}
