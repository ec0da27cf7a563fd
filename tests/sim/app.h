/* SPDX-License-Identifier: MIT */
/* Applications for simulated nodes: a service that echoes every byte and ends when its client does, and a client that sends so
 * many bytes, ends its direction, and checks what comes back. */
#ifndef TESTS_SIM_APP_H
#define TESTS_SIM_APP_H

#include "tests/sim/simnet.h"

/* Makes `node` accept every flow: "echo" echoes, "sink" swallows, "refuse" is refused, anything else is not listed. */
void sim_app_serve(struct sim_node *node);

struct sim_client {
    struct gw_stream *stream; /* NULL when over */
    struct sim_node *node;
    uint64_t to_send, sent, received;
    bool expects_echo, is_accepted, has_fin, is_wrong, is_closed;
    unsigned long long reason; /* when is_closed */
    struct gw_mono opened_at, accepted_at, ended_at;
};

/* Opens a flow of `node` to `service` of `peer` and sends `bytes` bytes. The client is the test's, zeroed here. Returns gw_peer_open's result. */
int sim_client_start(struct sim_client *client, struct sim_node *node, struct gw_peer *peer,
                     const char *service, uint64_t bytes);
/* Everything came back, in order, and the end too. */
bool sim_client_is_done(const struct sim_client *client);

#endif
