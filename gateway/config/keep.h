/* SPDX-License-Identifier: MIT */
/* What a reload cannot change: of each key that takes a restart, as the schema says, the running daemon goes on with the value that it has, and the owner is told. */
#ifndef GATEWAY_CONFIG_KEEP_H
#define GATEWAY_CONFIG_KEEP_H

#include "gateway/config/config.h"

/* Where a GW_RELOAD_RESTART key of `fresh` is another than in `running`, they change places, so that `fresh` is what is in force. A warning names each key; diag NULL: nothing is said. Doing it twice undoes it. */

/* The keys of the whole node, but none of a network. */
void gw_config_keep(struct gw_config *running, struct gw_config *fresh, struct gw_diag *diag);
/* Those of one network; path: of the file, for the warnings. */
void gw_config_keep_network(struct gw_config_network *running, struct gw_config_network *fresh,
                            const char *path, struct gw_diag *diag);

#endif
