/* SPDX-License-Identifier: MIT */
/* How large may datagrams on one path be? Packetization layer path MTU discovery (RFC 8899): nothing is believed but what arrived. A *probe* is a
 * padded PATH_CHALLENGE whose 8 bytes name its size, so that an answer counts whenever it comes; it carries no data, so its loss costs nothing.
 *
 *   IDLE       the base size; nothing was tried yet
 *   SEARCHING  rounds of up to four sizes at once: the full one first, then what splits the gap between the largest that arrived and the smallest that did not, and
 *              the base size as a witness that the path works at all
 *   DONE       the gap is closed. With a gap below the maximum left, the search begins anew after GW_MTU_RAISE_NS (while data flows)
 *   VERIFYING  large datagrams go unconfirmed: the size in use and the base size are asked side by side
 *
 * Loss is told from size by repetition: a size counts as too large after GW_MTU_TRIES rounds without its answer in which something else came in on the path. A path that
 * no longer carries its size (a black hole: no error from anywhere) goes back to the base size when that is answered and the size in use is not,
 * and the search begins anew. Knows no clock, no frames and no sockets. docs/PROTOCOL.md "Path MTU". */
#ifndef GATEWAY_PATH_MTU_H
#define GATEWAY_PATH_MTU_H

#include "gateway/base/mono.h"
#include "gateway/base/random.h"

#include <stdbool.h>
#include <stdint.h>

#define GW_MTU_NONCE_LEN 8u
#define GW_MTU_SIZES 4u /* of a round */
#define GW_MTU_TRIES 4u /* rounds without an answer until a size is taken for too large */
#define GW_MTU_VERIFY_TRIES \
    6u /* the same when the size in use is in doubt: twice in a round trip, so that four had the time to be answered */
#define GW_MTU_STEP 8u                    /* bytes that are not worth another round */
#define GW_MTU_RAISE_NS GW_S(600)         /* RFC 8899, 5.1.1: PMTU_RAISE_TIMER */
#define GW_MTU_UNCONFIRMED_NS GW_MS(1500) /* large datagrams go out, and none is known to have arrived */

enum gw_mtu_state { GW_MTU_IDLE, GW_MTU_SEARCHING, GW_MTU_DONE, GW_MTU_VERIFYING, GW_MTU_STATE_COUNT };
extern const char *const gw_mtu_state_names[GW_MTU_STATE_COUNT];

struct gw_mtu {
    enum gw_mtu_state state;
    uint16_t len;  /* what may be sent: the largest that is known to arrive, or the base */
    uint16_t base; /* what every path is trusted to carry */
    uint16_t max,
        first; /* the largest worth trying; one below it that goes along with the first round, 0 = none */
    uint16_t soft,
        hard; /* the smallest that was not answered, so far and for good; hard is max + 1 before that */
    uint8_t soft_tries;                  /* rounds that soft was in */
    uint8_t tries;                       /* of this verification */
    uint8_t unheard;                     /* rounds in a row in which nothing came in at all */
    bool was_searching;                  /* when the verification began */
    uint8_t token[GW_MTU_NONCE_LEN - 2]; /* the nonces' first bytes */
    uint16_t sizes[GW_MTU_SIZES + 1];    /* of the round, ascending; the first may be the witness */
    uint8_t size_count, sent_count;
    bool is_void;  /* something of ours could not leave since the round was sent: no answer says nothing */
    uint8_t voids; /* rounds in a row that were */
    bool is_heard; /* something came in since the round was sent, or the verification began */
    int64_t interval_ns;     /* as last said */
    struct gw_mono round_at; /* when the round is over; GW_NEVER: not sent yet, or none */
    struct gw_mono
        large_at; /* the first datagram above the base size since the last confirmation; GW_NEVER */
    struct gw_mono raise_at; /* DONE: when larger ones are worth another search; GW_NEVER */
};

void gw_mtu_init(struct gw_mtu *mtu, uint16_t base);
/* A search between the largest size known to arrive and `max`, from the beginning. first: a size likely to be the right one (Ethernet's), or 0. Nothing
 * happens when max is not above the base. */
void gw_mtu_begin(struct gw_mtu *mtu, uint16_t max, uint16_t first, struct gw_random *random);

/* The next probe that is to leave now: its size as a UDP payload, and the bytes to be sent back; false: none. interval_ns: how long an answer may take,
 * from which the round's end follows once its last probe was taken. */
bool gw_mtu_take_probe(struct gw_mtu *mtu, struct gw_mono now, int64_t interval_ns, uint16_t *len,
                       uint8_t nonce[GW_MTU_NONCE_LEN]);
/* A PATH_RESPONSE: false when it is none of these probes'. */
bool gw_mtu_answered(struct gw_mtu *mtu, const uint8_t nonce[GW_MTU_NONCE_LEN], struct gw_random *random);
/* Any authenticated datagram came in on the path. */
static inline void gw_mtu_heard(struct gw_mtu *mtu)
{
    mtu->is_heard = true;
}

/* Data in datagrams of len bytes went out. */
void gw_mtu_sent(struct gw_mtu *mtu, struct gw_mono now, uint16_t len);
/* A datagram of the size in use is known to have arrived (the flows' acks). */
void gw_mtu_confirmed(struct gw_mtu *mtu);
/* Something else points to a loss of large ones: verifies now, if there is anything to verify. */
void gw_mtu_doubt(struct gw_mtu *mtu, struct gw_random *random);
/* Something on this path could not leave, and not for its length. */
void gw_mtu_unsent(struct gw_mtu *mtu);
/* The system refused to send len bytes: too long. */
void gw_mtu_refused(struct gw_mtu *mtu, struct gw_mono now, uint16_t len, struct gw_random *random);
/* The network is another one: what was too large may not be any more. */
void gw_mtu_look_again(struct gw_mtu *mtu, struct gw_mono now);

/* What time brings. True when the size in use shrank. */
bool gw_mtu_expire(struct gw_mtu *mtu, struct gw_mono now, struct gw_random *random);
/* When gw_mtu_expire has something to do. */
struct gw_mono gw_mtu_next_deadline(const struct gw_mtu *mtu);

#endif
