/* SPDX-License-Identifier: MIT */
/* Where a Redis is: redis://[:PASSWORD@]IP:PORT[/DATABASE], or unix://PATH. */
#ifndef GATEWAY_CONFIG_REDIS_URL_H
#define GATEWAY_CONFIG_REDIS_URL_H

#include "gateway/wire/addr.h"

#define GW_REDIS_PATH_MAX 107u /* of a unix socket */
#define GW_REDIS_PASSWORD_MAX 127u

struct gw_redis_url {
    struct gw_addr addr; /* family 0: `path` */
    char path[GW_REDIS_PATH_MAX + 1];
    char password[GW_REDIS_PASSWORD_MAX + 1]; /* "" = none */
    unsigned database;
};

/* 0 or GW_E_MALFORMED; *out is then undefined. */
int gw_redis_url_parse(struct gw_redis_url *out, const char *text);

#endif
