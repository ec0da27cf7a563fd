/* SPDX-License-Identifier: MIT */
/* Who this node is: an Ed25519 key in identity.key, the libp2p peer ID it has, and the X25519 key that
 * follows from it (the tunnel's static key). Loaded and saved here, wiped here; nothing else reads the
 * file. */
#ifndef GATEWAY_CONFIG_IDENTITY_H
#define GATEWAY_CONFIG_IDENTITY_H

#include "gateway/base/random.h"
#include "gateway/config/diag.h"
#include "gateway/wire/peer_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Held on the heap, in pages that are not swapped out where the system allows it. */
struct gw_identity {
    bool has_ed25519; /* false: a bare X25519 key, so there is no peer ID; the next two are zero */
    uint8_t ed25519_seed[32];
    uint8_t ed25519[32];       /* public */
    uint8_t x25519_secret[32]; /* the tunnel's: derived, or replaced */
    uint8_t x25519[32];        /* public */
    bool is_derived;           /* x25519 is the Ed25519 key's own */
};

/* From 32 random bytes. 0 or GW_E_NOMEM. */
int gw_identity_generate(struct gw_identity **out, struct gw_random *random);
/* From a bare X25519 secret: no peer ID, nothing can be signed. 0 or GW_E_NOMEM. */
int gw_identity_from_x25519(struct gw_identity **out, const uint8_t secret[32]);
/* From a file's contents: our one line of base64, or libp2p's marshalled private key as it is (68 bytes).
 * 0, GW_E_NOMEM, GW_E_MALFORMED (no such key, or its public half is another one's). */
int gw_identity_parse(struct gw_identity **out, const void *data, size_t len);
/* The same from the file; every failure is told to diag as well. Also GW_E_PERMISSION (group or others may
 * read it; the message has the chmod), GW_E_TOO_BIG, -errno. */
int gw_identity_load(struct gw_identity **out, const char *path, struct gw_diag *diag);
/* Writes the file, 0600, unless there is one: 0, -EEXIST, -errno. */
int gw_identity_save_new(const struct gw_identity *identity, const char *path);
/* Uses another X25519 secret for the tunnel (`private_key` of a configuration). */
void gw_identity_replace_x25519(struct gw_identity *identity, const uint8_t secret[32]);
/* Wipes. NULL is fine. */
void gw_identity_free(struct gw_identity *identity);

/* The X25519 public key that follows from an Ed25519 one (the birational map). GW_E_INVAL: a point of
 * small order, or none. */
int gw_identity_x25519_of(uint8_t x25519[32], const uint8_t ed25519[32]);

#endif
