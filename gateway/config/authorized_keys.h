/* SPDX-License-Identifier: MIT */
/* authorized_keys: who may connect, and to which services. SSH's shape, one peer a line:
 *
 *   [services="ssh,web",expires="2027-01-01"] PEER-ID-OR-BASE64-KEY [comment]
 *   revoked="yes" PEER-ID-OR-BASE64-KEY [comment]
 *
 * The second says no, also to a peer that the configuration names.
 *
 * Keys are compared as X25519 keys, so both peer IDs of one key are one entry. Edits keep comments, order
 * and lines that are not understood. */
#ifndef GATEWAY_CONFIG_AUTHORIZED_KEYS_H
#define GATEWAY_CONFIG_AUTHORIZED_KEYS_H

#include "gateway/base/mono.h"
#include "gateway/config/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_authorized_key {
    unsigned line;
    uint8_t x25519[32];
    bool has_ed25519; /* given as a peer ID */
    uint8_t ed25519[32];
    char **services; /* NULL-terminated; NULL = all services */
    bool has_expiry;
    struct gw_wall expires; /* the first moment at which it no longer holds */
    bool is_revoked;
    bool is_void;  /* the line cannot be read, or an earlier one has the same key: it grants nothing */
    char *comment; /* NULL = none */
};

struct gw_authorized_keys {
    struct gw_authorized_key *keys;
    size_t count;
};

/* A line that cannot be read grants nothing and is an error in diag, and the others are still loaded (it too, as is_void, if it names a key): the
 * result is usable (0) with diag->errors > 0. A file that is absent is an empty list. 0, GW_E_PERMISSION
 * (others may read or write it; message with the chmod), GW_E_TOO_BIG (1 MiB), GW_E_NOMEM, -errno; on
 * failure *out is NULL and diag says why. */
int gw_authorized_keys_load(struct gw_authorized_keys **out, const char *path, struct gw_diag *diag);
int gw_authorized_keys_parse(struct gw_authorized_keys **out, const char *text, size_t len, const char *path,
                             struct gw_diag *diag);
/* NULL is fine. */
void gw_authorized_keys_free(struct gw_authorized_keys *list);

/* The entry of a key, expired, revoked or void as it may be; NULL = not authorised. */
const struct gw_authorized_key *gw_authorized_keys_find(const struct gw_authorized_keys *list,
                                                        const uint8_t x25519[32]);
bool gw_authorized_key_is_expired(const struct gw_authorized_key *key, struct gw_wall now);
/* Found, not expired, revoked or void, and for this service (NULL = for a session at all). */
bool gw_authorized_keys_allow(const struct gw_authorized_keys *list, const uint8_t x25519[32],
                              const char *service, struct gw_wall now);

/* ---- edits: under a lock, so that parallel ones lose nothing; the file is replaced atomically */

struct gw_authorize {
    const char *peer;     /* peer ID or base64 key */
    const char *services; /* "a,b"; NULL = all */
    const char *expires;  /* "2027-01-01" or RFC 3339; NULL = never */
    const char *comment;  /* NULL = none, or what was there */
    bool is_revoked;      /* no right at all: services and expires are NULL */
};

/* Adds the peer's line, or replaces it where it is. *replaced may be NULL. 0; GW_E_INVAL with a message in
 * diag; GW_E_PERMISSION, -errno. */
int gw_authorized_keys_authorize(const char *path, const struct gw_authorize *what, bool *replaced,
                                 struct gw_diag *diag);
/* The same with a line that revokes: for a peer that the configuration names, which without a line may do everything. */
int gw_authorized_keys_revoke(const char *path, const char *peer, bool *replaced, struct gw_diag *diag);
/* Removes the peer's line(s). 0; GW_E_UNKNOWN (it is not there); otherwise as authorize. */
int gw_authorized_keys_deauthorize(const char *path, const char *peer, struct gw_diag *diag);

#endif
