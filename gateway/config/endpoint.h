/* SPDX-License-Identifier: MIT */
/* Addresses as people write them in files: endpoints, sockets, prefixes. No name is
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
/* A decimal number from min to 65535. */
int gw_port_parse(uint16_t *out, const char *text, uint16_t min);
/* Labels of 1 to 63, dots between them, perhaps one at the end; what ends in a number is a misspelt IPv4 address. */
bool gw_host_name_is_valid(const char *text);
/* out has room for the text. */
void gw_host_name_lower(char *out, const char *text);

/* Clears the bits behind the prefix. */
void gw_prefix_mask(struct gw_prefix *prefix);
bool gw_prefix_contains(const struct gw_prefix *prefix, const struct gw_addr *ip);

/* "10.0.0.0/8". Returns out. */
char *gw_prefix_format(const struct gw_prefix *prefix, char *out, size_t out_len);

#endif
