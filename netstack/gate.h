/* SPDX-License-Identifier: MIT */
/* Who takes a packet that a peer sends to a machine with a TUN: the kernel, the netstack, or nobody. The kernel gets what belongs to its own connections and what it
 * was asked for; whatever would begin something new is decided by the owner's word, and goes on as long as that holds. Bounded state: answers are let in for 2 minutes after
 * the last packet of their flow, for TCP see gate_tcp.h (what is no SYN begins nothing). Sans-IO. */
#ifndef NETSTACK_GATE_H
#define NETSTACK_GATE_H

#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "netstack/netstack.h"

struct gw_gate;

enum gw_gate_way {
    GW_GATE_KERNEL,
    GW_GATE_STACK,
    GW_GATE_NOBODY, /* counted; dropped */
};

struct gw_gate_params {
    struct gw_random *random;
    const uint8_t *seed; /* of gw_flow_tag, GW_FLOW_SEED_LEN bytes, copied; NULL: a random one */
    const struct gw_netstack_link *link; /* its addresses are ours, its connections the netstack's */
    /* A peer begins something new with this address of ours; port 0: neither TCP nor UDP. KERNEL: it may, and the kernel has it. STACK: for the netstack, which may
     * refuse it. */
    enum gw_gate_way (*decide)(void *ctx, void *peer, const struct gw_addr *local, bool is_udp);
    /* The same for an address that is not ours: KERNEL, or else only answers to what is there get through. */
    enum gw_gate_way (*decide_foreign)(void *ctx, void *peer, const struct gw_addr *to);
    /* Whose this address is, NULL: nobody's. */
    void *(*route)(void *ctx, const struct gw_addr *remote);
    /* During gw_gate_forget and gw_gate_end: this TCP connection of the kernel's may not go on, and rests: whatever either end sends of it will not pass. */
    void (*on_end)(void *ctx, const struct gw_addr *local, const struct gw_addr *remote);
    void *ctx;
};

/* NULL without memory. */
struct gw_gate *gw_gate_new(const struct gw_gate_params *params);
void gw_gate_free(struct gw_gate *gate);
/* Everything that was let in is asked about again: the owner's word has changed. What may not go on ends, TCP and others. */
void gw_gate_forget(struct gw_gate *gate, struct gw_mono now);

/* The peer is about to be removed. gw_gate_forget follows, when it is. */
void gw_gate_forget_peer(struct gw_gate *gate, const void *peer);

/* This TCP connection of the kernel's has nobody at its other end any more, whoever began it: on_end, and what the kernel sends of it may not go for 2 minutes after its last segment,
 * unless it begins it anew, or resets it. With ports, both. */
void gw_gate_end(struct gw_gate *gate, struct gw_mono now, const struct gw_addr *local,
                 const struct gw_addr *remote);

/* The kernel sends this to a peer (NULL: to one that is gone). false: it must not go, as the peer began it and may not any more, or it has been ended; for TCP both ends should be told. For packets that
 * gw_ip_parse took, both. */
bool gw_gate_outbound(struct gw_gate *gate, struct gw_mono now, void *peer, const uint8_t *packet,
                      const struct gw_ip *ip);
enum gw_gate_way gw_gate_inbound(struct gw_gate *gate, struct gw_mono now, void *peer, const uint8_t *packet,
                                 const struct gw_ip *ip);

/* Packets of this flow (gw_flow_tag, with the gate's seed) passed by it, last in that second of gw_mono: if it is let in, it stays so. */
void gw_gate_used(struct gw_gate *gate, struct gw_mono now, uint64_t tag, uint32_t used_s);

struct gw_gate_stats {
    uint64_t to_kernel, to_stack, dropped;
};
void gw_gate_stats(const struct gw_gate *gate, struct gw_gate_stats *out);

#endif
