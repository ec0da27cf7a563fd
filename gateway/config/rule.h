/* SPDX-License-Identifier: MIT */
/* One entry of a list of destinations (`socks.allow`, `socks.deny`): what a person writes, and whether a destination is meant. */
#ifndef GATEWAY_CONFIG_RULE_H
#define GATEWAY_CONFIG_RULE_H

#include "gateway/peer/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_RULE_HOST_MAX 253u

enum gw_rule_kind {
    GW_RULE_HOST,   /* exactly this host name */
    GW_RULE_SUFFIX, /* "*.example.org": every name below it; "*": everything */
    GW_RULE_PREFIX, /* addresses, also those that a name turned out to have */
};

struct gw_rule {
    enum gw_rule_kind kind;
    char host[GW_RULE_HOST_MAX + 1]; /* lower case; of SUFFIX what follows the "*", with its dot, or "" */
    struct gw_prefix prefix;
    uint16_t port_min, port_max; /* 0, 0 = any */
};

/* "HOST", "*.DOMAIN", "*", "IP", "IP/BITS", each with an optional ":PORT" or ":FROM-TO" (IPv6 in brackets then). 0, GW_E_MALFORMED, GW_E_NOMEM. */
int gw_rule_parse(struct gw_rule *out, const char *text);
/* As it may be written; cut when it does not fit. Returns out. */
char *gw_rule_format(const struct gw_rule *rule, char *out, size_t out_len);
/* Does the rule say this? host (NULL = none) in any case, with or without the root's dot; ip (NULL or unset = not known). */
bool gw_rule_matches(const struct gw_rule *rule, const char *host, const struct gw_addr *ip, uint16_t port);

#endif
