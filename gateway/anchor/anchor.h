/* SPDX-License-Identifier: MIT */
/* Being an anchor: every peer that we have a session with may register rendezvous tags, learn how it is seen from here, and ask about a tag that somebody else
 * has registered too (docs/PROTOCOL.md, "Anchors"). What is asked about an unknown tag, and about one that is not the asker's business, gets
 * the same answer. State is soft: it is gone after a restart and comes back with the clients' next registration. Sans-IO. */
#ifndef GATEWAY_ANCHOR_ANCHOR_H
#define GATEWAY_ANCHOR_ANCHOR_H

#include "gateway/anchor/params.h"
#include "gateway/peer/host.h"
#include "gateway/wire/control.pb.h"
#include "gateway/wire/train.h"

struct gw_anchor;

/* host is borrowed for life. 0 or GW_E_NOMEM. */
int gw_anchor_new(struct gw_anchor **out, struct gw_peer_host *host, const struct gw_anchor_params *params,
                  struct gw_mono now);
/* Every peer must be gone. NULL is fine. */
void gw_anchor_free(struct gw_anchor *anchor);
/* What may be relayed from now on, also by the channels that there are: `relays`, the rates, the volume and the maxima of params; the rest of it is for
 * gw_anchor_new. Where nothing is relayed any more, channels end, and their clients are told. */
void gw_anchor_set_limits(struct gw_anchor *anchor, const struct gw_anchor_params *params,
                          struct gw_mono now);

/* From gw_peer_hooks. True: the message was an anchor's to answer. */
bool gw_anchor_control(struct gw_anchor *anchor, struct gw_peer *peer, const peergate_Control *message,
                       struct gw_mono now);
void gw_anchor_peer_changed(struct gw_anchor *anchor, struct gw_peer *peer, struct gw_mono now);
void gw_anchor_peer_gone(struct gw_anchor *anchor, struct gw_peer *peer, struct gw_mono now);
/* Where it is, if it has registrations and has answered there. */
bool gw_anchor_client_place(const struct gw_peer *peer, struct gw_addr *out);
/* It ended the session (GOODBYE, DISMISS): what it registered and its channels are over, in the fleet's store, too. */
void gw_anchor_client_ended(struct gw_anchor *anchor, struct gw_peer *peer, struct gw_mono now);

/* A probe that passed the gate: true when its token is one of ours. */
bool gw_anchor_probe_input(struct gw_anchor *anchor, struct gw_mono now, const struct gw_tuple *from,
                           const uint8_t *datagram);

/* Frames of the train, the i-th and those behind it on the same channel: changed in place, and sent from there (on_forward) or copied to the queue. Returns how many were
 * dealt with, forwarded or not; at least 1. */
unsigned gw_anchor_forward(struct gw_anchor *anchor, struct gw_mono now, const struct gw_train *train,
                           unsigned i);
/* The oldest train of the queue, copied to the slab; false when there is none. */
bool gw_anchor_output(struct gw_anchor *anchor, struct gw_train *train);

/* This node is no anchor: says so to who asks. */
void gw_anchor_decline(struct gw_peer *peer, const peergate_Control *message, struct gw_mono now);

struct gw_anchor_stats {
    unsigned clients, registrations, channels;
    uint64_t requests, refused_unknown, refused_limit, refused_rate;
    uint64_t punches; /* two who were told to begin; where one is a fellow's client, both anchors count it */
    uint64_t relayed_datagrams, relayed_bytes;
    uint64_t dropped_channel; /* no such channel, or its mac is wrong */
    uint64_t dropped_place;   /* not from where the client's session is */
    uint64_t dropped_rate;    /* beyond the channel's or the queue's limit */
    uint64_t dropped_gone;    /* the other side is not there now */
};
void gw_anchor_stats(const struct gw_anchor *anchor, struct gw_anchor_stats *out);

#endif
