/* SPDX-License-Identifier: MIT */
/* For how long our NAT, or firewall, keeps a way open that nothing goes over, and how often anchors are spoken to because of that. Measured on a further socket: it exchanges probes with an anchor,
 * says nothing for a while, and the anchor is asked to send there: what comes in tells that the way was still open, also where a new mapping would get the same port. Besides, an anchor that
 * sees our main socket at another port after a silence says that the silence was too long. IPv4 only. For gateway/discovery only; docs/PROTOCOL.md "How long a NAT remembers". */
#ifndef GATEWAY_DISCOVERY_LIFETIME_H
#define GATEWAY_DISCOVERY_LIFETIME_H

#include "gateway/discovery/measure.h"

#define GW_LIFETIME_NETWORKS 4u

enum gw_lifetime_step {
    GW_LIFETIME_IDLE,
    GW_LIFETIME_TOKEN,  /* asked for */
    GW_LIFETIME_OPEN,   /* a probe, and its answer */
    GW_LIFETIME_SETTLE, /* a pause */
    GW_LIFETIME_ASSURE, /* a second exchange: many NATs keep for longer what was used for a while */
    GW_LIFETIME_REST,   /* the silence in question */
    GW_LIFETIME_RETURN, /* another token asked for */
    GW_LIFETIME_KNOCK,  /* the anchor has been asked to send */
    GW_LIFETIME_CHECK   /* nothing came: does an exchange succeed at all? */
};

/* One network as we know it: where we were in it, and what was found out. */
struct gw_lifetime_network {
    struct gw_addr local, seen; /* our own address and where an anchor saw us, ports 0; seen.family 0: free */
    int64_t alive_ns;           /* the longest silence that a way outlived; 0 = unknown */
    int64_t dead_ns;            /* the shortest that one did not; 0 = none */
    bool lacks_anchor;          /* longer silences were not tried, for want of a second one */
    struct gw_mono review_at;   /* when to measure again */
    struct gw_mono used;        /* the last time that we came into it */
};

struct gw_lifetime {
    struct gw_deadline deadline;
    enum gw_lifetime_step step;
    struct gw_anchor_use *use; /* who is asked */
    struct gw_tuple at;        /* where our session with it goes */
    uint32_t number;           /* of the request for a token */
    unsigned tries;            /* of the step */
    struct gw_token token;
    bool has_link;
    uint32_t link;
    uint16_t port;             /* where the anchor sees that socket */
    int64_t silence_ns;        /* of the test under way */
    int64_t longest, shortest; /* of this series, as alive_ns and dead_ns */
    unsigned tests, failures;  /* of this series; tests that told nothing, in a row */
    struct gw_mono disturbed;  /* the machine slept, or the network changed; GW_NEVER */
    struct gw_mono hastened;   /* the last series that a lost mapping began; GW_NEVER */
    struct gw_lifetime_network networks[GW_LIFETIME_NETWORKS], *here; /* NULL: not seen yet */
};

int gw_lifetime_init(struct gw_discovery *discovery);
void gw_lifetime_fini(struct gw_discovery *discovery);
/* How often to speak to that anchor; configured_ns: as its configuration has it. */
int64_t gw_lifetime_interval(const struct gw_discovery *discovery, const struct gw_anchor_use *use,
                             int64_t configured_ns);
/* Our addresses, or where anchors see us, may be others. */
void gw_lifetime_moved(struct gw_discovery *discovery, struct gw_mono now);
/* The link changed or the machine slept: what happens to mappings around that proves nothing. */
void gw_lifetime_disturbed(struct gw_discovery *discovery, struct gw_mono now);
/* The anchor sees us at another port, after silence_ns that ended at `began`. */
void gw_lifetime_lost(struct gw_discovery *discovery, int64_t silence_ns, struct gw_mono began,
                      struct gw_mono now);
/* Somebody else needs the anchor's token. */
void gw_lifetime_yield(struct gw_discovery *discovery, struct gw_mono now);
void gw_lifetime_forget(struct gw_discovery *discovery, const struct gw_anchor_use *use, struct gw_mono now);
void gw_lifetime_answer(struct gw_discovery *discovery, const struct gw_anchor_use *use, uint32_t number,
                        const peergate_NatProbe *answer, struct gw_mono now);
void gw_lifetime_probe(struct gw_discovery *discovery, struct gw_mono now, const struct gw_tuple *from,
                       const struct gw_probe *probe);

#endif
