/* SPDX-License-Identifier: MIT */
/* The virtual addresses of one gateway's peers, kept across restarts in DIR/state/addresses: a line for each, "KEY IPV4 LOCAL", the key in base64, "-" for an
 * address that it does not have. */
#ifndef GATEWAY_DAEMON_VIP_STATE_H
#define GATEWAY_DAEMON_VIP_STATE_H

#include "gateway/config/dir.h"
#include "resolver/vip.h"

#include <stdio.h>

struct gw_vip_state { /* zero: not open */
    struct gw_vip *vip;
    struct gw_vip_params params;
    char path[GW_DIR_PATH_MAX];
    uint64_t saved; /* the generation that is in the file */
};

/* A table for these ranges, with what the file holds put back. Open already with the same params: nothing happens; with others: a new table, and entries of the
 * old one are gone. dir: DIR/state. 0, also when the file cannot be read (logged); GW_E_TOO_BIG, GW_E_INVAL (a range), GW_E_NOMEM. */
int gw_vip_state_open(struct gw_vip_state *state, const char *dir, const struct gw_vip_params *params);
/* Writes the file if anything has changed. 0; GW_E_NOMEM, -errno: logged, and the next call tries again. */
int gw_vip_state_save(struct gw_vip_state *state);
/* What is in the file, into the table and out of it. How many lines made no sense. */
unsigned gw_vip_state_read(struct gw_vip *vip, FILE *file);
void gw_vip_state_write(const struct gw_vip *vip, FILE *file);
void gw_vip_state_close(struct gw_vip_state *state);

#endif
