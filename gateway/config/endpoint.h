/* SPDX-License-Identifier: MIT */
/* Addresses as people write them in files: endpoints, sockets, prefixes, rules of a proxy. No name is
 * looked up here. */
#ifndef GATEWAY_CONFIG_ENDPOINT_H
#define GATEWAY_CONFIG_ENDPOINT_H

#include "gateway/config/config.h"

/* All parsers take the whole text: 0, or GW_E_MALFORMED, with *why, where there is one, a static phrase or
 * NULL. */

/* HOST:PORT; the port is port_min..65535. */
int gw_endpoint_parse(struct gw_config_endpoint *out, const char *text, uint16_t port_min, const char **why);
/* The same, or unix:PATH, relative to dir. */
int gw_socket_parse(struct gw_config_endpoint *out, const char *text, const char *dir, uint16_t port_min,
                    const char **why);
/* IP/BITS, or an IP alone: all its bits. The bits of the host stay as they are. */
int gw_prefix_parse(struct gw_prefix *out, const char *text);
int gw_config_rule_parse(struct gw_config_rule *out, const char *text);

/* Clears the bits behind the prefix. */
void gw_prefix_mask(struct gw_prefix *prefix);
bool gw_prefix_contains(const struct gw_prefix *prefix, const struct gw_addr *ip);

/* Without a port. All return out. */
char *gw_ip_format(const struct gw_addr *ip, char *out, size_t out_len);
char *gw_prefix_format(const struct gw_prefix *prefix, char *out, size_t out_len);
char *gw_config_rule_format(const struct gw_config_rule *rule, char *out, size_t out_len);

#endif
