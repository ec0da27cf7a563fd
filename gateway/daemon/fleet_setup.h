/* SPDX-License-Identifier: MIT */
/* A network's anchor in its fleet: the engine's part (gateway/anchor/fleet.h) joined with the Redis that `anchor.directory` names. */
#ifndef GATEWAY_DAEMON_FLEET_SETUP_H
#define GATEWAY_DAEMON_FLEET_SETUP_H

#include "gateway/anchor/fleet.h"
#include "gateway/config/config.h"
#include "gateway/gateway.h"
#include "gateway/link/loop.h"

#include <jansson.h>

struct gw_fleet_setup;

/* *out is NULL where the configuration has no shared directory. 0 or GW_E_NOMEM. */
int gw_fleet_setup_new(struct gw_fleet_setup **out, struct gw_loop *loop,
                       const struct gw_config_network *config);
/* For gw_gateway_params; setup may be NULL. */
void gw_fleet_setup_params(const struct gw_fleet_setup *setup, struct gw_fleet_params *out);
/* The engine is there: connects. 0 or GW_E_NOMEM. setup may be NULL. */
int gw_fleet_setup_start(struct gw_fleet_setup *setup, struct gateway *gateway);
/* Before the engine goes. NULL is fine. */
void gw_fleet_setup_free(struct gw_fleet_setup *setup);
/* For status; null when there is none. */
json_t *gw_fleet_setup_json(const struct gateway *gateway);

#endif
