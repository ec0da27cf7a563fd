/* SPDX-License-Identifier: MIT */
/* Checking which addresses of a peer can be reached directly. Candidates are remembered with what became of them; in an attempt each is asked (PATH_CHALLENGE inside
 * the session) at a growing interval until it answers or the time is over. An address that never answered gets few small packets, whoever
 * said that it is the peer's. Leaf: no session, no messages; docs/PROTOCOL.md "Punching". */
#ifndef GATEWAY_PUNCH_PUNCH_H
#define GATEWAY_PUNCH_PUNCH_H

#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "gateway/wire/candidate.h"
#include "gateway/wire/train.h"

#define GW_CHECKS_MAX 16u  /* candidates remembered of a peer; the oldest that did not answer makes room */
#define GW_CHECK_TRIES 20u /* packets to an address in an attempt, as long as it has not answered */
#define GW_CHECK_NONCE_LEN 8u
#define GW_PREDICTED 5u       /* ports behind an observed one that are tried too: NATs that number in a row */
#define GW_PREDICTED_TRIES 4u /* packets to each of them */
#define GW_PREDICT_AFTER_NS GW_MS(300) /* ... when nothing has answered by then */
#define GW_PUNCH_SETTLE_NS GW_MS(500)  /* after the first answer the others have so long */

enum gw_check_state {
    GW_CHECK_WAITING, /* for the next attempt */
    GW_CHECK_RUNNING,
    GW_CHECK_PROVEN, /* answered in the last attempt */
    GW_CHECK_SILENT, /* did not answer in the last attempt */
};
extern const char *const gw_check_state_names[4];

/* One candidate pair: our primary socket, and an address of the peer. */
struct gw_check {
    struct gw_candidate remote;
    bool is_reflexive; /* nobody told it: the peer's own check came from there */
    bool is_predicted; /* nobody told it: it follows on an observed one. For one attempt, unless it answers */
    enum gw_check_state state;
    uint8_t nonce[GW_CHECK_NONCE_LEN]; /* of this attempt */
    unsigned tries;                    /* in this attempt */
    unsigned sent;                     /* in all */
    struct gw_mono next;               /* GW_NEVER = none */
    struct gw_mono last_sent;
    struct gw_mono answered; /* the last time; GW_NEVER */
    int64_t rtt_ns;          /* of that answer */
    int error;               /* the link's last, -errno; 0 = none */
};

struct gw_punch {
    struct gw_check checks[GW_CHECKS_MAX];
    unsigned count;
    bool is_running;
    bool is_asker;
    bool has_proven; /* in this attempt */
    struct gw_mono ends;
    struct gw_mono predict_at; /* GW_NEVER */
    unsigned attempts;         /* begun, in all */
};

void gw_punch_init(struct gw_punch *punch);
/* Remembers the candidate; true when it is new. While an attempt runs, a new one takes part in it. */
bool gw_punch_add(struct gw_punch *punch, struct gw_mono now, const struct gw_candidate *candidate,
                  bool is_reflexive, struct gw_random *random);
void gw_punch_forget(struct gw_punch *punch, const struct gw_addr *addr);
/* Begins an attempt: checks start at `start`, and it is over `timeout_ns` later. is_asker: this side asked for it. Two sides behind NATs that number in a row meet
 * only if one of them asks the predicted ports upwards and the other downwards: each packet takes the next number. */
void gw_punch_begin(struct gw_punch *punch, struct gw_mono start, int64_t timeout_ns, bool is_asker,
                    struct gw_random *random);
void gw_punch_end(struct gw_punch *punch);
/* The check that a packet is due for, or NULL; counts it. */
struct gw_check *gw_punch_take(struct gw_punch *punch, struct gw_mono now, struct gw_random *random);
/* An answer with this nonce came: its check, or NULL. It is proven from now on. */
struct gw_check *gw_punch_answered(struct gw_punch *punch, struct gw_mono now,
                                   const uint8_t nonce[GW_CHECK_NONCE_LEN]);
void gw_punch_send_failed(struct gw_punch *punch, const struct gw_addr *addr, int err);
/* True when the attempt ended just now. */
bool gw_punch_expire(struct gw_punch *punch, struct gw_mono now);
struct gw_mono gw_punch_next_deadline(const struct gw_punch *punch);

#endif
