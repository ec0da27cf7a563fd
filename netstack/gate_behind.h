/* SPDX-License-Identifier: MIT */
/* What is behind this machine (a subnet) and a peer that may begin nothing there, for the gate: the subnet may begin something with the peer, and gets the answers. TCP connections by their
 * SYN, remembered for 2 h 4 min after their last packet (RFC 5382, 5); pings, and errors of ICMP, for pairs of addresses. Other flows the gate itself remembers. Bounded: the least
 * recently used makes room. Sans-IO. */
#ifndef NETSTACK_GATE_BEHIND_H
#define NETSTACK_GATE_BEHIND_H

#include "netstack/gate.h"

struct gw_gate_behind;

/* params and seed (GW_FLOW_SEED_LEN): borrowed for life. NULL without memory. */
struct gw_gate_behind *gw_gate_behind_new(const struct gw_gate_params *params, const uint8_t *seed);
void gw_gate_behind_free(struct gw_gate_behind *behind);

/* The kernel sends this to the peer (NULL: to nobody). Nothing where it is from an address of ours. For ICMP and TCP each packet with the beginning of its layer-4 header, for others that
 * which begins a flow. */
void gw_gate_behind_outbound(struct gw_gate_behind *behind, uint32_t now_s, void *peer, const uint8_t *packet,
                             const struct gw_ip *ip);
/* TCP or ICMP, with the beginning of its header, to an address that is not ours: did that begin it? */
bool gw_gate_behind_is_answer(struct gw_gate_behind *behind, uint32_t now_s, const uint8_t *packet,
                              const struct gw_ip *ip);
/* As gw_gate_used. */
void gw_gate_behind_used(struct gw_gate_behind *behind, uint64_t tag, uint32_t used_s);

#endif
