/* SPDX-License-Identifier: MIT */
/* What anchors of a fleet leave for each other and say to each other, byte by byte (docs/PROTOCOL.md, "A fleet of anchors"). All of it lies in or passes a
 * store that others may write to, so it is sealed with the fleet's key and bound to where it lies; what does not open is as if it were not there. */
#ifndef GATEWAY_ANCHOR_FLEET_RECORD_H
#define GATEWAY_ANCHOR_FLEET_RECORD_H

#include "gateway/anchor/directory.h"
#include "gateway/anchor/fleet.h"
#include "gateway/session/crypto.h"
#include "gateway/wire/candidate.h"
#include "gateway/wire/cursor.h"
#include "gateway/wire/probe.h"
#include "gateway/wire/relay_frame.h"

#define GW_FLEET_ID_LEN 8u
#define GW_FLEET_REGISTRANTS 2u
#define GW_FLEET_NONCE_LEN 24u
#define GW_FLEET_OVERHEAD (GW_FLEET_NONCE_LEN + 16u)
#define GW_FLEET_PLAIN_MAX 480u
#define GW_FLEET_SEALED_MAX (GW_FLEET_PLAIN_MAX + GW_FLEET_OVERHEAD)

/* Where an anchor is, and which of its lives this is: what was said to another one is void. */
struct gw_fleet_place {
    uint8_t anchor[GW_FLEET_ID_LEN];
    uint64_t instance;
    struct gw_addr addr;
};

struct gw_fleet_registrant {
    uint8_t client[GW_FLEET_ID_LEN];
    struct gw_candidate addresses[GW_CANDIDATES_MAX];
    unsigned address_count;
};

/* Who is registered for one tag at one anchor. */
struct gw_fleet_record {
    struct gw_fleet_place place;
    struct gw_fleet_registrant registrants[GW_FLEET_REGISTRANTS];
    unsigned count;
};

enum gw_fleet_kind {
    GW_FLEET_PRESENT = 1, /* an anchor is there; is_asking: who else is? */
    GW_FLEET_OPEN,        /* a client of mine wants a channel to one of yours */
    GW_FLEET_OPENED,      /* there it is */
    GW_FLEET_REFUSED,     /* there is none, see refusal */
    GW_FLEET_PUNCH,       /* a client of mine wants to punch with one of yours */
    GW_FLEET_PUNCHED,     /* that one was told, unless `refusal` says why not */
};

/* What the sender's client is to the other one's punch. */
struct gw_fleet_punch {
    uint8_t token[GW_TOKEN_ID_LEN], secret[GW_TOKEN_SECRET_LEN]; /* the same in PUNCH and PUNCHED */
    uint32_t round;
    uint32_t delay_ms; /* it begins so long after PUNCH has arrived, as far as the sender can tell */
    struct gw_candidate addresses[GW_CANDIDATES_MAX];
    unsigned address_count;
    bool has_nat;
    peergate_Nat nat;
    /* Of further rounds. Without any of it the message is as it was before there were such. */
    uint8_t again;
    bool is_complete; /* not of a plain round */
    bool has_vouch;
    peergate_Vouch vouch;
};

struct gw_fleet_message {
    enum gw_fleet_kind kind;
    struct gw_fleet_place from;
    bool is_asking, knows_further; /* ...: it understands what PUNCH and PUNCHED say of further rounds */
    /* All below: not of PRESENT. */
    uint64_t to_instance;
    uint8_t tag[GW_TAG_LEN];
    uint8_t client[GW_FLEET_ID_LEN]; /* the one that asked */
    uint32_t channel; /* frames to the sender of this message have this number; not of PUNCH, PUNCHED */
    uint8_t key[GW_RELAY_KEY_LEN]; /* and their mac this key */
    struct gw_fleet_punch punch;   /* of PUNCH and PUNCHED only */
    uint8_t refusal;
};

/* Does it say anything of a further round? */
static inline bool gw_fleet_is_further(const struct gw_fleet_punch *punch)
{
    return punch->again > 0 || punch->has_vouch;
}

/* Plain forms. Encoders return the length, 0 when it does not fit; decoders 0 or GW_E_MALFORMED, with no trust in anything: counts are
 * bounded, addresses usable, nothing is left over. */
size_t gw_fleet_record_encode(uint8_t *out, size_t cap, const struct gw_fleet_record *record);
int gw_fleet_record_decode(struct gw_fleet_record *out, struct gw_view in);
size_t gw_fleet_message_encode(uint8_t *out, size_t cap, const struct gw_fleet_message *message);
int gw_fleet_message_decode(struct gw_fleet_message *out, struct gw_view in);

/* nonce 24 | XChaCha20-Poly1305(plain), associated data: the name of the place. mark: what the nonce begins with, so that the writer knows its own again without a key; the other
 * 16 bytes are random. NULL: all are. out: plain_len + GW_FLEET_OVERHEAD bytes. Returns the length. */
size_t gw_fleet_seal(uint8_t *out, const uint8_t *plain, size_t plain_len, const char *name,
                     const uint8_t *mark, const uint8_t key[GW_KEY_LEN], const struct gw_crypto *crypto,
                     struct gw_random *random);
/* plain: GW_FLEET_PLAIN_MAX bytes. false: it is not ours, or too long. */
bool gw_fleet_open(uint8_t *plain, size_t *plain_len, struct gw_view sealed, const char *name,
                   const uint8_t key[GW_KEY_LEN], const struct gw_crypto *crypto);

#endif
