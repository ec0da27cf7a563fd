/* SPDX-License-Identifier: MIT */
/* A model of a stock WireGuard peer's handshake behaviour, after its published description and the observable behaviour of its kernel
 * implementation: one handshake slot for both roles, three key pairs, initiations at least 5 s apart. What crossing handshakes
 * with such a peer do is decided here. Takes node B's place in a pair. */
#ifndef TESTS_UNIT_SESSION_STOCK_H
#define TESTS_UNIT_SESSION_STOCK_H

#include "pair.h"

struct stock;

/* Before pair_connect: node `id` becomes stock. Freed by pair_free. */
void stock_take_place(struct pair *pair, unsigned id);
/* One packet of data, or (is_data false) a keepalive. */
void stock_send(struct stock *stock, bool is_data);
struct gw_keypair *stock_key(struct stock *stock);

/* For pair.c. */
int stock_deliver(struct stock *stock, const void *bytes, size_t len);
void stock_free(struct stock *stock);
void pair_transmit(struct pair *pair, unsigned from, const void *bytes, size_t len);

#endif
