/* SPDX-License-Identifier: MIT */
/* What the three files about lwIP's TCP share: tcp_link.c (the interface), tcp.c (lwIP's callbacks, segments to it), tcp_user.c (the users' side). */
#ifndef NETSTACK_TCP_PRIVATE_H
#define NETSTACK_TCP_PRIVATE_H

#include "netstack/private.h"

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#define NS_TCP_EXT_ARG 0

static inline void ns_tcp_touch(struct gw_connection *connection)
{
    if (!gw_list_is_linked(&connection->touched))
        gw_list_push_back(&connection->stack->touched, &connection->touched);
}

/* tcp_link.c: lwIP takes packets for its interface's address only, so it is given the one that the connection was asked for. Not by netif_set_addr,
 * which would end the connections of the address before. Before each call that may send. */
void ns_tcp_select(const struct gw_connection *connection);
void ns_tcp_put_address(ip_addr_t *out, uint8_t family, const uint8_t ip[16]);

/* sack.c */
#define NS_SACK_BLOCKS 4u
struct ns_sacks {
    unsigned count;
    uint32_t left[NS_SACK_BLOCKS], right[NS_SACK_BLOCKS];
};
void ns_sack_read(struct ns_sacks *sacks, const uint8_t *segment, size_t header_len);
/* An acknowledgement that moves on has brought back the time at which something was sent. */
void ns_sack_note_echo(struct gw_connection *connection, uint32_t sent_ms);

/* recovery.c: around each segment that lwIP is given. The connection has its pcb, after it: still. */
void ns_recovery_before(struct gw_connection *connection);
void ns_recovery_after(struct gw_connection *connection, const struct ns_sacks *sacks);
/* After something was sent. */
void ns_recovery_watch(struct gw_connection *connection);
/* Around lwIP's tick. */
void ns_recovery_before_tick(void);
void ns_recovery_after_tick(void);

/* tcp.c */
extern const struct tcp_ext_arg_callbacks ns_tcp_ext_callbacks;
err_t ns_tcp_on_accept(void *arg, struct tcp_pcb *pcb, err_t err);

#endif
