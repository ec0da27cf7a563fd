/* SPDX-License-Identifier: MIT */
/* Who may have a session, and who may use a service: two layers over lists of grants. Pure functions; wall time is passed in. Keys are X25519
 * public keys, so both peer IDs of one key are one peer. */
#ifndef GATEWAY_SERVICES_AUTHORIZE_H
#define GATEWAY_SERVICES_AUTHORIZE_H

#include "gateway/base/mono.h"
#include "gateway/session/crypto.h"

#include <stdbool.h>
#include <stddef.h>

/* One line of an authorized_keys file, or one peer of the configuration. */
struct gw_grant {
    uint8_t public_key[GW_KEY_LEN];
    const char *const *services; /* NULL-terminated names; NULL = every service */
    bool has_expiry;
    struct gw_wall expires; /* the first moment at which it no longer holds */
    bool is_revoked;        /* says no, whatever else there is */
    /* A line for the key that grants nothing: in its place a configured peer would have every service. */
    bool is_void;
    /* From the configuration's `peers`, not from a list of grants: holds for every service, unless the list has a line for the same key. */
    bool is_peer;
};

/* An owned, sorted copy of grants. */
struct gw_grants;
/* NULL without memory. */
struct gw_grants *gw_grants_new(const struct gw_grant *grants, size_t count);
struct gw_grants *gw_grants_copy(const struct gw_grants *grants);
void gw_grants_free(struct gw_grants *grants);
size_t gw_grants_count(const struct gw_grants *grants);
bool gw_grants_have_expiry(const struct gw_grants *grants);

enum gw_verdict {
    GW_VERDICT_ALLOWED,
    GW_VERDICT_UNKNOWN_KEY, /* no grant */
    GW_VERDICT_EXPIRED,
    GW_VERDICT_REVOKED,
    GW_VERDICT_NOT_THIS_SERVICE, /* services="..." without it */
};
/* "is not in the list of authorized keys" style: what follows the peer's name in a log line. */
extern const char *const gw_verdict_sentences[5];

/* The session gater: some grant of the key has not expired, and none revokes it. A configured peer without a line has a session; with lines they
 * decide, for it as for others. */
enum gw_verdict gw_authorize_session(const struct gw_grants *global, const uint8_t public_key[GW_KEY_LEN],
                                     struct gw_wall now);

/* own: the service's list; where there is one it alone decides (NULL = global decides). NULL global = nobody. Several grants of one key: the most
 * generous one decides. */
enum gw_verdict gw_authorize_service(const struct gw_grants *global, const struct gw_grants *own,
                                     const char *service, const uint8_t public_key[GW_KEY_LEN],
                                     struct gw_wall now);

#endif
