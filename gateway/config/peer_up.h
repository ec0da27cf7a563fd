/* SPDX-License-Identifier: MIT */
/* Configurations of peer-up: the same file, some of whose keys have another shape there, or stand for what is not here. */
#ifndef GATEWAY_CONFIG_PEER_UP_H
#define GATEWAY_CONFIG_PEER_UP_H

#include "gateway/config/tree.h"

/* Rewrites what only peer-up has into our keys, and takes away what does no harm when it is missing, with a note (a warning in diag) for each that a person might
 * miss. What is left is for the schema. A key whose loss would let somebody in is not taken away. root: NULL is fine. Errors are in diag; 0 or GW_E_NOMEM. */
int gw_peer_up_translate(struct gw_node *root, const char *path, struct gw_diag *diag);

#endif
