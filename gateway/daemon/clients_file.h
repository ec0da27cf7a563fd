/* SPDX-License-Identifier: MIT */
/* The file of an anchor's clients: a line for each, "KEY ADDRESS", the key in base64, the address with its port. */
#ifndef GATEWAY_DAEMON_CLIENTS_FILE_H
#define GATEWAY_DAEMON_CLIENTS_FILE_H

#include "gateway/session/crypto.h"
#include "gateway/wire/addr.h"
#include "gateway/wire/peer_id.h"

#include <stdbool.h>
#include <stdio.h>

struct gw_client_place {
    uint8_t key[GW_KEY_LEN];
    struct gw_addr at;
};

/* The next line that makes sense; the others before it are skipped, and counted in *bad. false: there is none. */
bool gw_clients_file_next(FILE *file, struct gw_client_place *out, unsigned *bad);
void gw_clients_file_add(FILE *file, const struct gw_client_place *place);

#endif
