/* SPDX-License-Identifier: MIT */
/* Who may be found under which rendezvous tag. A tag is 16 bytes that only two peers can compute (and we cannot tell whose it is), so it has
 * at most two registrants. Soft state: a registration ends when its lifetime does. Everything is bounded; a client that is gone takes its
 * registrations along. Knows no messages and sends nothing. */
#ifndef GATEWAY_ANCHOR_DIRECTORY_H
#define GATEWAY_ANCHOR_DIRECTORY_H

#include "gateway/base/list.h"
#include "gateway/base/map.h"
#include "gateway/base/mono.h"
#include "gateway/base/random.h"

#define GW_TAG_LEN 16u
#define GW_DIRECTORY_MAX 65536u /* registrations of all clients */

/* Embed one in each client, with gw_registrant_init. */
struct gw_registrant {
    struct gw_list registrations;
    unsigned count;
};

struct gw_directory {
    struct gw_map tags; /* GW_TAG_LEN bytes */
    unsigned count;     /* registrations */
};

void gw_directory_init(struct gw_directory *directory, struct gw_random *random);
/* Every registrant must be gone. */
void gw_directory_fini(struct gw_directory *directory);
void gw_registrant_init(struct gw_registrant *registrant);

/* Registers or prolongs until `expires`. max: registrations that this client may have. 0; GW_E_LIMIT (the client's or the directory's maximum, or the tag has
 * two other registrants), GW_E_NOMEM. */
int gw_directory_add(struct gw_directory *directory, struct gw_registrant *registrant,
                     const uint8_t tag[GW_TAG_LEN], struct gw_mono expires, unsigned max, struct gw_mono now);
/* Nothing happens when it is not there. */
void gw_directory_remove(struct gw_directory *directory, struct gw_registrant *registrant,
                         const uint8_t tag[GW_TAG_LEN]);
/* Any one of the client's; tag: which it was. false: it has none. */
bool gw_directory_remove_one(struct gw_directory *directory, struct gw_registrant *registrant,
                             uint8_t tag[GW_TAG_LEN]);
/* All of the client's. */
void gw_directory_clear(struct gw_directory *directory, struct gw_registrant *registrant);
/* Those of the client that expired. */
void gw_directory_sweep(struct gw_directory *directory, struct gw_registrant *registrant, struct gw_mono now);
/* The registrant of the tag who is not `asker`; NULL when there is none (any more). Takes the same steps in either case. */
struct gw_registrant *gw_directory_other(const struct gw_directory *directory,
                                         const struct gw_registrant *asker, const uint8_t tag[GW_TAG_LEN],
                                         struct gw_mono now);
/* Those of the tag, at most two; *expires: when the last of them ends. Returns how many. */
unsigned gw_directory_both(const struct gw_directory *directory, const uint8_t tag[GW_TAG_LEN],
                           struct gw_mono now, struct gw_registrant *out[2], struct gw_mono *expires);
/* Each tag of the client. fn changes nothing in the directory. */
void gw_directory_each(const struct gw_registrant *registrant, struct gw_mono now,
                       void (*fn)(const uint8_t tag[GW_TAG_LEN], struct gw_mono now, void *ctx), void *ctx);

#endif
