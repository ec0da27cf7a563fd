/* SPDX-License-Identifier: MIT */
/* Nodes of ours with nothing around them but a socket each: what loads an anchor. Their keys follow from their numbers, so that whoever configures the anchor knows
 * them before. A node that cannot do what it is to do says so and ends the tool. */
#ifndef TESTS_TOOLS_RELAYNODES_H
#define TESTS_TOOLS_RELAYNODES_H

#include "gateway/gateway.h"
#include "tests/tools/datagrams.h"

struct relaynodes;

/* X25519, base64; text: 64 bytes. */
const char *relaynodes_key(char text[64], unsigned number);

/* Nodes 0 to count - 1, node i on fds[i] (borrowed), that know each other and the anchor. */
struct relaynodes *relaynodes_new(unsigned count, const int *fds, const char *anchor_key,
                                  const char *anchor_at);
void relaynodes_free(struct relaynodes *nodes);
/* Goes on until `pairs` pairs of nodes, in the order of their numbers, have a channel, at both ends. */
void relaynodes_connect(struct relaynodes *nodes, unsigned pairs);
/* Keeps the sessions, until `fd` can be read. */
void relaynodes_keep(struct relaynodes *nodes, int fd);
/* What node `from` sends to node `to`, datagrams of `size` bytes by the channel: fills in the end's address and header. */
void relaynodes_end(const struct relaynodes *nodes, unsigned from, unsigned to, size_t size,
                    struct datagrams_end *end);

#endif
