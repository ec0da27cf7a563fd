/* SPDX-License-Identifier: MIT */
/* Where an HTTP proxy is: [http://][USER:PASSWORD@]HOST:PORT[/], as in `tls_proxy` and in the environment's https_proxy. */
#ifndef GATEWAY_CONFIG_PROXY_URL_H
#define GATEWAY_CONFIG_PROXY_URL_H

#include "gateway/config/config.h"
#include "gateway/wire/http_connect.h"

struct gw_proxy_url {
    struct gw_config_endpoint at; /* IP or NAME */
    char credentials[GW_HTTP_CREDENTIALS_MAX +
                     1]; /* "user:password", %XX undone; "" = none. The owner wipes it. */
};

/* 0, GW_E_MALFORMED (another scheme, too) or GW_E_NOMEM; *out is then wiped. */
int gw_proxy_url_parse(struct gw_proxy_url *out, const char *text);
/* Is the address named by no_proxy: "*", or among the addresses, between commas? NULL is none. */
bool gw_no_proxy_has(const char *no_proxy, const struct gw_addr *addr);

#endif
