/* SPDX-License-Identifier: MIT */
/* Where an anchor's clients are, kept across restarts in DIR/state/clients. Who is killed says goodbye to nobody, and its clients, which speak to it once in a keepalive, would be found by
 * nobody until then: so the next run calls them. What is in the file is worth no more than a few small packets; nothing else follows from it. */
#ifndef GATEWAY_DAEMON_CLIENTS_STATE_H
#define GATEWAY_DAEMON_CLIENTS_STATE_H

#include "gateway/config/dir.h"
#include "gateway/daemon/clients_file.h"
#include "gateway/gateway.h"
#include "gateway/link/loop.h"

struct gw_clients_state { /* zero: not open */
    struct gateway *gateway;
    struct gw_loop *loop;
    struct event *save_timer, *call_timer;
    char path[GW_DIR_PATH_MAX];
    FILE *calls;         /* while they go out */
    unsigned lines, bad; /* of it, so far */
    char *saved;         /* what is in the file; NULL: not known */
    size_t saved_len;
    struct gw_mono saved_at; /* GW_NEVER: not by this run */
};

/* Reads the file, and calls who is in it and among the gateway's peers, as soon as the loop runs, some at a time. dir: DIR/state. 0, also when the file cannot be read (logged); GW_E_TOO_BIG,
 * GW_E_NOMEM. */
int gw_clients_state_open(struct gw_clients_state *state, struct gw_loop *loop, struct gateway *gateway,
                          const char *dir);
/* Something is another way with some peer: the file is written in a while, if it is to hold something else. */
void gw_clients_state_changed(struct gw_clients_state *state, struct gw_mono now);
/* Before the gateway is freed. What is in the file stays. */
void gw_clients_state_close(struct gw_clients_state *state);

#endif
