/* SPDX-License-Identifier: MIT */
/*
 * What netstack/ tells lwIP's platform layer. The rest of that layer is declared in arch/cc.h, where lwIP looks.
 */
#ifndef PEERGATE_NETSTACK_PORT_H
#define PEERGATE_NETSTACK_PORT_H

#include <stdint.h>

struct netif;

/* The time lwIP sees from now on, in milliseconds of the caller's monotonic clock; it may wrap. */
void netstack_port_set_now_ms(uint32_t now_ms);
/* Which interface answers take from now on; NULL for none. */
void netstack_port_set_route(struct netif *netif);
/* Starts lwIP, once a process. */
void netstack_port_init(void);

#endif
