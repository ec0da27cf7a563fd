/* SPDX-License-Identifier: MIT */
/* Finding peers through anchors. Peers whose configuration says is_anchor are anchors of ours: each gets a session, and with it this node registers one rendezvous
 * tag for every other peer (docs/PROTOCOL.md, "Anchors"). Only hears of peers by gw_peer_hooks and speaks to them by CONTROL
 * messages. Sans-IO. */
#ifndef GATEWAY_DISCOVERY_DISCOVERY_H
#define GATEWAY_DISCOVERY_DISCOVERY_H

#include "gateway/discovery/view.h"
#include "gateway/peer/host.h"
#include "gateway/wire/candidate.h"
#include "gateway/wire/train.h"

struct gw_discovery;

/* host is borrowed for life. watches_public: whether this node can be reached is looked at again and again. 0 or GW_E_NOMEM. */
int gw_discovery_new(struct gw_discovery **out, struct gw_peer_host *host, bool watches_public);
/* Every peer must be gone. NULL is fine. */
void gw_discovery_free(struct gw_discovery *discovery);

/* Where this node may be reached, as far as it can tell itself: its interfaces' addresses and the configured ones, best first. Copied; at most
 * GW_CANDIDATES_MAX - 2 are kept (two places are for observed ones). */
void gw_discovery_set_addresses(struct gw_discovery *discovery, struct gw_mono now,
                                const struct gw_candidate *list, unsigned count);

/* Where STUN servers see this node; offered behind those, as far as there is room. Copied; at most GW_CANDIDATES_MAX are kept. */
void gw_discovery_set_observed(struct gw_discovery *discovery, struct gw_mono now, const struct gw_addr *list,
                               unsigned count);
/* Can anybody reach this node? The owner says where (`advertise`), or an anchor sees it at an address of its own, so no NAT is between, and what nobody asked for got in there, so no firewall
 * is either. */
void gw_discovery_public_view(const struct gw_discovery *discovery, struct gw_public_view *out);
static inline bool gw_discovery_is_public(const struct gw_discovery *discovery)
{
    struct gw_public_view view;
    gw_discovery_public_view(discovery, &view);
    return gw_public_is(view.reason);
}
/* Tries again whether what nobody asked for gets in. */
void gw_discovery_try_inbound(struct gw_discovery *discovery, struct gw_mono now);

/* From gw_peer_hooks. control: true when the message was ours. */
void gw_discovery_peer_known(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now);
void gw_discovery_peer_gone(struct gw_discovery *discovery, struct gw_peer *peer);
void gw_discovery_peer_changed(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now);
bool gw_discovery_control(struct gw_discovery *discovery, struct gw_peer *peer,
                          const peergate_Control *message, struct gw_mono now);

void gw_discovery_peer_proven(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now);
void gw_discovery_peer_wanted(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now);

/* The network is another one. */
void gw_discovery_look_again(struct gw_discovery *discovery, struct gw_mono now);

/* As in gw_peer_hooks. */
bool gw_discovery_take_check(struct gw_peer *peer, struct gw_mono now, struct gw_tuple *to, uint8_t nonce[8]);
bool gw_discovery_check_answered(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *from,
                                 const uint8_t nonce[8], struct gw_tuple *path, int64_t *rtt_ns);
void gw_discovery_challenged(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *from);
/* The link could not send to addr: err is -errno. */
void gw_discovery_send_failed(struct gw_peer *peer, const struct gw_addr *addr, int err);

/* A train whose tuple is a relay channel becomes frames to the relay, in place: each datagram gets a header, for which the slab has room (the train's
 * builder saw to it). false: there is no such channel now, so the train is lost. */
bool gw_discovery_wrap(struct gw_discovery *discovery, struct gw_mono now, struct gw_train *train);
/* A frame of type 6 that passed the gate, from `from`. The tuple of the channel that it belongs to; NULL when it is none of ours, its mac is
 * wrong or it does not come from the relay. */
const struct gw_tuple *gw_discovery_unwrap(struct gw_discovery *discovery, struct gw_mono now,
                                           const struct gw_tuple *from, const uint8_t *frame, size_t len);
/* Whose channel it is, for what went wrong with a train that had been wrapped; NULL = nobody's. */
struct gw_peer *gw_discovery_peer_of_frame(const struct gw_discovery *discovery, const uint8_t *frame);

/* Nothing has come by the channel for a while, where something did before: is the anchor there, and does it know us? */
void gw_discovery_relay_quiet(const struct gw_discovery *discovery, struct gw_mono now,
                              const struct gw_tuple *tuple);

/* The anchor that it goes through; NULL when there is no such channel. */
struct gw_peer *gw_discovery_relay_of(const struct gw_discovery *discovery, const struct gw_tuple *tuple);

/* A probe that passed the gate: true when its token is one of ours. */
bool gw_discovery_probe_input(struct gw_discovery *discovery, struct gw_mono now, const struct gw_tuple *from,
                              const uint8_t *datagram);
/* Valid as long as discovery is. */
const struct gw_nat_behaviour *gw_discovery_nat(const struct gw_discovery *discovery);
/* Fills in lifetime_min_ns and lifetime_max_ns. */
void gw_discovery_nat_lifetime(const struct gw_discovery *discovery, struct gw_nat_behaviour *out);

/* For status. NULL starts, NULL ends. */
const struct gw_anchor_use *gw_discovery_next_anchor(const struct gw_discovery *discovery,
                                                     const struct gw_anchor_use *use);
void gw_anchor_use_view(const struct gw_anchor_use *use, struct gw_mono now, struct gw_anchor_view *out);

void gw_discovery_reach_view(const struct gw_peer *peer, struct gw_reach_view *out);

#endif
