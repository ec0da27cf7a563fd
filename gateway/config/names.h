/* SPDX-License-Identifier: MIT */
/* names.yaml: the owner's own names for peers, the first tier of name resolution.
 *
 *   laptop: 12D3KooW...                  # host
 *   home.grewal: 12D3KooW...             # host in a network
 *   files: {peer_id: 12D3KooW..., service: web}
 *
 * The mapping may also stand under one key `names:`. Values may be base64 X25519 keys. */
#ifndef GATEWAY_CONFIG_NAMES_H
#define GATEWAY_CONFIG_NAMES_H

#include "gateway/config/diag.h"
#include "gateway/flow/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_NAME_MAX 253u

struct gw_name {
    unsigned line;
    char host[GW_NAME_MAX + 1];    /* lower case */
    char network[GW_NAME_MAX + 1]; /* "" = any network */
    uint8_t x25519[32];
    bool has_ed25519;
    uint8_t ed25519[32];
    char service[GW_SERVICE_NAME_MAX + 1]; /* "" = none given */
};

struct gw_names {
    struct gw_name *names;
    size_t count;
};

/* An absent file is an empty list. 0; GW_E_CONFIG (every error is in diag), GW_E_TOO_BIG, GW_E_NOMEM,
 * -errno; then *out is NULL. */
int gw_names_load(struct gw_names **out, const char *path, struct gw_diag *diag);
int gw_names_parse(struct gw_names **out, const char *text, size_t len, const char *path,
                   struct gw_diag *diag);
/* NULL is fine. */
void gw_names_free(struct gw_names *names);

/* The entry of host in network (any case); an entry without a network serves every one, one with the
 * network comes first. network "" asks for a bare host: then an entry of any network does, if it is the
 * only one. NULL = none. */
const struct gw_name *gw_names_find(const struct gw_names *names, const char *host, const char *network);

#endif
