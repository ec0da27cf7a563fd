/* SPDX-License-Identifier: MIT */
/* What the commands on files have in common: the configuration, which of its networks is meant, what was wrong. */
#ifndef GATEWAY_DAEMON_CMD_NETWORK_H
#define GATEWAY_DAEMON_CMD_NETWORK_H

#include "gateway/config/config.h"
#include "gateway/daemon/cmd.h"

/* The configuration, if there is one (*out is NULL when not): it may name other files. An enum gw_exit; the reasons are in diag. */
int gw_cmd_load_config(struct gw_cmd_context *ctx, struct gw_config **out, struct gw_diag *diag);
/* The network of this name; without one (NULL) the only one there is. config may be NULL: then *out is, where no name is given. An enum gw_exit, after a message. */
int gw_cmd_choose_network(struct gw_cmd_context *ctx, const struct gw_config *config, const char *name,
                          const struct gw_config_network **out);
/* Prints and forgets; returns the status that follows. */
int gw_cmd_finish(const struct gw_cmd_context *ctx, struct gw_diag *diag, int err);

#endif
