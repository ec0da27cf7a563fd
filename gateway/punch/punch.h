/* SPDX-License-Identifier: MIT */
/* Checking which addresses of a peer can be reached directly. Candidates are remembered with what became of them; in an attempt each is asked (PATH_CHALLENGE inside
 * the session, or a probe where there is none) at a growing interval until it answers or the time is over. An address that never answered gets few small packets, whoever
 * said that it is the peer's. Leaf: no session, no messages; docs/PROTOCOL.md "Punching". */
#ifndef GATEWAY_PUNCH_PUNCH_H
#define GATEWAY_PUNCH_PUNCH_H

#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "gateway/punch/search.h"
#include "gateway/wire/candidate.h"
#include "gateway/wire/train.h"

#define GW_CHECKS_MAX 100u    /* candidates remembered of a peer; the oldest that did not answer makes room */
#define GW_CHECKS_AT_ONCE 16u /* take part in an attempt: those that once answered, and the last named */
#define GW_CHECK_TRIES 20u    /* packets to an address in an attempt, as long as it has not answered */
#define GW_PREDICTED 5u       /* ports behind an observed one that are tried too: NATs that number in a row */
#define GW_PREDICTED_TRIES 4u /* packets to each of them */
#define GW_PREDICT_AFTER_NS GW_MS(300) /* ... when nothing has answered by then, and nobody knows more */
#define GW_PREDICTED_ALONE_NS GW_MS(400)
#define GW_PUNCH_SETTLE_NS GW_MS(500) /* after the first answer the others have so long */

enum gw_check_state {
    GW_CHECK_WAITING, /* for the next attempt */
    GW_CHECK_RUNNING,
    GW_CHECK_PROVEN, /* answered in the last attempt */
    GW_CHECK_SILENT, /* did not answer in the last attempt */
};
extern const char *const gw_check_state_names[4];

/* One candidate pair: a socket of ours, and an address of the peer. */
struct gw_check {
    struct gw_candidate remote;
    uint32_t link;     /* GW_LINK_PRIMARY, but for what a search found */
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

/* How an attempt goes. */
struct gw_punch_plan {
    struct gw_mono start; /* of the checks */
    int64_t timeout_ns;   /* after that it is over */
    bool is_downwards;    /* of the two sides one counts so: see below */
    /* The peer's NAT gives each destination a port of its own, and... */
    bool foretells;      /* nobody knows how: the next ones after those observed are tried later */
    struct gw_addr last; /* ... in a row: its last port, just now; family 0: not in a row */
    int step;
    unsigned count;  /* ports that are tried of it; 0: GW_PREDICTED */
    bool is_counted; /* our own NAT numbers in a row: predicted ports are asked before anything else is */
    const struct gw_search_plan *search; /* NULL: none */
};

struct gw_punch {
    struct gw_check *checks; /* `capacity` of them, GW_CHECKS_MAX at most */
    unsigned count, capacity;
    bool is_running;
    bool is_downwards;
    bool has_proven; /* in this attempt */
    struct gw_mono began, ends;
    struct gw_mono predict_at; /* GW_NEVER */
    struct gw_search search;
    unsigned attempts; /* begun, in all */
};

/* A packet that is due. */
struct gw_punch_packet {
    struct gw_addr to;
    uint32_t link;
    uint8_t nonce[GW_CHECK_NONCE_LEN];
};

void gw_punch_init(struct gw_punch *punch);
void gw_punch_fini(struct gw_punch *punch);
/* Remembers the candidate; true when it is new. While an attempt runs, a new one takes part in it. A reflexive one may be on a further link. Without memory nothing is
 * remembered. */
bool gw_punch_add(struct gw_punch *punch, struct gw_mono now, const struct gw_candidate *candidate,
                  uint32_t link, bool is_reflexive, struct gw_random *random);
/* Is it remembered, for the primary link? */
bool gw_punch_knows(const struct gw_punch *punch, const struct gw_addr *addr);
void gw_punch_forget(struct gw_punch *punch, const struct gw_addr *addr);
/* Begins an attempt, or begins anew. Two sides behind NATs that number in a row meet only if one of them asks the predicted ports upwards and the other downwards: each
 * packet takes the next number. */
void gw_punch_begin(struct gw_punch *punch, const struct gw_punch_plan *plan, struct gw_random *random);
void gw_punch_end(struct gw_punch *punch);
/* The next packet that is due, which counts as sent; false: none. */
bool gw_punch_take(struct gw_punch *punch, struct gw_mono now, struct gw_random *random,
                   struct gw_punch_packet *out);
/* An answer came with the first `len` bytes of this nonce (4 or 8): its check, proven from now on. NULL: none's; or that of the search, whose find (`from`) is asked properly from
 * now on. Valid until the next call. */
struct gw_check *gw_punch_answered(struct gw_punch *punch, struct gw_mono now, const uint8_t *nonce,
                                   size_t len, const struct gw_tuple *from, struct gw_random *random);
void gw_punch_send_failed(struct gw_punch *punch, const struct gw_addr *addr, int err);
/* True when the attempt ended just now. */
bool gw_punch_expire(struct gw_punch *punch, struct gw_mono now);
struct gw_mono gw_punch_next_deadline(const struct gw_punch *punch);

#endif
