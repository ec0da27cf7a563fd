/* SPDX-License-Identifier: MIT */
/* A gateway on its sockets: the turn that carries trains between gw_udp and the engine. Receive a few trains, then (as a hook of the loop, once
 * a turn) expire deadlines, work on handshakes for at most a tenth of the turn, and send for at most 0.1 ms; less of each where the gateway is
 * shared. */
#ifndef GATEWAY_LINK_LINK_H
#define GATEWAY_LINK_LINK_H

#include "gateway/gateway.h"
#include "gateway/link/carriers.h"
#include "gateway/link/loop.h"
#include "gateway/link/udp.h"

struct gw_link;

/* Opens the sockets. 0, or -errno with a sentence in why[]. The gateway is attached later, since it may need the port. */
int gw_link_new(struct gw_link **out, struct gw_loop *loop, const struct gw_udp_params *params, char *why,
                size_t why_len);
void gw_link_free(struct gw_link *link);
/* Borrowed until gw_link_detach or gw_link_free; then another one may be. 0, or GW_E_NOMEM. */
int gw_link_attach(struct gw_link *link, struct gateway *gateway);
/* Trains to and from carriers (GW_LINK_CARRIER) go there; NULL: they are lost. Borrowed until another is set, or gw_link_free. */
void gw_link_set_carriers(struct gw_link *link, struct gw_carriers *carriers);
/* One that came over a carrier, for the gateway. */
void gw_link_input(struct gw_link *link, struct gw_train *train);
/* Sends what the gateway still has to say (one last time, for a moment), tells its peers that it ends (gw_gateway_farewell; a fifth of a second at most), and forgets it:
 * what follows is gw_gateway_free. */
void gw_link_detach(struct gw_link *link);
/* Tells a peer that gw_gateway_remove_peer is about to remove that it may have no session with this node any more (gw_gateway_dismiss). Not while the gateway
 * works on input. */
void gw_link_dismiss(struct gw_link *link, struct gw_peer *peer, struct gw_mono now);
/* For gw_gateway_events.on_forward: sends the train from where it lies, if nothing of ours waits for the socket. */
unsigned gw_link_forward(struct gw_link *link, const struct gw_train *train, struct gw_mono now);
/* A further socket, as in gw_gateway_events.open_link and close_link. */
int gw_link_open(struct gw_link *link, uint32_t number, bool with_v6);
void gw_link_close(struct gw_link *link, uint32_t number);
/* Lanes receive for it from now on, or no longer: meanwhile it only sends. What came in between is theirs. */
void gw_link_set_receiving(struct gw_link *link, bool is_receiving);
/* Its sockets, borrowed for as long as the link. */
struct gw_udp *gw_link_udp(struct gw_link *link);
uint16_t gw_link_port(const struct gw_link *link);
const struct gw_udp_stats *gw_link_stats(const struct gw_link *link);
/* Which families are open. */
bool gw_link_has(const struct gw_link *link, enum gw_udp_family family);

#endif
