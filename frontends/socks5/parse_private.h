/* SPDX-License-Identifier: MIT */
/* Shared by parse.c and http.c only. */
#ifndef FRONTENDS_SOCKS5_PARSE_PRIVATE_H
#define FRONTENDS_SOCKS5_PARSE_PRIVATE_H

#include "frontends/socks5/parse.h"

enum gw_proxy_step gw_proxy_fail(struct gw_proxy *proxy, enum gw_outcome outcome);
/* Sets request.host, .ip and .port; false = not a host. */
bool gw_proxy_set_host(struct gw_proxy_request *request, const char *host, size_t len, uint16_t port);
/* An address of SOCKS5: type | address | port. Its length, with *request's host, ip and port set; 0 = not complete, or none. */
size_t gw_proxy_read_address(struct gw_proxy_request *request, const uint8_t *bytes, size_t len);
/* The whole of HTTP: called with the bytes so far. */
enum gw_proxy_step gw_proxy_advance_http(struct gw_proxy *proxy);

#endif
